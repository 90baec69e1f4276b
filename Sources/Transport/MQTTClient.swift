import CMosquitto
import Glibc
import Linux
import Synchronization

/// An MQTT 5 or 3.1.1 client on libmosquitto, with its own supervised network thread.
///
/// libmosquitto's loop ends for good on many errors, among them every MQTT 5 refusal; here each connection is one
/// handle and one loop, and the thread around them only ends at `stop`.
///
/// Ownership: the network thread retains the client from `start` to its end, so `stop` must be called.
public final class MQTTClient: MessageTransport {
    /// As it was made; `renew` changes the way to the broker, which `state` keeps.
    public let options: MQTTOptions

    struct Outstanding {
        var token: UInt64
        var bytes: Int
        /// Messages of the broker that were acknowledged before: it reads what we send in order.
        var deliveries: UInt64
    }

    struct State {
        var onMessage: (@Sendable (MQTTMessage) -> Acceptance)?
        var onPause: (@Sendable () -> Acceptance)?
        var onAcknowledged: (@Sendable () -> Void)?
        var onEvent: (@Sendable (TransportEvent) -> Void)?
        var started = false
        var stopping = false
        /// The handle in use; destroyed only after it left here, so whoever holds the lock may use it.
        var handle: MQTTHandle?
        var connected = false
        /// A message was refused on this connection: nothing more is taken from it.
        var refusing = false
        /// Why this connection ends, when a callback knows better than the loop's return code.
        var endReason: ConnectionProblem?
        /// How the next connection is made.
        var way: MQTTOptions
        /// The way of the connection in use, with what its files were like.
        var used: UsedWay?
        /// Since when this connection is to end and another to be made, in monotonic nanoseconds: as soon as nothing is
        /// on its way any more.
        var renewing: UInt64?
        /// Messages on their way by packet id.
        var outstanding: [Int32: Outstanding] = [:]
        var outstandingBytes = 0
        var subscriptions: [String: MQTTSubscription] = [:]
        /// Filters of SUBSCRIBE packets on their way by packet id.
        var subscribing: [Int32: String] = [:]
        /// Filters the broker granted to this process.
        var granted: Set<String> = []
        var connections = 0
        var counters = TransportCounters()
        var delivered = DeliveryMemory()
        /// Whether the broker has used a packet id again while `delivered` held it.
        var reusesPacketIDs = false
        /// What `delivered` had counted when this connection began.
        var deliveredBefore: UInt64 = 0
        /// For `takeConfirmed`.
        var confirmed: [DeliveryMark] = []
        /// Messages handed over since the last pause: accepted, but perhaps not stored yet.
        var unstored: [DeliveryMark] = []
        var unstoredBytes = 0

        /// The broker has our acknowledgements of what was remembered at these counts.
        mutating func confirm(_ counts: ClosedRange<UInt64>) {
            guard reusesPacketIDs else { return }
            confirmed = (confirmed + delivered.confirm(counts)).suffix(DeliveryMemory.capacity)
        }
    }

    let state: Mutex<State>
    /// The first thing that went wrong with TLS on this connection. A lock of its own: it is written while others are
    /// held.
    let tlsFailure = Mutex<TLSFailure?>(nil)
    /// Whether the PUBLISH being handled has its DUP flag set; written and read on the network thread only.
    let redelivery = Atomic(false)
    /// Ends a back-off early at `stop`.
    let wake: PipeSignal
    /// Ends the wait for the network when another thread has something to send.
    let work: PipeSignal
    let drained: PipeSignal
    let ended: PipeSignal

    /// Checks the options; connects only at `start`.
    public init(_ options: MQTTOptions) throws(TransportError) {
        try Self.check(options)
        guard let wake = PipeSignal(), let work = PipeSignal(), let drained = PipeSignal(), let ended = PipeSignal()
        else {
            throw .system("cannot make a pipe: too many open files. Raise LimitNOFILE")
        }
        self.wake = wake
        self.work = work
        self.drained = drained
        self.ended = ended
        var options = options
        if options.clientID.isEmpty { options.clientID = "martlet-\(UInt64.random(in: 0...UInt64.max))" }
        self.options = options
        state = Mutex(State(way: options))
    }

    private static func check(_ options: MQTTOptions) throws(TransportError) {
        func require(_ condition: Bool, _ text: String) throws(TransportError) {
            if !condition { throw .options(text) }
        }
        try require(!options.host.isEmpty && (1...65535).contains(options.port), "the broker needs a host and a port")
        try require(
            options.keepAlive == 0 || (5...65535).contains(options.keepAlive),
            "keepAlive must be 0 or 5 to 65,535 seconds")
        try require(
            options.cleanStart || !options.clientID.isEmpty, "a session that outlives a connection needs a client id")
        try require(options.clientID.utf8.count <= 65535, "the client id is longer than 65,535 bytes")
        try require(options.username != nil || options.password == nil, "a password needs a user name")
        try require(
            (options.tls?.certFile == nil) == (options.tls?.keyFile == nil), "cert_file and key_file need each other")
        try require(options.maxPayload > 0 && options.maxOutstanding > 0, "the limits must be above 0")
        try require(options.backoffMilliseconds.lowerBound > 0, "the back-off must be above 0")
        if let will = options.will {
            guard isValidTopic(will.topic) else { throw .invalidTopic(will.topic) }
        }
    }

