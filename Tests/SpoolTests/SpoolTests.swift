import Glibc
import Linux
import TestSupport
import Testing

@testable import Spool

/// An event with everything set that can be.
func event(_ number: Int, task: String = "t", priority: Int = 5, bytes: Int = 20) -> SpooledEvent {
    SpooledEvent(
        id: ULID.next().description, task: task, priority: priority, topic: "in/\(number)",
        payload: [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: bytes), qos: 1,
        packetID: UInt16(number & 0xFFFF), responseTopic: number % 2 == 0 ? "answer/\(number)" : nil,
        correlationData: number % 2 == 0 ? [0, 1, 255] : nil,
        contentType: number % 3 == 0 ? "text/plain" : nil,
        received: Timestamp(milliseconds: 1_700_000_000_000 + Int64(number)),
        deadline: number % 5 == 0 ? Timestamp(milliseconds: 1_700_000_005_000) : nil, originalSize: bytes + number % 2)
}

@Suite struct SpoolTests {
    @Test func whatIsAcceptedComesBackUnchangedAndInOrderAfterAReopen() throws {
        let folder = try TemporaryFolder()
        let events = (0..<50).map { event($0, bytes: $0 * 300) }
        do {
            let spool = try Spool(path: folder.path("spool.db"), limitBytes: 8 << 20)
            try spool.accept(Array(events[..<25]))
            for item in events[25...] { try spool.accept(item) }
        }
        let spool = try Spool(path: folder.path("spool.db"), limitBytes: 8 << 20)
        #expect(try spool.pendingEvents(limit: 100).events == events)
        // In pages, as the daemon reads them at start.
        var cursor = Spool.Cursor.start
        var read: [SpooledEvent] = []
        while true {
            let (page, next) = try spool.pendingEvents(after: cursor, limit: 7)
            if page.isEmpty { break }
            read += page
            cursor = next
        }
        #expect(read == events)
        #expect(try spool.counts().events == 50)
    }

    @Test func completingReplacesAnEventByItsAnswers() throws {
        let spool = try Spool.inMemory()
        let first = event(1)
        let second = event(2)
        try spool.accept([first, second])
        var answer = SpooledMessage(
            topic: "out", payload: [1, 2], qos: 1, retain: true, responseTopic: "r", correlationData: [],
            contentType: "application/json", expirySeconds: .max, created: Timestamp(milliseconds: 5))
        let ids = try spool.complete(first.key, messages: [answer, SpooledMessage(topic: "state", payload: [])])
        #expect(ids.count == 2 && ids[0] < ids[1])
        answer.id = ids[0]
        let pending = try spool.pendingMessages(limit: 10)
        #expect(pending.count == 2 && pending.first == answer)
        #expect(pending.last?.payload == [])
        #expect(try spool.pendingEvents(limit: 10).events == [second])
        try spool.acknowledge(ids[0])
        #expect(try spool.pendingMessages(limit: 10).map(\.id) == [ids[1]])
        #expect(try spool.pendingMessages(after: ids[1], limit: 10).isEmpty)
        try spool.acknowledge([ids[1], ids[1], 999])
        #expect(try spool.counts() == SpoolCounts(events: 1, messages: 0, bytesOnDisk: 0))
    }

    @Test func anEventForTwoTasksIsAnsweredTwice() throws {
        let spool = try Spool.inMemory()
        var one = event(1, task: "a")
        try spool.accept(one)
        one.task = "b"
        try spool.accept(one)
        try spool.accept(one)
        #expect(try spool.counts().events == 2)
        try spool.complete(SpooledEvent.Key(id: one.id, task: "a"), messages: [])
        #expect(try spool.pendingEvents(limit: 10).events.map(\.task) == ["b"])
        try spool.complete([one.key], messages: [SpooledMessage(topic: "x", payload: [])])
        #expect(try spool.counts().events == 0)
    }

