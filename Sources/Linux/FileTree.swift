import Glibc

/// Small text files below a root folder: the door to `/proc` and `/sys`.
///
/// The root is injectable, so that a captured tree of another board reads like the machine itself.
/// Every reader returns nil where the machine does not offer the file: absence is not an error.
public struct FileTree: Sendable {
    /// Prefix for every path; empty for the machine itself.
    public let root: String

    /// No kernel text file we read is larger; a longer one is cut here so that it cannot exhaust memory.
    static let largestFile = 1 << 20

    public init(root: String = "") { self.root = root }

    /// The machine Martlet runs on.
    public static let machine = FileTree()

    /// The whole file as text without trailing white space, or nil.
    public func text(_ path: String) -> String? {
        guard let bytes = contents(path) else { return nil }
        var end = bytes.count
        while end > 0, bytes[end - 1] <= 0x20 { end -= 1 }
        return String(decoding: bytes[..<end], as: UTF8.self)
    }

    /// The file's first number, or nil when absent or not a number.
    public func integer(_ path: String) -> Int64? {
        guard let text = text(path) else { return nil }
        return Int64(text.prefix { !$0.isWhitespace })
    }

    public func lines(_ path: String) -> [Substring] {
        text(path)?.split(separator: "\n") ?? []
    }

    /// Names in a folder, sorted, without `.` and `..`; empty when absent.
    public func names(in folder: String) -> [String] {
        guard let stream = opendir(root + folder) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    public func exists(_ path: String) -> Bool { access(root + path, F_OK) == 0 }

    /// The file's bytes up to the cap, or nil when it cannot be read.
    public func contents(_ path: String) -> [UInt8]? {
        let descriptor = open(root + path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        // /proc and /sys report size 0, so read until the end instead of trusting stat.
        while bytes.count < Self.largestFile {
            let chunk = [UInt8](unsafeUninitializedCapacity: 4096) { buffer, count in
                count = max(0, read(descriptor, buffer.baseAddress, buffer.count))
            }
            if chunk.isEmpty { break }
            bytes += chunk
        }
        return bytes
    }
}
