import Glibc
import Linux

/// A temporary folder that is removed with this object.
public final class TemporaryFolder: Sendable {
    public let root: String

    /// `inMemory`: on a file system that does not flush to a disk, for tests that sync by the hundred.
    public init(inMemory: Bool = false) throws {
        let parent = inMemory && access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
        root = try makeTemporaryFolder(prefix: "martlet-test-", in: parent)
    }

    deinit { Self.remove(root) }

    private static func remove(_ path: String) {
        if let stream = opendir(path) {
            while let entry = readdir(stream) {
                let name = withUnsafeBytes(of: entry.pointee.d_name) {
                    String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
                }
                if name != "." && name != ".." { remove("\(path)/\(name)") }
            }
            closedir(stream)
            rmdir(path)
        } else {
            unlink(path)
        }
    }

    public func path(_ name: String) -> String { "\(root)/\(name)" }

    public func write(_ bytes: [UInt8], to name: String) throws {
        guard let file = fopen(path(name), "we") else { throw Failure("cannot write \(name)") }
        let count = fwrite(bytes, 1, bytes.count, file)
        guard fclose(file) == 0, count == bytes.count else { throw Failure("cannot write \(name)") }
    }

    public func write(_ text: String, to name: String) throws { try write(Array(text.utf8), to: name) }

    public func bytes(_ name: String) -> [UInt8] {
        guard let file = fopen(path(name), "re") else { return [] }
        defer { fclose(file) }
        var all: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = fread(&chunk, 1, chunk.count, file)
            if count == 0 { return all }
            all += chunk[..<count]
        }
    }

    public func read(_ name: String) -> String { String(decoding: bytes(name), as: UTF8.self) }

    public var names: [String] {
        guard let stream = opendir(root) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }
}
