/// The QoS 1 messages accepted last, to recognise those that the broker sends again.
///
/// From a broker that uses a packet id again when it is free, only as long as it may repeat them: DUP does not say that we
/// have seen the message, and of two equal readings with one id the second, sent to us in vain, would be taken for the
/// first. Others are remembered longer: a broker that is killed may forget that it had our acknowledgement.
///
/// A broker may only repeat what it had in flight: `receiveMaximum` under MQTT 5, its own limit (mosquitto: 20) under
/// 3.1.1. But mosquitto 2.0 sends all that waits in a resumed session at once, 1000 messages by default, and one that saves
/// its state at every change takes our acknowledgements so slowly that it may die before most of them: of 742 that it
/// repeated, 512 places knew too few.
struct DeliveryMemory {
    static let capacity = 4096

    /// Rings of the same length: 40 KiB in all. A dictionary of them would take 300, and looking through the ids takes
    /// a microsecond a message. An id of 0, which MQTT does not use: forgotten.
    private var packetIDs: [UInt16] = []
    private var digests: [UInt64] = []
    /// Counts what was remembered.
    private(set) var count: UInt64 = 0

    private func place(_ number: UInt64) -> Int { Int(number % UInt64(Self.capacity)) }

    mutating func remember(_ mark: DeliveryMark) {
        guard mark.packetID != 0 else { return }
        // Only the last message with an id can come again.
        if let place = packetIDs.firstIndex(of: mark.packetID) { packetIDs[place] = 0 }
        let place = place(count)
        count += 1
        if place < packetIDs.count {
            (packetIDs[place], digests[place]) = (mark.packetID, mark.digest)
        } else {
            packetIDs.append(mark.packetID)
            digests.append(mark.digest)
        }
    }

    /// Forgets those that were remembered last at these counts, because the broker has our acknowledgements. Returns
    /// the forgotten.
    mutating func confirm(_ counts: ClosedRange<UInt64>) -> [DeliveryMark] {
        let oldest = count - UInt64(packetIDs.count) + 1
        var gone: [DeliveryMark] = []
        for number in stride(from: max(counts.lowerBound, oldest), through: min(counts.upperBound, count), by: 1) {
            let place = place(number - 1)
            guard packetIDs[place] != 0 else { continue }
            gone.append(DeliveryMark(packetID: packetIDs[place], digest: digests[place]))
            packetIDs[place] = 0
        }
        return gone
    }

    /// Whether a message with this packet id is remembered.
    func holds(_ packetID: UInt16) -> Bool { packetID != 0 && packetIDs.contains(packetID) }

    func contains(_ mark: DeliveryMark) -> Bool {
        guard mark.packetID != 0, let place = packetIDs.firstIndex(of: mark.packetID) else { return false }
        return digests[place] == mark.digest
    }

    /// A new session starts its packet ids over.
    mutating func forgetAll() { self = DeliveryMemory() }
}
