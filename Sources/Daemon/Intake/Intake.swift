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

    /// A message for tasks, between its arrival and `commit`.
    struct Arrived: Sendable {
        let event: Event
        let message: MQTTMessage
        let tasks: [TaskSection]
        /// What is stored; empty for what need not or cannot be.
        let events: [SpooledEvent]
        /// Tasks whose windows it closes.
        let closing: [String]
        /// The limit it exceeds.
        let oversize: Int?

        var delivery: SpooledDelivery {
            let mark = DeliveryMark(message)
            return SpooledDelivery(packetID: mark.packetID, digest: mark.digest)
        }
    }

    enum Arrival: Sendable {
        /// Not read yet: nothing remembers a request over the death of the process, so the broker must not bring back
        /// one that kills it. Its acknowledgement has left when it is read.
        case request(MQTTMessage)
        case event(Arrived)
    }

    struct State {
        var routes: [Route] = []
        var maxPayload = 0
        var rules = ReplyRules()
        /// False while the daemon stops: events are stored for the next start, and QoS 0 ones not taken any more.
        var isOpen = true
        /// What has arrived since `commit`, in order.
        var arrivals: [Arrival] = []
        /// What is stored and not handed on yet.
        var stored: [Arrival] = []
        /// Ids of events for which there was no room.
        var shed: Set<String> = []
    }

    let state = Mutex(State())
    private let base: String
    let spool: Spool
    private let scheduler: Scheduler
    let time: TimeSource
    let log: DaemonLog
    private let requests: RequestHandler
    let fail: @Sendable (Job, EventFailure) -> Void
    /// Whether even failures cannot be told: then it is better that the broker keeps the events.
    private let isCrowded: @Sendable () -> Bool
    private let windows: Windows
    let ledger: WorkLedger?
    /// Events set aside since start.
    let setAsideCount = Atomic(0)

    init(
        base: String, spool: Spool, time: TimeSource, windows: Windows, scheduler: Scheduler, requests: RequestHandler,
        log: DaemonLog, ledger: WorkLedger? = nil, isCrowded: @escaping @Sendable () -> Bool,
        fail: @escaping @Sendable (Job, EventFailure) -> Void
    ) {
        self.isCrowded = isCrowded
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
        ["#", "+"].contains(unshared(filter).prefix(1))
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

    /// Collects a message; `commit` stores and processes it.
    func accept(_ message: MQTTMessage) -> Acceptance {
        state.withLock { state in
            if message.topic.hasPrefix(base + "/request/") {
                // Also when a task's filter, or a session from before, brings them: off is off.
                if state.rules.requests.isEnabled { state.arrivals.append(.request(message)) }
                return .accepted
            }
            let isOwn = message.topic.hasPrefix(base + "/")
            let takers = state.routes.filter { $0.takes(message.topic, isOwn: isOwn) }.map(\.task)
            let closing = state.routes.filter { $0.onTopic == message.topic }.map(\.task.name)
            guard !takers.isEmpty || !closing.isEmpty else { return .accepted }
            let event = Event(
                message, id: ULID.next().description, received: time.wall(), reply: state.rules.reply(to: message))
            // Oversize and empty messages are answered at once; there is nothing to store for later.
            let isOversize = message.originalSize > state.maxPayload
            let isKept = message.qos > 0 && !isOversize && !message.payload.isEmpty && !takers.isEmpty
            let events = isKept ? takers.map { event.spooled(for: $0) } : []
            guard state.isOpen || isKept || message.qos == 0 || takers.isEmpty else { return .refused }
            let arrival = Arrived(
                event: event, message: message, tasks: takers, events: events, closing: closing,
                oversize: isOversize ? state.maxPayload : nil)
            state.arrivals.append(.event(arrival))
            return .accepted
        }
    }

    /// Stores what has arrived, in one transaction; `.refused` when it cannot be stored.
    ///
    /// One transaction, because each writes whole pages and waits for the card.
    func commit() -> Acceptance {
        let arrivals = state.withLock { state in
            defer { state.arrivals = [] }
            return state.arrivals
        }
        guard !arrivals.isEmpty else { return .accepted }
        guard let shed = store(arrivals) else { return .refused }
        state.withLock { state in
            state.stored += arrivals
            state.shed.formUnion(shed)
        }
        return .accepted
    }

    /// Hands on what `commit` has stored: to the engine's queue, to windows, to who answers requests.
    func handOn() {
        let (stored, shed, isOpen, rules) = state.withLock { state in
            defer { (state.stored, state.shed) = ([], []) }
            return (state.stored, state.shed, state.isOpen, state.rules)
        }
        for arrival in stored {
            switch arrival {
            case .request(let message):
                guard isOpen, let request = Request(message, base: base, rules: rules) else { continue }
                requests.handle(request)
            case .event(let arrived) where shed.contains(arrived.event.id):
                answerAsShed(arrived)
                closeWindows(arrived)
            // While the daemon stops, what is stored waits for the next start.
            case .event(let arrived):
                guard isOpen else { continue }
                hand(arrived)
                closeWindows(arrived)
            }
        }
    }

    private func answerAsShed(_ arrived: Arrived) {
        for task in arrived.tasks {
            scheduler.noteDropped()
            fail(job(of: arrived.event, for: task, isSpooled: false), .shed)
        }
    }

    private func hand(_ arrived: Arrived) {
        let payload = Payload(arrived.oversize == nil ? arrived.event.payload : [])
        for task in arrived.tasks {
            if let limit = arrived.oversize {
                fail(
                    job(of: arrived.event, for: task, isSpooled: false),
                    .oversize(bytes: arrived.message.originalSize, limit: limit))
            } else {
                process(arrived.event, payload: payload, for: task, isSpooled: !arrived.events.isEmpty)
            }
        }
    }

    private func closeWindows(_ arrived: Arrived) {
        for name in arrived.closing {
            guard let window = windows.close(name) else {
                log.info("\(name): the window has no events")
                continue
            }
            scheduler.offer(job(of: window, reply: arrived.event.reply))
        }
    }

    /// Stores the events of all arrivals; the ids of those for which there is no room, nil when the spool fails.
    private func store(_ arrivals: [Arrival]) -> Set<String>? {
        var all: [Arrived] = []
        for case .event(let arrived) in arrivals where !arrived.events.isEmpty { all.append(arrived) }
        do throws(SpoolError) {
            try spool.accept(all.flatMap(\.events), deliveries: all.map(\.delivery))
            return []
        } catch {
            guard case .full = error else {
                log.error("events cannot be spooled: \(error)", every: "spool")
                return nil
            }
        }
        // One after the other, so that the more important find room.
        var shed: Set<String> = []
        var stored: [Arrived] = []
        for arrived in all {
            do throws(SpoolError) {
                try store(arrived)
                stored.append(arrived)
            } catch {
                log.error("an event cannot be spooled: \(error)", every: "spool")
                guard case .full = error, !isCrowded() else {
                    // All are refused and come again: what is stored would be answered twice, or taken for known.
                    take(back: stored)
                    return nil
                }
                shed.insert(arrived.event.id)
            }
        }
        return shed
    }

    private func take(back stored: [Arrived]) {
        do throws(SpoolError) {
            try spool.takeBack(stored.flatMap(\.events).map(\.key), deliveries: stored.map(\.delivery))
        } catch {
            log.error("the spool cannot be written: \(error)", every: "spool")
        }
    }

    /// Stores an event for its tasks; when the spool is full, what waits with less importance makes room.
    private func store(_ arrived: Arrived) throws(SpoolError) {
        let (events, delivery) = (arrived.events, [arrived.delivery])
        let priority = events.map(\.priority).max() ?? 0
        // A few victims are enough for one message; more would hold up the network thread.
        for _ in 0..<16 {
            do {
                return try spool.accept(events, deliveries: delivery)
            } catch {
                guard case .full = error, scheduler.shedLowest(below: priority) else { throw error }
            }
        }
        try spool.accept(events, deliveries: delivery)
    }

    /// Hands an event to the engine's queue or to its task's window.
    func process(
        _ event: Event, payload: @autoclosure () -> Payload, for task: TaskSection, isSpooled: Bool,
        isSuspect: Bool = false
    ) {
        var job = job(of: event, for: task, isSpooled: isSpooled)
        job.isSuspect = isSuspect
        if isSpooled { ledger?.begin(job.spooledKeys, at: .intake) }
        defer { if isSpooled { ledger?.end(job.spooledKeys, at: .intake) } }
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
