import Logging
import Synchronization

/// Every line of a log, at every level.
final class LineRecorder: Sendable {
    private let lines = Mutex<[String]>([])
    var lineList: [String] { lines.withLock { $0 } }
    var all: String { lineList.joined(separator: "\n") }
    func add(_ line: String) { lines.withLock { $0.append(line) } }

    var logger: Logger { Logger(label: "test") { _ in RecordingLog(self) } }
}

/// A log that can be read.
struct RecordingLog: LogHandler {
    let recorder: LineRecorder
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .trace

    init(_ recorder: LineRecorder) { self.recorder = recorder }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { nil }
        set {}
    }

    func log(event: LogEvent) { recorder.add("\(event.level) \(event.message)") }
}
