import Glibc
import Linux
import Synchronization

/// A durable, bounded queue: events that wait for an answer and messages the broker has not acknowledged.
///
/// What a call accepted survives a kill of the process. One connection behind one lock: SQLite allows one writer, and
/// a transaction takes tens of microseconds.
public final class Spool: Sendable {
    /// What must survive.
    public enum Durability: Sendable {
        /// The death of the process, at any instruction. After a loss of power the file is whole, but the last commits
        /// (up to the last checkpoint) may be missing: SQLite's WAL with synchronous = NORMAL does not wait for the
        /// card at every commit.
        case processDeath
        /// Also the loss of power, for events: `accept` waits for the card (synchronous = FULL), which takes an SD card
        /// 5–100 ms, so accept many together. Answers do not wait: one that is missing is computed again.
        case powerLoss
    }

    /// nil: in memory only.
    public let path: String?
    /// Bytes of the database at most; the write-ahead log adds about 1 MiB.
    public let limitBytes: Int
    private let durability: Durability
    let onWarning: @Sendable (String) -> Void
    /// nil only while a damaged file is replaced, or when that failed.
    private let store: Mutex<SpoolStore?>

    let mostRows: Int

    /// The smallest limit that leaves room for tables and answers.
    static let smallestLimit = 256 << 10

    /// Opens or creates the spool.
    ///
    /// A damaged file, now or later, is moved aside as `path.corrupt-TIMESTAMP`, a new one is made and `onWarning` says
    /// so; it is called under the spool's lock and must not call the spool.
    public convenience init(
        path: String, limitBytes: Int, durability: Durability = .powerLoss,
        onWarning: @escaping @Sendable (String) -> Void = { _ in }
    ) throws(SpoolError) {
        try self.init(place: path, limitBytes: limitBytes, durability: durability, onWarning: onWarning)
    }

    /// A spool without a file, for tests and for `spool = 0`.
    public static func inMemory(limitBytes: Int = 16 << 20) throws(SpoolError) -> Spool {
        try Spool(place: nil, limitBytes: limitBytes, durability: .processDeath, onWarning: { _ in })
    }

    /// - Parameter mostRows: fewer in tests of that limit.
    init(
        place: String?, limitBytes: Int, mostRows: Int = SpoolStore.mostRows, durability: Durability,
        onWarning: @escaping @Sendable (String) -> Void
    ) throws(SpoolError) {
        path = place
        self.mostRows = mostRows
        self.limitBytes = max(Self.smallestLimit, limitBytes)
        self.durability = durability
        self.onWarning = onWarning
        if let place, let slash = place.lastIndex(of: "/"), slash != place.startIndex {
            // The folder's parent must exist; ENOENT shows when the file is opened.
            _ = mkdir(String(place[..<slash]), 0o700)
        }
        store = Mutex(nil)
        try store.withLock { (store) throws(SpoolError) in store = try openOrReplace() }
    }

    deinit { store.withLock { $0?.close() } }

    // MARK: Events in

    /// Stores an event; it is durable when this returns. Throws `.full` when there is no room.
    ///
    /// An event with a known id and task is left as it is, so that a repeated call does no harm.
    public func accept(_ event: SpooledEvent) throws(SpoolError) { try accept([event]) }

    /// Stores several events, all or none, in one transaction, and waits for the card when that is to survive a loss of
    /// power.
    ///
    /// - Parameter deliveries: the messages that brought them.
    public func accept(_ events: [SpooledEvent], deliveries: [SpooledDelivery] = []) throws(SpoolError) {
        guard !events.isEmpty else { return }
        let bytes = events.reduce(0) { $0 + Self.footprint($1) }
        try perform { (store) throws(SpoolError) in
            try store.requireRoom(for: bytes, rows: events.count)
            try store.transaction(waits: durability == .powerLoss) { () throws(SpoolError) in
                for event in events { _ = try store.insert(event) }
                for delivery in deliveries.suffix(Self.deliveriesKept) { try store.insert(delivery) }
            }
        }
    }

    /// Undoes `accept`, in one transaction: the events will come again and must then count as new.
    public func takeBack(_ events: [SpooledEvent.Key], deliveries: [SpooledDelivery]) throws(SpoolError) {
        try perform { (store) throws(SpoolError) in
            try store.transaction(waits: durability == .powerLoss) { () throws(SpoolError) in
                for event in events { _ = try store.delete(event) }
                for delivery in deliveries { try store.delete(delivery) }
            }
        }
    }

    /// Deliveries that are remembered: more than a broker has unacknowledged on their way, which is 1000 messages in a
    /// session of mosquitto 2.0 that is resumed. A power of two.
    public static let deliveriesKept = 1024

    /// What the broker delivered last, oldest first.
    public func recentDeliveries() throws(SpoolError) -> [SpooledDelivery] {
        try perform { (store) throws(SpoolError) in try store.deliveries() }
    }

    /// For a new session, which counts its packet ids from the start: an old delivery must not stand for a new one.
    public func forgetDeliveries() throws(SpoolError) {
        try perform { (store) throws(SpoolError) in
            guard try !store.deliveries().isEmpty else { return }
            try store.transaction(waits: durability == .powerLoss) { () throws(SpoolError) in
                try store.forgetDeliveries()
            }
        }
    }

    /// Replaces an event by its answers in one transaction; a crash leaves either the event or the answers.
    ///
    /// Returns the answers' ids. An event that is not here, as one of QoS 0, is no error: its answers are stored.
    @discardableResult
    public func complete(_ event: SpooledEvent.Key, messages: [SpooledMessage]) throws(SpoolError) -> [UInt64] {
        try perform { (store) throws(SpoolError) in
            try store.transaction { () throws(SpoolError) in
                // First the event: its pages then serve the answers, also in a full spool.
                _ = try store.delete(event)
                var ids: [UInt64] = []
                for message in messages { ids.append(try store.insert(message)) }
                return ids
            }
        }
    }

