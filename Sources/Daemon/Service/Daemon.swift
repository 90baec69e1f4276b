import Health
import JSON
import Linux
import Logging
import Spool
import Synchronization
import Transport

/// Which build this is, for `info` and `ping`.
public struct BuildInfo: Sendable {
    public var version: String
    public var commit: String

    public init(version: String, commit: String) {
        self.version = version
        self.commit = commit
    }
}

/// What the daemon is made of and did not make itself; tests put twins in their place.
public struct DaemonParts: Sendable {
    public var transport: any MessageTransport
    public var spool: Spool
    public var makeRunner: TaskRunnerFactory
    public var logger: Logger
    public var build = BuildInfo(version: "0", commit: "unknown")
    public var time = TimeSource.system
    public var tree = FileTree.machine
    /// Reads the configuration again for a reload.
    public var loadConfiguration: (@Sendable () throws(ConfigurationError) -> Configuration)?
    public var notifier = ServiceNotifier(socketPath: nil)
    /// What was in work when the process died; nil: nobody remembers.
    public var ledger: WorkLedger?
    /// What is done when the engine hangs and no service manager watches. Nil: nothing.
    public var onHang: (@Sendable () -> Void)?
    /// SHA-256 of a file; it takes seconds on a small board, so it is asked for in the background. Nil: not published.
    public var digest: (@Sendable (_ path: String) -> String?)?
    /// Makes the packed form of a model, while the second argument says that nobody waits for the end. Nil: never.
    public var pack: (@Sendable (_ path: String, _ goesOn: @Sendable () -> Bool) -> PackingResult)?

    public init(
        transport: any MessageTransport, spool: Spool, makeRunner: @escaping TaskRunnerFactory, logger: Logger
    ) {
        self.transport = transport
        self.spool = spool
        self.makeRunner = makeRunner
        self.logger = logger
    }
}

/// The whole service: messages in, answers out, health beside it.
///
/// Everything is wired in `init` and begins in `start`; nothing upstream is called back by what is downstream of it.
/// Threads: the transport's (intake), the engine's (answers), and whoever calls `tick`.
public final class Daemon: Sendable {
    let parts: DaemonParts
    let base: String
    let log: DaemonLog
    let outbox: Outbox
    let publisher: OutcomePublisher
    let latency: LatencyHistogram
    let scheduler: Scheduler
    let windows: Windows
    let engine: Engine
    let intake: Intake
    let health: HealthPublisher
    let live: LiveConfiguration

    public init(_ configuration: Configuration, _ parts: DaemonParts) {
        let device = configuration.device.id
        let base = configuration.baseTopic
        let log = DaemonLog(parts.logger, time: parts.time)
        let live = LiveConfiguration(configuration)
        let outbox = Outbox(transport: parts.transport, spool: parts.spool, log: log)
        let latency = LatencyHistogram(time: parts.time)
        let publisher = OutcomePublisher(device: device, base: base, outbox: outbox, latency: latency, log: log)
        let windows = Windows(time: parts.time)
        let scheduler = Scheduler(capacity: configuration.limits.queue, time: parts.time) { [time = parts.time] in
            publisher.publish($0, failure: $1, waited: Self.milliseconds(since: $0.ready, time))
        }
        let engine = Engine(
            scheduler: scheduler, time: parts.time, makeRunner: parts.makeRunner, ledger: parts.ledger,
            onOutcomes: { publisher.publish($0) }, onReload: { live.finishReload($0) })
        (self.parts, self.base, self.log, self.live, self.outbox, self.latency) = (
            parts, base, log, live, outbox, latency
        )
        (self.publisher, self.windows, self.scheduler, self.engine) = (publisher, windows, scheduler, engine)
        let requests = RequestHandler(
            outbox: outbox, scheduler: scheduler, windows: windows, time: parts.time,
            configuration: { live.current }, reload: { live.requestReload($0) },
            describe: { Self.pong(parts.build, device: device, uptime: live.uptimeSeconds(parts.time)) })
        intake = Intake(
            base: base, spool: parts.spool, time: parts.time, windows: windows, scheduler: scheduler,
            requests: requests, log: log, ledger: parts.ledger, isCrowded: { outbox.isCrowded },
            fail: { publisher.publish($0, failure: $1) })
        health = HealthPublisher(
            monitor: HealthMonitor(tree: parts.tree, options: Self.monitorOptions(configuration, parts)),
            device: device, time: parts.time,
            mqtt: { Self.mqttHealth(parts, live) },
            engine: { [intake] in
                var health = Self.engineHealth($0, scheduler, engine, publisher, latency)
                health.quarantined = intake.quarantined
                return health
            },
            spoolBytes: { (try? parts.spool.counts())?.bytesOnDisk })
        log.onPublish { outbox.sendTransient(MQTTMessage(topic: "\(base)/log", payload: $0)) }
    }

