#if canImport(Glibc)
import Glibc
#endif

/// A failed call to the operating system: what was tried, on what, and the kernel's answer.
public struct SystemError: Error, Equatable, CustomStringConvertible {
    /// The call or act that failed, for example `open`.
    public let operation: String
    /// The file or object it was tried on.
    public let subject: String
    /// `errno` as it was right after the call.
    public let code: Int32

    public init(_ operation: String, _ subject: String, code: Int32 = errno) {
        self.operation = operation
        self.subject = subject
        self.code = code
    }

    /// The kernel's sentence for `code`, for example "No such file or directory".
    public var reason: String { String(cString: strerror(code)) }

    public var isNotFound: Bool { code == ENOENT || code == ENOTDIR }

    /// Whether there is no room on the disk, or none for this user.
    public var isFull: Bool { code == ENOSPC || code == EDQUOT }

    public var description: String { "cannot \(operation) \(subject): \(reason)" }
}