    @Test func theLimitIsATypedErrorAndAnswersStillFit() throws {
        let folder = try TemporaryFolder()
        let limit = 1 << 20
        let spool = try Spool(path: folder.path("spool.db"), limitBytes: limit)
        var accepted: [SpooledEvent] = []
        let full = #expect(throws: SpoolError.self) {
            while true {
                let next = event(accepted.count, bytes: 5000)
                try spool.accept(next)
                accepted.append(next)
            }
        }
        guard case .full? = full else { return #expect(Bool(false), "\(String(describing: full))") }
        #expect(accepted.count > 80)
        #expect(try spool.counts().events == accepted.count)
        for item in accepted {
            try spool.complete(
                item.key, messages: [SpooledMessage(topic: "out", payload: [UInt8](repeating: 1, count: 5000))])
        }
        #expect(try spool.counts().messages == accepted.count)
        #expect(try spool.counts().bytesOnDisk <= limit + 2 << 20)
        try spool.acknowledge(spool.pendingMessages(limit: 1000).map(\.id))
        try spool.accept(event(0, bytes: 5000))
    }

    @Test func rowsAreBoundedTooAndAnswersStillFit() throws {
        #expect(SpoolStore.mostRows == 200_000)
        let spool = try Spool(
            place: nil, limitBytes: 16 << 20, mostRows: 40, durability: .processDeath,
            onWarning: { Issue.record("\($0)") })
        let events = (0..<30).map { event($0) }
        try spool.accept(events)
        for number in 0..<10 { try spool.enqueue(SpooledMessage(topic: "out", payload: [UInt8(number)])) }
        let full = #expect(throws: SpoolError.self) { try spool.accept(event(30)) }
        guard case .full(let reason)? = full else { return #expect(Bool(false), "\(String(describing: full))") }
        #expect(reason == "30 events and 10 messages are all it takes")
        // All or none of several.
        try spool.complete(events[0].key, messages: [])
        #expect(throws: SpoolError.self) { try spool.accept([event(30), event(31)]) }
        try spool.accept(event(30))
        // An answer is not turned away: its event goes for it, and one that has none is worth more than a new event.
        try spool.complete(events[1].key, messages: [SpooledMessage(topic: "out", payload: [])])
        try spool.complete([], messages: [SpooledMessage(topic: "out", payload: [])])
        #expect(try spool.counts().messages == 12 && spool.counts().events == 29)
        try spool.acknowledge(spool.pendingMessages(limit: 100).map(\.id))
        try spool.accept((31..<42).map { event($0) })
        #expect(try spool.counts().events == 40)
    }

    @Test func sheddingTakesTheOldestOfTheLowestPriority() throws {
        let spool = try Spool.inMemory(limitBytes: 1 << 20)
        var accepted: [SpooledEvent] = []
        while true {
            let next = event(accepted.count, priority: accepted.count % 3 + 4, bytes: 8000)
            do { try spool.accept(next) } catch { break }
            accepted.append(next)
        }
        var important = event(1000, priority: 6, bytes: 20_000)
        important.priority = 6
        #expect(throws: SpoolError.self) { try spool.accept(important) }
        let shed = try spool.shedLowestPriority(below: 6, toFit: Spool.footprint(important))
        try spool.accept(important)
        let expected = accepted.filter { $0.priority == 4 }.prefix(shed.count)
        #expect(!shed.isEmpty && shed == Array(expected))
        let left = try spool.pendingEvents(limit: 1000).events
        #expect(left == accepted.filter { item in !shed.contains { $0.id == item.id } } + [important])
        // Nothing is less important than the least important.
        #expect(try spool.shedLowestPriority(below: 0, toFit: 1 << 20).isEmpty)
        #expect(try spool.shedLowestPriority(below: 5, toFit: 1 << 30, limit: 3).count == 3)
    }

    @Test func deliveriesAreRememberedApartFromTheirEvents() throws {
        let folder = try TemporaryFolder()
        let path = folder.path("spool.db")
        let spool = try Spool(path: path, limitBytes: 1 << 20, durability: .processDeath)
        let all = (0..<Spool.deliveriesKept + 10).map {
            SpooledDelivery(packetID: UInt16($0), digest: .max - UInt64($0))
        }
        for (number, delivery) in all.enumerated() {
            let item = event(number)
            try spool.accept([item], deliveries: [delivery])
            try spool.complete(item.key, messages: [])
        }
        #expect(try spool.recentDeliveries() == all.suffix(Spool.deliveriesKept))
        spool.close()
        let again = try Spool(path: path, limitBytes: 1 << 20)
        try again.accept([event(1)], deliveries: [SpooledDelivery(packetID: 7, digest: 7)])
        #expect(
            try again.recentDeliveries() == all.suffix(Spool.deliveriesKept - 1) + [
                SpooledDelivery(packetID: 7, digest: 7)
            ])
        try again.forgetDeliveries()
        #expect(try again.recentDeliveries().isEmpty)
    }

