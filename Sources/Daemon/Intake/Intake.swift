import Linux
import Spool
import Synchronization
import Transport

/// Where received messages go: which tasks want them, and what must be stored before the broker may forget them.
///
/// Runs on the network thread, one message at a time, before the acknowledgement leaves.
final class Intake: Sendable {
    /// One task's way of taking messages.
    struct Route: Sendable {
        let task: TaskSection
        /// Filters that begin with a wildcard do not take in what this daemon itself publishes: a `#` would feed on
        /// its own results.
        let named: [String]
        let wild: [String]
        let onTopic: String?

        init(_ task: TaskSection) {
            self.task = task
            named = task.subscribe.filter { !Intake.isWild($0) }
            wild = task.subscribe.filter(Intake.isWild)
            if case .onTopic(let topic) = task.window { onTopic = topic } else { onTopic = nil }
        }

        func takes(_ topic: String, isOwn: Bool) -> Bool {
            named.contains { topicMatches(filter: $0, topic: topic) }
                || (!isOwn && wild.contains { topicMatches(filter: $0, topic: topic) })
        }
    }

    struct State {
        var routes: [Route] = []
        var maxPayload = 0
        var rules = ReplyRules()
        /// False while the daemon stops: events are stored for the next start, and QoS 0 ones not taken any more.
        var isOpen = true
    }

    let state = Mutex(State())
    private let base: String
    let spool: Spool
    private let scheduler: Scheduler
    private let time: TimeSource
    let log: DaemonLog
    private let requests: RequestHandler
    let fail: @Sendable (Job, EventFailure) -> Void
    private let windows: Windows
    let ledger: WorkLedger?
    /// Events set aside since start.
    let setAsideCount = Atomic(0)

    init(
        base: String, spool: Spool, time: TimeSource, windows: Windows, scheduler: Scheduler, requests: RequestHandler,
        log: DaemonLog, ledger: WorkLedger? = nil, fail: @escaping @Sendable (Job, EventFailure) -> Void
    ) {
        self.base = base
        self.spool = spool
        self.scheduler = scheduler
        self.time = time
        self.windows = windows
        self.ledger = ledger
        self.requests = requests
        self.log = log
        self.fail = fail
    }

    /// Takes over the tasks of a configuration.
    func configure(_ configuration: Configuration) {
        let routes = configuration.tasks.map(Route.init)
        state.withLock { state in
            state.routes = routes
            state.maxPayload = configuration.limits.maxPayload
            state.rules = ReplyRules(configuration)
        }
    }

    /// Whether a filter begins with a wildcard.
    static func isWild(_ filter: String) -> Bool {
        unshared(filter).hasPrefix("#") || unshared(filter).hasPrefix("+")
    }

    /// From now on events are only stored.
    func close() { state.withLock { $0.isOpen = false } }

    /// What the tasks of a configuration and the requests need to be subscribed to.
    static func filters(_ configuration: Configuration) -> [String] {
        var filters = configuration.requests.isEnabled ? ["\(configuration.baseTopic)/request/#"] : []
        for task in configuration.tasks {
            filters += task.subscribe
            if case .onTopic(let topic) = task.window { filters.append(topic) }
        }
        return TopicCover.withoutCovered(filters)
    }

    /// Events set aside since start, because the process had died of them.
    var quarantined: Int { setAsideCount.load(ordering: .relaxed) }

    func accept(_ message: MQTTMessage) -> Acceptance {
        let (routes, maxPayload, isOpen, rules) = state.withLock { ($0.routes, $0.maxPayload, $0.isOpen, $0.rules) }
        if message.topic.hasPrefix(base + "/request/") {
            // Also when a task's filter, or a session from before, brings them: off is off.
            if isOpen, rules.requests.isEnabled, let request = Request(message, base: base, rules: rules) {
                requests.handle(request)
            }
            return .accepted
        }
        let isOwn = message.topic.hasPrefix(base + "/")
        let takers = routes.filter { $0.takes(message.topic, isOwn: isOwn) }.map(\.task)
        let acceptance =
            takers.isEmpty
            ? .accepted : accept(message, for: takers, maxPayload: maxPayload, isOpen: isOpen, rules)
        if acceptance == .accepted, isOpen { closeWindows(of: routes, on: message, rules) }
        return acceptance
    }

    private func closeWindows(of routes: [Route], on message: MQTTMessage, _ rules: ReplyRules) {
        for route in routes where route.onTopic == message.topic {
            guard let window = windows.close(route.task.name) else {
                log.info("\(route.task.name): the window has no events")
                continue
            }
            scheduler.offer(job(of: window, reply: rules.reply(to: message)))
        }
    }

