/// The QoS 1 messages accepted last, to recognise those that the broker sends again.
///
/// A broker may only repeat what it had in flight, so the memory needs to hold no more than the in-flight window:
/// `receiveMaximum` under MQTT 5, the broker's own limit (mosquitto: 20) under 3.1.1.
struct DeliveryMemory {
    static let capacity = 512

    private var marks: [UInt16: DeliveryMark] = [:]
    /// Packet ids by age, as a ring.
    private var order: [UInt16] = []
    private var oldest = 0

    mutating func remember(_ mark: DeliveryMark) {
        guard mark.packetID != 0 else { return }
        guard marks.updateValue(mark, forKey: mark.packetID) == nil else { return }
        if order.count < Self.capacity {
            order.append(mark.packetID)
        } else {
            marks[order[oldest]] = nil
            order[oldest] = mark.packetID
            oldest = (oldest + 1) % Self.capacity
        }
    }

    func contains(_ mark: DeliveryMark) -> Bool { marks[mark.packetID] == mark }

    /// A new session starts its packet ids over.
    mutating func forgetAll() { self = DeliveryMemory() }
}
