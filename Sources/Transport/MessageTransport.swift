/// What became of a received message; decides whether the broker may forget it.
public enum Acceptance: Sendable, Equatable {
    /// The message is durable, or deliberately dropped: it is acknowledged.
    case accepted
    /// The message could not be made durable: a QoS 1 message is not acknowledged, the connection is dropped and the
    /// broker delivers it again after the back-off. A QoS 0 message is lost, as QoS 0 allows.
    case refused
}

/// What happens to a connection; reported on the network thread, so a handler must not wait.
public enum TransportEvent: Sendable, Equatable {
    /// The broker accepted us and all subscriptions have been sent again. Whatever was published before and not
    /// reported as `published` is forgotten by the transport: publish it again now.
    case connected(sessionPresent: Bool)
    /// The connection ended or an attempt failed. The next attempt follows by itself, unless it says `.never`.
    case disconnected(ConnectionProblem)
    /// The broker does not let us read `filter`; asked again at the next connection.
    case subscriptionRefused(filter: String, reason: String)
    /// QoS 1: the broker has taken the message. QoS 0: it has left this machine's process.
    case published(token: UInt64)
    /// The broker took the packet and turned the message down for good (for example not authorised): do not repeat it.
    case publishRefused(token: UInt64, reason: String)
}

/// Totals since `start`.
public struct TransportCounters: Sendable, Equatable {
    /// Connections after the first.
    public var reconnects = 0
    /// Messages handed to the handler.
    public var received = 0
    /// Messages reported as `published`.
    public var published = 0
    /// QoS 1 messages that the handler could not take.
    public var refused = 0
    /// Messages the broker sent again although we have them; not handed to the handler, not in `received`.
    public var duplicates = 0

    public init() {}
}

/// A client of a message broker: MQTT for users, an in-memory twin for tests.
///
/// Delivery is at least once in both directions. A received QoS 1 message is acknowledged only after `onMessage`
/// returned `.accepted`; a published one is the caller's until `.published` names its token.
public protocol MessageTransport: Sendable {
    /// Names QoS 1 messages that are stored from an earlier run of the process; call it before `start`.
    ///
    /// When the process died between storing a message and acknowledging it, the broker sends it again; it is then
    /// acknowledged without being handed over. The transport remembers by itself what it received in this run.
    func expectRedelivery(of marks: [DeliveryMark])

    /// The messages whose repetition must count as new, because the broker has our acknowledgement and uses packet ids
    /// again: whoever stores marks forgets these. Since the last call, but the oldest when there are too many.
    func takeConfirmed() -> [DeliveryMark]

    /// Starts connecting and never stops trying until `stop`; returns at once, also when the broker is away.
    ///
    /// - Parameters:
    ///   - onMessage: called one message at a time on the network thread, before the acknowledgement leaves.
    ///     While it runs nothing else is received, so it stores and returns.
    ///   - onPause: called on the network thread when no more messages have arrived for now, before any of their
    ///     acknowledgements leaves: what `onMessage` only collected is stored here, together. `.refused` refuses
    ///     every QoS 1 message since the last pause.
    ///   - onAcknowledged: called on the network thread when the acknowledgements of what `onPause` stored have left
    ///     the process, or when the connection failed before, or more has arrived than shall be held in memory: what is
    ///     done with the messages begins here. Before, an answer could be given and forgotten while the broker, after
    ///     a crash, would still send its message again, and nobody would know it.
    ///   - onEvent: called on the network thread.
    func start(
        onMessage: @escaping @Sendable (MQTTMessage) -> Acceptance,
        onPause: @escaping @Sendable () -> Acceptance,
        onAcknowledged: @escaping @Sendable () -> Void,
        onEvent: @escaping @Sendable (TransportEvent) -> Void
    ) throws(TransportError)

    /// Adds subscriptions, now and after every reconnect; the same filter again replaces its QoS.
    func subscribe(_ subscriptions: [MQTTSubscription]) throws(TransportError)

    /// Takes over host, port, TLS, user name and password of `options`, and makes an attempt at once when there is no
    /// connection. A connection is made anew if any of that is different now, also the contents of certificate files;
    /// before that, what is on its way is waited for. The session in the broker stays.
    func renew(_ options: MQTTOptions)

    /// Removes subscriptions, here and in the broker's session.
    func unsubscribe(_ filters: [String])

    /// Hands a message over; the outcome comes as `.published(token:)` or `.publishRefused`.
    ///
    /// Throws `.notConnected` or `.busy` at once instead of queueing without limit: the caller keeps the message.
    /// `token` is the caller's, unique among its unreported messages; it is reported at most once.
    func publish(_ message: MQTTMessage, token: UInt64) throws(TransportError)

    var isConnected: Bool { get }

    var counters: TransportCounters { get }

    /// Waits at most `drainFor` for outstanding messages, says goodbye (the last will is not sent) and ends the thread.
    ///
    /// No handler is called after it returned, and none may call it: they run on the thread that it waits for. A
    /// thread that hangs in name resolution is left behind after three seconds; it ends by itself and calls nobody.
    func stop(drainFor: Duration)
}

extension MessageTransport {
    /// None: for a broker that never sends twice.
    public func takeConfirmed() -> [DeliveryMark] { [] }

    /// As `start`, for a handler that stores each message by itself.
    public func start(
        onMessage: @escaping @Sendable (MQTTMessage) -> Acceptance,
        onEvent: @escaping @Sendable (TransportEvent) -> Void
    ) throws(TransportError) {
        try start(onMessage: onMessage, onPause: { .accepted }, onAcknowledged: {}, onEvent: onEvent)
    }
}
