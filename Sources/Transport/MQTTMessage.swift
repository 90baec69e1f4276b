/// One MQTT message, received or to be published.
public struct MQTTMessage: Sendable, Equatable {
    public var topic: String
    /// The bytes; cut at the client's `maxPayload` when the sender's were more (see `isTruncated`).
    public var payload: [UInt8]
    /// 0 or 1. A message sent to us with QoS 2 arrives as 1, and 2 is published as 1: see `MQTTSubscription.qos`.
    public var qos: Int
    /// Received: the broker kept this message from before. Published: the broker shall keep it.
    public var retain: Bool
    /// Where a requester wants its answer (MQTT 5).
    public var responseTopic: String?
    /// Bytes a requester wants back in its answer (MQTT 5).
    public var correlationData: [UInt8]?
    /// MIME type of the payload (MQTT 5).
    public var contentType: String?
    /// Seconds after which the broker may drop the message (MQTT 5).
    public var expirySeconds: UInt32?
    /// Bytes of the payload as the sender sent it.
    public var originalSize: Int
    /// Received with QoS 1: the packet's id in the broker's session; 0 otherwise. Keep it with the stored message, for
    /// `DeliveryMark`.
    public var packetID: UInt16 = 0

    /// Whether the payload was over the client's cap and is cut; answer it with an error, do not compute on it.
    public var isTruncated: Bool { originalSize > payload.count }

    public init(
        topic: String, payload: [UInt8], qos: Int = 0, retain: Bool = false, responseTopic: String? = nil,
        correlationData: [UInt8]? = nil, contentType: String? = nil, expirySeconds: UInt32? = nil,
        originalSize: Int? = nil
    ) {
        self.topic = topic
        self.payload = payload
        self.qos = qos
        self.retain = retain
        self.responseTopic = responseTopic
        self.correlationData = correlationData
        self.contentType = contentType
        self.expirySeconds = expirySeconds
        self.originalSize = originalSize ?? payload.count
    }

    /// A message whose payload is `text` as UTF-8.
    public init(topic: String, text: String, qos: Int = 0, retain: Bool = false) {
        self.init(topic: topic, payload: Array(text.utf8), qos: qos, retain: retain)
    }

    /// The payload as text; invalid UTF-8 becomes U+FFFD.
    public var text: String { String(decoding: payload, as: UTF8.self) }
}

/// What a stored QoS 1 message is recognised by when the broker, not having seen our acknowledgement, sends it again.
public struct DeliveryMark: Sendable, Hashable {
    public let packetID: UInt16
    /// Of topic and payload.
    public let digest: UInt64

    public init(packetID: UInt16, digest: UInt64) {
        self.packetID = packetID
        self.digest = digest
    }

    /// `payload` as it was handed over, cut or not.
    public init(packetID: UInt16, topic: String, payload: [UInt8]) {
        self.packetID = packetID
        // FNV-1a: this tells messages of one session with one packet id apart, and guards against no adversary.
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in topic.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        // No topic has this byte, so that topic and payload cannot trade bytes.
        hash = (hash ^ 0xFF) &* 0x100_0000_01B3
        for byte in payload { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        digest = hash
    }

    public init(_ message: MQTTMessage) {
        self.init(packetID: message.packetID, topic: message.topic, payload: message.payload)
    }
}

/// A topic filter and the delivery guarantee asked for.
public struct MQTTSubscription: Sendable, Hashable {
    /// With `+`, `#` and the `$share/group/` prefix.
    public var filter: String
    /// 0 or 1; 2 is asked for as 1.
    ///
    /// libmosquitto answers PUBREC with the message only in memory, so a QoS 2 message is lost when the process
    /// dies between PUBREC and PUBREL. With a QoS 1 subscription the broker hands QoS 2 messages over at QoS 1,
    /// which stays in the broker's session until our spool has it.
    public var qos: Int

    public init(filter: String, qos: Int) {
        self.filter = filter
        self.qos = qos
    }
}
