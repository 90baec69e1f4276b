import Glibc
import Linux

/// A program run to its end, its standard error kept for the message when it fails.
///
/// Downloads are left to `curl` and `pip`: both are on every Debian, follow the system's proxies and certificates, and
/// get security updates without us. A client of our own would bring TLS into this program, and libcurl would load 30
/// libraries into a daemon that never downloads.
struct ChildProgram {
    /// What it left.
    struct Result {
        /// The exit status; 128 + signal as shells report it.
        let status: Int32
        /// The last line of its standard error.
        let lastError: String
    }

    /// Runs `arguments[0]`, looked up on PATH, calling `meanwhile` a few times a second, which ends it with false.
    ///
    /// Throws when it cannot be started or its end cannot be learnt.
    static func run(
        _ arguments: [String], errorsIn log: String, meanwhile: () -> Bool = { true }
    ) throws(CatalogueError) -> Result {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 2, log, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        let strings = arguments.map { strdup($0) }
        defer { for string in strings { free(string) } }
        var child = pid_t()
        // Whoever started us may ignore SIGCHLD; pip's children would then vanish under it.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var defaults = sigset_t()
        sigemptyset(&defaults)
        sigaddset(&defaults, SIGCHLD)
        posix_spawnattr_setsigdefault(&attributes, &defaults)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF))
        let code = posix_spawnp(&child, arguments[0], &actions, &attributes, strings + [nil], environ)
        guard code == 0 else {
            let reason = SystemError("start", arguments[0], code: code).description
            throw CatalogueError(
                .unavailable, reason, "Install it: apt-get install \(packages[arguments[0]] ?? arguments[0])")
        }
        defer { unlink(log) }
        var raw: Int32 = 0
        while true {
            let ended = waitpid(child, &raw, WNOHANG)
            if ended == child { break }
            guard ended == 0 || errno == EINTR else {
                throw CatalogueError(
                    .unavailable, "\(SystemError("wait for", arguments[0])): how it ended is not known",
                    "Start martlet where SIGCHLD is not ignored")
            }
            if !meanwhile() { kill(child, SIGKILL) }
            usleep(50_000)
        }
        let status = raw & 0x7F == 0 ? (raw >> 8) & 0xFF : 128 + (raw & 0x7F)
        return Result(status: status, lastError: lastLine(of: log))
    }

    private static let packages = ["python3": "python3-pip"]

    private static func lastLine(of log: String) -> String {
        let text = FileTree.machine.text(log) ?? ""
        return text.split(separator: "\n").last.map { String($0.prefix(200)) } ?? ""
    }
}
