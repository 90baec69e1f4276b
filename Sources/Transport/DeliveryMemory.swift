/// The QoS 1 messages accepted last, to recognise those that the broker sends again.
///
/// From a broker that uses a packet id again when it is free, only as long as it may repeat them: DUP does not say that we
/// have seen the message, and of two equal readings with one id the second, sent to us in vain, would be taken for the
/// first. Others are remembered longer: a broker that is killed may forget that it had our acknowledgement.
///
/// A broker may only repeat what it had in flight: `receiveMaximum` under MQTT 5, its own limit (mosquitto: 20) under
/// 3.1.1. But mosquitto 2.0 sends all that waits in a resumed session at once, 1000 messages by default, and one that saves
/// its state at every change takes our acknowledgements so slowly that it may die before most of them: of 742 that it
/// repeated, 512 places knew too few. These take 300 KiB when they are used.
struct DeliveryMemory {
    static let capacity = 4096

    private struct Entry {
        let mark: DeliveryMark
        let age: UInt64
    }

    private var entries: [UInt16: Entry] = [:]
    /// Packet ids by age, as a ring; an id that was used again stands there twice, and its older place means nothing.
    private var order: [(packetID: UInt16, age: UInt64)] = []
    private var oldest = 0
    /// Counts what was remembered.
    private(set) var count: UInt64 = 0

    mutating func remember(_ mark: DeliveryMark) {
        guard mark.packetID != 0 else { return }
        count += 1
        entries[mark.packetID] = Entry(mark: mark, age: count)
        guard order.count == Self.capacity else { return order.append((mark.packetID, count)) }
        let (packetID, age) = order[oldest]
        if entries[packetID]?.age == age { entries[packetID] = nil }
        order[oldest] = (mark.packetID, count)
        oldest = (oldest + 1) % Self.capacity
    }

    /// Forgets those that were remembered last at these counts, because the broker has our acknowledgements. Returns
    /// the forgotten.
    mutating func confirm(_ counts: ClosedRange<UInt64>) -> [DeliveryMark] {
        let gone = entries.values.filter { counts.contains($0.age) }.map(\.mark)
        for mark in gone { entries[mark.packetID] = nil }
        return gone
    }

    /// Whether a message with this packet id is remembered.
    func holds(_ packetID: UInt16) -> Bool { entries[packetID] != nil }

    func contains(_ mark: DeliveryMark) -> Bool { entries[mark.packetID]?.mark == mark }

    /// A new session starts its packet ids over.
    mutating func forgetAll() { self = DeliveryMemory() }
}
