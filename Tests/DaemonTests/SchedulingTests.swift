import Linux
import Logging
import Testing

@testable import Daemon

@Suite struct PriorityQueues {
    @Test func importanceFirstThenOrder() {
        var queue = PriorityQueue<String>(capacity: 10, byteCapacity: 1000)
        for (element, priority) in [("a1", 1), ("b5", 5), ("c5", 5), ("d9", 9), ("e0", 0), ("f99", 99)] {
            #expect(queue.offer(element, priority: priority, deadline: nil, bytes: 1).isEmpty)
        }
        var order: [String] = []
        while let next = queue.take(now: 0).element { order.append(next) }
        #expect(order == ["d9", "f99", "b5", "c5", "a1", "e0"] && queue.bytes == 0)
    }

    @Test func whenFullTheOldestOfTheLowestGoesOrTheNewcomer() {
        var queue = PriorityQueue<String>(capacity: 2, byteCapacity: 1000)
        _ = queue.offer("old3", priority: 3, deadline: nil, bytes: 1)
        _ = queue.offer("new3", priority: 3, deadline: nil, bytes: 1)
        #expect(queue.offer("x1", priority: 1, deadline: nil, bytes: 1) == ["x1"])
        #expect(queue.offer("y3", priority: 3, deadline: nil, bytes: 1) == ["old3"])
        #expect(queue.offer("z9", priority: 9, deadline: nil, bytes: 1) == ["new3"])
        #expect(queue.count == 2)
    }

    @Test func bytesAreBoundedToo() {
        var queue = PriorityQueue<Int>(capacity: 100, byteCapacity: 100)
        for number in 0..<4 { _ = queue.offer(number, priority: 5, deadline: nil, bytes: 25) }
        #expect(queue.offer(4, priority: 5, deadline: nil, bytes: 60) == [0, 1, 2])
        #expect(queue.bytes == 85)
        // A single element larger than the whole is still taken when nothing else waits.
        #expect(queue.offer(5, priority: 9, deadline: nil, bytes: 500) == [3, 4] && queue.count == 1)
    }

    @Test func deadlinesAreKept() {
        var queue = PriorityQueue<Int>(capacity: 10, byteCapacity: 100)
        for number in 0..<4 { _ = queue.offer(number, priority: number, deadline: number % 2 == 0 ? 10 : 30, bytes: 1) }
        #expect(queue.removeExpired(now: 20).sorted() == [0, 2])
        let turn = queue.take(now: 40)
        #expect(turn.element == nil && turn.expired == [3, 1] && queue.count == 0)
        #expect(queue.removeExpired(now: 99).isEmpty)
    }
}

@Suite struct OpenWindows {
    let task = TaskSection(name: "d", kind: .summarize, model: "m", subscribe: ["#"])

    func filled(_ count: Int, text: String = "x") -> OpenWindow {
        var window = OpenWindow(task: task, id: "0", start: Timestamp(milliseconds: 0), closes: nil)
        for number in 0..<count {
            let event = WindowEvent(received: Timestamp(milliseconds: Int64(number)), topic: "t", text: text)
            window.add(event, key: nil)
        }
        return window
    }

    @Test func memoryIsBoundedAndTheSampleEven() {
        let window = filled(9000)
        #expect(window.count == 9000 && window.events.count <= OpenWindow.mostEvents)
        let times = window.events.map(\.received.milliseconds)
        #expect(times.first == 0 && (times.last ?? 0) > 8900)
        #expect(Set(zip(times, times.dropFirst()).map { $1 - $0 }).count == 1)
        let long = filled(2000, text: String(repeating: "y", count: 1000))
        #expect(long.events.reduce(0) { $0 + $1.text.utf8.count } <= OpenWindow.mostBytes)
    }

    @Test func aFloodClosesTheWindowEarly() {
        #expect(!filled(OpenWindow.mostCounted - 1).isFull && filled(OpenWindow.mostCounted).isFull)
    }
}

