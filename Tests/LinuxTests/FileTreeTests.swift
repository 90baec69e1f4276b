import Foundation
import Testing

@testable import Linux

@Suite struct FileTreeTests {
    /// A folder that is removed with the suite's instance.
    final class Folder {
        let root = NSTemporaryDirectory() + "martlet-tree-" + UUID().uuidString
        init() throws { try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true) }
        deinit { try? FileManager.default.removeItem(atPath: root) }
        func write(_ name: String, _ bytes: [UInt8]) throws {
            try Data(bytes).write(to: URL(fileURLWithPath: root + "/" + name))
        }
    }

    let folder: Folder
    var tree: FileTree { FileTree(root: folder.root) }

    init() throws { folder = try Folder() }

    @Test func `Text loses trailing blanks and NULs, and nothing else`() throws {
        try folder.write("model", Array("Raspberry Pi 5 \u{0}\n".utf8))
        try folder.write("two", Array("  a\nb\n\n".utf8))
        try folder.write("empty", [])
        #expect(tree.text("/model") == "Raspberry Pi 5")
        #expect(tree.text("/two") == "  a\nb")
        #expect(tree.lines("/two") == ["  a", "b"])
        #expect(tree.text("/empty") == "")
        #expect(tree.text("/absent") == nil)
        #expect(tree.lines("/absent").isEmpty)
    }

    @Test func `Invalid UTF-8 is repaired, not fatal`() throws {
        try folder.write("bad", [0x61, 0xFF, 0xFE, 0x62])
        #expect(tree.text("/bad")?.hasPrefix("a") == true)
    }

    @Test(arguments: [
        ("47774\n", Int64?.some(47774)), ("-5\n", -5), ("12 34", 12), ("9223372036854775807", .max),
        ("9223372036854775808", nil), ("", nil), ("max", nil), ("4.5", nil), ("0x10", nil), (" 7", nil),
    ])
    func `A number is read or there is none`(text: String, value: Int64?) throws {
        try folder.write("number", Array(text.utf8))
        #expect(tree.integer("/number") == value)
    }

    @Test func `Names are sorted and complete; a folder is not a file`() throws {
        try folder.write("b", [])
        try folder.write("a", [])
        #expect(tree.names(in: "") == ["a", "b"])
        #expect(tree.names(in: "/absent").isEmpty)
        #expect(tree.names(in: "/a").isEmpty)
        #expect(tree.exists("/a") && !tree.exists("/c"))
        #expect(tree.text("/") == "")
    }

    @Test func `A file without end is cut`() throws {
        // /dev/zero never ends; 1 MiB and the last chunk are read.
        let bytes = try #require(FileTree(root: "/dev").contents("/zero"))
        #expect(bytes.count == FileTree.largestFile)
    }

    @Test func `The machine's own /proc can be read`() {
        #expect(FileTree.machine.text("/proc/self/status")?.contains("VmRSS") == true)
    }
}
