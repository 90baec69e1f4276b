import JSON
import TestSupport
import Testing
import Transport

@testable import Daemon

/// What clients may ask for, and where they may have the answers.
@Suite struct RequestRules {
    private func rules(_ extra: String = "") throws -> ReplyRules {
        ReplyRules(
            try parse(
                """
                [device]
                id = "pi"
                [broker]
                url = "mqtt://localhost"
                [[model]]
                path = "/m.gguf"
                [[task]]
                name = "door"
                labels = ["a", "b"]
                subscribe = ["door/#", "$share/g/hall/+"]
                [[task]]
                name = "digest"
                kind = "summarize"
                subscribe = ["#"]
                on = "close/now"
                \(extra)
                """))
    }

    @Test func answersGoNowhereTheyCouldDoHarm() throws {
        let rules = try rules()
        for topic in ["answers/1", "martlet/pi/response/ping", "martlet/other/response/x", "/", "a b"] {
            #expect(rules.allows(topic), "\(topic)")
        }
        for topic in [
            "", "#", "a/#", "+/x", "$SYS/broker", "$share/g/x", "a\0b", String(repeating: "x", count: 513),
            // Commands, ours and other devices', and what stands for a device.
            "martlet/pi/request/reload", "martlet/other/request/reload", "martlet/pi/status", "martlet/pi", "martlet",
            "martlet/pi/response", "martlet/pi/task/door/result", "martlet/pi/info/response/x",
            // What tasks read, and where Home Assistant learns of devices.
            "door/front", "door", "hall/x", "close/now", "homeassistant/device/x/config",
        ] { #expect(!rules.allows(topic), "\(topic)") }
    }

    @Test func theConfigurationNarrowsThemFurther() throws {
        let narrow = try rules("[requests]\nresponse_topics = [\"answers/+\"]")
        #expect(narrow.allows("answers/x") && !narrow.allows("answers/x/y") && !narrow.allows("elsewhere"))
        #expect(narrow.allows("martlet/pi/response/ping"))
        let none = try rules("[requests]\nresponse_topics = []")
        #expect(!none.allows("answers/x"))
        #expect(throws: (any Error).self) { try rules("[requests]\nresponse_topics = [\"a/#/b\"]") }
        #expect(throws: (any Error).self) { try rules("[requests]\nenable = false") }
    }

    @Test func longCorrelationDataIsRefused() throws {
        var message = MQTTMessage(topic: "door/x", text: "a")
        message.responseTopic = "answers/1"
        message.correlationData = [UInt8](repeating: 1, count: ReplyRules.mostCorrelation)
        #expect(try rules().reply(to: message) != nil)
        message.correlationData?.append(1)
        #expect(try rules().reply(to: message) == nil)
    }

    @Test func anAnswerIsNeverPublishedWhereItMayNotGo() throws {
        let harness = try Harness()
        for (index, wanted) in ["martlet/pi/request/reload", "$SYS/x", "door/loop", "home/a", "martlet/pi/status"]
            .enumerated()
        {
            var request = MQTTMessage(topic: "martlet/pi/request/ping", text: "")
            request.responseTopic = wanted
            harness.broker.publish(request)
            var event = MQTTMessage(topic: "door/x", text: "routine \(index)", qos: 1)
            event.responseTopic = wanted
            harness.broker.publish(event)
            // The event itself is answered as any other.
            _ = try harness.results("door", count: index + 1)
            #expect(harness.messages(wanted).filter { $0.topic != "martlet/pi/status" }.isEmpty, "\(wanted)")
        }
        #expect(harness.messages("martlet/pi/status").map(\.text) == ["online"])
        #expect(harness.messages("martlet/pi/response/#").isEmpty)
        harness.stop()
    }

    @Test func switchedOffTheyAreNotEvenSubscribedTo() throws {
        let off = Harness.tasks + "\n[requests]\nenabled = false"
        let harness = try Harness(off)
        #expect(Intake.filters(harness.daemon.live.current) == ["door/#", "home/#"])
        harness.publish("martlet/pi/request/ping", "")
        harness.publish("door/x", "routine")
        _ = try harness.results("door", count: 1)
        #expect(harness.messages("martlet/pi/response/#").isEmpty)
        harness.stop()
        // A task that reads everything gets the messages; they are still no requests.
        let greedy = try Harness(
            "[[task]]\nname = \"all\"\nlabels = [\"a\", \"b\"]\nsubscribe = [\"martlet/+/request/#\", \"other\"]\n[requests]\nenabled = false"
        )
        greedy.publish("martlet/pi/request/ping", "")
        greedy.publish("other", "a")
        _ = try greedy.results("all", count: 1)
        #expect(greedy.messages("martlet/pi/response/#").isEmpty)
        greedy.stop()
    }

    @Test func aRetainedRequestIsRefused() throws {
        let harness = try Harness()
        harness.broker.publish(MQTTMessage(topic: "martlet/pi/request/reload", text: "", qos: 1, retain: true))
        // As at every new connection: the broker hands it out again, marked.
        var again = MQTTMessage(topic: "martlet/pi/request/reload", text: "", qos: 1)
        again.retain = true
        let intake = harness.daemon.intake
        #expect(intake.accept(again) == .accepted && intake.commit() == .accepted)
        intake.handOn()
        try wait {
            harness.messages("martlet/pi/response/reload").contains { $0.text.contains("the request is retained") }
        }
        harness.stop()
    }

    @Test func loadingAModelByRequestIsOffUnlessAskedFor() throws {
        let harness = try Harness()
        let reply = try harness.request("model/load", "{\"path\":\"/etc/passwd\"}")
        #expect(reply["status"] == .string("error") && reply["error"]?.string?.contains("model_load = true") == true)
        harness.stop()
    }

    /// Whatever payloads and topics say, answers come out below the base topic or where a rule allows it.
    @Test func noPayloadOrTopicMakesATopic() throws {
        let harness = try Harness()
        let texts = [
            "martlet/pi/status", "{\"topic\":\"evil/x\",\"task\":\"evil\",\"response_topic\":\"evil/x\"}",
            "{{topic}} {{payload.x}}", "../../evil", "routine\"},\"topic\":\"evil", "$SYS/evil", "\u{0}evil/#",
        ]
        let topics = ["door/../../evil", "door/{{payload}}", "door//", "door/\u{202E}live"]
        let before = harness.messages("#").count
        for text in texts { for topic in topics { harness.publish(topic, text) } }
        for verb in ["evil", "../evil", "task/evil/run", "task/door/../run", "x/y/z"] {
            harness.publish("martlet/pi/request/\(verb)", "{\"task\":\"evil\"}", qos: 0)
        }
        _ = try harness.results("door", count: texts.count * topics.count)
        try wait { harness.messages("martlet/pi/response/#").count == 5 }
        let own = harness.messages("#").dropFirst(before).map(\.topic).filter {
            !$0.hasPrefix("door/") && !$0.hasPrefix("martlet/pi/request/")
        }
        let allowed = ["martlet/pi/task/door/", "martlet/pi/response/", "martlet/pi/log", "martlet/pi/health"]
        #expect(own.allSatisfy { topic in allowed.contains { topic.hasPrefix($0) } }, "\(Set(own))")
        harness.stop()
    }
}
