import Dispatch
import Glibc
import Synchronization

/// A broker inside the process: the twin of mosquitto for tests of everything above the transport.
///
/// It keeps the rules that the daemon relies on: wildcards, shared subscriptions, retained messages, last wills,
/// sessions that survive a disconnection and have one client at a time, and redelivery of QoS 1 messages that were not
/// accepted. It has no thread:
/// whoever publishes delivers, so that a test sees all effects when the call returns.
public final class InMemoryBroker: Sendable {
    struct Session {
        var transport: InMemoryTransport?
        var subscriptions: [String: Int] = [:]
        /// Messages the client has not accepted yet, oldest first.
        var queue: [MQTTMessage] = []
        var will: MQTTMessage?
        /// A message was refused: nothing is delivered until the next connection.
        var refusing = false
    }

    struct State {
        var isUp = true
        var sessions: [String: Session] = [:]
        var retained: [String: MQTTMessage] = [:]
        var shareTurn: [String: Int] = [:]
        var work: [@Sendable () -> Void] = []
        /// The thread that delivers at the moment.
        var worker: pthread_t?
    }

    private let state = Mutex(State())
    /// Messages kept for one absent client at most, as mosquitto's max_queued_messages.
    static let longestQueue = 1000

    public init() {}

    /// Retained messages by topic.
    public var retained: [String: MQTTMessage] { state.withLock { $0.retained } }

    public var isUp: Bool { state.withLock { $0.isUp } }

    /// Publishes as some other client would; the message is delivered when this returns.
    ///
    /// Another thread may be delivering, and then does this too, so it is waited for. Not so when a client publishes
    /// from within a delivery, which comes after the present one.
    public func publish(_ message: MQTTMessage) {
        let delivered = DispatchSemaphore(value: 0)
        let isNested = state.withLock { $0.worker == pthread_self() }
        enqueue { [self] in
            route(message)
            delivered.signal()
        }
        runWork()
        if !isNested { delivered.wait() }
    }

    /// Breaks all connections; with `up` false, new ones fail until it is called with true, which reconnects everyone.
    public func setUp(_ up: Bool) {
        let dropped = state.withLock { state in
            state.isUp = up
            return up ? [] : state.sessions.keys.sorted()
        }
        for id in dropped { disconnect(id, ConnectionProblem(.network, "the broker went away")) }
        if up {
            let waiting = state.withLock { $0.sessions.values.compactMap(\.transport) }
            for transport in waiting where !transport.isConnected { connect(transport) }
        }
        runWork()
    }

    /// Cuts one client's connection as a network fault would; `reconnect` brings it back, also after a refused message.
    public func cut(_ clientID: String, reconnect: Bool) {
        disconnect(clientID, ConnectionProblem(.network, "the connection was cut"))
        if reconnect, let transport = state.withLock({ $0.sessions[clientID]?.transport }) { connect(transport) }
        runWork()
    }

    func attach(_ transport: InMemoryTransport) {
        claim(transport, anew: transport.options.cleanStart)
        connect(transport)
        runWork()
    }

    /// Gives a session to a client, and throws out who had it.
    private func claim(_ transport: InMemoryTransport, anew: Bool) {
        let id = transport.options.clientID
        if let other = state.withLock({ $0.sessions[id]?.transport }), other !== transport {
            let reason = "another client connected with the same client id"
            disconnect(id, ConnectionProblem(.takeover, reason, retry: .slowly))
        }
        state.withLock { state in
            if anew { state.sessions[id] = nil }
            state.sessions[id, default: Session()].transport = transport
        }
    }

    /// Connects a transport that has lost its connection.
    func reattach(_ transport: InMemoryTransport) {
        guard !transport.isConnected else { return }
        claim(transport, anew: false)
        connect(transport)
        runWork()
    }

    func detach(_ transport: InMemoryTransport) {
        let id = transport.options.clientID
        transport.setConnected(false)
        state.withLock { state in
            guard state.sessions[id]?.transport === transport else { return }
            state.sessions[id]?.transport = nil
            state.sessions[id]?.will = nil
            if transport.options.cleanStart { state.sessions[id] = nil }
        }
    }

    func publish(_ message: MQTTMessage, token: UInt64, from transport: InMemoryTransport) {
        enqueue { [self] in
            route(message)
            transport.report(.published(token: token))
        }
        runWork()
    }

    func subscribe(_ subscriptions: [MQTTSubscription], for transport: InMemoryTransport) {
        let id = transport.options.clientID
        let known = state.withLock { state in
            let known = state.sessions[id]?.subscriptions ?? [:]
            for item in subscriptions { state.sessions[id]?.subscriptions[item.filter] = min(1, item.qos) }
            return known
        }
        let new = subscriptions.filter { known[$0.filter] == nil && !$0.filter.hasPrefix("$share/") }
        enqueue { [self] in
            for (topic, message) in retained.sorted(by: { $0.key < $1.key }) {
                guard let match = new.first(where: { topicMatches(filter: $0.filter, topic: topic) }) else { continue }
                queue(message, qos: match.qos, to: id)
            }
        }
        runWork()
    }

