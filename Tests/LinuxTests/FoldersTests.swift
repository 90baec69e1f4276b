import Glibc
import Testing

@testable import Linux

@Suite struct FoldersTests {
    @Test func `A temporary folder is new, and nobody else's`() throws {
        let parent = try makeTemporaryFolder(prefix: "martlet-folders-", in: "/tmp")
        defer { rmdir(parent) }
        let children = try (0..<2).map { _ in try makeTemporaryFolder(prefix: "ü ", in: parent) }
        defer { for child in children { rmdir(child) } }
        #expect(children[0] != children[1])
        for child in children {
            #expect(child.hasPrefix("\(parent)/ü "))
            var status = stat()
            #expect(stat(child, &status) == 0 && status.st_mode == S_IFDIR | 0o700)
        }
    }

    @Test func `Where none can be made, the error names the place`() {
        let error = SystemError("make a folder in", "/tmp/martlet-missing", code: ENOENT)
        #expect(throws: error) { try makeTemporaryFolder(prefix: "x-", in: "/tmp/martlet-missing") }
    }
}
