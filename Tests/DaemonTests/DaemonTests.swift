import JSON
import Spool
import Synchronization
import Testing
import Transport

@testable import Daemon

@Suite struct Answers {
    @Test func aClassificationIsPublishedInTheContractsForm() throws {
        let harness = try Harness()
        harness.publish("door/front", "an unusual visitor")
        let result = try #require(try harness.results("door", count: 1).first)
        #expect(
            result.object?.map(\.key) == [
                "task", "kind", "device", "id", "topic", "received", "label", "confidence", "scores", "model",
                "latency_ms", "queue_ms", "tokens",
            ])
        #expect(result["label"] == .string("unusual") && result["confidence"]?.double == 0.8)
        #expect(result["scores"]?.text == #"{"routine":0.2,"unusual":0.8}"#)
        #expect(result["tokens"]?.text == #"{"prompt":63,"cached":41,"generated":0}"#)
        #expect(result["topic"] == .string("door/front") && result["device"] == .string("pi"))
        #expect(result["id"]?.string?.count == 26 && result["received"]?.string?.hasSuffix("Z") == true)
        try wait { harness.broker.retained["martlet/pi/task/door/state"]?.text == "unusual" }
        harness.stop()
    }

    @Test func belowTheConfidenceAskedForItIsTheOtherLabel() throws {
        let harness = try Harness()
        harness.publish("door/front", "nothing that is named")
        let result = try harness.results("door", count: 1)[0]
        #expect(result["label"] == .string("uncertain") && result["confidence"]?.double == 0.5)
        harness.stop()
    }

    @Test func failuresHaveTheSameEnvelopeAndLeaveTheStateAlone() throws {
        let harness = try Harness(limits: "max_payload = \"100B\"")
        harness.publish("door/front", "routine")
        harness.publish("door/front", "")
        harness.publish("door/front", "fail now")
        harness.publish("door/front", String(repeating: "x", count: 101), qos: 0)
        let results = try harness.results("door", count: 4)
        let errors = Set(results.compactMap { $0["error"]?.string })
        #expect(
            errors == ["empty payload", "the model said no", "payload of 101 bytes exceeds max_payload (100 bytes)"])
        #expect(results.allSatisfy { $0["id"] != nil && $0["task"] == .string("door") && $0["tokens"] != nil })
        #expect(harness.broker.retained["martlet/pi/task/door/state"]?.text == "routine")
        #expect(try harness.daemon.parts.spool.counts().events == 0)
        harness.stop()
    }

    @Test func anEventWithAResponseTopicIsAlsoAnsweredThere() throws {
        let harness = try Harness()
        var message = MQTTMessage(topic: "door/x", text: "routine", qos: 1)
        message.responseTopic = "my/answers"
        message.correlationData = [1, 2, 3]
        harness.broker.publish(message)
        try wait { harness.messages("my/answers").count == 1 }
        #expect(harness.messages("my/answers")[0].correlationData == [1, 2, 3])
        #expect(harness.messages("my/answers")[0].payload == harness.messages("martlet/pi/task/door/result")[0].payload)
        harness.stop()
    }

    @Test func everyTaskThatTakesAMessageAnswersIt() throws {
        let harness = try Harness(
            """
            [[task]]
            name = "a"
            labels = ["x", "y"]
            subscribe = ["t/#", "t/+"]
            [[task]]
            name = "b"
            labels = ["p", "q"]
            subscribe = ["#"]
            """)
        harness.publish("t/1", "x q")
        let (a, b) = (try harness.results("a", count: 1), try harness.results("b", count: 1))
        #expect(a[0]["label"] == .string("x") && b[0]["label"] == .string("q"))
        #expect(a[0]["id"] == b[0]["id"])
        harness.stop()
    }

    @Test func aWildcardDoesNotFeedOnTheDaemonsOwnMessages() throws {
        let harness = try Harness("[[task]]\nname = \"all\"\nlabels = [\"x\", \"y\"]\nsubscribe = [\"#\"]")
        for _ in 0..<5 { harness.publish("some/topic", "x") }
        _ = try harness.results("all", count: 5)
        try wait { harness.daemon.scheduler.isIdle }
        #expect(harness.gate.seen.count == 5)
        harness.stop()
    }

    @Test func aTaskMayReadAnotherTasksResults() throws {
        let harness = try Harness(
            """
            [[task]]
            name = "first"
            labels = ["x", "y"]
            subscribe = ["in"]
            [[task]]
            name = "second"
            labels = ["p", "q"]
            text = "{{payload.label}} p"
            subscribe = ["martlet/<device>/task/first/result"]
            """)
        harness.publish("in", "y")
        #expect(try harness.results("second", count: 1)[0]["label"] == .string("p"))
        #expect(harness.gate.seen.last == "y p")
        harness.stop()
    }
}