    private func accept(
        _ message: MQTTMessage, for tasks: [TaskSection], maxPayload: Int, isOpen: Bool, _ rules: ReplyRules
    ) -> Acceptance {
        let event = Event(
            message, id: ULID.next().description, received: time.wall(), reply: rules.reply(to: message))
        // Oversize and empty messages are answered at once; there is nothing to store for later.
        let isOversize = message.originalSize > maxPayload
        var isSpooled = false
        if message.qos > 0, !isOversize, !message.payload.isEmpty {
            do {
                try store(tasks.map { event.spooled(for: $0) })
                isSpooled = true
            } catch {
                log.error("an event cannot be spooled: \(error)", every: "spool")
                guard case .full = error else { return .refused }
                for task in tasks { fail(job(of: event, for: task, isSpooled: false), .shed) }
                return .accepted
            }
        }
        guard isOpen else { return isSpooled || message.qos == 0 ? .accepted : .refused }
        let payload = Payload(isOversize ? [] : message.payload)
        for task in tasks {
            if isOversize {
                fail(
                    job(of: event, for: task, isSpooled: false),
                    .oversize(bytes: message.originalSize, limit: maxPayload))
            } else {
                process(event, payload: payload, for: task, isSpooled: isSpooled)
            }
        }
        return .accepted
    }

    /// Stores an event for its tasks; when the spool is full, what waits with less importance makes room.
    private func store(_ events: [SpooledEvent]) throws(SpoolError) {
        let priority = events.map(\.priority).max() ?? 0
        // A few victims are enough for one message; more would hold up the network thread.
        for _ in 0..<16 {
            do {
                return try spool.accept(events)
            } catch {
                guard case .full = error, scheduler.shedLowest(below: priority) else { throw error }
            }
        }
        try spool.accept(events)
    }

    /// Hands an event to the engine's queue or to its task's window.
    func process(
        _ event: Event, payload: @autoclosure () -> Payload, for task: TaskSection, isSpooled: Bool,
        isSuspect: Bool = false
    ) {
        var job = job(of: event, for: task, isSpooled: isSpooled)
        job.isSuspect = isSuspect
        if isSpooled { ledger?.begin(job.spooledKeys, at: .intake) }
        defer { if isSpooled { ledger?.end(at: .intake) } }
        let payload = payload()
        do throws(EventFailure) {
            switch task.kind {
            case .summarize:
                let text = try EventText.make(
                    topic: event.topic, payload: payload, template: task.text, longest: OpenWindow.longestText)
                let key = isSpooled ? SpooledEvent.Key(id: event.id, task: task.name) : nil
                let entry = WindowEvent(received: event.received, topic: event.topic, text: text)
                if let full = windows.add(entry, id: event.id, task: task, key: key) {
                    scheduler.offer(self.job(of: full))
                }
            default:
                let text = try EventText.make(topic: event.topic, payload: payload, template: task.text)
                job.work = task.work(text)
                scheduler.offer(job)
            }
        } catch {
            fail(job, error)
        }
    }
}

extension Intake {
    /// The summary of a window, to be computed.
    func job(of window: ClosedWindow, reply: ReplyAddress? = nil) -> Job {
        Job(
            id: window.id, task: window.task, topic: window.topic, received: window.end, ready: time.monotonic(),
            deadline: deadline(of: window.task, received: time.wall()), priority: window.task.priority,
            origin: .window, reply: reply, work: .summarize(window, window.task.summarySpec))
    }

    func job(of event: Event, for task: TaskSection, isSpooled: Bool) -> Job {
        Job(
            id: event.id, task: task, topic: event.topic, received: event.received, ready: time.monotonic(),
            deadline: deadline(of: task, received: event.received), priority: task.priority,
            origin: .event(spooled: isSpooled), reply: event.reply, work: task.work(""))
    }

    /// On the monotonic clock, so that a wall clock set forward at start-up does not expire everything.
    private func deadline(of task: TaskSection, received: Timestamp) -> UInt64? {
        guard let limit = task.deadline else { return nil }
        let age = max(0, time.wall().milliseconds - received.milliseconds)
        let left = max(0, limit.milliseconds - age)
        return time.monotonic() &+ Duration.milliseconds(left).nanoseconds  // cannot wrap: the cap is a day
    }
}

/// A filter without its share group.
private func unshared(_ filter: String) -> Substring {
    guard filter.hasPrefix("$share/") else { return filter[...] }
    return filter.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false).last ?? ""
}
