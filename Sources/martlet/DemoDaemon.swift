import Glibc
import Inference
import Linux

/// `martlet run` as a child process of the demo, with its folder.
///
/// The real command and not the Daemon room within this process: what is shown and measured is what a user runs.
/// Ownership: the process and the folder are gone when this object is.
final class DemoDaemon {
    let folder: String
    let process: pid_t
    private var status: Int32?
    private(set) var peak = ProcessMemory()

    /// Starts this program's own binary on `configuration`.
    init(configuration: String, password: String? = nil) throws {
        let folder: String
        do {
            folder = try makeTemporaryFolder(prefix: "martlet-demo-", in: Self.temporaryFolder)
        } catch {
            throw CommandError(.cannotCreate, "\(error). Set TMPDIR to a folder you may write to")
        }
        do {
            try Self.makeCache(in: folder, of: PackedModel.folder)
            try creating(folder + "/martlet.toml") { try $0.append(Array(configuration.utf8)) }
            process = try Self.spawn(folder, password: password)
        } catch {
            Self.remove(folder)
            throw error
        }
        self.folder = folder
    }

    deinit {
        if status == nil { end(SIGKILL, seconds: 5) }
        Self.remove(folder)
    }

    private static var temporaryFolder: String { getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp" }

    private static func spawn(_ folder: String, password: String?) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, folder + "/log", O_WRONLY | O_CREAT | O_APPEND, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // A group of its own: Ctrl-C in the terminal is for the demo, which then ends its daemon in order.
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP))
        // The link to this binary, and not its path: that may have been replaced since.
        let words: [String] = ["martlet", "run", "--config", folder + "/martlet.toml"]
        let arguments = words.map { strdup($0) }
        let login = password.map { ["MARTLET_MQTT_PASSWORD=\($0)"] } ?? []
        let variables = (login + environment(folder)).map { strdup($0) }
        defer { for string in arguments + variables { free(string) } }
        var child = pid_t()
        let code = posix_spawn(&child, "/proc/self/exe", &actions, &attributes, arguments + [nil], variables + [nil])
        guard code == 0 else {
            throw CommandError(
                .internalError, "\(SystemError("start", "martlet run", code: code).description). Try again")
        }
        return child
    }

    /// Ours, with the folder as the place for state and for caches, and without a service manager to notify.
    private static func environment(_ folder: String) -> [String] {
        var result = ["STATE_DIRECTORY=\(folder)", "MARTLET_CACHE=\(folder)/cache"]
        var entry = environ
        while let text = entry.pointee {
            let variable = String(cString: text)
            let replaced = ["STATE_DIRECTORY=", "MARTLET_CACHE=", "NOTIFY_SOCKET=", "WATCHDOG_USEC=", "WATCHDOG_PID="]
            if !replaced.contains(where: variable.hasPrefix) { result.append(variable) }
            entry += 1
        }
        return result
    }

    /// A cache of the daemon's own, so that the states behind the demo's prompts do not stay and push out others. Packed
    /// models are those of `cache`: they are only read.
    static func makeCache(in folder: String, of cache: String?) throws(SystemError) {
        let own = folder + "/cache"
        try makeFolders(own)
        guard let packed = cache.map({ $0 + "/packed" }), let path = realpath(packed, nil) else { return }
        defer { free(path) }
        guard symlink(path, own + "/packed") == 0 else { throw SystemError("make a link in", own) }
    }

    /// Removes a file, a link or a folder that we or the daemon made; what a link names stays.
    static func remove(_ path: String) {
        guard unlink(path) != 0 else { return }
        for name in FileTree.machine.names(in: path) { remove("\(path)/\(name)") }
        rmdir(path)
    }

    // MARK: Life

    /// Throws when the daemon has ended, with its last line.
    func check() throws {
        guard hasEnded else { return }
        let code = status.flatMap { $0 & 0x7F == 0 ? $0 >> 8 & 0xFF : nil }
        let reason = code.map { "status \($0)" } ?? "signal \((status ?? 0) & 0x7F)"
        if let known = code.flatMap(ExitStatus.init) {
            // Its own line says what to do.
            throw CommandError(known, "the daemon did not start: \(lastLine)")
        }
        throw CommandError(.internalError, "the daemon ended with \(reason): \(lastLine). Run `martlet doctor`")
    }

    private var hasEnded: Bool {
        if status != nil { return true }
        var raw: Int32 = 0
        if waitpid(process, &raw, WNOHANG) == process { status = raw }
        return status != nil
    }

    /// The daemon's last log line, without the command's own prefix.
    var lastLine: String {
        let line = FileTree.machine.lines(folder + "/log").last.map(String.init) ?? "it left no log"
        let prefix = "martlet: error: "
        return (line.hasPrefix(prefix) ? String(line.dropFirst(prefix.count)) : line).trimmingSuffix(".")
    }

    /// Looks at the daemon's memory; the largest values seen are kept.
    func sampleMemory() {
        guard !hasEnded else { return }
        let now = ProcessMemory.of(String(process))
        peak.anonymous = [peak.anonymous, now.anonymous].compactMap { $0 }.max()
        peak.file = [peak.file, now.file].compactMap { $0 }.max()
    }

    /// Ends the daemon as systemd would; throws when it does not end well.
    func stop() throws {
        try check()
        end(SIGTERM, seconds: 15)
        guard status == 0 else {
            throw CommandError(.internalError, "the daemon did not stop cleanly: \(lastLine). Run `martlet doctor`")
        }
    }

    private func end(_ signal: Int32, seconds: Int) {
        kill(process, signal)
        for _ in 0..<seconds * 100 {
            if hasEnded { return }
            usleep(10_000)
        }
        kill(process, SIGKILL)
        var raw: Int32 = 0
        if waitpid(process, &raw, 0) == process { status = raw }
    }
}