@Suite struct Summaries {
    @Test func aWindowOfEventsIsOneSummary() throws {
        let harness = try Harness()
        for value in 1...7 { harness.publish("home/t", "\(value)") }
        let results = try harness.results("digest", count: 2)
        #expect(results[0]["summary"] == .string("home/t=1; home/t=2; home/t=3"))
        #expect(
            results[0].object?.map(\.key) == [
                "task", "kind", "device", "id", "topic", "received", "summary", "window", "grounded", "source", "model",
                "latency_ms", "queue_ms", "tokens",
            ])
        #expect(results[1]["window"]?["events"]?.integer == 3 && results[0]["topic"] == .string("home/t"))
        // The seventh waits, in the spool too.
        #expect(try harness.daemon.parts.spool.counts().events == 1)
        harness.stop()
    }

    @Test func aWindowOfTimeClosesByTheClock() throws {
        let harness = try Harness(
            "[[task]]\nname = \"d\"\nkind = \"summarize\"\nsubscribe = [\"home/#\"]\nwindow = \"15m\"")
        harness.publish("home/a", "1")
        harness.clock.advance(.seconds(600))
        harness.publish("home/b", "2", qos: 0)
        harness.daemon.tick()
        #expect(try harness.results("d").isEmpty)
        harness.clock.advance(.seconds(301))
        harness.daemon.tick()
        let result = try harness.results("d", count: 1)[0]
        #expect(result["summary"] == .string("home/a=1; home/b=2") && result["topic"] == .string("home/#"))
        #expect(result["window"]?["start"]?.string != result["window"]?["end"]?.string)
        harness.daemon.tick()
        #expect(try harness.results("d").count == 1)
        #expect(try harness.daemon.parts.spool.counts().events == 0)
        harness.stop()
    }

    @Test func aTopicOrARequestClosesTheWindow() throws {
        let harness = try Harness(
            "[[task]]\nname = \"d\"\nkind = \"summarize\"\nsubscribe = [\"home/#\"]\non = \"martlet/<device>/task/d/run\""
        )
        harness.publish("home/a", "1")
        harness.publish("martlet/pi/task/d/run", "")
        #expect(try harness.results("d", count: 1)[0]["window"]?["events"]?.integer == 1)
        harness.publish("home/a", "2")
        let reply = try harness.request("task/d/run", "")
        #expect(reply["status"] == .string("ok") && reply["data"]?["summary"] == .string("home/a=2"))
        #expect(try harness.results("d").count == 2)
        #expect(try harness.request("task/d/run", "")["error"] == .string("the window of d has no events"))
        harness.stop()
    }

    @Test func aLongSummaryIsCutForTheStateOnly() throws {
        let harness = try Harness()
        for text in ["a", "b", "long"] { harness.publish("home/t", text) }
        #expect(try harness.results("digest", count: 1)[0]["summary"]?.string?.count == 300)
        try wait { harness.broker.retained["martlet/pi/task/digest/state"] != nil }
        let state = try #require(harness.broker.retained["martlet/pi/task/digest/state"]?.text)
        #expect(state.unicodeScalars.count == 255 && state.hasSuffix("é…"))
        harness.stop()
    }
}

@Suite struct Pressure {
    @Test func theLeastImportantIsShedAndSaysSo() throws {
        let harness = try Harness(
            """
            [[task]]
            name = "low"
            labels = ["x", "y"]
            subscribe = ["low"]
            priority = 1
            [[task]]
            name = "high"
            labels = ["x", "y"]
            subscribe = ["high"]
            priority = 9
            """, limits: "queue = 3")
        harness.publish("high", "block")
        try wait { harness.gate.seen == ["block"] }
        for number in 1...3 { harness.publish("low", "x\(number)") }
        for number in 1...2 { harness.publish("high", "y\(number)") }
        // Two low ones had to go: the oldest.
        #expect(try harness.results("low").map { $0["error"] } == [.string("shed"), .string("shed")])
        harness.gate.open()
        #expect(try harness.results("high", count: 3).allSatisfy { $0["error"] == nil })
        #expect(try harness.results("low", count: 3).last?["label"] == .string("x"))
        #expect(harness.gate.seen == ["block", "y1", "y2", "x3"])
        #expect(harness.daemon.scheduler.counters == .init(dropped: 2, expired: 0))
        #expect(try harness.daemon.parts.spool.counts().events == 0)
        harness.stop()
    }

    @Test func whatIsTooOldIsNotComputed() throws {
        let harness = try Harness(
            "[[task]]\nname = \"t\"\nlabels = [\"x\", \"y\"]\nsubscribe = [\"t\"]\ndeadline = \"5s\"")
        harness.publish("t", "block")
        try wait { harness.gate.seen == ["block"] }
        harness.publish("t", "x")
        harness.clock.advance(.seconds(6))
        harness.daemon.tick()
        #expect(try harness.results("t", count: 1)[0]["error"] == .string("expired"))
        harness.publish("t", "y")
        harness.gate.open()
        #expect(try harness.results("t", count: 3).last?["label"] == .string("y"))
        #expect(harness.gate.seen == ["block", "y"])
        harness.stop()
    }

    @Test func aFullSpoolShedsInsteadOfRefusing() throws {
        let spool = try Spool.inMemory(limitBytes: 256 << 10)
        let harness = try Harness(limits: "max_payload = \"64KiB\"", spool: spool)
        harness.publish("door/a", "block", qos: 0)
        try wait { harness.gate.seen == ["block"] }
        let large = String(repeating: "unusual ", count: 7000)
        for _ in 0..<8 { harness.publish("door/a", large) }
        harness.gate.open()
        let results = try harness.results("door", count: 9)
        let shed = results.filter { $0["error"] == .string("shed") }.count
        #expect(shed > 0 && shed < 8)
        harness.stop()
    }
}
