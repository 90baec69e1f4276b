import Glibc
import Synchronization
import TestSupport
import Testing

@testable import Spool

@Suite struct SpoolDamageTests {
    /// A closed spool with 60 events of two pages each.
    private func filled(_ folder: TemporaryFolder) throws -> [SpooledEvent] {
        let events = (0..<60).map { event($0, bytes: 6000) }
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
}
