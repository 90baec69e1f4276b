import Synchronization

/// A `MessageTransport` on an `InMemoryBroker`; handlers run on the thread of whoever publishes.
public final class InMemoryTransport: MessageTransport {
    public let options: MQTTOptions
    private let broker: InMemoryBroker

    private struct State {
        var onMessage: (@Sendable (MQTTMessage) -> Acceptance)?
        var onPause: (@Sendable () -> Acceptance)?
        var onAcknowledged: (@Sendable () -> Void)?
        var onEvent: (@Sendable (TransportEvent) -> Void)?
        var started = false
        var stopped = false
        var connected = false
        var subscriptions: [String: MQTTSubscription] = [:]
        var connections = 0
        var counters = TransportCounters()
    }

    private let state = Mutex(State())

    /// Of the options, `clientID`, `cleanStart`, `will` and `maxPayload` have a meaning here.
    public init(broker: InMemoryBroker, options: MQTTOptions) {
        self.broker = broker
        self.options = options
    }

    public convenience init(broker: InMemoryBroker, clientID: String) {
        var options = MQTTOptions(host: "memory")
        options.clientID = clientID
        self.init(broker: broker, options: options)
    }

    public var isConnected: Bool { state.withLock { $0.connected } }
    public var counters: TransportCounters { state.withLock { $0.counters } }

    /// The in-memory broker never repeats what was accepted.
    public func expectRedelivery(of marks: [DeliveryMark]) {}

    public func start(
        onMessage: @escaping @Sendable (MQTTMessage) -> Acceptance,
        onPause: @escaping @Sendable () -> Acceptance,
        onAcknowledged: @escaping @Sendable () -> Void,
        onEvent: @escaping @Sendable (TransportEvent) -> Void
    ) throws(TransportError) {
        let first = state.withLock { state in
            guard !state.started else { return false }
            state.started = true
            state.onMessage = onMessage
            state.onPause = onPause
            state.onAcknowledged = onAcknowledged
            state.onEvent = onEvent
            return true
        }
        guard first else { throw .alreadyStarted }
        broker.attach(self)
    }

    public func subscribe(_ subscriptions: [MQTTSubscription]) throws(TransportError) {
        for item in subscriptions {
            if let problem = topicFilterProblem(item.filter) { throw .invalidFilter(item.filter, reason: problem) }
        }
        let connected = state.withLock { state in
            for item in subscriptions { state.subscriptions[item.filter] = item }
            return state.connected
        }
        if connected { broker.subscribe(subscriptions, for: self) }
    }

    public func unsubscribe(_ filters: [String]) {
        state.withLock { state in
            for filter in filters { state.subscriptions[filter] = nil }
        }
        broker.unsubscribe(filters, for: self)
    }

    public func publish(_ message: MQTTMessage, token: UInt64) throws(TransportError) {
        guard isValidTopic(message.topic) else { throw .invalidTopic(message.topic) }
        guard isConnected else { throw .notConnected }
        broker.publish(message, token: token, from: self)
    }

    /// There is no login here: this only makes an attempt, if the connection is away.
    public func renew(_ options: MQTTOptions) { broker.reattach(self) }

    public func stop(drainFor: Duration) {
        broker.detach(self)
        state.withLock { state in
            state.stopped = true
            state.onMessage = nil
            state.onPause = nil
            state.onAcknowledged = nil
            state.onEvent = nil
        }
    }

    func setConnected(_ connected: Bool) {
        let wanted = state.withLock { state -> [MQTTSubscription] in
            guard !state.stopped else { return [] }
            state.connected = connected
            guard connected else { return [] }
            state.connections += 1
            state.counters.reconnects = state.connections - 1
            return Array(state.subscriptions.values)
        }
        if connected { broker.subscribe(wanted, for: self) }
    }

    func report(_ event: TransportEvent) {
        let handler = state.withLock { state in
            if case .published = event { state.counters.published += 1 }
            return state.onEvent
        }
        handler?(event)
    }

    func deliver(_ message: MQTTMessage) -> Acceptance {
        let (handler, pause, acknowledged) = state.withLock { state in
            state.counters.received += 1
            return (state.onMessage, state.onPause, state.onAcknowledged)
        }
        var message = message
        if message.payload.count > options.maxPayload {
            message.payload.removeLast(message.payload.count - options.maxPayload)
        }
        var acceptance = handler?(message) ?? .refused
        // Every message is alone here.
        if let pause, pause() == .refused { acceptance = .refused }
        acknowledged?()
        if acceptance == .refused, message.qos > 0 { state.withLock { $0.counters.refused += 1 } }
        return acceptance
    }
}
