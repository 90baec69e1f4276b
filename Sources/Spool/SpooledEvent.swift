import Linux

/// An accepted event that waits for one task's answer.
///
/// An event that several tasks want is spooled once for each: they finish at different times.
public struct SpooledEvent: Sendable, Equatable {
    /// Names one event for one task.
    public struct Key: Sendable, Hashable, Comparable {
        public var id: String
        public var task: String

        public init(id: String, task: String) {
            self.id = id
            self.task = task
        }

        public static func < (left: Key, right: Key) -> Bool { (left.id, left.task) < (right.id, right.task) }
    }

    /// A ULID, so that ids sort by time of arrival.
    public var id: String
    public var task: String
    /// 0…9; higher is kept longer when room must be made.
    public var priority: Int
    public var topic: String
    public var payload: [UInt8]
    public var qos: Int
    /// The MQTT packet's id, 0 for none; with topic and payload it tells a message that the broker sends again after a
    /// crash from a new one.
    public var packetID: UInt16
    /// Where the requester wants the answer, when it asked (MQTT 5).
    public var responseTopic: String?
    public var correlationData: [UInt8]?
    public var contentType: String?
    /// When it arrived, by the wall clock.
    public var received: Timestamp
    /// When it is too old to compute; by the wall clock because it must hold over a restart.
    public var deadline: Timestamp?
    /// Bytes of the payload as the sender sent it; more than `payload` has when it was cut.
    public var originalSize: Int

    public var key: Key { Key(id: id, task: task) }

    public init(
        id: String, task: String, priority: Int = 5, topic: String, payload: [UInt8], qos: Int = 1,
        packetID: UInt16 = 0, responseTopic: String? = nil, correlationData: [UInt8]? = nil, contentType: String? = nil,
        received: Timestamp, deadline: Timestamp? = nil, originalSize: Int? = nil
    ) {
        self.id = id
        self.task = task
        self.priority = priority
        self.topic = topic
        self.payload = payload
        self.qos = qos
        self.packetID = packetID
        self.responseTopic = responseTopic
        self.correlationData = correlationData
        self.contentType = contentType
        self.received = received
        self.deadline = deadline
        self.originalSize = originalSize ?? payload.count
    }
}

/// A delivery by the broker that was stored, to recognise it when it comes again.
///
/// Kept apart from the event, which may be answered and forgotten before the broker has got our acknowledgement.
public struct SpooledDelivery: Sendable, Equatable {
    public var packetID: UInt16
    /// Of topic and payload.
    public var digest: UInt64

    public init(packetID: UInt16, digest: UInt64) {
        self.packetID = packetID
        self.digest = digest
    }
}

/// A message to be published that the broker has not acknowledged.
public struct SpooledMessage: Sendable, Equatable {
    /// Given by the spool when it is stored, ascending; 0 before. Use it as the transport's token.
    public var id: UInt64
    public var topic: String
    public var payload: [UInt8]
    public var qos: Int
    public var retain: Bool
    public var responseTopic: String?
    public var correlationData: [UInt8]?
    public var contentType: String?
    public var expirySeconds: UInt32?
    public var created: Timestamp

    public init(
        topic: String, payload: [UInt8], qos: Int = 1, retain: Bool = false, responseTopic: String? = nil,
        correlationData: [UInt8]? = nil, contentType: String? = nil, expirySeconds: UInt32? = nil,
        created: Timestamp = .now(), id: UInt64 = 0
    ) {
        self.id = id
        self.topic = topic
        self.payload = payload
        self.qos = qos
        self.retain = retain
        self.responseTopic = responseTopic
        self.correlationData = correlationData
        self.contentType = contentType
        self.expirySeconds = expirySeconds
        self.created = created
    }
}

/// How much waits in the spool.
public struct SpoolCounts: Sendable, Equatable {
    /// Events without an answer.
    public var events: Int
    /// Messages the broker has not acknowledged.
    public var messages: Int
    /// Bytes of the database and its write-ahead log; 0 for an in-memory spool's file part.
    public var bytesOnDisk: Int

    public init(events: Int, messages: Int, bytesOnDisk: Int) {
        self.events = events
        self.messages = messages
        self.bytesOnDisk = bytesOnDisk
    }
}
