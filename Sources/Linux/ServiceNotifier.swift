import Glibc

/// Tells the service manager how this process is doing: the protocol of systemd's `sd_notify(3)`.
///
/// One datagram of `KEY=VALUE` lines to the socket named in `NOTIFY_SOCKET`. Without that variable every message
/// is dropped in silence, so that the daemon runs the same outside systemd. libsystemd is not linked for this:
/// it would be the daemon's largest dependency for one `sendto`.
public struct ServiceNotifier: Sendable {
    /// The manager's socket; nil outside a `Type=notify` service.
    public let socketPath: String?
    /// How long the manager waits for `WATCHDOG=1`, nanoseconds; nil without a watchdog for this process.
    public let watchdogInterval: UInt64?

    /// How often to ping: half the interval, as sd_watchdog_enabled(3) recommends.
    public var pingInterval: UInt64? { watchdogInterval.map { $0 / 2 } }

    public init(socketPath: String?, watchdogInterval: UInt64? = nil) {
        self.socketPath = socketPath
        self.watchdogInterval = watchdogInterval
    }

    /// The socket and watchdog the manager put into the environment of this process.
    ///
    /// - Parameter variable: looks up an environment variable.
    /// - Parameter processID: this process; `WATCHDOG_PID` may name another one, whose watchdog is not ours.
    public init(variable: (String) -> String? = Self.environment, processID: Int32 = getpid()) {
        let socket = variable("NOTIFY_SOCKET")
        // A path or an abstract socket; `vsock:` addresses are for virtual machines' init systems.
        socketPath = socket?.hasPrefix("/") == true || socket?.hasPrefix("@") == true ? socket : nil
        watchdogInterval = Self.watchdog(
            microseconds: variable("WATCHDOG_USEC"), owner: variable("WATCHDOG_PID"), processID: processID)
    }

    /// Startup is finished: `READY=1`.
    @discardableResult public func ready(status: String? = nil) -> Bool { send(["READY=1"] + Self.line(status)) }

    /// The configuration is being read again; `ready` must follow. `Type=notify-reload` needs the time stamp.
    @discardableResult public func reloading(at nanoseconds: UInt64 = monotonicNanoseconds()) -> Bool {
        send(["RELOADING=1", "MONOTONIC_USEC=\(nanoseconds / 1000)"])
    }

    /// Shutdown has begun.
    @discardableResult public func stopping(status: String? = nil) -> Bool { send(["STOPPING=1"] + Self.line(status)) }

    /// One line for `systemctl status`.
    @discardableResult public func status(_ text: String) -> Bool { send(Self.line(text)) }

    /// The process is alive; send from the task that would hang if the daemon hung, never from the engine.
    @discardableResult public func ping() -> Bool { send(["WATCHDOG=1"]) }

    /// Asks for more time to start or stop, nanoseconds from now; for long migrations.
    @discardableResult public func extendTimeout(_ nanoseconds: UInt64) -> Bool {
        send(["EXTEND_TIMEOUT_USEC=\(nanoseconds / 1000)"])
    }

    /// Sends lines as one datagram; false when nobody listens or the socket refused it.
    ///
    /// Never waits: a manager that does not read must not stop the daemon.
    public func send(_ lines: [String]) -> Bool {
        guard let socketPath, var address = Self.address(of: socketPath) else { return false }
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        let message = Array(lines.joined(separator: "\n").utf8)
        // The length ends where the name ends: for an abstract socket every further NUL would be part of it.
        let prefix = MemoryLayout<sockaddr_un>.offset(of: \.sun_path) ?? 2
        let length = socklen_t(prefix + socketPath.utf8.count + (socketPath.hasPrefix("@") ? 0 : 1))
        // Unsafe because the socket call takes every family's address through one pointer type.
        let sent = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                sendto(
                    descriptor, message, message.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT), generic,
                    length)
            }
        }
        return sent == message.count
    }

    /// A Unix address for a path or an abstract `@name`; nil when it is empty or too long for the kernel (107 bytes).
    static func address(of path: String) -> sockaddr_un? {
        var bytes = Array(path.utf8)
        var address = sockaddr_un()
        guard bytes.count > 1, bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { return nil }
        if bytes[0] == UInt8(ascii: "@") { bytes[0] = 0 }
        address.sun_family = sa_family_t(AF_UNIX)
        // Unsafe because C's char[108] is a tuple in Swift; the length was checked above.
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        return address
    }

    /// `STATUS=` with line breaks made blanks: a break would end the value and start another key.
    private static func line(_ status: String?) -> [String] {
        guard let status else { return [] }
        return ["STATUS=" + String(status.map { $0.isNewline ? " " : $0 })]
    }

    private static func watchdog(microseconds: String?, owner: String?, processID: Int32) -> UInt64? {
        if let owner, Int32(owner) != processID { return nil }
        guard let microseconds, let interval = UInt64(microseconds), interval > 0 else { return nil }
        // Longer than a century is no watchdog, and would overflow as nanoseconds.
        return interval < 3_000_000_000_000_000 ? interval * 1000 : nil
    }

    /// The process's environment variable `name`, or nil.
    public static func environment(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }
    }
}

/// Severities of syslog(3); systemd reads the prefix `<N>` of a line on stderr as its priority.
public enum JournalPriority: Int, Sendable, CaseIterable {
    case emergency, alert, critical, error, warning, notice, info, debug

    /// What goes before a line, for example `<4>`.
    public var prefix: String { "<\(rawValue)>" }

    /// Whether stderr is the journal, so that prefixes are understood: systemd then sets `JOURNAL_STREAM`.
    ///
    /// The variable holds the device and inode of the stream; a child whose stderr was redirected inherits the
    /// variable but not the stream, so both are compared.
    public static func isUnderstood(
        on descriptor: Int32 = STDERR_FILENO, variable: (String) -> String? = ServiceNotifier.environment
    ) -> Bool {
        guard let parts = variable("JOURNAL_STREAM")?.split(separator: ":"), parts.count == 2 else { return false }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return false }
        return UInt64(parts[0]) == UInt64(status.st_dev) && UInt64(parts[1]) == UInt64(status.st_ino)
    }
}
