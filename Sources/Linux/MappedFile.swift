import CLinux
import Glibc

/// A file mapped read-only and shared, so its pages are the page cache's and never anonymous.
///
/// Ownership: the mapping lives as long as this object; every pointer into `bytes` must not outlive it.
// @unchecked because the pages are read-only and the pointer never changes after init.
public final class MappedFile: @unchecked Sendable {
    public let path: String
    /// All bytes of the file. Empty for an empty file.
    public let bytes: UnsafeRawBufferPointer
    /// When its content last changed, as nanoseconds since 1970.
    public let modified: Int

    /// Maps `path`. Throws `SystemError` when it cannot be opened, is not a regular file, or cannot be mapped.
    public init(path: String) throws(SystemError) {
        // Without O_NONBLOCK a pipe would wait here for a writer, for ever.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw SystemError("open", path) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw SystemError("stat", path) }
        let kind = status.st_mode & S_IFMT
        guard kind == S_IFREG else { throw SystemError("map", path, code: kind == S_IFDIR ? EISDIR : ENOTSUP) }
        self.path = path
        modified = status.st_mtim.tv_sec &* 1_000_000_000 &+ status.st_mtim.tv_nsec
        let count = Int(status.st_size)
        guard count > 0 else {
            bytes = UnsafeRawBufferPointer(start: nil, count: 0)
            return
        }
        guard let base = mmap(nil, count, PROT_READ, MAP_SHARED, descriptor, 0), base != MAP_FAILED else {
            throw SystemError("map", path)
        }
        bytes = UnsafeRawBufferPointer(start: base, count: count)
    }

    deinit {
        if let base = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: base), bytes.count) }
    }

    /// Asks the kernel to read the whole file ahead; returns at once.
    public func readAhead() {
        if let base = bytes.baseAddress {
            madvise(UnsafeMutableRawPointer(mutating: base), bytes.count, MADV_WILLNEED)
        }
    }
}
