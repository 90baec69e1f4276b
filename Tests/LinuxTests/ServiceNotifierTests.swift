import Foundation
import Glibc
import Testing

@testable import Linux

/// A bound datagram socket that plays the service manager.
final class ManagerSocket {
    let path: String
    private let descriptor: Int32

    init(path: String) throws {
        self.path = path
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        var address = try #require(ServiceNotifier.address(of: path))
        let length = socklen_t(2 + path.utf8.count + (path.hasPrefix("@") ? 0 : 1))
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) }
        }
        try #require(bound == 0)
    }

    deinit {
        close(descriptor)
        if path.hasPrefix("/") { unlink(path) }
    }

    /// The next datagram, or nil when none is waiting.
    func receive() -> String? {
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = recv(descriptor, &bytes, bytes.count, Int32(MSG_DONTWAIT))
        return count > 0 ? String(decoding: bytes[..<count], as: UTF8.self) : nil
    }
}

@Suite struct ServiceNotifierTests {
    static func environment(_ values: [String: String]) -> (String) -> String? { { values[$0] } }

    @Test(arguments: ["/tmp/martlet-notify-", "@martlet-notify-"])
    func `Every message arrives as one datagram on path and abstract sockets`(prefix: String) throws {
        let manager = try ManagerSocket(path: prefix + String(getpid()) + String(UInt32.random(in: 0...UInt32.max)))
        let notifier = ServiceNotifier(variable: Self.environment(["NOTIFY_SOCKET": manager.path]))
        #expect(notifier.ready(status: "2 tasks"))
        #expect(manager.receive() == "READY=1\nSTATUS=2 tasks")
        #expect(notifier.reloading(at: 12_345_678_900))
        #expect(manager.receive() == "RELOADING=1\nMONOTONIC_USEC=12345678")
        #expect(notifier.stopping())
        #expect(manager.receive() == "STOPPING=1")
        #expect(notifier.status("broker\ngone\r\nWATCHDOG=1"))
        #expect(manager.receive() == "STATUS=broker gone WATCHDOG=1")
        #expect(notifier.ping())
        #expect(manager.receive() == "WATCHDOG=1")
        #expect(notifier.extendTimeout(90_000_000_000))
        #expect(manager.receive() == "EXTEND_TIMEOUT_USEC=90000000")
        #expect(manager.receive() == nil)
    }

    @Test func `Outside systemd nothing is sent and nothing fails`() {
        let notifier = ServiceNotifier(variable: Self.environment([:]))
        #expect(notifier.socketPath == nil)
        #expect(notifier.watchdogInterval == nil)
        #expect(!notifier.ready())
    }

    @Test func `A manager that is gone, or whose queue is full, does not stop the daemon`() throws {
        #expect(!ServiceNotifier(socketPath: "/nowhere/notify").ping())
        let manager = try ManagerSocket(path: "@martlet-full-" + String(getpid()))
        let notifier = ServiceNotifier(socketPath: manager.path)
        var refused = false
        for _ in 0..<100_000 where !refused { refused = !notifier.ping() }
        #expect(refused)
    }

    @Test func `Other kinds of address are not taken for a path`() {
        for value in ["vsock:2:1234", "relative", "", "/" + String(repeating: "x", count: 200), "@", "/"] {
            let notifier = ServiceNotifier(variable: Self.environment(["NOTIFY_SOCKET": value]))
            #expect(!notifier.ready(), "\(value)")
        }
    }

    @Test func `The watchdog belongs to this process only, and its ping is half the interval`() {
        func interval(_ values: [String: String]) -> UInt64? {
            ServiceNotifier(variable: Self.environment(values), processID: 42).watchdogInterval
        }
        #expect(interval(["WATCHDOG_USEC": "180000000"]) == 180_000_000_000)
        #expect(interval(["WATCHDOG_USEC": "180000000", "WATCHDOG_PID": "42"]) == 180_000_000_000)
        #expect(interval(["WATCHDOG_USEC": "180000000", "WATCHDOG_PID": "43"]) == nil)
        #expect(interval(["WATCHDOG_USEC": "180000000", "WATCHDOG_PID": "x"]) == nil)
        for bad in ["0", "-1", "soon", "", "18446744073709551615"] { #expect(interval(["WATCHDOG_USEC": bad]) == nil) }
        #expect(ServiceNotifier(socketPath: nil, watchdogInterval: 180).pingInterval == 90)
    }

    @Test func `Journal priorities are syslog's, and only the journal's own stream understands them`() throws {
        #expect(JournalPriority.allCases.map(\.prefix) == (0...7).map { "<\($0)>" })
        #expect(JournalPriority.warning.prefix == "<4>")
        let descriptor = open("/dev/null", O_WRONLY)
        defer { close(descriptor) }
        var status = stat()
        fstat(descriptor, &status)
        let stream = "\(status.st_dev):\(status.st_ino)"
        #expect(JournalPriority.isUnderstood(on: descriptor, variable: Self.environment(["JOURNAL_STREAM": stream])))
        for other in ["\(status.st_dev):\(status.st_ino + 1)", "", ":", "a:b", stream + ":1"] {
            let variable = Self.environment(["JOURNAL_STREAM": other])
            #expect(!JournalPriority.isUnderstood(on: descriptor, variable: variable), "\(other)")
        }
        #expect(!JournalPriority.isUnderstood(on: descriptor, variable: Self.environment([:])))
    }
}
