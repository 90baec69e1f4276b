import Foundation
import Testing

@testable import Linux

@Suite final class ReplacedFileTests {
    let root = NSTemporaryDirectory() + "martlet-replaced-" + UUID().uuidString
    var path: String { root + "/file" }
    var names: [String] { (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? [] }
    var content: String? { try? String(contentsOfFile: path, encoding: .utf8) }

    init() throws {
        try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
        try Data("old".utf8).write(to: URL(fileURLWithPath: path))
    }

    deinit { try? FileManager.default.removeItem(atPath: root) }

    @Test func `The old file stays until the new one is whole`() throws {
        let file = try ReplacedFile(path: path)
        try file.append(Array("new".utf8))
        #expect(content == "old")
        try file.commit()
        #expect(content == "new" && names == ["file"])
    }

    @Test func `A file that is given up leaves the old one and no part`() throws {
        do { try ReplacedFile(path: path).append(Array("new".utf8)) }
        #expect(content == "old" && names == ["file"])
    }

    @Test func `A pipe is written, not replaced`() throws {
        let pipe = root + "/pipe"
        try #require(mkfifo(pipe, 0o600) == 0)
        let reader = open(pipe, O_RDONLY | O_NONBLOCK)
        defer { close(reader) }
        let file = try ReplacedFile(path: pipe)
        try file.append(Array("through".utf8))
        try file.commit()
        var bytes = [UInt8](repeating: 0, count: 16)
        #expect(read(reader, &bytes, bytes.count) == 7)
        #expect(String(decoding: bytes.prefix(7), as: UTF8.self) == "through")
        #expect(names.sorted() == ["file", "pipe"])
    }

    @Test func `A link stays one`() throws {
        try #require(symlink(path, root + "/link") == 0)
        let file = try ReplacedFile(path: root + "/link")
        try file.append(Array("new".utf8))
        try file.commit()
        #expect(content == "new" && names.sorted() == ["file", "link"])
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: root + "/link") == path)
    }

    @Test func `A full device and a missing folder are errors that name the file`() throws {
        // Through a link: should this ever be broken, root's tests must not move a file over the device itself.
        let link = root + "/full"
        try #require(symlink("/dev/full", link) == 0)
        let full = try ReplacedFile(path: link)
        try full.append([1])
        #expect(throws: SystemError("write", link, code: ENOSPC)) { try full.commit() }
        #expect(throws: SystemError("create", root + "/none/file", code: ENOENT)) {
            try ReplacedFile(path: self.root + "/none/file")
        }
    }
}
