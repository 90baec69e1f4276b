import Glibc
import JSON
import Linux
import Logging
import Synchronization

/// The daemon's log: swift-log for people, `…/log` for programs, repeated warnings held back.
final class DaemonLog: Sendable {
    private struct Repetition {
        var windowStart: UInt64
        var count = 0
    }

    private struct State {
        var repetitions: [String: Repetition] = [:]
        var publish: (@Sendable ([UInt8]) -> Void)?
    }

    /// Of one kind of warning, so many in so long are written; a broken sensor repeats itself every second.
    static let mostRepeated = 5
    static let window: Duration = .seconds(60)

    private let logger: Logger
    private let time: TimeSource
    private let state = Mutex(State())

    init(_ logger: Logger, time: TimeSource) {
        self.logger = logger
        self.time = time
    }

    /// Where warnings and errors also go, as JSON.
    func onPublish(_ publish: @escaping @Sendable ([UInt8]) -> Void) { state.withLock { $0.publish = publish } }

    func debug(_ message: @autoclosure () -> String) { logger.debug("\(message())") }

    func info(_ message: @autoclosure () -> String) { logger.info("\(message())") }

    func notice(_ message: String) { logger.notice("\(message)") }

    /// - Parameter key: warnings with the same key are held back together; nil: never.
    func warning(_ message: String, task: String? = nil, every key: String? = nil) {
        write(.warning, message, task: task, key: key)
    }

    func error(_ message: String, task: String? = nil, every key: String? = nil) {
        write(.error, message, task: task, key: key)
    }

    private func write(_ level: Logger.Level, _ message: String, task: String?, key: String?) {
        var message = message
        let publish: (@Sendable ([UInt8]) -> Void)?
        if let key {
            let now = time.monotonic()
            let (allowed, heldBack, sink) = state.withLock { state in
                let (allowed, heldBack) = Self.allow(
                    &state.repetitions[key, default: .init(windowStart: now)], now: now)
                return (allowed, heldBack, state.publish)
            }
            guard allowed else { return }
            if heldBack > 0 { message += " (\(heldBack) more like this were held back)" }
            publish = sink
        } else {
            publish = state.withLock { $0.publish }
        }
        logger.log(level: level, "\(message)")
        publish?(
            JSONWriter.bytes { json in
                json.member("level", level.rawValue)
                json.member("message", message)
                if let task { json.member("task", task) }
            })
    }

    private static func allow(_ repetition: inout Repetition, now: UInt64) -> (allowed: Bool, heldBack: Int) {
        var heldBack = 0
        if now > repetition.windowStart + window.nanoseconds {
            heldBack = max(0, repetition.count - mostRepeated)
            repetition = Repetition(windowStart: now)
        }
        repetition.count += 1
        return (repetition.count <= mostRepeated, heldBack)
    }
}

/// Writes swift-log's lines to stderr: for the journal with its priority in front, otherwise with the time.
public struct StandardErrorLog: LogHandler {
    public var metadata: Logger.Metadata = [:]
    public var logLevel: Logger.Level = .info
    private let forJournal: Bool

    public init(forJournal: Bool = JournalPriority.isUnderstood()) { self.forJournal = forJournal }

    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        let text = line(event.level, event.message.description, at: .now())
        var bytes = Array(text.utf8)[...]
        // One write for one line, so that lines of several threads do not mix; the rest only after a signal.
        while !bytes.isEmpty {
            let written = bytes.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
            guard written > 0 else { return }
            bytes = bytes.dropFirst(written)
        }
    }

    /// One line whatever the message holds: a message must not be able to forge another line or its priority.
    func line(_ level: Logger.Level, _ message: String, at time: Timestamp) -> String {
        let message = String(message.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7F ? " " : Character($0) })
        if forJournal { return "\(Self.priority(level).prefix)\(message)\n" }
        return "\(time) \(level.rawValue): \(message)\n"
    }

    private static func priority(_ level: Logger.Level) -> JournalPriority {
        switch level {
        case .trace, .debug: .debug
        case .info: .info
        case .notice: .notice
        case .warning: .warning
        case .error: .error
        case .critical: .critical
        }
    }
}
