import Logging
import Spool
import Synchronization
import Transport

/// Everything on its way out: results until the broker has them, retained topics with their latest value, and
/// messages that may be lost.
///
/// A result of a spooled event is in the spool until the broker acknowledged it. A result of a QoS 0 event goes out
/// directly and is spooled only when the broker is away or slow, so that a quiet SD card is not written for every
/// sensor reading. After a reconnect everything unacknowledged is sent again, in the order of the spool.
final class Outbox: Sendable {
    /// Who a token belongs to: its two upper bits. Ids of the spool count from 1 and never reach them.
    enum Owner: UInt64 {
        case spool = 0
        /// A result held in memory only.
        case direct = 1
        /// A retained topic; sent again after a reconnect anyway.
        case retained = 2
        /// A reply or log line; nobody waits for its outcome.
        case transient = 3
    }

    /// Messages handed to the transport and not acknowledged; less than its own limit, so that it is rarely busy.
    static let mostInFlight = 64
    /// Results that are held in memory when neither the transport nor the spool takes them, as on a full disk.
    static let mostOverflow = 1000
    /// Acknowledged results are removed from the spool together: one write of the SD card instead of many.
    static let removalBatch = 32

    struct State {
        var isConnected = false
        /// Counts connections, so that a slow reader of the spool notices that its page is out of date.
        var epoch = 0
        /// The last id of the spool handed over in this connection.
        var cursor: UInt64 = 0
        /// Whether the spool may hold messages behind the cursor.
        private(set) var isBehind = true
        /// Counts reasons to be behind, so that a reader of the spool notices one that came while it read.
        private(set) var reasons = 0
        var inFlight: Set<UInt64> = []
        /// To be removed from the spool.
        var acknowledged: [UInt64] = []
        /// What must not be sent again although a look at the spool may still show it.
        var settled = SettledMessages()
        var direct: [UInt64: SpooledMessage] = [:]
        /// What the spool had no room for, oldest first.
        var overflow: [SpooledMessage] = []
        var serial: UInt64 = 0
        var retained: [String: [UInt8]] = [:]
        /// In the order they were first set; the status comes first.
        var retainedTopics: [String] = []
        var dirty: Set<String> = []
        var isPumping = false
        var pumpAgain = false
        /// Results that could be neither published nor spooled.
        var lost = 0

        mutating func fallBehind() {
            isBehind = true
            reasons += 1
        }

        /// The spool was read to its end, and held nothing more when there had been `reasons`.
        mutating func catchUp(with reasons: Int) { isBehind = self.reasons != reasons }

        var room: Int { mostInFlight - inFlight.count - direct.count }

        mutating func token(_ owner: Owner) -> UInt64 {
            serial += 1
            return owner.rawValue << 62 | serial
        }
    }

    let state = Mutex(State())
    let transport: any MessageTransport
    let spool: Spool
    let log: DaemonLog

    init(transport: any MessageTransport, spool: Spool, log: DaemonLog) {
        self.transport = transport
        self.spool = spool
        self.log = log
    }

    /// Results that could be neither published nor spooled, since start.
    var lost: Int { state.withLock { $0.lost } }

    /// Whether the broker has everything.
    var isEmpty: Bool {
        state.withLock {
            $0.inFlight.isEmpty && $0.direct.isEmpty && $0.overflow.isEmpty && $0.dirty.isEmpty && !$0.isBehind
        }
    }

    /// Whether results pile up in memory: then no more events are accepted that only cause some, and the broker keeps
    /// them.
    var isCrowded: Bool { state.withLock { $0.overflow.count > Self.mostOverflow / 4 } }

    // MARK: Sending

    /// Messages, and the spooled events that they answer; without such, they are of QoS 0.
    struct ResultMessages {
        var messages: [SpooledMessage]
        var keys: [SpooledEvent.Key]
    }

    /// Publishes results in order. Those of spooled events that follow each other are stored in one transaction: each
    /// writes whole pages to the card.
    func send(_ results: [ResultMessages]) {
        var rest = results[...]
        while let first = rest.first {
            let together = rest.prefix { $0.keys.isEmpty == first.keys.isEmpty }
            rest = rest.dropFirst(together.count)
            if first.keys.isEmpty {
                sendDirectly(together.flatMap(\.messages))
            } else if together.count == 1 || !store(together.flatMap(\.messages), together.flatMap(\.keys)) {
                // One by one, for some may find room in a spool that has none for all.
                for result in together { send(result.messages, completing: result.keys) }
            }
        }
    }

    /// Publishes the messages that answer spooled events, or none when `keys` is empty.
    func send(_ messages: [SpooledMessage], completing keys: [SpooledEvent.Key]) {
        // The events stay in the spool and are answered again after a restart; the user gets this answer now.
        if keys.isEmpty || !store(messages, keys) { sendDirectly(messages) }
    }

