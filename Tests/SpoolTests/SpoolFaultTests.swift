import FaultVFS
import Synchronization
import TestSupport
import Testing

@testable import Spool

/// Fails the first, second, third … write, sync, truncation or open, until a whole run meets no failure (the way of
/// SQLite's own `do_faultsim_test`).
@Suite(.serialized) struct SpoolFaultTests {
    struct Kind: Sendable, CustomTestStringConvertible {
        let persistent: Bool
        let full: Bool
        var testDescription: String { "\(persistent ? "lasting" : "single") \(full ? "full disk" : "I/O error")" }
    }

    static let kinds = [false, true].flatMap { lasting in [false, true].map { Kind(persistent: lasting, full: $0) } }

    @Test(arguments: kinds) func noFailureLosesWhatWasAccepted(_ kind: Kind) throws {
        fault_vfs_install()
        defer { fault_vfs_arm(0, false, false) }
        var nth = 0
        var hit = 0
        repeat {
            nth += 1
            try #require(nth < 3000, "the run never ends without a failure")
            let folder = try TemporaryFolder(inMemory: true)
            let path = folder.path("faulty.db")
            var expected = try prepared(path)
            fault_vfs_arm(Int32(nth), kind.persistent, kind.full)
            work(path, &expected)
            hit = Int(fault_vfs_failures())
            fault_vfs_arm(0, false, false)
            try verify(path, expected, "failure \(nth)")
            // The log is checkpointed in the run, so there are hundreds of operations of few kinds: look at each of the
            // first, then in growing steps.
            if nth > 50 { nth += nth / 10 }
        } while hit > 0
        #expect(nth > 100)
        print("spool: \(kind.testDescription) at up to the \(nth)th operation")
    }

    /// What the calls said: kept for sure, and possible either way because the call that would decide failed.
    struct Expected {
        var events: Set<String> = []
        var unsure: Set<String> = []
        var messages: Set<UInt64> = []
        var unsureMessages: Set<UInt64> = []
    }

    private func prepared(_ path: String) throws -> Expected {
        var expected = Expected()
        let spool = try Spool(path: path, limitBytes: 4 << 20) { Issue.record("\($0)") }
        for number in 0..<10 {
            let item = event(number, bytes: 3000)
            try spool.accept(item)
            expected.events.insert(item.id)
        }
        return expected
    }

    private func work(_ path: String, _ expected: inout Expected) {
        guard let spool = try? Spool(path: path, limitBytes: 4 << 20, onWarning: { Issue.record("\($0)") }) else {
            return
        }
        for number in 0..<40 {
            let item = event(100 + number, bytes: number * 300)
            do {
                try spool.accept(item)
                expected.events.insert(item.id)
            } catch { expected.unsure.insert(item.id) }
            guard number % 2 == 0, let done = expected.events.randomElement() else { continue }
            do {
                let key = SpooledEvent.Key(id: done, task: "t")
                let ids = try spool.complete(key, messages: [SpooledMessage(topic: "out", payload: Array(done.utf8))])
                expected.events.remove(done)
                expected.messages.formUnion(ids)
            } catch {
                expected.events.remove(done)
                expected.unsure.insert(done)
            }
            guard number % 4 == 0, let id = expected.messages.randomElement() else { continue }
            do {
                try spool.acknowledge(id)
                expected.messages.remove(id)
            } catch {
                expected.messages.remove(id)
                expected.unsureMessages.insert(id)
            }
        }
    }

    private func verify(_ path: String, _ expected: Expected, _ when: Comment) throws {
        let spool = try Spool(path: path, limitBytes: 4 << 20) { Issue.record("\(when): \($0)") }
        let events = Set(try spool.pendingEvents(limit: 1000).events.map(\.id))
        #expect(expected.events.isSubset(of: events), when)
        #expect(events.subtracting(expected.events).isSubset(of: expected.unsure), when)
        let messages = try spool.pendingMessages(limit: 1000)
        let ids = Set(messages.map(\.id))
        #expect(expected.messages.isSubset(of: ids), when)
        let answered = Set(messages.map { String(decoding: $0.payload, as: UTF8.self) })
        #expect(answered.isDisjoint(with: events), when)
        spool.close()
        #expect(try Child.run(["sqlite3", path, "PRAGMA integrity_check"]) == "ok\n", when)
    }
}
