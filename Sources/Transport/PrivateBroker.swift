import CLinux
import Glibc
import Linux
import Synchronization

/// A mosquitto of our own on a free loopback port, with a configuration written for the occasion.
///
/// For `martlet demo` and for tests; it never touches a system broker. Ownership: the process and its folder are gone
/// when this object is; `stop` ends it earlier.
public final class PrivateBroker: Sendable {
    /// What goes into the configuration file.
    public struct Settings: Sendable {
        public var allowAnonymous = true
        /// Keeps sessions and retained messages over a restart.
        public var persistence = false
        /// More lines of mosquitto.conf, for example `password_file …` or `cafile …`.
        public var extraLines: [String] = []

        public init() {}
    }

    public let port: Int
    /// The folder with configuration, log and database; removed with this object.
    public let folder: String
    private let executable: String
    private let process = Mutex<pid_t?>(nil)

    public var url: String { "mqtt://127.0.0.1:\(port)" }

    /// Finds mosquitto, writes its configuration and waits until it answers, 5 seconds at most.
    public init(_ settings: Settings = Settings(), folder parent: String = "/tmp") throws(TransportError) {
        guard let executable = Self.find("mosquitto") else {
            throw .system("mosquitto is not installed. Install it with: apt install mosquitto")
        }
        self.executable = executable
        do {
            folder = try makeTemporaryFolder(prefix: "martlet-broker-", in: parent)
        } catch {
            throw .system("\(error). Make room in \(parent), or let this user write there")
        }
        port = Self.freePort() ?? 0
        guard port > 0 else { throw .system("no free port on the loopback interface") }
        guard Self.write(configuration(settings), to: folder + "/mosquitto.conf") else {
            throw .system("cannot write \(folder)/mosquitto.conf: \(String(cString: strerror(errno)))")
        }
        try start()
    }

    deinit {
        kill(with: SIGKILL)
        _ = Self.run(["/bin/rm", "-rf", "--", folder])
    }

    private func configuration(_ settings: Settings) -> String {
        var lines = [
            "listener \(port) 127.0.0.1", "allow_anonymous \(settings.allowAnonymous)", "log_dest file \(folder)/log",
            "log_type all", "persistence \(settings.persistence)",
            // Nagle's algorithm and a receiver's delayed ACK hold back small messages for 40 ms.
            "set_tcp_nodelay true",
        ]
        if settings.persistence { lines += ["persistence_location \(folder)/", "autosave_interval 1"] }
        // Started as root it would become "mosquitto", which may not read our folder.
        if getuid() == 0 { lines.append("user root") }
        return (lines + settings.extraLines + [""]).joined(separator: "\n")
    }

    /// Starts it again after `stop` or `kill`, on the same port and with the same folder.
    public func start() throws(TransportError) {
        guard process.withLock({ $0 == nil }) else { return }
        guard let child = Self.spawn([executable, "-c", folder + "/mosquitto.conf"]) else {
            throw .system("cannot start \(executable): \(String(cString: strerror(errno)))")
        }
        process.withLock { $0 = child }
        let deadline = ContinuousClock.now + .seconds(5)
        while ContinuousClock.now < deadline {
            if Self.answers(port) { return }
            var status: Int32 = 0
            if waitpid(child, &status, WNOHANG) == child {
                process.withLock { $0 = nil }
                throw .system("mosquitto ended at once: \(lastLogLine). See \(folder)/mosquitto.conf")
            }
            usleep(10_000)
        }
        kill(with: SIGKILL)
        throw .system("mosquitto does not answer on port \(port): \(lastLogLine)")
    }

    /// Ends it in order (SIGTERM), so that it writes its database and tells its clients.
    public func stop() { kill(with: SIGTERM) }

    /// Ends it as a crash would (SIGKILL).
    public func kill() { kill(with: SIGKILL) }

    /// nil when it does not run.
    public var processID: Int32? { process.withLock { $0 } }

    private func kill(with signal: Int32) {
        let child = process.withLock { process in
            defer { process = nil }
            return process
        }
        guard let child else { return }
        Glibc.kill(child, signal)
        var status: Int32 = 0
        // SIGTERM is obeyed within milliseconds; after 5 seconds it is not.
        for _ in 0..<500 {
            if waitpid(child, &status, WNOHANG) != 0 { return }
            usleep(10_000)
        }
        Glibc.kill(child, SIGKILL)
        waitpid(child, &status, 0)
    }

    private var lastLogLine: String {
        FileTree.machine.lines(folder + "/log").last.map(String.init) ?? "it left no log"
    }
}

extension PrivateBroker {
    /// The path of a program in PATH or in the folders of system programs, which a user's PATH often lacks.
    public static func find(_ program: String) -> String? {
        let path = getenv("PATH").map { String(cString: $0) } ?? ""
        let folders = path.split(separator: ":").map(String.init) + ["/usr/sbin", "/usr/bin", "/usr/local/sbin"]
        return folders.map { "\($0)/\(program)" }.first { access($0, X_OK) == 0 }
    }

    private static func write(_ text: String, to path: String) -> Bool {
        guard let file = fopen(path, "we") else { return false }
        let bytes = Array(text.utf8)
        let written = fwrite(bytes, 1, bytes.count, file)
        return fclose(file) == 0 && written == bytes.count
    }

    /// A port that was free a moment ago. Another process may take it before mosquitto does: that shows as a failed
    /// start, not as a wrong broker, because mosquitto then ends.
    static func freePort() -> Int? {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var address = loopback(port: 0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withSocketAddress(&address) { bind(descriptor, $0, length) }
        guard bound == 0, withSocketAddress(&address, { getsockname(descriptor, $0, &length) }) == 0 else { return nil }
        return Int(UInt16(bigEndian: address.sin_port))
    }

    private static func answers(_ port: Int) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var address = loopback(port: port)
        let length = socklen_t(MemoryLayout<sockaddr_in>.size)
        return withSocketAddress(&address) { connect(descriptor, $0, length) } == 0
    }

    private static func loopback(port: Int) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        address.sin_port = UInt16(clamping: port).bigEndian
        return address
    }

    /// The socket calls take any kind of address through a pointer to the general one.
    private static func withSocketAddress(
        _ address: inout sockaddr_in, _ body: (UnsafeMutablePointer<sockaddr>) -> Int32
    ) -> Int32 {
        withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1, body)
        }
    }

    /// Starts a program with our environment and no input; its output goes nowhere.
    private static func spawn(_ arguments: [String]) -> pid_t? {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for descriptor: Int32 in 0...2 {
            posix_spawn_file_actions_addopen(&actions, descriptor, "/dev/null", O_RDWR, 0)
        }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // Our threads block signals, and a child inherits that: it must obey SIGTERM.
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        let strings = arguments.map { strdup($0) }
        defer { for string in strings { free(string) } }
        var child = pid_t()
        let code = posix_spawn(&child, arguments[0], &actions, &attributes, strings + [nil], environ)
        errno = code
        return code == 0 ? child : nil
    }

    private static func run(_ arguments: [String]) -> Bool {
        guard let child = spawn(arguments) else { return false }
        var status: Int32 = 0
        return waitpid(child, &status, 0) == child && status == 0
    }
}
