/// How to reach a broker and what to tell it.
public struct MQTTOptions: Sendable, Equatable {
    public enum ProtocolVersion: Sendable, Equatable { case v5, v311 }

    /// TLS, as used by mqtts://.
    public struct TLS: Sendable, Equatable {
        public enum Version: Sendable, Equatable { case v12, v13 }

        /// PEM file of the authorities to trust; nil: the system's.
        public var caFile: String?
        /// Client certificate and its key, PEM; both or none.
        public var certFile: String?
        public var keyFile: String?
        /// The oldest version that is accepted.
        public var oldest = Version.v12
        /// Accepts any host name in the broker's certificate. For tests only.
        public var insecure = false

        public init(caFile: String? = nil, certFile: String? = nil, keyFile: String? = nil, insecure: Bool = false) {
            self.caFile = caFile
            self.certFile = certFile
            self.keyFile = keyFile
            self.insecure = insecure
        }
    }

    public var host: String
    public var port: Int
    /// nil: plain TCP.
    public var tls: TLS?
    public var username: String?
    public var password: String?
    public var protocolVersion: ProtocolVersion = .v5
    /// Names the session in the broker; must be unique there and stay the same over restarts.
    public var clientID: String = ""
    /// false: the broker keeps messages for us while we are away.
    public var cleanStart = false
    /// How long the broker keeps our session (MQTT 5; in 3.1.1 the broker decides).
    public var sessionExpirySeconds: UInt32 = 3600
    /// Seconds between signs of life; 0 turns them off. At least 5 otherwise.
    public var keepAlive = 60
    /// What the broker publishes for us when we vanish.
    public var will: MQTTMessage?
    /// How many unacknowledged QoS 1 messages the broker may send (MQTT 5).
    public var receiveMaximum: UInt16 = 64
    /// Payload bytes handed over at most; longer ones arrive cut and marked.
    public var maxPayload = 256 << 10
    /// Packets larger than this the broker drops before sending (MQTT 5). It bounds what libmosquitto allocates: a
    /// packet is in memory twice while it is taken apart.
    public var maxPacket: UInt32 = 16 << 20
    /// Messages on their way to the broker at most, then `publish` throws `.busy`.
    public var maxOutstanding = 128
    /// Payload bytes on their way to the broker at most; a single larger message is still taken when nothing else is.
    public var maxOutstandingBytes = 4 << 20
    /// Milliseconds before the first and before every later attempt: doubled from one to the other, ±25%.
    public var backoffMilliseconds: ClosedRange<Int> = 1000...60_000
    /// Seconds until a broker that took the connection must have answered.
    public var connectTimeout = 20

    public init(host: String, port: Int? = nil, tls: TLS? = nil) {
        self.host = host
        self.port = port ?? (tls == nil ? 1883 : 8883)
        self.tls = tls
    }

    /// Reads `mqtt://[user[:password]@]host[:port]` or `mqtts://…`; percent-escapes in user and password are decoded.
    public init(url: String) throws(TransportError) {
        self = try BrokerURL.parse(url)
    }
}
