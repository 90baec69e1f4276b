import Glibc
import Synchronization
import TestSupport
import Testing

@testable import Spool

@Suite struct SpoolDamageTests {
    /// A closed spool with 60 events; of two pages of 4 KiB each if nothing else is said.
    private func filled(_ folder: TemporaryFolder, bytes: Int = 6000) throws -> [SpooledEvent] {
        let events = (0..<60).map { event($0, bytes: bytes) }
        let spool = try Spool(path: folder.path("spool.db"), limitBytes: 4 << 20)
        try spool.accept(events)
        return events
    }

    /// Opens, counts warnings and proves that the spool works.
    private func expectWorking(_ folder: TemporaryFolder, warnings expected: Int) throws {
        let warnings = Mutex<[String]>([])
        let spool = try Spool(path: folder.path("spool.db"), limitBytes: 4 << 20) { text in
            warnings.withLock { $0.append(text) }
        }
        var cursor = Spool.Cursor.start
        while true {
            let (page, next) = try spool.pendingEvents(after: cursor, limit: 10)
            if page.isEmpty { break }
            cursor = next
        }
        let fresh = event(999)
        try spool.accept(fresh)
        #expect(try spool.pendingEvents(limit: 1000).events.last == fresh)
        #expect(warnings.withLock { $0.count } == expected, "\(warnings.withLock { $0 })")
        let aside = folder.names.filter { $0.hasPrefix("spool.db.corrupt-") && !$0.hasSuffix("-wal") }
        #expect(aside.count == min(1, expected))
    }

    @Test func aFileThatIsNoDatabaseIsMovedAside() throws {
        let folder = try TemporaryFolder()
        try folder.write([UInt8](repeating: 0x41, count: 20_000), to: "spool.db")
        try expectWorking(folder, warnings: 1)
    }

    @Test func aTruncatedDatabaseIsMovedAside() throws {
        let folder = try TemporaryFolder()
        _ = try filled(folder)
        let bytes = folder.bytes("spool.db")
        try folder.write(Array(bytes[..<(bytes.count / 2)]), to: "spool.db")
        try expectWorking(folder, warnings: 1)
    }

    @Test func anEmptyFileIsANewSpool() throws {
        let folder = try TemporaryFolder()
        try folder.write([], to: "spool.db")
        try expectWorking(folder, warnings: 0)
    }

    /// Damage that opening does not see shows when the page is read: then the file is replaced while running.
    @Test(arguments: 1..<12) func overwrittenPagesNeverStopTheSpool(_ page: Int) throws {
        let folder = try TemporaryFolder()
        _ = try filled(folder)
        var bytes = folder.bytes("spool.db")
        var random = SystemRandomNumberGenerator()
        for index in page * 4096..<(page + 1) * 4096 { bytes[index] = random.next() }
        try folder.write(bytes, to: "spool.db")
        let spool = try Spool(path: folder.path("spool.db"), limitBytes: 4 << 20)
        for _ in 0..<3 { _ = try spool.pendingEvents(limit: 1000) }
        for item in try spool.pendingEvents(limit: 1000).events { try spool.complete(item.key, messages: []) }
        let fresh = event(999)
        try spool.accept(fresh)
        #expect(try spool.pendingEvents(limit: 1000).events.last == fresh)
    }

    @Test func onlyOneDamagedFileIsKept() throws {
        let folder = try TemporaryFolder()
        for _ in 0..<3 {
            try folder.write([UInt8](repeating: 0x42, count: 9000), to: "spool.db")
            _ = try Spool(path: folder.path("spool.db"), limitBytes: 1 << 20)
            usleep(2000)
        }
        #expect(folder.names.filter { $0.contains(".corrupt-") }.count == 1)
    }

    struct Generator: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            // SplitMix64, so that a failure can be repeated.
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
            return z ^ z >> 31
        }
    }

    /// One byte at a time at 1,000 random places: each time it starts again, says so if it noticed, and keeps the rest.
    @Test func oneDamagedByteCostsLittle() throws {
        let folder = try TemporaryFolder(inMemory: true)
        let events = try filled(folder, bytes: 300)
        let whole = folder.bytes("spool.db")
        var random = Generator(state: 42)
        var kept = 0
        var replaced = 0
        for _ in 0..<1000 {
            var bytes = whole
            bytes[Int.random(in: 0..<bytes.count, using: &random)] ^= UInt8.random(in: 1...255, using: &random)
            try folder.write(bytes, to: "spool.db")
            let warnings = Mutex(0)
            let spool = try Spool(path: folder.path("spool.db"), limitBytes: 4 << 20, durability: .processDeath) { _ in
                warnings.withLock { $0 += 1 }
            }
            // Twice: damage that shows on reading replaces the file, and then what was kept is read.
            _ = try spool.pendingEvents(limit: 1000)
            let found = try spool.pendingEvents(limit: 1000).events
            kept += found.filter { item in events.contains { $0.id == item.id } }.count
            replaced += warnings.withLock { $0 }
            let fresh = event(999)
            try spool.accept(fresh)
            #expect(try spool.pendingEvents(limit: 1000).events.last == fresh)
            spool.close()
        }
        // Damage to the first page can cost all; elsewhere a page has two events.
        #expect(kept > 1000 * events.count * 9 / 10, "\(kept) of \(1000 * events.count)")
        print("spool: of 1,000 files with a damaged byte \(replaced) were replaced; \(kept / 60) of 1,000 events kept")
    }

    /// 1,000 bytes of one file, of its log too: whatever is kept, it starts and passes SQLite's check.
    @Test(arguments: 1...8) func aThousandDamagedBytesNeverStopTheSpool(seed: UInt64) throws {
        let folder = try TemporaryFolder(inMemory: true)
        _ = try filled(folder)
        var random = Generator(state: seed)
        var bytes = folder.bytes("spool.db")
        for _ in 0..<1000 { bytes[Int.random(in: 0..<bytes.count, using: &random)] = random.next() }
        try folder.write(bytes, to: "spool.db")
        let spool = try Spool(path: folder.path("spool.db"), limitBytes: 4 << 20)
        for _ in 0..<3 { _ = try spool.pendingEvents(limit: 1000) }
        let fresh = event(999)
        try spool.accept(fresh)
        #expect(try spool.pendingEvents(limit: 1000).events.last == fresh)
        spool.close()
        #expect(try Child.run(["sqlite3", folder.path("spool.db"), "PRAGMA integrity_check"]) == "ok\n")
    }

    /// The transport may still name messages of the damaged file: theirs must not be ids of new ones.
    @Test func idsGoOnBehindADamagedFile() throws {
        let folder = try TemporaryFolder(inMemory: true)
        let warnings = Mutex(0)
        let spool = try Spool(path: folder.path("spool.db"), limitBytes: 8 << 20) { _ in warnings.withLock { $0 += 1 } }
        let answer = SpooledMessage(topic: "out", payload: [1])
        let ids = try (0..<5).map { _ in try spool.enqueue(answer) }
        try spool.acknowledge(ids)
        // Into the database, so that the damage is not hidden by the log.
        try spool.accept((0..<800).map { event($0, bytes: 2000) })
        var bytes = folder.bytes("spool.db")
        try #require(bytes.count > 100_000)
        for index in 1024..<bytes.count { bytes[index] = 0xA5 }
        try folder.write(bytes, to: "spool.db")
        // Reading finds it, unless SQLite has the pages in its cache.
        for _ in 0..<3 { _ = try? spool.pendingEvents(limit: 1000) }
        #expect(try spool.enqueue(answer) > ids[4])
        #expect(warnings.withLock { $0 } == 1, "the damage was not met")
    }
}
