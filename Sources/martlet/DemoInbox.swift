import Glibc
import Linux
import Synchronization
import Transport

/// What the demo's MQTT client reports, handed from the network thread to the demo's own.
final class DemoInbox: Sendable {
    enum Item {
        case message(MQTTMessage, at: UInt64)
        case event(TransportEvent)
    }

    private let items = Mutex<[Item]>([])
    private let pipe: DemoPipe

    init() throws { pipe = try DemoPipe() }

    /// Starts `client` with this inbox behind it.
    func start(_ client: MQTTClient) throws {
        try client.start(
            onMessage: { [self] message in
                add(.message(message, at: monotonicNanoseconds()))
                return .accepted
            }, onEvent: { [self] in add(.event($0)) })
    }

    private func add(_ item: Item) {
        items.withLock { $0.append(item) }
        pipe.wake()
    }

    /// The items that have come; waits for the first, at most `milliseconds`. Throws when the user ends the demo.
    func take(milliseconds: Int) throws -> [Item] {
        let ready = items.withLock { !$0.isEmpty }
        var descriptors = [
            pollfd(fd: pipe.reading, events: Int16(POLLIN), revents: 0),
            pollfd(fd: Interruption.descriptor, events: Int16(POLLIN), revents: 0),
        ]
        _ = poll(&descriptors, nfds_t(descriptors.count), ready ? 0 : Int32(clamping: milliseconds))
        if let signal = Interruption.received { throw DemoInterrupted(signal: signal) }
        pipe.drain()
        return items.withLock { items in
            defer { items = [] }
            return items
        }
    }
}

/// The user pressed Ctrl-C, or somebody sent SIGTERM.
struct DemoInterrupted: Error {
    let signal: Int32
}

/// A pipe that wakes a thread in `poll`; neither end ever blocks.
final class DemoPipe: Sendable {
    let reading: Int32
    let writing: Int32

    init() throws { (reading, writing) = try Self.ends() }

    /// The two ends of a new pipe.
    static func ends() throws -> (reading: Int32, writing: Int32) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else {
            throw CommandError(
                .internalError, "\(SystemError("make", "a pipe").description). Raise the limit of open files")
        }
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        return (ends[0], ends[1])
    }

    deinit {
        close(reading)
        close(writing)
    }

    /// A full pipe wakes as well as one more byte would.
    func wake() { _ = write(writing, [1], 1) }

    func drain() {
        var bytes = [UInt8](repeating: 0, count: 256)
        while read(reading, &bytes, bytes.count) > 0 {}
    }
}

/// SIGINT and SIGTERM as something to `poll` for, so that the demo ends its children and removes its folder.
enum Interruption {
    /// To poll for; -1, which `poll` skips, before `watch`.
    static var descriptor: Int32 { ends.reading }

    // Unsafe: written once, before the handler that reads it is set; a signal handler may not take a lock.
    nonisolated(unsafe) private static var ends: (reading: Int32, writing: Int32) = (-1, -1)

    /// Takes over the signals until the process ends. The pipe stays open as long: a handler may run at any time.
    static func watch() throws {
        ends = try DemoPipe.ends()
        for number in [SIGINT, SIGTERM, SIGHUP] {
            signal(number) { number in
                var byte = UInt8(truncatingIfNeeded: number)
                _ = write(Interruption.ends.writing, &byte, 1)
            }
        }
    }

    /// The first signal that came and was not asked for yet.
    static var received: Int32? {
        var byte: UInt8 = 0
        return descriptor >= 0 && read(descriptor, &byte, 1) == 1 ? Int32(byte) : nil
    }
}
