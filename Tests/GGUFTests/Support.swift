import Glibc
import Linux
import Testing

@testable import GGUF

/// A folder of one test's own, removed with it.
final class TemporaryFolder {
    let path: String

    init() throws { path = try makeTemporaryFolder(prefix: "martlet-gguf-", in: "/tmp") }

    deinit {
        for name in names { unlink("\(path)/\(name)") }
        rmdir(path)
    }

    var names: [String] {
        guard let stream = opendir(path) else { return [] }
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

    /// Writes `bytes` and returns the path.
    func file(_ bytes: some Collection<UInt8>, _ name: String = "test.gguf") throws -> String {
        let full = "\(path)/\(name)"
        // A fresh file: ext4 flushes one that was truncated and written again.
        unlink(full)
        let descriptor = open(full, O_WRONLY | O_CREAT | O_EXCL, 0o600)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        let written = Array(bytes).withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        try #require(written == bytes.count)
        return full
    }
}

/// Opens bytes as a file and returns the refusal, which must be one line that names the file.
func refusal(_ bytes: [UInt8], _ location: SourceLocation = #_sourceLocation) throws -> String {
    let folder = try TemporaryFolder()
    let path = try folder.file(bytes)
    do {
        _ = try GGUFFile(path: path)
        Issue.record("the file was accepted", sourceLocation: location)
        return ""
    } catch {
        #expect(!error.description.contains("\n"), sourceLocation: location)
        #expect(error.description.contains(path), sourceLocation: location)
        return error.description
    }
}

/// Builds GGUF bytes by hand, so that they can be wrong.
struct RawGGUF {
    var magic = Array("GGUF".utf8)
    var version: [UInt8] = le(UInt32(3))
    var tensorCount: UInt64?
    var keyCount: UInt64?
    var metadata: [[UInt8]] = []
    var tensors: [[UInt8]] = []
    var data: [UInt8] = []
    var alignment = 32

    var bytes: [UInt8] {
        var out = magic + version + le(tensorCount ?? UInt64(tensors.count)) + le(keyCount ?? UInt64(metadata.count))
        for entry in metadata + tensors { out += entry }
        if !data.isEmpty {
            while out.count % alignment != 0 { out.append(0) }
            out += data
        }
        return out
    }

    mutating func key(_ key: String, _ type: UInt32, _ value: [UInt8]) { metadata.append(text(key) + le(type) + value) }

    mutating func tensor(_ name: String, _ dimensions: [UInt64], _ type: UInt32, offset: UInt64 = 0) {
        tensors.append(
            text(name) + le(UInt32(dimensions.count)) + dimensions.flatMap { le($0) } + le(type) + le(offset))
    }
}

func le<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
    (0..<MemoryLayout<T>.size).map { UInt8(truncatingIfNeeded: value >> (8 * T($0))) }
}

func text(_ string: String) -> [UInt8] { le(UInt64(string.utf8.count)) + Array(string.utf8) }