    /// Deliveries that will not come again, or that must count as new when they do.
    @Test func deliveriesAreForgottenWithWhatTheyBrought() throws {
        let spool = try Spool(path: TemporaryFolder().path("spool.db"), limitBytes: 1 << 20)
        let marks = (1...4).map { SpooledDelivery(packetID: 1, digest: $0) }
        let events = [event(1), event(2)]
        try spool.accept(events, deliveries: marks)
        let id = try spool.complete(events[0].key, messages: [SpooledMessage(topic: "out", payload: [1])])
        try spool.acknowledge(id, deliveries: Array(marks.prefix(2)))
        #expect(try spool.recentDeliveries() == Array(marks.suffix(2)))
        try spool.takeBack([events[1].key], deliveries: [marks[3]])
        #expect(try spool.recentDeliveries() == [marks[2]] && spool.counts().events == 0)
    }

    @Test func anotherProcessesSpoolIsNotOpened() throws {
        let folder = try TemporaryFolder()
        let path = folder.path("spool.db")
        let spool = try Spool(path: path, limitBytes: 1 << 20)
        try spool.accept(event(1))
        #expect(throws: SpoolError.inUse(path: path)) { try Spool(path: path, limitBytes: 1 << 20) }
        #expect(try spool.counts().events == 1)
    }

    @Test func aNewerFormatIsRefusedAndLeftAlone() throws {
        let folder = try TemporaryFolder()
        let path = folder.path("spool.db")
        try Child.run(["sqlite3", path, "CREATE TABLE future (x); PRAGMA user_version = 7;"])
        #expect(throws: SpoolError.newerSchema(path: path, found: 7, known: 2)) {
            try Spool(path: path, limitBytes: 1 << 20)
        }
        #expect(folder.names == ["spool.db"])
    }

    @Test func aFolderThatDoesNotExistIsNamed() throws {
        let error = #expect(throws: SpoolError.self) { try Spool(path: "/nonexistent/a/spool.db", limitBytes: 1 << 20) }
        #expect(error?.description.contains("/nonexistent/a/spool.db") == true)
    }

    @Test func aMissingLastFolderIsMade() throws {
        let folder = try TemporaryFolder()
        let spool = try Spool(path: folder.path("state/spool.db"), limitBytes: 1 << 20)
        try spool.accept(event(1))
        #expect(folder.names == ["state"])
    }

    @Test func aClosedSpoolThrows() throws {
        let spool = try Spool.inMemory()
        spool.close()
        #expect(throws: SpoolError.self) { try spool.accept(event(1)) }
    }

    @Test func theFileShrinksAfterAFlood() throws {
        let folder = try TemporaryFolder()
        let spool = try Spool(path: folder.path("spool.db"), limitBytes: 32 << 20)
        for _ in 0..<4 { try spool.accept((0..<250).map { event($0, bytes: 20_000) }) }
        let large = try spool.counts().bytesOnDisk
        for item in try spool.pendingEvents(limit: 2000).events { try spool.complete(item.key, messages: []) }
        for number in 0..<3000 {
            try spool.acknowledge(spool.enqueue(SpooledMessage(topic: "x", payload: [UInt8(number & 255)])))
        }
        let small = try spool.counts().bytesOnDisk
        #expect(large > 18 << 20 && small < large / 4, "\(large) → \(small)")
    }

    /// A figure, and a bound that a machine with a busy disk still meets.
    @Test func tenThousandEventsPassInReasonableTime() throws {
        let folder = try TemporaryFolder()
        let spool = try Spool(path: folder.path("spool.db"), limitBytes: 64 << 20, durability: .processDeath)
        let start = monotonicNanoseconds()
        for number in 0..<10_000 {
            let item = event(number, bytes: 100)
            try spool.accept(item)
            let ids = try spool.complete(item.key, messages: [SpooledMessage(topic: "out", payload: item.payload)])
            try spool.acknowledge(ids)
        }
        let seconds = Double(monotonicNanoseconds() - start) / 1e9
        print(
            "spool: 10,000 events accepted, completed, acknowledged in \(seconds) s, \(Int(10_000 / seconds)) events/s")
        #expect(seconds < 60)
        #expect(try spool.counts().events == 0)
    }
}
