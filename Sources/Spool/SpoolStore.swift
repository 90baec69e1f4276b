import Linux

/// The spool's statements on one open database. Not thread-safe: `Spool` owns it behind its lock.
final class SpoolStore {
    private let database: SQLiteConnection
    private let limitBytes: Int
    private let mostRows: Int
    private let begin, commit, rollback, pageCount, freePages: SQLiteStatement
    private let insertEvent, deleteEvent, selectEvents, selectLowest: SQLiteStatement
    private let insertMessage, deleteMessage, selectMessages: SQLiteStatement
    private let insertDelivery, deleteDelivery, selectDeliveries, deleteDeliveries: SQLiteStatement
    private var nextDelivery: Int64
    /// Ids of messages go on from here; after a damaged file too, because the transport may still name older ones.
    var nextMessage: Int64
    private(set) var eventCount: Int
    private(set) var messageCount: Int
    private var changesSinceVacuum = 0
    private var lastEmptied: UInt64 = 0

    static let eventColumns =
        "id, task, priority, received, deadline, qos, size, topic, content_type, response_topic, correlation, payload, packet"
    static let messageColumns =
        "id, created, qos, retain, expiry, topic, content_type, response_topic, correlation, payload"

    init(path: String, limitBytes: Int, mostRows: Int, check: Bool) throws(SpoolError) {
        let database = try SQLiteConnection(path: path)
        self.database = database
        self.limitBytes = limitBytes
        self.mostRows = mostRows
        try database.run(SpoolSchema.alone)
        if try database.integer("PRAGMA page_count") == 0 { try database.run(SpoolSchema.layout) }
        try database.run(SpoolSchema.settings(limitBytes: limitBytes))
        if check {
            let finding = try database.text("PRAGMA quick_check(1)")
            guard finding == "ok" else { throw .database(code: SpoolStore.corrupt, reason: finding) }
        }
        try SpoolSchema.migrate(database, path: path)
        begin = try database.prepare("BEGIN IMMEDIATE")
        commit = try database.prepare("COMMIT")
        rollback = try database.prepare("ROLLBACK")
        pageCount = try database.prepare("PRAGMA page_count")
        freePages = try database.prepare("PRAGMA freelist_count")
        insertEvent = try database.prepare(
            "INSERT OR IGNORE INTO event (\(Self.eventColumns)) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?) RETURNING 1")
        deleteEvent = try database.prepare("DELETE FROM event WHERE id = ? AND task = ? RETURNING 1")
        selectEvents = try database.prepare(
            "SELECT \(Self.eventColumns), sequence FROM event WHERE sequence > ? ORDER BY sequence LIMIT ?")
        selectLowest = try database.prepare(
            "SELECT \(Self.eventColumns) FROM event WHERE priority < ? ORDER BY priority, sequence LIMIT 1")
        insertMessage = try database.prepare(
            "INSERT INTO message (\(Self.messageColumns)) VALUES (?,?,?,?,?,?,?,?,?,?)")
        deleteMessage = try database.prepare("DELETE FROM message WHERE id = ? RETURNING 1")
        selectMessages = try database.prepare(
            "SELECT \(Self.messageColumns) FROM message WHERE id > ? ORDER BY id LIMIT ?")
        insertDelivery = try database.prepare(
            "INSERT OR REPLACE INTO delivery (place, number, packet, digest) VALUES (?,?,?,?)")
        deleteDelivery = try database.prepare("DELETE FROM delivery WHERE packet = ? AND digest = ?")
        selectDeliveries = try database.prepare("SELECT packet, digest FROM delivery ORDER BY number")
        deleteDeliveries = try database.prepare("DELETE FROM delivery")
        nextDelivery = try database.integer("SELECT coalesce(max(number), 0) FROM delivery") &+ 1
        nextMessage = try database.integer("SELECT coalesce(max(id), 0) FROM message") &+ 1
        eventCount = Int(clamping: try database.integer("SELECT count(*) FROM event"))
        messageCount = Int(clamping: try database.integer("SELECT count(*) FROM message"))
    }

    /// SQLITE_ERROR, as for a statement that names a column the table does not have.
    static let misfit: Int32 = 1
    /// SQLITE_CORRUPT, for damage that a check finds.
    static let corrupt: Int32 = 11

    func close() { database.close() }

    /// Runs `body` in one transaction: all or nothing. On a full disk it makes room in the log and tries once more.
    ///
    /// - Parameter waits: until the card has it.
    func transaction<Result>(
        waits: Bool = false, _ body: () throws(SpoolError) -> Result
    ) throws(SpoolError) -> Result {
        // Not prepared once: this pragma takes effect when it is compiled, and running it does nothing.
        if waits { try database.run("PRAGMA synchronous = FULL") }
        defer { if waits { try? database.run("PRAGMA synchronous = NORMAL") } }
        do throws(SpoolError) {
            return try attempt(body)
        } catch {
            guard case .full = error, emptyLog() else { throw error }
            return try attempt(body)
        }
    }

