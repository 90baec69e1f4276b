import Glibc
import Linux
import Spool
import Synchronization
import TestSupport
import Testing
import Transport

@testable import Daemon

/// Hours of traffic by a clock that is set forward: every tick, look at health, window and connection of a day, in
/// seconds. `MARTLET_TEST_HOURS=24` runs the whole day (bench/day.sh).
@Suite struct DayTests {
    /// In a process of its own, because the memory of this one is every test's.
    @Test func memoryStaysFlatWhileTheClockGoesOn() async {
        let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
            do {
                let hours = getenv("MARTLET_TEST_HOURS").flatMap { Int(String(cString: $0)) } ?? 4
                exit(try Day().grows(hours: max(3, hours)) ? 1 : 0)
            } catch {
                print("day: \(error)")
                exit(2)
            }
        }
        let output = String(decoding: result?.standardOutputContent ?? [], as: UTF8.self)
        for line in output.split(separator: "\n") where line.hasPrefix("day:") { print(line) }
    }

    private struct Day {
        let folder: TemporaryFolder
        let spool: Spool
        let harness: Harness
        /// Envelopes heard, counted because a day of them would be the memory that is measured.
        let answers = Answers()
        let ear: InMemoryTransport

        init() throws {
            folder = try TemporaryFolder(inMemory: true)
            spool = try Spool(path: folder.path("spool.db"), limitBytes: 4 << 20, durability: .processDeath)
            harness = try Harness(
                """
                [[task]]
                name = "door"
                kind = "classify"
                subscribe = ["door/#"]
                labels = ["routine", "unusual"]
                [[task]]
                name = "digest"
                kind = "summarize"
                subscribe = ["home/#"]
                window = "15m"
                [[task]]
                name = "late"
                kind = "classify"
                subscribe = ["late/#"]
                labels = ["routine", "unusual"]
                deadline = "1s"
                """, spool: spool, tree: FileTree(root: folder.root), keeps: false)
            ear = InMemoryTransport(broker: harness.broker, clientID: "ear")
            try ear.start(
                onMessage: { [answers] _ in
                    answers.count.add(1, ordering: .relaxed)
                    return .accepted
                }, onEvent: { _ in })
            try ear.subscribe([MQTTSubscription(filter: "martlet/pi/task/+/result", qos: 1)])
        }

        final class Answers: Sendable { let count = Atomic(0) }

        func grows(hours: Int) throws -> Bool {
            var memory: [Int] = []
            for hour in 0..<hours {
                try run(hour)
                memory.append(anonymous())
            }
            // The first hours fill caches, histograms and SQLite's pages.
            let settled = memory.dropFirst(2)
            let growth = (settled.max() ?? 0) - (settled.first ?? 0)
            let counts = try spool.counts()
            // An event every ten seconds, one that holds up and one too late every minute, and windows of 15 minutes in
            // hours that the late ones make 90 seconds longer.
            let expected = hours * 480 + hours * 3690 / 905
            let heard = answers.count.load(ordering: .relaxed)
            print(
                "day: \(hours) h, \(heard) envelopes, anonymous KiB \(memory), growth after the second hour \(growth) KiB"
            )
            guard (expected - 2...expected + 2).contains(heard), counts.messages == 0 else {
                throw Failure("expected \(expected) envelopes; the spool has \(counts)")
            }
            return growth > 1024
        }

        private func run(_ hour: Int) throws {
            for halfSecond in 0..<7200 {
                harness.clock.advance(.milliseconds(500))
                if halfSecond % 20 == 0 { harness.publish("door/\(halfSecond)", "routine \(hour) \(halfSecond)") }
                if halfSecond % 10 == 0 { harness.publish("home/kitchen", "\(halfSecond % 30) °C", qos: 0) }
                if halfSecond % 120 == 60 { try expireOne() }
                if halfSecond % 10 == 0 { harness.daemon.sampleHealth() }
                // A broker that is away for twenty seconds each hour.
                if halfSecond == 3001 { harness.broker.setUp(false) }
                if halfSecond == 3041 { harness.broker.setUp(true) }
                harness.daemon.tick()
                while !harness.daemon.scheduler.isIdle { usleep(20) }
            }
            harness.daemon.tick()
        }

        /// Behind one that holds the engine until the deadline has passed.
        private func expireOne() throws {
            let before = harness.gate.count.load(ordering: .relaxed)
            harness.publish("door/block", "block", qos: 0)
            try wait { harness.gate.count.load(ordering: .relaxed) > before }
            harness.publish("late/a", "routine")
            harness.clock.advance(.milliseconds(1500))
            harness.daemon.tick()
            harness.gate.open()
        }

        private func anonymous() -> Int {
            let line = FileTree.machine.lines("/proc/self/status").first { $0.hasPrefix("RssAnon:") } ?? ""
            return Int(line.filter(\.isNumber)) ?? 0
        }
    }
}