    /// Puts messages into the spool in place of the events they answer, and publishes them from there; false when that
    /// failed.
    private func store(_ messages: [SpooledMessage], _ keys: [SpooledEvent.Key]) -> Bool {
        let look = state.withLock { $0.settled.begin() }
        do {
            let ids = try spool.complete(keys, messages: messages)
            let mine = state.withLock { state -> Set<UInt64>? in
                defer { state.settled.end(look) }
                guard state.isConnected, !state.isBehind, state.room >= messages.count else {
                    // Another thread may have stored later ones and moved the cursor behind these.
                    if let first = ids.first { state.cursor = min(state.cursor, first - 1) }
                    state.fallBehind()
                    return nil
                }
                // Whoever read the spool in between may have sent them already.
                let mine = ids.filter { !state.inFlight.contains($0) && !state.settled.contains($0) }
                state.inFlight.formUnion(mine)
                state.cursor = max(state.cursor, ids.last ?? 0)
                return Set(mine)
            }
            if let mine {
                publish(zip(ids, messages).filter { mine.contains($0.0) }.map { ($0, $1) }[...])
            } else {
                pump()
            }
            return true
        } catch {
            state.withLock { $0.settled.end(look) }
            log.error("a result cannot be spooled: \(error)", every: "spool")
            return false
        }
    }

    private func sendDirectly(_ messages: [SpooledMessage]) {
        for message in messages {
            let token = state.withLock { state -> UInt64? in
                guard state.isConnected, !state.isBehind, state.room > 0, state.overflow.isEmpty else { return nil }
                let token = state.token(.direct)
                state.direct[token] = message
                return token
            }
            if let token {
                publish([(token, message)])
            } else {
                keep([message])
                pump()
            }
        }
    }

    /// Spools results that have no event in the spool.
    func keep(_ messages: [SpooledMessage]) {
        guard !messages.isEmpty else { return }
        do {
            _ = try spool.complete([], messages: messages)
            state.withLock { $0.fallBehind() }
        } catch {
            let lost = state.withLock { state in
                let held = messages.prefix(max(0, Self.mostOverflow - state.overflow.count))
                state.overflow += held
                state.lost += messages.count - held.count
                return messages.count - held.count
            }
            log.error("\(messages.count) results are held in memory: \(error)", every: "held")
            if lost > 0 { log.error("\(lost) results are lost: \(error)", every: "lost") }
        }
    }

    /// Publishes without keeping: replies and log lines. False when the broker is away.
    @discardableResult
    func sendTransient(_ message: MQTTMessage) -> Bool {
        let token = state.withLock { $0.isConnected ? $0.token(.transient) : nil }
        guard let token else { return false }
        do {
            try transport.publish(message, token: token)
            return true
        } catch {
            return false
        }
    }

    /// Sets the latest value of a retained topic; it is published now and after every reconnect.
    func retain(_ topic: String, _ payload: [UInt8]) {
        state.withLock { state in
            if state.retained.updateValue(payload, forKey: topic) == nil { state.retainedTopics.append(topic) }
            state.dirty.insert(topic)
        }
        pump()
    }

    /// Stops publishing a retained topic again; the broker keeps what it has.
    func forgetRetained(where isGone: (String) -> Bool) {
        state.withLock { state in
            state.retainedTopics.removeAll(where: isGone)
            for topic in state.retained.keys where isGone(topic) {
                state.retained[topic] = nil
                state.dirty.remove(topic)
            }
        }
    }

    // MARK: Connection

    /// A new connection: everything unacknowledged goes out again.
    func connected() {
        state.withLock { state in
            state.isConnected = true
            state.epoch += 1
            state.cursor = 0
            state.fallBehind()
            state.inFlight = []
            state.dirty = Set(state.retainedTopics)
        }
        pump()
    }

    func disconnected() {
        let orphans = state.withLock { state in
            state.isConnected = false
            state.epoch += 1
            state.inFlight = []
            defer { (state.direct, state.overflow) = ([:], []) }
            // What was held comes before it: there may be room for it by now.
            return state.overflow + state.direct.sorted { $0.key < $1.key }.map(\.value)
        }
        keep(orphans)
    }

    /// The last attempt to keep what is held in memory; what finds no room now is lost with the process.
    func stop() {
        disconnected()
        let held = state.withLock { state in
            defer { state.overflow = [] }
            state.lost += state.overflow.count
            return state.overflow.count
        }
        if held > 0 { log.error("\(held) results are lost: the spool has no room for them, and the process ends") }
    }

    /// The broker has a message.
    func published(_ token: UInt64) {
        let (flush, more) = state.withLock { state in
            switch Owner(rawValue: token >> 62) {
            case .spool:
                // Also when a disconnection came first: the broker has it, so it need not be sent again.
                state.inFlight.remove(token)
                state.acknowledged.append(token)
                state.settled.insert(token)
            case .direct: state.direct[token] = nil
            default: break
            }
            let more = state.isBehind || !state.dirty.isEmpty || !state.overflow.isEmpty
            return (state.acknowledged.count >= Self.removalBatch, more)
        }
        if flush { removeAcknowledged() }
        if more { pump() }
    }

    /// The broker turned a message down for good.
    func refused(_ token: UInt64, reason: String) {
        log.warning("the broker refused a message: \(reason). Check its access rules", every: "refused")
        published(token)
    }

    /// Removes what the broker has from the spool; call now and then.
    func removeAcknowledged() {
        let ids = state.withLock { state in
            defer { state.acknowledged = [] }
            return state.acknowledged
        }
        guard !ids.isEmpty else { return }
        // With the results that confirm them: a write of their own would wear the card for little.
        let confirmed = transport.takeConfirmed().map { SpooledDelivery(packetID: $0.packetID, digest: $0.digest) }
        do {
            try spool.acknowledge(ids, deliveries: confirmed)
            state.withLock { $0.settled.removed(ids) }
        } catch {
            // Still filtered out in this process; after a restart they are published twice at worst.
            state.withLock { $0.acknowledged += ids }
            log.error("published results cannot be removed from the spool: \(error)", every: "spool")
        }
    }
}
