import Glibc
import Linux
import Testing

@testable import Inference

@Suite struct CacheFolderTests {
    @Test func oneWriterAtATimeWhoLeavesATenthOfTheDisk() throws {
        let parent = try makeTemporaryFolder(prefix: "martlet-cache-", in: "/tmp")
        let path = parent + "/a/b"
        defer { for folder in [path, parent + "/a", parent] { rmdir(folder) } }
        let folder = try #require(try CacheFolder(path))
        defer { unlink(path + "/.lock") }
        let second = try CacheFolder(path)
        #expect(second == nil)
        let error = #expect(throws: SystemError.self) { try folder.checkRoom(for: 1 << 60, keeping: "a test") }
        #expect(error == SystemError("keep a test in", path, code: ENOSPC))
        close(creat(path + "/1.part", 0o600))
        folder.leave()
        // The next one finds what a killed writer left.
        let next = try #require(try CacheFolder(path))
        #expect(FileTree.machine.names(in: path) == [".lock"])
        next.leave()
        #expect(throws: SystemError.self) { try CacheFolder("/proc/none") }
    }
}
