import Catalogue
import Constraints
import Daemon
import GGUF
import Glibc
import Import
import Inference
import Kernels
import Linux
import Safetensors
import Tasks
import Tokenizers

/// Exit statuses, after BSD's sysexits.
enum ExitStatus: Int32 {
    case usage = 64
    case data = 65
    case notFound = 66
    case unavailable = 69
    case internalError = 70
    case cannotCreate = 73
    case configuration = 78
}

/// A failure as the user sees it: one line and an exit status.
struct CommandError: Error {
    let status: ExitStatus
    /// `WHAT: WHY. WHAT TO DO`, without the leading `martlet: error:`. A configuration has a line per problem.
    let message: String

    init(_ status: ExitStatus, _ message: String) {
        self.status = status
        self.message = message
    }

    /// The status that belongs to an error of one of the rooms, or nil for one of the argument parser's.
    static func from(_ error: any Error) -> CommandError? {
        switch error {
        case let error as CommandError: error
        case let error as GGUFError:
            CommandError(
                error.isUnwritable ? .cannotCreate : error.isNotFound ? .notFound : .data, error.description)
        case let error as SafetensorsError: CommandError(error.isNotFound ? .notFound : .data, error.description)
        case let error as ImportError:
            CommandError(
                error.kind == .unwritable ? .cannotCreate : error.kind == .notFound ? .notFound : .data,
                error.description)
        case let error as CatalogueError: CommandError(status(of: error.kind), error.description)
        case let error as ModelError: CommandError(.data, error.description)
        case let error as TokenizerError: CommandError(.data, error.description)
        case let error as InferenceError: CommandError(.data, error.description)
        case let error as GenerationError: CommandError(.data, error.description)
        case let error as GrammarError: CommandError(.data, error.description)
        case let error as TaskError: CommandError(.data, error.description)
        case let error as ConfigurationError:
            CommandError(
                error.isNotFound ? .notFound : .configuration, error.problems.map(\.description).joined(separator: "\n")
            )
        case let error as DaemonError:
            CommandError(ExitStatus(rawValue: error.exitStatus) ?? .internalError, error.description)
        case let error as TierError: CommandError(.usage, error.description)
        case let error as SystemError:
            CommandError(
                error.isNotFound ? .notFound : .internalError, "\(error.description). Check the path and its rights")
        default: nil
        }
    }
}

extension CommandError {
    private static func status(of kind: CatalogueError.Kind) -> ExitStatus {
        switch kind {
        case .usage: .usage
        case .data: .data
        case .notFound: .notFound
        case .unavailable: .unavailable
        case .unwritable: .cannotCreate
        }
    }
}

/// Writes one line to stderr.
func writeError(_ line: String) { write(line + "\n", to: 2) }

/// Writes text to stdout. When nobody reads any more there is nothing left to do, so the process ends.
func writeOutput(_ text: String) {
    if write(text, to: 1) { return }
    if errno == EPIPE { exit(0) }
    writeError("martlet: error: \(SystemError("write", "the output")). Check where stdout goes, and free space")
    exit(ExitStatus.cannotCreate.rawValue)
}

/// Writes all of `text`; false, and `errno`, when that is not possible.
@discardableResult
private func write(_ text: String, to descriptor: Int32) -> Bool {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
        let written = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        if written < 0 {
            if errno == EINTR || errno == EAGAIN { continue }
            return false
        }
        bytes = bytes.dropFirst(written)
    }
    return true
}

/// All bytes of a descriptor up to `limit`; nil when there are more. `name` is for the error.
private func readAll(_ descriptor: Int32, _ name: String, limit: Int) throws(SystemError) -> [UInt8]? {
    var bytes: [UInt8] = []
    while true {
        var failure: SystemError?
        let chunk = [UInt8](unsafeUninitializedCapacity: 65536) { buffer, count in
            let got = read(descriptor, buffer.baseAddress, buffer.count)
            if got < 0 { failure = SystemError("read", name) }
            count = max(0, got)
        }
        if let failure, failure.code != EINTR { throw failure }
        if chunk.isEmpty, failure == nil { return bytes }
        bytes += chunk
        if bytes.count > limit { return nil }
    }
}

/// The bytes of a file or pipe, or of stdin for nil or `-`. Throws when it cannot be read or is larger than `limit`.
func input(_ path: String?, limit: Int = 256 << 20) throws -> [UInt8] {
    let file = path.flatMap { $0 == "-" ? nil : $0 }
    let name = file ?? "stdin"
    do {
        let descriptor = file.map { open($0, O_RDONLY | O_CLOEXEC) } ?? 0
        guard descriptor >= 0 else { throw SystemError("open", name) }
        defer { if descriptor > 0 { close(descriptor) } }
        if let bytes = try readAll(descriptor, name, limit: limit) { return bytes }
    } catch let error as SystemError {
        throw CommandError(error.isNotFound ? .notFound : .data, "\(error). Check the path and its rights")
    }
    throw CommandError(.data, "cannot read \(name): it is larger than \(limit >> 20) MiB. Give less at a time")
}

/// Writes a file whole: what was at `path` is replaced when `write` has returned, and stays when it throws.
func creating(_ path: String, write: (ReplacedFile) throws -> Void) throws {
    do {
        let file = try ReplacedFile(path: path)
        try write(file)
        try file.commit()
    } catch let error as SystemError {
        throw CommandError(.cannotCreate, "\(error.description). Check the folder, its rights and free space")
    }
}

/// A progress bar on stderr; draws nothing unless that is a terminal.
struct ProgressBar {
    private let total: Int
    private let label: String
    private let visible = isatty(2) == 1

    init(_ label: String, total: Int) {
        self.label = label
        self.total = max(1, total)
    }

    func show(_ done: Int, note: String = "") {
        guard visible else { return }
        let width = 30
        let filled = min(width, done * width / total)
        let bar = String(repeating: "=", count: filled) + String(repeating: " ", count: width - filled)
        write("\r\(label) [\(bar)] \(done)/\(total) \(note)\u{1B}[K", to: 2)
    }

    func finish() {
        if visible { write("\r\u{1B}[K", to: 2) }
    }
}
