import Dispatch
import Linux
import Logging
import ServiceLifecycle
import UnixSignals

extension Daemon {
    /// Runs until SIGTERM or SIGINT, then stops cleanly; SIGHUP reloads the configuration.
    ///
    /// Throws `DaemonError` when it cannot start.
    public func run() async throws {
        let services: [any Service] = [
            CoreService(daemon: self),
            PeriodicService(interval: .milliseconds(500)) { [self] in tick() },
            PeriodicService(interval: HealthPublisher.sampling) { [self] in sampleHealth() },
            ReloadService(daemon: self),
            WatchdogService(daemon: self),
        ]
        let group = ServiceGroup(
            configuration: .init(
                services: services, gracefulShutdownSignals: [.sigterm, .sigint], logger: quietLogger))
        try await group.run()
    }

    /// The group's own lines are about its services, which mean nothing to users.
    private var quietLogger: Logger {
        var logger = parts.logger
        logger.logLevel = .critical
        return logger
    }
}

/// Runs blocking work on a thread of Dispatch, because the cooperative pool has one thread a core and no more.
private func onOwnThread<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
    await withCheckedContinuation { continuation in
        DispatchQueue.global().async { continuation.resume(returning: body()) }
    }
}

/// Starts first and stops last.
private struct CoreService: Service {
    let daemon: Daemon

    func run() async throws {
        let failure = await onOwnThread { () -> DaemonError? in
            do throws(DaemonError) {
                try daemon.start()
                return nil
            } catch {
                return error
            }
        }
        if let failure { throw failure }
        // Ready means able to work: the models are mapped. The broker may come later, and systemd must not wait for it.
        daemon.parts.notifier.ready()
        daemon.sampleHealth()
        try? await gracefulShutdown()
        await onOwnThread { daemon.stop() }
    }
}

private struct PeriodicService: Service {
    let interval: Duration
    let body: @Sendable () -> Void

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                try? await Task.sleep(for: interval)
                if !Task.isCancelled { body() }
            }
        }
    }
}

private struct ReloadService: Service {
    let daemon: Daemon

    func run() async throws {
        let signals = await UnixSignalsSequence(trapping: .sighup)
        for await _ in signals.cancelOnGracefulShutdown() { daemon.reload() }
    }
}

/// Pings systemd's watchdog while the engine is idle or moves; a dead engine lets the watchdog restart the service, or
/// starts the process anew where there is no such watchdog.
private struct WatchdogService: Service {
    let daemon: Daemon

    func run() async throws {
        // Without a manager's interval one that notices a hang soon after its patience ends.
        let interval = daemon.parts.notifier.pingInterval ?? 10_000_000_000
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                daemon.watch()
                try? await Task.sleep(for: .nanoseconds(Int64(clamping: interval)))
            }
        }
    }
}