@Suite struct Watchdogs {
    /// A thread that stops between two jobs has begun nothing; that jobs wait tells it from one that has nothing to do.
    @Test func anIdleEngineThatDoesNotTakeItsWorkIsDead() {
        let clock = FakeClock()
        let progress = EngineProgress(time: clock.source)
        let signs = EngineProgress.Signs(processorNanoseconds: 5_000_000_000, majorFaults: 1)
        func watch(hasWork: Bool) -> Bool {
            clock.advance(.seconds(10))
            return progress.isAlive(signs, hasWork: hasWork)
        }
        for _ in 0..<10 { #expect(watch(hasWork: false)) }
        #expect(watch(hasWork: true) && watch(hasWork: true) && !watch(hasWork: true))
        // The work went, as when it expired: nobody can tell, and nobody waits.
        #expect(watch(hasWork: false) && watch(hasWork: true) && watch(hasWork: true) && !watch(hasWork: true))
        // Told to pause by the governor, with jobs waiting, for as long as it is hot.
        progress.rest()
        for _ in 0..<100 { #expect(watch(hasWork: true)) }
        progress.begin()
        #expect(watch(hasWork: true) && watch(hasWork: true) && !watch(hasWork: true))
    }

    @Test func aLongComputationIsAliveAndADeadlockIsNot() {
        let clock = FakeClock()
        let progress = EngineProgress(time: clock.source)
        func signs(_ processor: Duration, faults: UInt64 = 0) -> EngineProgress.Signs {
            EngineProgress.Signs(processorNanoseconds: processor.nanoseconds, majorFaults: faults)
        }
        #expect(progress.isAlive(signs(.zero)))
        progress.begin()
        // A prefill of ten minutes that computes.
        for second in 1...60 {
            clock.advance(.seconds(10))
            #expect(progress.isAlive(signs(.seconds(second * 5))))
        }
        // It stops computing: patience, then the verdict.
        clock.advance(.seconds(19))
        #expect(progress.isAlive(signs(.seconds(300))))
        clock.advance(.seconds(2))
        #expect(!progress.isAlive(signs(.seconds(300))))
        // Waiting for the card to bring weights back is work too.
        #expect(progress.isAlive(signs(.seconds(300), faults: 7)))
        progress.end()
        clock.advance(.seconds(9999))
        #expect(progress.isAlive(signs(.seconds(300), faults: 7)))
    }

    @Test func anEndlessLoopIsNotAlive() {
        let clock = FakeClock()
        let progress = EngineProgress(time: clock.source)
        progress.begin()
        var alive = true
        for second in 1...500 {
            clock.advance(.seconds(10))
            let spent = Duration.seconds(second * 10).nanoseconds
            alive = progress.isAlive(EngineProgress.Signs(processorNanoseconds: spent, majorFaults: 0))
        }
        #expect(!alive)
    }

    @Test func theEngineThreadsOwnSignsAreRead() throws {
        let gate = Gate()
        let thread = try #require(EngineThread(name: "test") { gate.wait() })
        let before = try #require(thread.signs())
        #expect(before.processorNanoseconds < 1_000_000_000)
        #expect(!thread.join(within: .milliseconds(10)))
        gate.open()
        #expect(thread.join(within: .seconds(5)) && thread.signs() == nil)
    }
}

@Suite struct Telling {
    @Test func quantilesForgetTheDistantPast() {
        let clock = FakeClock()
        let histogram = LatencyHistogram(time: clock.source)
        #expect(histogram.quantiles == nil)
        for _ in 0..<1000 { histogram.record(milliseconds: 1000) }
        for _ in 0..<3 {
            clock.advance(.seconds(1000))
            for number in 1...100 { histogram.record(milliseconds: Double(number)) }
        }
        let quantiles = histogram.quantiles
        #expect(abs((quantiles?.p50 ?? 0) - 50) < 2 && abs((quantiles?.p99 ?? 0) - 99) < 2)
        histogram.record(milliseconds: .infinity)
        histogram.record(milliseconds: -1)
    }

    @Test func aLogLineCannotForgeAnother() {
        let journal = StandardErrorLog(forJournal: true)
        #expect(journal.line(.warning, "a\n<3>b\u{7F}", at: .now()) == "<4>a <3>b \n")
        let plain = StandardErrorLog(forJournal: false)
        #expect(plain.line(.info, "x", at: Timestamp(milliseconds: 0)) == "1970-01-01T00:00:00.000Z info: x\n")
    }

    @Test func statesAreCutBetweenCharacters() {
        #expect(StateText.cut("short") == "short")
        let flags = String(repeating: "🇩🇪", count: 200)
        let cut = StateText.cut(flags)
        #expect(cut.unicodeScalars.count == 255 && cut.hasSuffix("🇩🇪…"))
        #expect(StateText.cut(String(repeating: "a", count: 255)).count == 255)
    }
}
