import Glibc
import Health
import Linux
import Logging
import Spool
import Synchronization
import TestSupport
import Testing
import Transport

@testable import Daemon

/// What is wrong with the broker is told apart by `martlet doctor`, and by the daemon's log and status.
@Suite(.serialized) struct BrokerChecks {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        try folder.write("user martlet\ntopic read door/#\n", to: "rules")
        try folder.write("user martlet\ntopic read other/#\ntopic write martlet/pi/#\n", to: "write-only")
        try folder.write("right", to: "right")
        try folder.write("wrong", to: "wrong")
        try Child.run([
            "openssl", "req", "-x509", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
            "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", folder.path("key"),
            "-out", folder.path("certificate"),
        ])
    }

    private func broker(_ lines: [String]) throws -> BrokerHarness {
        try BrokerHarness(users: ["martlet": "right"], in: folder, lines)
    }

    private func configuration(_ url: String, password: String = "right", _ more: String = "") throws -> Configuration {
        let context = ConfigurationContext(
            hostname: "pi", isReadable: { _ in true }, readFile: { FileTree.machine.text($0) })
        let login = "username = \"martlet\"\npassword_file = \"\(folder.path(password))\"\n"
        return try parse(oneDoor(url, broker: login + more), context: context)
    }

    private func findings(_ url: String, password: String = "right", _ more: String = "") throws -> [String] {
        let found = BrokerCheck.findings(try configuration(url, password: password, more), timeout: .seconds(20))
        #expect(found.allSatisfy { $0.severity == .ok || $0.advice != nil })
        return found.map { "\($0.severity.rawValue) \($0.title): \($0.detail)" }
    }

    @Test func theDoctorTellsThemApart() throws {
        let open = try broker([])
        defer { open.stop() }
        let url = "mqtt://127.0.0.1:\(open.port)"
        #expect(try findings(url) == ["ok broker: 127.0.0.1:\(open.port) accepts us without TLS"])
        let wrong = try findings(url, password: "wrong")
        #expect(wrong.count == 1 && wrong[0].contains("(access)") && wrong[0].contains("password"), "\(wrong)")
        // No name server knows this name, and none need be asked.
        let lost = try findings("mqtt://no-such-host.invalid")
        #expect(lost.count == 1 && lost[0].contains("(dns)"), "\(lost)")
        let secure = try broker(["certfile \(folder.path("certificate"))", "keyfile \(folder.path("key"))"])
        defer { secure.stop() }
        let stranger = try findings("mqtts://127.0.0.1:\(secure.port)")
        #expect(stranger[0].contains("(tls)") && stranger[0].contains("authority that we do not trust"), "\(stranger)")
        let trusted = try findings(
            "mqtts://127.0.0.1:\(secure.port)", "ca_file = \"\(folder.path("certificate"))\"")
        #expect(trusted == ["ok broker: 127.0.0.1:\(secure.port) accepts us over TLS"])
        secure.stop()
        let gone = try findings("mqtts://127.0.0.1:\(secure.port)")
        #expect(gone[0].contains("(network)") && gone[0].contains("refused"), "\(gone)")
    }

    @Test func theDoctorFindsWhatTheRulesForbid() throws {
        let silent = try broker(["acl_file \(folder.path("rules"))"])
        defer { silent.stop() }
        let found = try findings("mqtt://127.0.0.1:\(silent.port)")
        #expect(found.first?.hasPrefix("ok broker:") == true)
        #expect(found.contains { $0.contains("broker rules") && $0.contains("publish below martlet/pi") }, "\(found)")
        // What mosquitto does not grant it says only since 2.1, so only that writing is fine here.
        let writable = try broker(["acl_file \(folder.path("write-only"))"])
        defer { writable.stop() }
        #expect(try !findings("mqtt://127.0.0.1:\(writable.port)").contains { $0.contains("publish below") })
    }

    /// What a service manager is told, at a path.
    private func manager(_ path: String) throws -> Int32 {
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_NONBLOCK.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let room = MemoryLayout.size(ofValue: address.sun_path)
        try #require(path.utf8.count < room)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(bound == 0)
        return descriptor
    }

    /// The log of a daemon until it says why there is no connection; status and health must say the same.
    private func complaint(_ configuration: Configuration) throws -> String {
        let recorder = LineRecorder()
        let path = folder.path("manager")
        let manager = try manager(path)
        defer {
            close(manager)
            unlink(path)
        }
        let gate = Gate()
        var options = configuration.mqttOptions
        options.backoffMilliseconds = 20...50
        var parts = DaemonParts(
            transport: try MQTTClient(options), spool: try .inMemory(),
            makeRunner: { (models, _) throws(DaemonError) in FakeRunner(models, gate: gate) },
            logger: recorder.logger)
        parts.notifier = ServiceNotifier(socketPath: path)
        let daemon = Daemon(configuration, parts)
        try daemon.start()
        defer { daemon.stop() }
        func line() -> String? { recorder.lineList.first { $0.contains("no connection") } }
        try wait { line() != nil }
        let kind = Daemon.mqttHealth(daemon.parts, daemon.live).lastProblem ?? "none"
        #expect(line()?.contains("no connection to the broker (\(kind)): ") == true)
        var bytes = [UInt8](repeating: 0, count: 4096)
        var told: [String] = []
        try wait {
            let count = recv(manager, &bytes, bytes.count, 0)
            if count > 0 { told.append(String(decoding: bytes[..<count], as: UTF8.self)) }
            return told.contains { $0.hasPrefix("STATUS=no connection to the broker (\(kind)): ") }
        }
        return line() ?? ""
    }

    @Test func theLogTellsThemApartToo() throws {
        let open = try broker([])
        defer { open.stop() }
        let secure = try broker(["certfile \(folder.path("certificate"))", "keyfile \(folder.path("key"))"])
        defer { secure.stop() }
        let place = "mqtt://127.0.0.1:\(open.port)"
        #expect(
            try complaint(configuration(place, password: "wrong")).hasPrefix(
                "warning no connection to the broker (access)"))
        #expect(try complaint(configuration("mqtt://no-such-host.invalid")).contains("broker (dns)"))
        #expect(try complaint(configuration("mqtts://127.0.0.1:\(secure.port)")).contains("broker (tls)"))
        secure.stop()
        #expect(try complaint(configuration("mqtts://127.0.0.1:\(secure.port)")).contains("broker (network)"))
    }
}