    /// Loads the models, takes up what the spool holds and begins to connect; returns when all that is done.
    ///
    /// The broker need not answer: connecting goes on in the background for as long as it takes.
    public func start() throws(DaemonError) {
        let configuration = live.current
        for warning in configuration.warnings { log.warning(warning.description) }
        live.onReload { [weak self] in self?.beginReload() }
        try engine.start(models: configuration.models, tasks: configuration.tasks)
        intake.configure(configuration)
        parts.transport.expectRedelivery(of: intake.recover())
        outbox.retain("\(base)/status", Array("online".utf8))
        publishInfo()
        do throws(TransportError) {
            try parts.transport.subscribe(Intake.filters(configuration).map { MQTTSubscription(filter: $0, qos: 1) })
            try parts.transport.start(
                onMessage: { [intake] in intake.accept($0) }, onPause: { [intake] in intake.commit() },
                onAcknowledged: { [intake] in intake.handOn() }, onEvent: { [weak self] in self?.handle($0) })
        } catch {
            throw DaemonError("cannot start the MQTT client: \(error)", exitStatus: 69)
        }
        publishDigests(of: configuration.models)
        pack(configuration.models)
        log.notice("ready: \(configuration.tasks.count) tasks, broker \(configuration.broker.host)")
    }

    private func handle(_ event: TransportEvent) {
        switch event {
        case .connected(let sessionPresent):
            log.notice("connected to the broker\(sessionPresent ? ", session resumed" : "")")
            parts.notifier.status("connected to the broker")
            live.noteConnection()
            if !sessionPresent { intake.forgetDeliveries() }
            outbox.connected()
            // Who looks at a device that just came back wants to know how it is now.
            health.publishNext()
            sampleHealth()
        case .disconnected(let problem): disconnected(problem)
        case .subscriptionRefused(let filter, let reason):
            log.error("the broker refuses the subscription \(filter): \(reason). Check its access rules")
        case .published(let token): outbox.published(token)
        case .publishRefused(let token, let reason): outbox.refused(token, reason: reason)
        }
    }

    private func disconnected(_ problem: ConnectionProblem) {
        outbox.disconnected()
        guard problem.retry != .atOnce else { return log.notice("no connection to the broker: \(problem.reason)") }
        live.note(problem.fault)
        // The kind first: `systemctl status` and whoever searches the journal shall not have to know the sentences.
        let line = "no connection to the broker (\(problem.fault.rawValue)): \(problem)"
        parts.notifier.status(line)
        if problem.retry == .never {
            log.error(line)
        } else {
            log.warning(line, every: "disconnected \(problem.fault)")
        }
    }

    /// What is done by the clock; call about twice a second.
    public func tick() {
        for window in windows.due() { scheduler.offer(intake.job(of: window)) }
        scheduler.sweep()
        outbox.removeAcknowledged()
        outbox.pump()
    }

    /// Looks at the board, sets the engine's budget, and publishes health when it is due.
    public func sampleHealth() {
        let configuration = live.current
        let sample = health.sample(
            limits: limits(configuration), interval: configuration.health.interval,
            isConnected: live.wasConnected ? parts.transport.isConnected : nil)
        if sample.budget.level != engine.budget?.level ?? .full {
            log.notice("the governor sets the engine to \(sample.budget.level.rawValue)")
        }
        engine.setBudget(sample.budget)
        guard let report = sample.report, let json = JSONValue(encoding: report) else { return }
        outbox.retain("\(base)/health", Array(json.text.utf8))
    }

    /// Whether a watchdog may be told that the daemon works.
    public var isAlive: Bool { engine.isAlive }

    /// Looks at the engine: tells the service manager that it lives, or else does what must be done.
    public func watch() {
        guard !isAlive else {
            _ = parts.notifier.ping()
            return
        }
        log.error("the engine does not move: the watchdog is not pinged", every: "watchdog")
        // A manager with a watchdog kills and restarts us; without one we do it.
        guard parts.notifier.watchdogInterval == nil, let onHang = parts.onHang else { return }
        log.error("the engine hangs: the daemon starts anew")
        parts.ledger?.noteCrash()
        onHang()
    }

    static func milliseconds(since start: UInt64, _ time: TimeSource) -> Double {
        let now = time.monotonic()
        return now > start ? Double(now - start) / 1e6 : 0
    }
}
