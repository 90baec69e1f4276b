import CLinux
import Glibc
import Transport

/// A program started by a test, with its output in files: it cannot block on a full pipe, and outlives no test.
public final class Child: @unchecked Sendable {  // used by one test at a time
    public let process: pid_t
    private let folder: TemporaryFolder
    private var status: Int32?

    /// Starts `arguments[0]`, looked up as `PrivateBroker.find` does; `input` becomes its standard input.
    public init(_ arguments: [String], input: [UInt8] = []) throws {
        let folder = try TemporaryFolder()
        try folder.write(input, to: "in")
        guard let program = arguments[0].hasPrefix("/") ? arguments[0] : PrivateBroker.find(arguments[0]) else {
            throw Failure("\(arguments[0]) is not installed")
        }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, folder.path("in"), O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, folder.path("out"), O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        posix_spawn_file_actions_addopen(&actions, 2, folder.path("err"), O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        let strings = ([program] + arguments.dropFirst()).map { strdup($0) }
        defer { for string in strings { free(string) } }
        var child = pid_t()
        let code = posix_spawn(&child, program, &actions, nil, strings + [nil], environ)
        guard code == 0 else { throw Failure("cannot start \(program): \(String(cString: strerror(code)))") }
        self.folder = folder
        process = child
    }

    deinit { if status == nil { kill() } }

    public var output: String { folder.read("out") }
    public var outputBytes: [UInt8] { folder.bytes("out") }
    public var errors: String { folder.read("err") }

    /// SIGKILL, as a crash.
    public func kill() {
        Glibc.kill(process, SIGKILL)
        _ = wait(seconds: 5)
    }

    /// The exit status, 128 + signal as shells report it, or nil when it still runs after the time.
    public func wait(seconds: Double) -> Int32? {
        if let status { return status }
        var raw: Int32 = 0
        let ended = eventually(seconds: seconds) { waitpid(self.process, &raw, WNOHANG) == self.process }
        guard ended else { return nil }
        status = raw & 0x7F == 0 ? (raw >> 8) & 0xFF : 128 + (raw & 0x7F)
        return status
    }

    /// Runs a program to its end; fails when it takes longer or exits with another status than 0.
    @discardableResult
    public static func run(_ arguments: [String], input: [UInt8] = [], seconds: Double = 20) throws -> String {
        let child = try Child(arguments, input: input)
        guard let status = child.wait(seconds: seconds) else { throw Failure("\(arguments[0]) still runs") }
        guard status == 0 else { throw Failure("\(arguments[0]) exited with \(status): \(child.errors)") }
        return child.output
    }
}

/// What went wrong in a test's own machinery.
public struct Failure: Error, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}

/// Polls until `condition` holds; false when the time is over first.
public func eventually(seconds: Double = 30, _ condition: () -> Bool) -> Bool {
    let deadline = ContinuousClock.now + .seconds(seconds)
    while true {
        if condition() { return true }
        if ContinuousClock.now >= deadline { return false }
        usleep(5_000)
    }
}

/// The folder of the test executable, where SwiftPM puts helper executables too.
public func builtProgram(_ name: String) throws -> String {
    var buffer = [CChar](repeating: 0, count: 4096)
    let count = readlink("/proc/self/exe", &buffer, buffer.count)
    guard count > 0 else { throw Failure("cannot read /proc/self/exe") }
    let path = String(decoding: buffer.prefix(count).map { UInt8(truncatingIfNeeded: $0) }, as: UTF8.self)
    let folders = [path] + CommandLine.arguments.filter { $0.hasPrefix("/") }
    for candidate in folders {
        guard let slash = candidate.lastIndex(of: "/") else { continue }
        let program = "\(candidate[..<slash])/\(name)"
        if access(program, X_OK) == 0 { return program }
    }
    throw Failure("\(name) is not built beside the tests; looked beside \(folders)")
}