    private func attempt<Result>(_ body: () throws(SpoolError) -> Result) throws(SpoolError) -> Result {
        let before = (eventCount, messageCount, nextMessage, nextDelivery)
        do throws(SpoolError) {
            try begin.run()
            let result = try body()
            try commit.run()
            return result
        } catch {
            // SQLite ends the transaction itself after some failures, as a full disk.
            if database.isInTransaction { try? rollback.run() }
            (eventCount, messageCount, nextMessage, nextDelivery) = before
            throw error
        }
    }

    /// Moves the log into the database, so that it can be written from its start again: on a full disk an answer then
    /// still finds room, if the database itself has free pages. Whether it did; once a second at most, because it
    /// waits for the disk.
    private func emptyLog() -> Bool {
        let now = monotonicNanoseconds()
        guard now &- lastEmptied > 1_000_000_000 else { return false }
        lastEmptied = now
        return (try? database.integer("PRAGMA wal_checkpoint(RESTART)")) == 0
    }

    // MARK: Room

    /// Bytes of pages that hold something.
    func usedBytes() throws(SpoolError) -> Int {
        let pages = try number(pageCount) - number(freePages)
        return Int(clamping: pages) * SpoolSchema.pageSize
    }

    func fileBytes() throws(SpoolError) -> Int { Int(clamping: try number(pageCount)) * SpoolSchema.pageSize }

    private func number(_ statement: SQLiteStatement) throws(SpoolError) -> Int64 {
        defer { statement.reset() }
        return try statement.step() ? statement.integer(0) : 0
    }

    /// Room kept for answers: an event may only enter while its answer will still fit.
    var reserve: Int { min(limitBytes / 4, 1 << 20) }

    /// Rows of both tables at most. A row of a short text takes some 400 bytes, so the bytes are used up first unless
    /// the limit is raised far above its default; this bounds the time a start takes to read them.
    static let mostRows = 200_000

    func requireRoom(for bytes: Int, rows: Int) throws(SpoolError) {
        guard eventCount + messageCount + rows <= mostRows else {
            throw .full(reason: "\(eventCount) events and \(messageCount) messages are all it takes")
        }
        guard try usedBytes() + bytes <= limitBytes - reserve else {
            throw .full(reason: "\(eventCount) events and \(messageCount) messages fill its \(limitBytes >> 10) KiB")
        }
    }

    /// Gives free pages back to the file system when most of the file is free; otherwise they are used again, which
    /// wears the card less than moving pages.
    func vacuumIfWorthwhile() throws(SpoolError) {
        changesSinceVacuum += 1
        guard changesSinceVacuum >= 512 else { return }
        changesSinceVacuum = 0
        let free = try number(freePages)
        guard Int(clamping: free) > (2 << 20) / SpoolSchema.pageSize, try free > number(pageCount) / 2 else { return }
        try database.run("PRAGMA incremental_vacuum(\(free / 2))")
    }

    // MARK: Events

    /// Whether it was new; an event that is here already is left as it is.
    func insert(_ event: SpooledEvent) throws(SpoolError) -> Bool {
        let statement = insertEvent
        defer { statement.reset() }
        statement.bind(1, event.id)
        statement.bind(2, event.task)
        statement.bind(3, event.priority)
        statement.bind(4, event.received.milliseconds)
        statement.bind(5, event.deadline?.milliseconds)
        statement.bind(6, event.qos)
        statement.bind(7, event.originalSize)
        statement.bind(8, event.topic)
        statement.bind(9, event.contentType)
        statement.bind(10, event.responseTopic)
        statement.bind(11, event.correlationData)
        statement.bind(12, event.payload)
        statement.bind(13, Int(event.packetID))
        return try changed(statement, &eventCount, by: 1)
    }

    func delete(_ key: SpooledEvent.Key) throws(SpoolError) -> Bool {
        deleteEvent.bind(1, key.id)
        deleteEvent.bind(2, key.task)
        return try changed(deleteEvent, &eventCount, by: -1)
    }

    /// Steps an INSERT or DELETE with RETURNING; a row means that something changed. It must run to its end, or its
    /// transaction would not be committed.
    private func changed(_ statement: SQLiteStatement, _ count: inout Int, by step: Int) throws(SpoolError) -> Bool {
        defer { statement.reset() }
        guard try statement.step() else { return false }
        while try statement.step() {}
        count += step
        return true
    }

