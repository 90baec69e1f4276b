import JSON
import Linux
import Spool
import Synchronization
import Testing
import Transport

@testable import Daemon

/// Events that wait for the same classifier are computed together; whom that makes wait, and for how long.
@Suite struct Batching {
    private let clock = FakeClock()

    private func scheduler(_ dropped: @escaping @Sendable (Job, EventFailure) -> Void = { _, _ in }) -> Scheduler {
        Scheduler(capacity: 1000, time: clock.source, onDropped: dropped)
    }

    private func job(_ text: String, task: String = "a", priority: Int = 5, deadline: Duration? = nil) -> Job {
        let spec = ClassifierSpec(model: "m", labels: ["x", task], prompt: nil)
        let now = clock.source.monotonic()
        return Job(
            id: text, task: TaskSection(name: task, kind: .classify, model: "m", subscribe: []), topic: "t",
            received: clock.source.wall(), ready: now, deadline: deadline.map { now + $0.nanoseconds },
            priority: priority, origin: .event(spooled: false), work: .classify(text, spec))
    }

    private func digest(_ text: String) -> Job {
        var job = job(text)
        job.work = .generate(GenerationSpec(model: "m", prompt: text))
        return job
    }

    /// The ids of the next turn's jobs; empty when it is none.
    private func turn(_ scheduler: Scheduler, together: Int = Scheduler.mostTogether) -> [String] {
        guard case .jobs(let jobs) = scheduler.take(together: together) else { return [] }
        return jobs.map(\.id)
    }

    // MARK: Which go together

    @Test func oneAloneGoesAtOnceAndManyGoInOrder() {
        let scheduler = scheduler()
        scheduler.offer(job("0"))
        #expect(turn(scheduler) == ["0"])
        for number in 1...20 { scheduler.offer(job("\(number)")) }
        #expect(turn(scheduler) == (1...8).map(String.init))
        #expect(turn(scheduler) == (9...16).map(String.init))
        #expect(turn(scheduler) == (17...20).map(String.init) && scheduler.count == 0)
    }

    @Test func aSlowBoardTakesOnlyWhatFitsIntoHalfASecond() {
        let scheduler = scheduler()
        for number in 1...20 { scheduler.offer(job("\(number)")) }
        #expect(turn(scheduler, together: 1) == ["1"] && turn(scheduler, together: 3) == ["2", "3", "4"])
        #expect(turn(scheduler, together: 99).count == Scheduler.mostTogether)
        var pace = Pace()
        #expect(pace.together == 1)
        pace.note(1, 1_100_000_000)
        #expect(pace.together == 1)
        // It cools down: 20 ms an event, soon believed.
        for _ in 0..<6 { pace.note(pace.together, UInt64(pace.together) * 20_000_000) }
        #expect(pace.together == 8)
        for _ in 0..<8 { pace.note(8, 8 * 120_000_000) }
        #expect(pace.together == 4)
        pace.note(1, 0)
        pace.note(0, .max)
        #expect((1...8).contains(pace.together))
    }

    @Test func tasksAreNotMixedAndEachKeepsItsOrder() {
        let scheduler = scheduler()
        for number in 1...4 {
            scheduler.offer(job("a\(number)"))
            scheduler.offer(job("b\(number)", task: "b"))
        }
        scheduler.offer(digest("digest"))
        scheduler.offer(job("a5"))
        #expect(turn(scheduler) == ["a1", "a2", "a3", "a4", "a5"])
        #expect(turn(scheduler) == ["b1", "b2", "b3", "b4"])
        #expect(turn(scheduler) == ["digest"] && scheduler.count == 0)
    }

    @Test func longTextsGoInSmallerBatches() {
        let scheduler = scheduler()
        let long = String(repeating: "x", count: Scheduler.mostBytesTogether / 3)
        for number in 1...4 { scheduler.offer(job(long + "\(number)")) }
        scheduler.offer(job("short"))
        scheduler.offer(job(String(repeating: long, count: 9)))
        // The short one would fit, but events of a task keep their order.
        #expect(turn(scheduler).map { $0.suffix(1) } == ["1", "2"])
        #expect(turn(scheduler).map { $0.suffix(1) } == ["3", "4", "t"])
        #expect(turn(scheduler).count == 1 && scheduler.count == 0)
    }

