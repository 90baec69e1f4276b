import Glibc

/// A file written beside its final path and moved there when complete, so that a reader never sees half of it.
///
/// What is no regular file itself is never moved over, but written as it is: a pipe, a device, and a link too,
/// because `/dev/stdout` is one, whatever stands behind it.
///
/// Ownership: not Sendable; one writer owns it. When it goes away before `commit`, the part is removed.
public final class ReplacedFile {
    public let path: String
    /// Where the bytes go: the part, or `path` itself when that cannot be replaced.
    private let part: String
    private var descriptor: Int32
    /// Collects small writes; flash likes large ones.
    private var buffer: [UInt8] = []
    /// Bytes appended so far.
    public private(set) var count = 0

    private static let bufferSize = 256 * 1024

    /// Begins writing. Throws `SystemError` when the folder cannot be written.
    public init(path: String) throws(SystemError) {
        self.path = path
        var status = stat()
        let isSpecial = lstat(path, &status) == 0 && status.st_mode & S_IFMT != S_IFREG
        part = isSpecial ? path : "\(path).\(getpid()).part"
        descriptor = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw SystemError("create", path) }
        buffer.reserveCapacity(Self.bufferSize)
    }

    deinit {
        guard descriptor >= 0 else { return }
        close(descriptor)
        if isReplacing { unlink(part) }
    }

    private var isReplacing: Bool { part != path }

    public func append(_ bytes: some Collection<UInt8>) throws(SystemError) {
        // Pieces of the buffer's size, so that a large tensor passes through without growing it.
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = rest.prefix(Self.bufferSize - buffer.count)
            buffer.append(contentsOf: piece)
            rest = rest.dropFirst(piece.count)
            count += piece.count
            if buffer.count == Self.bufferSize { try flush() }
        }
    }

    /// Makes the file durable and moves it to its path, replacing what was there.
    public func commit() throws(SystemError) {
        try flush()
        guard !isReplacing || fsync(descriptor) == 0 else { throw SystemError("write", path) }
        let closed = close(descriptor)
        descriptor = -1
        guard closed == 0 else { throw failed("write") }
        guard isReplacing else { return }
        guard rename(part, path) == 0 else { throw failed("replace") }
    }

    /// The error of a call that came too late for `deinit` to clean up.
    private func failed(_ operation: String) -> SystemError {
        let error = SystemError(operation, path)
        if isReplacing { unlink(part) }
        return error
    }

    private func flush() throws(SystemError) {
        var start = 0
        while start < buffer.count {
            let written = buffer[start...].withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if written < 0 && errno == EINTR { continue }
            guard written > 0 else { throw SystemError("write", path) }
            start += written
        }
        buffer.removeAll(keepingCapacity: true)
    }
}

extension ReplacedFile {
    /// Makes a finished file durable and gives it its name, replacing what was there; both in one folder.
    public static func publish(_ part: String, as path: String) throws(SystemError) {
        let descriptor = open(part, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw SystemError("open", part) }
        defer { close(descriptor) }
        fchmod(descriptor, 0o644)
        guard fsync(descriptor) == 0 else { throw SystemError("write", part) }
        guard rename(part, path) == 0 else { throw SystemError("replace", path) }
    }
}