    /// Several events answered together: one answer for a window of events, for example.
    @discardableResult
    public func complete(
        _ events: [SpooledEvent.Key], messages: [SpooledMessage]
    ) throws(SpoolError) -> [UInt64] {
        try perform { (store) throws(SpoolError) in
            try store.transaction { () throws(SpoolError) in
                for event in events { _ = try store.delete(event) }
                var ids: [UInt64] = []
                for message in messages { ids.append(try store.insert(message)) }
                return ids
            }
        }
    }

    /// Where `pendingEvents` goes on.
    public struct Cursor: Sendable, Equatable {
        var sequence: Int64
        public static let start = Cursor(sequence: 0)
    }

    /// Unanswered events in order of arrival, `limit` at most, behind `cursor`; and the cursor behind them.
    public func pendingEvents(
        after cursor: Cursor = .start, limit: Int
    ) throws(SpoolError) -> (events: [SpooledEvent], next: Cursor) {
        try perform { (store) throws(SpoolError) in
            let (events, last) = try store.events(after: cursor.sequence, limit: max(0, limit))
            return (events, Cursor(sequence: last))
        }
    }

    /// Removes the oldest events of the lowest priorities below `priority` until `bytes` fit, `limit` events at most.
    ///
    /// Returns what was removed, so that each can be answered as dropped; empty when nothing is less important.
    public func shedLowestPriority(
        below priority: Int, toFit bytes: Int, limit: Int = 100
    ) throws(SpoolError) -> [SpooledEvent] {
        try perform { (store) throws(SpoolError) in
            try store.transaction { () throws(SpoolError) in
                var shed: [SpooledEvent] = []
                while shed.count < limit {
                    let used = try store.usedBytes()
                    if used + bytes <= limitBytes - store.reserve { break }
                    guard let event = try store.lowest(below: priority) else { break }
                    _ = try store.delete(event.key)
                    shed.append(event)
                }
                return shed
            }
        }
    }

    /// Bytes an event takes at most, with its keys and page overhead; what `shedLowestPriority(toFit:)` wants.
    public static func footprint(_ event: SpooledEvent) -> Int {
        let texts = event.id.utf8.count * 2 + event.task.utf8.count * 2 + event.topic.utf8.count
        let optional = (event.responseTopic?.utf8.count ?? 0) + (event.contentType?.utf8.count ?? 0)
        let bytes = event.payload.count + (event.correlationData?.count ?? 0) + texts + optional + 64
        // An overflow page has a pointer of 4 bytes to the next one and 5 in the pointer map; the last may be all but
        // empty, and a row of the table leaves up to a page.
        return bytes + bytes / 64 + (bytes > SpoolSchema.pageSize / 2 ? 2 * SpoolSchema.pageSize : 0)
    }

    // MARK: Messages out

    /// Stores a message to be published; returns its id.
    @discardableResult
    public func enqueue(_ message: SpooledMessage) throws(SpoolError) -> UInt64 {
        try perform { (store) throws(SpoolError) in
            try store.transaction { () throws(SpoolError) in try store.insert(message) }
        }
    }

    /// Messages that are not acknowledged, oldest first, with ids above `id`.
    public func pendingMessages(after id: UInt64 = 0, limit: Int) throws(SpoolError) -> [SpooledMessage] {
        try perform { (store) throws(SpoolError) in try store.messages(after: id, limit: max(0, limit)) }
    }

    /// Forgets a message that the broker has; an unknown id is no error.
    public func acknowledge(_ id: UInt64) throws(SpoolError) { try acknowledge([id]) }

    /// Forgets several messages in one transaction, and deliveries that will not come again.
    public func acknowledge(_ ids: [UInt64], deliveries: [SpooledDelivery] = []) throws(SpoolError) {
        guard !ids.isEmpty else { return }
        try perform { (store) throws(SpoolError) in
            try store.transaction { () throws(SpoolError) in
                for id in ids { _ = try store.delete(message: id) }
                for delivery in deliveries { try store.delete(delivery) }
            }
            try store.vacuumIfWorthwhile()
        }
    }

    // MARK: State

    public func counts() throws(SpoolError) -> SpoolCounts {
        try perform { (store) throws(SpoolError) in
            var log = stat()
            let logBytes = path.map { stat($0 + "-wal", &log) == 0 ? Int(log.st_size) : 0 } ?? 0
            let bytes = path == nil ? 0 : try store.fileBytes() + logBytes
            return SpoolCounts(events: store.eventCount, messages: store.messageCount, bytesOnDisk: bytes)
        }
    }

    /// Writes the log into the database and closes; afterwards every call throws. Also done when the object goes.
    public func close() {
        store.withLock { store in
            store?.close()
            store = nil
        }
    }
}

extension Spool {
    /// Runs `body` under the lock; a damaged database is replaced and `body` tried once more on the new one.
    private func perform<Result: Sendable>(
        _ body: (SpoolStore) throws(SpoolError) -> Result
    ) throws(SpoolError) -> Result {
        try store.withLock { (store) throws(SpoolError) in
            guard let current = store else { throw .unusable(path: path ?? "memory", reason: "it is closed") }
            do throws(SpoolError) {
                return try body(current)
            } catch {
                guard Self.meansDamage(error), let path else { throw error }
                let next = current.nextMessage
                current.close()
                store = nil
                let fresh = try replace(path, because: error)
                fresh.nextMessage = max(fresh.nextMessage, next)
                store = fresh
                return try body(fresh)
            }
        }
    }
}
