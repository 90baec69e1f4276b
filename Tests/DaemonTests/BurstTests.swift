import Linux
import Testing

@testable import Daemon
@testable import Spool

/// The short form of bench/burst.sh: far more than can be computed, at ten priorities.
@Suite struct BurstTests {
    static let tasks = (0...9).map { priority in
        """
        [[task]]
        name = "p\(priority)"
        kind = "classify"
        subscribe = ["burst/\(priority)/+"]
        labels = ["routine", "unusual"]
        priority = \(priority)
        deadline = "1s"
        """
    }.joined(separator: "\n")

    /// Results by priority and kind: `answered`, or the envelope's error.
    private func kinds(_ harness: Harness) throws -> [Int: [String: Int]] {
        var kinds: [Int: [String: Int]] = [:]
        for priority in 0...9 {
            for result in try harness.results("p\(priority)") {
                kinds[priority, default: [:]][result["error"]?.string ?? "answered", default: 0] += 1
            }
        }
        return kinds
    }

    @Test func whatIsAcceptedIsAnsweredExpiredOrShed() throws {
        let harness = try Harness(Self.tasks, limits: "queue = 100")
        // The engine is busy while the burst comes.
        harness.publish("burst/9/first", "block")
        try wait { harness.gate.seen.count == 1 }
        let count = 2000
        for number in 0..<count / 2 { harness.publish("burst/\(number * 7 % 10)/\(number)", "unusual") }
        // What waits has expired when the engine is free again; what follows has not.
        harness.clock.advance(.milliseconds(1500))
        harness.daemon.tick()
        for number in 0..<count / 2 { harness.publish("burst/\(number * 7 % 10)/again-\(number)", "unusual") }
        harness.gate.open()
        try wait {
            harness.daemon.tick()
            return harness.daemon.scheduler.isIdle && harness.daemon.outbox.isEmpty
        }
        let kinds = try kinds(harness)
        func total(_ kind: String) -> Int { kinds.values.reduce(0) { $0 + ($1[kind] ?? 0) } }
        let (answered, expired, shed) = (total("answered"), total("expired"), total("shed"))
        #expect(answered + expired + shed == count + 1, "\(kinds)")
        #expect(answered > 0 && expired > 0 && shed > 0)
        let counters = harness.daemon.scheduler.counters
        #expect(counters == .init(dropped: shed, expired: expired))
        // What had room in the queue had the highest priority.
        #expect(kinds[9]?["answered"] == 101 && (0...8).allSatisfy { kinds[$0]?["answered"] == nil }, "\(kinds)")
        let left = try harness.daemon.parts.spool.counts()
        #expect(left.events == 0)
        harness.stop()
    }

    /// As `SpoolStore.mostRows` bounds it, with a smaller number.
    @Test func aSpoolWithoutRowsShedsAndCounts() throws {
        let spool = try Spool(
            place: nil, limitBytes: 16 << 20, mostRows: 200, durability: .processDeath,
            onWarning: { Issue.record("\($0)") })
        let harness = try Harness(Self.tasks, limits: "queue = 1000", spool: spool)
        harness.publish("burst/9/first", "block")
        try wait { harness.gate.seen.count == 1 }
        var most = 0
        for number in 0..<1000 {
            harness.publish("burst/\(number % 10)/\(number)", "unusual")
            most = max(most, try spool.counts().events)
        }
        #expect(most <= 200)
        harness.gate.open()
        try wait {
            harness.daemon.tick()
            return harness.daemon.scheduler.isIdle && harness.daemon.outbox.isEmpty
        }
        let kinds = try kinds(harness)
        let answered = kinds.values.reduce(0) { $0 + ($1["answered"] ?? 0) }
        let shed = kinds.values.reduce(0) { $0 + ($1["shed"] ?? 0) }
        #expect(answered + shed == 1001 && answered >= 100, "\(kinds)")
        #expect(harness.daemon.scheduler.counters.dropped == shed)
        // With rows again, all goes on.
        harness.publish("burst/0/after", "unusual")
        try wait { try harness.results("p0").last?["topic"] == .string("burst/0/after") }
        harness.stop()
    }
}
