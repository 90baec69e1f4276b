import FaultVFS
import Glibc
import TestSupport
import Testing

@testable import Spool

/// In the suite of the other faults, because the simulated disk is one for the process.
extension SpoolFaultTests {
    /// Set by bench/power-cut.sh; otherwise each of the first thirty syncs, and some of the later ones.
    private static let everySync = getenv("MARTLET_TEST_EVERY_SYNC") != nil

    /// Cuts the power at the first, second, third … sync, until a whole run meets none (the way of SQLite's crash9.test).
    ///
    /// Seed 0 loses all that was not synced; others lose some of its sectors, so that files are torn.
    @Test(arguments: [0, 1, 2, 77] as [UInt32]) func aCutOfPowerLosesNoAcceptedEvent(seed: UInt32) throws {
        fault_vfs_install()
        defer { fault_vfs_power_on() }
        var nth: Int32 = 0
        var wasCut = false
        repeat {
            nth += 1
            try #require(nth < 1000, "the run never ends without a cut")
            let folder = try TemporaryFolder(inMemory: true)
            let path = folder.path("faulty.db")
            let before = (0..<10).map { event($0, bytes: 3000) }
            do {
                let spool = try Spool(path: path, limitBytes: 4 << 20) { Issue.record("\($0)") }
                try spool.accept(before)
            }
            fault_vfs_cut_power(nth, seed == 0 ? 0 : seed &+ UInt32(bitPattern: nth))
            let promised = live(path, before.map(\.id))
            wasCut = fault_vfs_power_is_off()
            fault_vfs_power_on()
            try verify(path, promised, "cut at sync \(nth)")
            if nth > 30, !Self.everySync { nth += nth / 8 }
        } while wasCut
        #expect(nth > 30)
        print("spool: power cut at up to the \(nth)th sync, seed \(seed)")
    }

    /// Accepts, answers and acknowledges until the power is off. Returns the events that must still be there, waiting or
    /// answered: all that were accepted and whose answers nobody has.
    private func live(_ path: String, _ waiting: [String]) -> Set<String> {
        var promised = Set(waiting)
        var open = waiting
        guard let spool = try? Spool(path: path, limitBytes: 4 << 20, onWarning: { Issue.record("\($0)") }) else {
            return promised
        }
        for number in 0..<150 {
            let events = (0...number % 3).map { event(100 + 3 * number + $0, bytes: number % 7 * 500) }
            guard (try? spool.accept(events)) != nil else { break }
            promised.formUnion(events.map(\.id))
            open += events.map(\.id)
            let done = open.removeFirst()
            let answer = SpooledMessage(topic: "out", payload: Array(done.utf8))
            guard let ids = try? spool.complete(.init(id: done, task: "t"), messages: [answer]) else { break }
            guard number % 2 == 0 else { continue }
            // From here on the broker has the answer, so the event need not be there; it may.
            promised.remove(done)
            guard (try? spool.acknowledge(ids)) != nil else { break }
        }
        return promised
    }

    private func verify(_ path: String, _ promised: Set<String>, _ when: Comment) throws {
        let spool = try Spool(path: path, limitBytes: 4 << 20) { Issue.record("\(when): \($0)") }
        let events = Set(try spool.pendingEvents(limit: 10_000).events.map(\.id))
        let answered = Set(try spool.pendingMessages(limit: 10_000).map { String(decoding: $0.payload, as: UTF8.self) })
        #expect(promised.isSubset(of: events.union(answered)), when)
        #expect(answered.isDisjoint(with: events), when)
        spool.close()
        #expect(try Child.run(["sqlite3", path, "PRAGMA integrity_check"]) == "ok\n", when)
    }
}