    func unsubscribe(_ filters: [String], for transport: InMemoryTransport) {
        state.withLock { state in
            for filter in filters { state.sessions[transport.options.clientID]?.subscriptions[filter] = nil }
        }
    }
}

extension InMemoryBroker {
    private func connect(_ transport: InMemoryTransport) {
        let id = transport.options.clientID
        let present = state.withLock { state -> Bool? in
            guard state.isUp else { return nil }
            state.sessions[id]?.will = transport.options.will
            state.sessions[id]?.refusing = false
            return state.sessions[id].map { !$0.subscriptions.isEmpty || !$0.queue.isEmpty } ?? false
        }
        guard let present else {
            let problem = ConnectionProblem(.network, "the broker does not answer")
            return transport.report(.disconnected(problem))
        }
        enqueue { [self] in
            transport.setConnected(true)
            transport.report(.connected(sessionPresent: present))
            deliver(to: id)
        }
    }

    private func disconnect(_ id: String, _ problem: ConnectionProblem) {
        let (transport, will) = state.withLock { state in
            let session = state.sessions[id]
            state.sessions[id]?.will = nil
            return (session?.transport, session?.will)
        }
        guard let transport, transport.isConnected else { return }
        transport.setConnected(false)
        transport.report(.disconnected(problem))
        if let will { enqueue { [self] in route(will) } }
    }

    private func route(_ message: MQTTMessage) {
        var plain = message
        plain.retain = false
        let targets = state.withLock { state -> [(String, Int)] in
            if message.retain {
                state.retained[message.topic] = message.payload.isEmpty ? nil : message
            }
            return Self.targets(of: message.topic, in: &state)
        }
        for (id, qos) in targets { queue(plain, qos: qos, to: id) }
    }

    /// Every client once with its highest QoS, and of each share group one client in turn.
    private static func targets(of topic: String, in state: inout State) -> [(String, Int)] {
        var targets: [(String, Int)] = []
        var shares: [String: [(String, Int)]] = [:]
        for (id, session) in state.sessions.sorted(by: { $0.key < $1.key }) {
            let matching = session.subscriptions.filter { topicMatches(filter: $0.key, topic: topic) }
            let plain = matching.filter { !$0.key.hasPrefix("$share/") }
            if let qos = plain.values.max() { targets.append((id, qos)) }
            for (filter, qos) in matching where filter.hasPrefix("$share/") {
                shares[filter, default: []].append((id, qos))
            }
        }
        for (filter, members) in shares.sorted(by: { $0.key < $1.key }) {
            let turn = state.shareTurn[filter, default: 0]
            targets.append(members[turn % members.count])
            state.shareTurn[filter] = (turn &+ 1) & Int.max
        }
        return targets
    }

    private func queue(_ message: MQTTMessage, qos: Int, to id: String) {
        var message = message
        message.qos = min(message.qos, qos)
        let online = state.withLock { $0.sessions[id]?.transport?.isConnected ?? false }
        guard online || message.qos > 0 else { return }
        state.withLock { state in
            guard let count = state.sessions[id]?.queue.count, count < Self.longestQueue else { return }
            state.sessions[id]?.queue.append(message)
        }
        deliver(to: id)
    }

    private func deliver(to id: String) {
        while true {
            let next = state.withLock { state -> (InMemoryTransport, MQTTMessage)? in
                guard let session = state.sessions[id], !session.refusing, let message = session.queue.first,
                    let transport = session.transport, transport.isConnected
                else { return nil }
                state.sessions[id]?.queue.removeFirst()
                return (transport, message)
            }
            guard let (transport, message) = next else { return }
            guard transport.deliver(message) == .refused, message.qos > 0 else { continue }
            state.withLock { state in
                state.sessions[id]?.refusing = true
                state.sessions[id]?.queue.insert(message, at: 0)
            }
            return disconnect(id, ConnectionProblem(.network, "a message could not be stored"))
        }
    }

    private func enqueue(_ work: @escaping @Sendable () -> Void) { state.withLock { $0.work.append(work) } }

    /// Runs queued work unless a caller further up the stack, or on another thread, does so already.
    private func runWork() {
        while true {
            let next = state.withLock { state -> (@Sendable () -> Void)? in
                guard state.worker == nil, !state.work.isEmpty else { return nil }
                state.worker = pthread_self()
                return state.work.removeFirst()
            }
            guard let next else { return }
            next()
            state.withLock { $0.worker = nil }
        }
    }
}
