/// What kind of trouble keeps us from the broker; told apart because each has another remedy.
public enum ConnectionFault: String, Sendable, CaseIterable {
    /// The host name has no address.
    case dns
    /// The host or port cannot be reached, or the connection broke.
    case network
    /// No trust between the two ends: certificates, names, versions.
    case tls
    /// The broker speaks no version of MQTT that we do, or does not keep to it.
    case protocolVersion = "protocol"
    case clientID = "client-id"
    /// User name and password.
    case credentials
    /// We are known, and not allowed in.
    case access
    /// Another client uses our client id.
    case takeover
    /// The broker is busy, full or going down.
    case unavailable
    /// The broker refuses for a reason of its own.
    case refused
    /// This side ended the connection.
    case local
}

/// Why there is no connection, and what becomes of it.
public struct ConnectionProblem: Sendable, Equatable, CustomStringConvertible {
    /// When the next attempt is made.
    public enum Retry: Sendable, Equatable {
        /// Without a pause.
        case atOnce
        /// After the back-off.
        case soon
        /// After eight times the back-off: somebody must change something at the broker first, and a broker that sees
        /// the same wrong password every minute may lock us out.
        case slowly
        /// Not before `renew`: only another configuration helps.
        case never
    }

    public var fault: ConnectionFault
    /// One sentence, with what to do.
    public var reason: String
    public var retry: Retry

    public init(_ fault: ConnectionFault, _ reason: String, retry: Retry = .soon) {
        self.fault = fault
        self.reason = reason
        self.retry = retry
    }

    public var description: String {
        retry == .never ? "\(reason). It is not tried again before the configuration is reloaded" : reason
    }
}
