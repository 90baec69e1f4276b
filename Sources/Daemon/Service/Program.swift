import CLinux
import Dispatch
import GGUF
import Glibc
import Inference
import Linux
import Logging
import Spool
import Synchronization
import Transport

/// `martlet run`: what a daemon on a real machine is made of.
public enum Program {
    /// Runs the daemon of a configuration file until it is told to stop. Blocks the calling thread.
    ///
    /// Throws `ConfigurationError` or `DaemonError`, both before `READY=1`.
    public static func run(configuration path: String, build: BuildInfo) throws {
        keepMemorySmall()
        let configuration = try Configuration.load(path: path)
        LoggingSystem.bootstrap { _ in StandardErrorLog() }
        let daemon = Daemon(configuration, try parts(configuration, path: path, build: build))
        let failure = Failure()
        let ended = DispatchSemaphore(value: 0)
        Task.detached {
            do {
                try await daemon.run()
            } catch {
                failure.error.withLock { $0 = error }
            }
            ended.signal()
        }
        // The calling thread is not one of Swift's pool, so it may wait.
        ended.wait()
        if let error = failure.error.withLock({ $0 }) { throw error }
    }

    /// Keeps what large messages took from staying with the process.
    ///
    /// glibc raises its threshold for mapped allocations to the largest block ever freed, so after one 10 MB payload
    /// such blocks come from the heap and fragment it; and it makes up to eight heaps for each core, where our few
    /// threads get by with two. Measured after ten payloads of 10 MB: 30 MB anonymous without these lines.
    private static func keepMemorySmall() {
        mallopt(M_MMAP_THRESHOLD, 128 << 10)
        mallopt(M_TRIM_THRESHOLD, 128 << 10)
        mallopt(M_ARENA_MAX, 2)
    }

    /// Replaces this process by a new one of the same program, arguments and id. What was accepted is in the spool.
    private static func startAnew() {
        var arguments = CommandLine.arguments.map { strdup($0) }
        arguments.append(nil)
        martlet_start_anew(arguments)
        // There is no way on from here; whoever started us may do better.
        abort()
    }

    private final class Failure: Sendable {
        let error = Mutex<(any Error)?>(nil)
    }

    private static func parts(
        _ configuration: Configuration, path: String, build: BuildInfo
    ) throws(DaemonError) -> DaemonParts {
        let logger = Logger(label: "martlet")
        let transport: MQTTClient
        do throws(TransportError) {
            transport = try MQTTClient(configuration.mqttOptions)
        } catch {
            throw DaemonError(error.description, exitStatus: 78)
        }
        let folder = try stateFolder(device: configuration.device.id)
        let spool: Spool
        do throws(SpoolError) {
            spool = try Spool(path: "\(folder)/spool.db", limitBytes: configuration.limits.spool) {
                logger.warning("\($0)")
            }
        } catch {
            throw DaemonError(error.description, exitStatus: 73)
        }
        let ledger: WorkLedger
        do throws(SystemError) {
            ledger = try WorkLedger(folder: folder)
        } catch {
            throw DaemonError("\(error). Make \(folder) writable", exitStatus: 73)
        }
        ledger.watchSignals()
        var parts = DaemonParts(
            transport: transport, spool: spool,
            makeRunner: { (models, isCancelled) throws(DaemonError) in
                try ModelRunner(
                    models, cache: PackedModel.folder, program: "\(build.version) \(build.commit)",
                    warn: { logger.warning("\($0)") }, isCancelled: isCancelled)
            }, logger: logger)
        parts.build = build
        parts.notifier = ServiceNotifier()
        parts.ledger = ledger
        parts.onHang = startAnew
        parts.pack = ModelRunner.pack
        parts.digest = { path in
            guard let file = try? GGUFFile(path: path) else { return nil }
            return try? SHA256.hexadecimal(ofFiles: file.parts.map(\.path))
        }
        parts.loadConfiguration = { () throws(ConfigurationError) in try Configuration.load(path: path) }
        return parts
    }

    /// Where the spool lives: systemd's StateDirectory=, else the user's state folder (XDG), else /var/lib.
    ///
    /// Outside systemd each device has a folder of its own, so that two daemons of one user do not meet.
    static func stateFolder(
        device: String, variable: (String) -> String? = ServiceNotifier.environment
    ) throws(DaemonError) -> String {
        // systemd separates several folders with colons.
        if let given = variable("STATE_DIRECTORY")?.split(separator: ":").first { return String(given) }
        let base: String
        if let state = variable("XDG_STATE_HOME"), state.hasPrefix("/") {
            base = state
        } else if let home = variable("HOME"), home.hasPrefix("/"), home != "/" {
            base = home + "/.local/state"
        } else {
            base = "/var/lib"
        }
        let folder = "\(base)/martlet/\(device)"
        do throws(SystemError) {
            try makeFolders(folder)
        } catch {
            throw DaemonError("\(error). Set STATE_DIRECTORY to one that martlet may write to", exitStatus: 73)
        }
        return folder
    }
}
