import Glibc
import TestSupport
import Testing

@testable import Spool

@Suite(.serialized) struct SpoolCrashTests {
    /// What the writer said before it died.
    struct Account {
        var waiting: Set<String> = []
        /// Calls that were on their way when it died: both outcomes are right.
        var uncertain: Set<String> = []
        var unacknowledged: Set<UInt64> = []
        var acknowledging: Set<UInt64> = []

        init(_ output: String) {
            // The last line may be cut.
            let complete = output.prefix(
                output.lastIndex(of: "\n").map { output.distance(from: output.startIndex, to: $0) } ?? 0)
            for line in complete.split(separator: "\n") {
                let words = line.split(separator: " ").map(String.init)
                switch words[0] {
                case "accepted": waiting.insert(words[1])
                case "completing": uncertain.insert(words[1])
                case "completed":
                    waiting.remove(words[1])
                    uncertain.remove(words[1])
                    unacknowledged.insert(UInt64(words[2]) ?? 0)
                case "acknowledging": acknowledging.insert(UInt64(words[1]) ?? 0)
                case "acknowledged":
                    unacknowledged.remove(UInt64(words[1]) ?? 0)
                    acknowledging.remove(UInt64(words[1]) ?? 0)
                default: Issue.record("the writer said: \(line)")
                }
            }
        }
    }

    @Test(arguments: [30, 70, 110, 190, 310, 500, 777]) func aKilledWriterLosesNothingItAccepted(_ milliseconds: Int)
        throws
    {
        let folder = try TemporaryFolder()
        let path = folder.path("spool.db")
        let writer = try Child([builtProgram("CrashHelper"), "spool-writer", path])
        #expect(eventually { writer.output.contains("accepted") }, "\(writer.errors)")
        usleep(UInt32(milliseconds * 1000))
        writer.kill()
        let account = Account(writer.output)
        #expect(try integrity(of: path) == "ok")

        let spool = try Spool(path: path, limitBytes: 8 << 20) { Issue.record("\($0)") }
        let events = try spool.pendingEvents(limit: 10_000).events
        let found = Set(events.map(\.id))
        // At most the event being accepted when it died is here without our knowing.
        #expect(account.waiting.subtracting(account.uncertain).isSubset(of: found))
        #expect(found.subtracting(account.waiting).count <= 1)
        for item in events {
            let number = Int(item.topic.dropFirst(3)) ?? 0
            #expect(item.payload == [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: number * 37 % 9000))
        }
        let messages = try spool.pendingMessages(limit: 100_000)
        let ids = Set(messages.map(\.id))
        #expect(account.unacknowledged.subtracting(account.acknowledging).isSubset(of: ids))
        #expect(ids.subtracting(account.unacknowledged).count <= 1)
        // Never both the event and its answer, never neither.
        let answered = Set(messages.map { String(decoding: $0.payload, as: UTF8.self) })
        #expect(answered.isDisjoint(with: found))
        for id in account.uncertain { #expect(found.contains(id) != answered.contains(id)) }
        print(
            "spool: killed after \(milliseconds) ms with \(events.count) events and \(messages.count) messages waiting")
    }

    /// Reads a copy with plain SQLite, so that the check itself recovers the log as another program would.
    private func integrity(of path: String) throws -> String {
        try Child.run(["cp", path, path + ".copy"])
        _ = try? Child.run(["cp", path + "-wal", path + ".copy-wal"])
        return try Child.run(["sqlite3", path + ".copy", "PRAGMA integrity_check;"]).filter { $0 != "\n" }
    }

    @Test(.enabled(if: SmallDisk.isPermitted, "mounting a tmpfs is not permitted"))
    func aFullDiskIsReportedAndRecoveredFrom() throws {
        let folder = try TemporaryFolder()
        let disk = try #require(SmallDisk(on: folder.root, "size=1m"))
        defer { disk.unmount() }
        let path = folder.path("spool.db")
        let spool = try Spool(path: path, limitBytes: 64 << 20) { Issue.record("\($0)") }
        var accepted: [SpooledEvent] = []
        var failures = 0
        for number in 0..<400 {
            let next = event(number, bytes: 4000)
            do {
                try spool.accept(next)
                accepted.append(next)
            } catch {
                guard case .full = error else { throw error }
                failures += 1
            }
        }
        // On so small a disk the log takes nearly all of it.
        #expect(failures > 0 && accepted.count > 10, "\(accepted.count) accepted, \(failures) refused")
        #expect(try spool.pendingEvents(limit: 1000).events == accepted)
        // Room appears, by someone else's file or by answers; the spool goes on.
        #expect(disk.remount("size=8m"))
        let fresh = event(1000)
        try spool.accept(fresh)
        for item in accepted { try spool.complete(item.key, messages: []) }
        spool.close()
        let again = try Spool(path: path, limitBytes: 64 << 20) { Issue.record("\($0)") }
        #expect(try again.pendingEvents(limit: 10).events == [fresh])
        again.close()
    }

    /// What a killed daemon left on a disk that is full can be opened, read and emptied.
    @Test(.enabled(if: SmallDisk.isPermitted, "mounting a tmpfs is not permitted")) func aFullDiskCanBeStartedOn()
        throws
    {
        let before = try TemporaryFolder()
        let spool = try Spool(path: before.path("spool.db"), limitBytes: 8 << 20, durability: .processDeath)
        let events = (0..<300).map { event($0, bytes: 3000) }
        for item in events { try spool.accept(item) }
        let folder = try TemporaryFolder()
        let disk = try #require(SmallDisk(on: folder.root, "size=4m"))
        defer { disk.unmount() }
        // As they are at this moment, without a close.
        for name in ["spool.db", "spool.db-wal"] { try folder.write(before.bytes(name), to: name) }
        try? folder.write([UInt8](repeating: 0, count: 4 << 20), to: "filler")

        let again = try Spool(path: folder.path("spool.db"), limitBytes: 8 << 20) { Issue.record("\($0)") }
        #expect(try again.pendingEvents(limit: 1000).events == events)
        #expect(unlink(folder.path("filler")) == 0)
        for item in events { try again.complete(item.key, messages: []) }
        again.close()
    }
}
