import Glibc
import TestSupport
import Testing

/// What C does at the end of a process: marks why, or starts it anew.
@Suite struct CrashMarks {
    @Test(arguments: [SIGSEGV, SIGILL, SIGFPE, SIGABRT, SIGTRAP])
    func aFatalSignalLeavesItsMarkAndStillKills(_ signal: Int32) throws {
        let folder = try TemporaryFolder()
        try folder.write("-rest", to: "work")
        let child = try Child([builtProgram("CrashHelper"), "die", "\(signal)", folder.path("work")])
        #expect(child.wait(seconds: 20) == 128 + signal, "\(child.output) \(child.errors)")
        #expect(folder.read("work") == "!rest")
    }

    @Test(arguments: [SIGKILL, SIGTERM]) func othersLeaveNone(_ signal: Int32) throws {
        let folder = try TemporaryFolder()
        try folder.write("-rest", to: "work")
        let child = try Child([builtProgram("CrashHelper"), "die", "\(signal)", folder.path("work")])
        #expect(child.wait(seconds: 20) == 128 + signal)
        #expect(folder.read("work") == "-rest")
    }

    @Test func startingAnewLeavesNothingBehind() throws {
        let child = try Child([builtProgram("CrashHelper"), "start-anew"])
        #expect(child.wait(seconds: 20) == 0, "\(child.errors)")
        let lines = child.output.split(separator: "\n").map(String.init)
        try #require(lines.count == 5, "\(lines)")
        // The same process, one thread, no blocked signal, and the three standard files.
        #expect(UInt64(lines[1].suffix(16), radix: 16) == 0 && lines[3].hasSuffix("1"), "\(lines)")
        // Signals 1 to 31; the C library keeps others to itself.
        #expect(UInt64(lines[2].suffix(16), radix: 16).map { $0 & 0x7FFF_FFFF } == 0, "\(lines)")
        #expect(lines[4] == "files 4 of \(lines[0])")
    }
}