    func events(after sequence: Int64, limit: Int) throws(SpoolError) -> (events: [SpooledEvent], last: Int64) {
        selectEvents.bind(1, sequence)
        selectEvents.bind(2, limit)
        defer { selectEvents.reset() }
        var events: [SpooledEvent] = []
        var last = sequence
        while try selectEvents.step() {
            events.append(Self.event(selectEvents))
            last = selectEvents.integer(13)
        }
        return (events, last)
    }

    /// The oldest event of the lowest priority below `priority`.
    func lowest(below priority: Int) throws(SpoolError) -> SpooledEvent? {
        selectLowest.bind(1, priority)
        defer { selectLowest.reset() }
        return try selectLowest.step() ? Self.event(selectLowest) : nil
    }

    static func event(_ row: SQLiteStatement) -> SpooledEvent {
        SpooledEvent(
            id: row.text(0) ?? "", task: row.text(1) ?? "", priority: Int(clamping: row.integer(2)),
            topic: row.text(7) ?? "", payload: row.bytes(11) ?? [], qos: Int(clamping: row.integer(5)),
            packetID: UInt16(clamping: row.integer(12)), responseTopic: row.text(9), correlationData: row.bytes(10),
            contentType: row.text(8),
            received: Timestamp(milliseconds: row.integer(3)),
            deadline: row.isNull(4) ? nil : Timestamp(milliseconds: row.integer(4)),
            originalSize: Int(clamping: row.integer(6)))
    }

    // MARK: Deliveries

    func insert(_ delivery: SpooledDelivery) throws(SpoolError) {
        insertDelivery.bind(1, nextDelivery & Int64(Spool.deliveriesKept - 1))
        insertDelivery.bind(2, nextDelivery)
        insertDelivery.bind(3, Int64(delivery.packetID))
        insertDelivery.bind(4, Int64(bitPattern: delivery.digest))
        try insertDelivery.run()
        nextDelivery &+= 1
    }

    /// All of them with this mark.
    func delete(_ delivery: SpooledDelivery) throws(SpoolError) {
        deleteDelivery.bind(1, Int64(delivery.packetID))
        deleteDelivery.bind(2, Int64(bitPattern: delivery.digest))
        try deleteDelivery.run()
    }

    func deliveries() throws(SpoolError) -> [SpooledDelivery] {
        defer { selectDeliveries.reset() }
        var found: [SpooledDelivery] = []
        while try selectDeliveries.step(), found.count < Spool.deliveriesKept {
            let digest = UInt64(bitPattern: selectDeliveries.integer(1))
            found.append(SpooledDelivery(packetID: UInt16(clamping: selectDeliveries.integer(0)), digest: digest))
        }
        return found
    }

    func forgetDeliveries() throws(SpoolError) { try deleteDeliveries.run() }

    // MARK: Messages

    /// - Parameter id: of a message that had one; nil: the next.
    func insert(_ message: SpooledMessage, id given: UInt64? = nil) throws(SpoolError) -> UInt64 {
        let statement = insertMessage
        defer { statement.reset() }
        let id = given.map { Int64(clamping: $0) } ?? nextMessage
        statement.bind(1, id)
        statement.bind(2, message.created.milliseconds)
        statement.bind(3, message.qos)
        statement.bind(4, message.retain ? 1 : 0)
        statement.bind(5, message.expirySeconds.map(Int64.init))
        statement.bind(6, message.topic)
        statement.bind(7, message.contentType)
        statement.bind(8, message.responseTopic)
        statement.bind(9, message.correlationData)
        statement.bind(10, message.payload)
        _ = try statement.step()
        nextMessage = max(nextMessage, id &+ 1)
        messageCount += 1
        return UInt64(clamping: id)
    }

    func delete(message id: UInt64) throws(SpoolError) -> Bool {
        deleteMessage.bind(1, Int64(clamping: id))
        return try changed(deleteMessage, &messageCount, by: -1)
    }

    func messages(after id: UInt64, limit: Int) throws(SpoolError) -> [SpooledMessage] {
        let row = selectMessages
        row.bind(1, Int64(clamping: id))
        row.bind(2, limit)
        defer { row.reset() }
        var messages: [SpooledMessage] = []
        while try row.step() {
            messages.append(Self.message(row))
        }
        return messages
    }

    static func message(_ row: SQLiteStatement) -> SpooledMessage {
        SpooledMessage(
            topic: row.text(5) ?? "", payload: row.bytes(9) ?? [], qos: Int(clamping: row.integer(2)),
            retain: row.integer(3) != 0, responseTopic: row.text(7), correlationData: row.bytes(8),
            contentType: row.text(6), expirySeconds: row.isNull(4) ? nil : UInt32(clamping: row.integer(4)),
            created: Timestamp(milliseconds: row.integer(1)), id: UInt64(clamping: row.integer(0)))
    }
}