    @Test func aLongLineOfOthersIsNotSearchedToItsEnd() {
        let scheduler = scheduler()
        scheduler.offer(job("a1"))
        for number in 0..<100 { scheduler.offer(job("b\(number)", task: "b")) }
        scheduler.offer(job("a2"))
        #expect(turn(scheduler) == ["a1"] && turn(scheduler) == (0..<8).map { "b\($0)" })
    }

    // MARK: Priorities and deadlines

    @Test func aMoreImportantEventWaitsForOneBatchOnly() {
        let scheduler = scheduler()
        for number in 1...20 { scheduler.offer(job("low\(number)", priority: 3)) }
        #expect(turn(scheduler).count == 8)
        scheduler.offer(job("high", priority: 9))
        #expect(turn(scheduler) == ["high"], "less important ones do not fill its batch up")
        #expect(turn(scheduler).first == "low9")
    }

    @Test func whatHasExpiredIsNotComputedWithTheOthers() {
        let expired = Mutex<[String]>([])
        let scheduler = scheduler { job, failure in
            #expect(failure == .expired)
            expired.withLock { $0.append(job.id) }
        }
        scheduler.offer(job("1"))
        scheduler.offer(job("2", deadline: .seconds(1)))
        scheduler.offer(job("3", deadline: .seconds(9)))
        clock.advance(.seconds(2))
        #expect(turn(scheduler) == ["1", "3"])
        scheduler.offer(job("4"))
        #expect(turn(scheduler) == ["4"] && expired.withLock { $0 } == ["2"])
        #expect(scheduler.counters.expired == 1)
    }

    @Test func nobodyGoesBeforeAnEventThatIsRunningOutOfTime() {
        let scheduler = scheduler()
        scheduler.offer(job("a1"))
        scheduler.offer(job("b1", task: "b", deadline: .seconds(10)))
        scheduler.offer(job("a2"))
        clock.advance(.seconds(4))
        #expect(turn(scheduler) == ["a1", "a2"])
        scheduler.offer(job("a3"))
        scheduler.offer(job("a4"))
        #expect(turn(scheduler) == ["b1"])
        scheduler.offer(job("b2", task: "b", deadline: .seconds(10)))
        scheduler.offer(job("a5"))
        clock.advance(.seconds(6))
        #expect(turn(scheduler) == ["a3", "a4"] && turn(scheduler) == ["b2"] && turn(scheduler) == ["a5"])
    }

    // MARK: Through the daemon

    @Test func waitingEventsAreComputedTogetherAndEachIsAnswered() throws {
        let harness = try Harness()
        harness.publish("door/a", "block")
        try wait { harness.gate.seen == ["block"] }
        let texts = ["routine 1", "unusual 2", "fail 3", "routine 4", "unusual 5"]
        for (index, text) in texts.enumerated() { harness.publish("door/a", text, qos: index % 2) }
        harness.gate.open()
        let results = try harness.results("door", count: 6)
        #expect(harness.gate.together == [texts])
        let answers = results.dropFirst().map { $0["label"]?.string ?? $0["error"]?.string }
        #expect(answers == ["routine", "unusual", "the model said no", "routine", "unusual"])
        #expect(Set(results.compactMap { $0["id"]?.string }).count == 6)
        #expect(results[5]["tokens"]?.text == #"{"prompt":63,"cached":41,"generated":0}"#)
        #expect(try harness.daemon.parts.spool.counts().events == 0)
        try wait { harness.broker.retained["martlet/pi/task/door/state"]?.text == "unusual" }
        harness.stop()
    }

    @Test func timesAreThoseOfEachEvent() throws {
        let harness = try Harness()
        harness.publish("door/a", "block")
        try wait { harness.gate.seen == ["block"] }
        harness.publish("door/a", "routine")
        harness.clock.advance(.milliseconds(20))
        harness.publish("door/a", "block again")
        harness.clock.advance(.milliseconds(10))
        harness.gate.open()
        try wait { harness.gate.together.count == 1 && harness.gate.seen.count == 3 }
        harness.clock.advance(.milliseconds(40))
        harness.gate.open()
        let results = try harness.results("door", count: 3)
        #expect(results.map { $0["queue_ms"]?.double } == [0, 30, 10])
        #expect(results.map { $0["latency_ms"]?.double } == [30, 70, 50])
        harness.stop()
    }
}
