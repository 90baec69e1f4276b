import Linux
import Spool
import Transport

/// A received message with its id and time.
struct Event: Sendable {
    let id: String
    let topic: String
    let payload: [UInt8]
    let received: Timestamp
    let reply: ReplyAddress?
    private let message: MQTTMessage?

    /// `reply`: where the sender wants the answer too, if it may have it there.
    init(_ message: MQTTMessage, id: String, received: Timestamp, reply: ReplyAddress?) {
        self.id = id
        self.received = received
        self.message = message
        topic = message.topic
        payload = message.payload
        self.reply = reply
    }

    init(_ stored: SpooledEvent) {
        id = stored.id
        topic = stored.topic
        payload = stored.payload
        // From a file that may be damaged: kept between 1970 and 9999, so that no later arithmetic overflows.
        received = Timestamp(milliseconds: min(max(stored.received.milliseconds, 0), 253_402_300_799_999))
        message = nil
        reply = stored.responseTopic.map {
            ReplyAddress(topic: $0, correlationData: stored.correlationData, transaction: nil)
        }
    }

    func spooled(for task: TaskSection) -> SpooledEvent {
        SpooledEvent(
            id: id, task: task.name, priority: task.priority, topic: topic, payload: payload, qos: message?.qos ?? 1,
            packetID: message?.packetID ?? 0, responseTopic: reply?.topic, correlationData: reply?.correlationData,
            contentType: message?.contentType,
            received: received,
            deadline: task.deadline.map { Timestamp(milliseconds: received.milliseconds + $0.milliseconds) },
            originalSize: message?.originalSize)
    }
}