    public var isConnected: Bool { state.withLock { $0.connected } }
    public var counters: TransportCounters { state.withLock { $0.counters } }

    public func expectRedelivery(of marks: [DeliveryMark]) {
        state.withLock { state in
            for mark in marks { state.delivered.remember(mark) }
        }
    }

    public func takeConfirmed() -> [DeliveryMark] {
        state.withLock { state in
            defer { state.confirmed = [] }
            return state.confirmed
        }
    }

    public func start(
        onMessage: @escaping @Sendable (MQTTMessage) -> Acceptance,
        onPause: @escaping @Sendable () -> Acceptance,
        onAcknowledged: @escaping @Sendable () -> Void,
        onEvent: @escaping @Sendable (TransportEvent) -> Void
    ) throws(TransportError) {
        let first = state.withLock { state in
            guard !state.started, !state.stopping else { return false }
            state.started = true
            state.onMessage = onMessage
            state.onPause = onPause
            state.onAcknowledged = onAcknowledged
            state.onEvent = onEvent
            return true
        }
        guard first else { throw .alreadyStarted }
        try startThread()
    }

    public func subscribe(_ subscriptions: [MQTTSubscription]) throws(TransportError) {
        for item in subscriptions {
            if let problem = topicFilterProblem(item.filter) { throw .invalidFilter(item.filter, reason: problem) }
        }
        state.withLock { state in
            for item in subscriptions { state.subscriptions[item.filter] = item }
            if state.connected { send(subscriptions, &state) }
        }
        work.set()
    }

    /// Queues SUBSCRIBE packets; a filter that could not be queued is asked for at the next connection.
    func send(_ subscriptions: [MQTTSubscription], _ state: inout State) {
        guard let handle = state.handle else { return }
        for item in subscriptions {
            guard let id = handle.subscribe(item, version: options.protocolVersion) else { continue }
            state.subscribing[id] = item.filter
        }
    }

    public func unsubscribe(_ filters: [String]) {
        state.withLock { state in
            for filter in filters {
                state.subscriptions[filter] = nil
                state.granted.remove(filter)
                if state.connected { state.handle?.unsubscribe(filter) }
            }
        }
        work.set()
    }

    /// MQTT 5 properties are left out under 3.1.1.
    public func publish(_ message: MQTTMessage, token: UInt64) throws(TransportError) {
        guard isValidTopic(message.topic) else { throw .invalidTopic(message.topic) }
        let failure = state.withLock { state -> TransportError? in
            guard state.connected, !state.stopping, let handle = state.handle else { return .notConnected }
            guard state.renewing == nil else { return .busy }
            let bytes = message.payload.count
            let room = state.outstandingBytes + bytes <= options.maxOutstandingBytes || state.outstanding.isEmpty
            guard room, state.outstanding.count < options.maxOutstanding else { return .busy }
            // Under the lock, so that the acknowledgement cannot be handled before its token is known. The callback
            // that then waits for the lock holds none of the locks that publishing takes inside libmosquitto.
            let (code, id) = handle.publish(message, version: options.protocolVersion)
            if let failure = Self.publishFailure(code, message) { return failure }
            state.outstanding[id] = Outstanding(
                token: token, bytes: bytes, deliveries: state.delivered.count)
            state.outstandingBytes += bytes
            return nil
        }
        if let failure { throw failure }
        work.set()
    }

    private static func publishFailure(_ code: Int32, _ message: MQTTMessage) -> TransportError? {
        switch code {
        case MOSQ_ERR_SUCCESS.code: nil
        // The message may be queued inside; the handle, and it, go with the connection.
        case MOSQ_ERR_NO_CONN.code, MOSQ_ERR_CONN_LOST.code: .notConnected
        case MOSQ_ERR_OVERSIZE_PACKET.code, MOSQ_ERR_PAYLOAD_SIZE.code: .tooLarge(bytes: message.payload.count)
        case MOSQ_ERR_MALFORMED_UTF8.code: .invalidTopic(message.topic)
        default: .system("libmosquitto does not take the message: \(String(cString: mosquitto_strerror(code)))")
        }
    }

    public func stop(drainFor: Duration) {
        let start = ContinuousClock.now
        while state.withLock({ $0.connected && !$0.stopping && !$0.outstanding.isEmpty }) {
            let left = (drainFor - start.duration(to: .now)).inMilliseconds
            guard left > 0 else { break }
            // Also wakes at every acknowledgement; the pause bounds a lost connection, which does not signal.
            drained.clear()
            _ = drained.wait(milliseconds: min(left, 50))
        }
        let started = state.withLock { state in
            state.stopping = true
            if let handle = state.handle { mosquitto_disconnect_v5(handle.pointer, 0, nil) }
            return state.started
        }
        wake.set()
        work.set()
        // A thread in getaddrinfo or connect cannot be called back; it ends by itself and calls no handler.
        if started { _ = ended.wait(milliseconds: 3000) }
        state.withLock { state in
            state.onMessage = nil
            state.onPause = nil
            state.onAcknowledged = nil
            state.onEvent = nil
        }
    }
}
