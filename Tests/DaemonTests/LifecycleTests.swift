import Glibc
import JSON
import Linux
import Spool
import Synchronization
import Testing
import Transport

@testable import Daemon

@Suite struct Lifecycle {
    @Test func eventsOfAnEarlierRunAreAnsweredWithTheirIDs() throws {
        let broker = InMemoryBroker()
        let folder = "/tmp/martlet-test-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
        let path = folder + "/spool.db"
        defer { for name in FileTree().names(in: folder) { unlink("\(folder)/\(name)") }; rmdir(folder) }
        let first = try Harness(broker: broker, spool: try Spool(path: path, limitBytes: 1 << 20))
        first.publish("door/a", "block")
        try wait { first.gate.seen == ["block"] }
        for text in ["unusual 1", "unusual 2"] { first.publish("door/a", text) }
        first.publish("door/a", "unusual 3", qos: 0)
        first.publish("home/t", "1")
        first.stop()
        first.gate.open()
        // What was not durable got its envelope; the rest waits.
        let stopped = try first.results("door")
        #expect(stopped.map { $0["error"]?.string } == ["the daemon stopped before this could be computed"])

        let second = try Harness(broker: broker, spool: try Spool(path: path, limitBytes: 1 << 20))
        second.gate.open()
        try wait { try second.results("door").count == 3 }
        #expect(try second.results("door").allSatisfy { $0["error"] == nil })
        #expect(Array(second.gate.seen) == ["block", "unusual 1", "unusual 2"])
        for text in ["2", "3"] { second.publish("home/t", text) }
        #expect(try second.results("digest", count: 1)[0]["summary"] == .string("home/t=1; home/t=2; home/t=3"))
        #expect(try second.daemon.parts.spool.counts().events == 0)
        second.stop()
    }

    /// A reload that is asked for while the engine still loads for another waits for its turn, and fails alone.
    @Test func reloadsGoOneAfterTheOther() throws {
        func configuration(_ id: String) throws -> Configuration {
            let text = """
                [device]
                id = "\(id)"
                [broker]
                url = "mqtt://b"
                [[model]]
                path = "/m.gguf"
                [[task]]
                name = "t"
                kind = "summarize"
                subscribe = ["a"]
                """
            return try Configuration.parse(Array(text.utf8), file: "m.toml", context: testContext)
        }
        let next = try ["first", "second"].map(configuration)
        let live = LiveConfiguration(try configuration("old"))
        final class Seen: Sendable {
            let begun = Mutex(0)
            let answers = Mutex<[String]>([])
        }
        let seen = Seen()
        live.onReload {
            seen.begun.withLock { begun in
                live.setNext(next[min(1, begun)])
                begun += 1
            }
        }
        live.onFinish { [live] _, failure in
            live.answer(failure.map { .failure(RequestError($0.description)) } ?? .success(.object(JSONObject())))
        }
        for number in 0..<3 {
            live.requestReload { result in
                seen.answers.withLock { $0.append("\(number) \((try? result.get()) == nil ? "failed" : "ok")") }
            }
        }
        #expect(seen.begun.withLock { $0 } == 1)
        live.finishReload(nil)
        #expect(live.current.device.id == "first" && seen.answers.withLock { $0 } == ["0 ok"])
        try wait { seen.begun.withLock { $0 } == 2 }
        live.finishReload(DaemonError("no such model", exitStatus: 66))
        #expect(live.current.device.id == "first")
        #expect(seen.answers.withLock { $0 } == ["0 ok", "1 failed", "2 failed"])
        live.requestReload { _ in }
        #expect(seen.begun.withLock { $0 } == 3)
    }

    @Test func aStopAnswersWhatIsQueuedFirst() throws {
        let harness = try Harness()
        for number in 0..<50 { harness.publish("door/a", "routine \(number)", qos: 0) }
        // Ends as soon as all are answered; the limits are for a machine that is busy with other tests.
        harness.stop(drain: .seconds(30))
        let results = try harness.results("door")
        #expect(results.count == 50 && results.allSatisfy { $0["error"] == nil }, "\(results.map(\.text))")
    }

    @Test func aModelThatCannotBeLoadedEndsTheStartWithItsReason() throws {
        let failure = DaemonError("model /m.gguf is not GGUF: bad magic. Fetch it again", exitStatus: 65)
        let harness = try Harness(start: false, makeRunner: { (_, _) throws(DaemonError) in throw failure })
        #expect(throws: DaemonError.self) { try harness.daemon.start() }
    }

    @Test func aReloadTakesOverTasksAndForgetsRemovedOnes() throws {
        let tasks = Mutex(Harness.tasks)
        let harness = try Harness(reload: { tasks.withLock { $0 } })
        harness.publish("door/a", "unusual")
        _ = try harness.results("door", count: 1)
        tasks.withLock { $0 = "[[task]]\nname = \"new\"\nlabels = [\"x\", \"y\"]\nsubscribe = [\"new/#\"]" }
        #expect(try harness.request("reload", "")["status"] == .string("ok"))
        harness.publish("new/a", "y")
        #expect(try harness.results("new", count: 1)[0]["label"] == .string("y"))
        harness.publish("door/a", "unusual")
        #expect(try harness.results("door").count == 1)
        #expect(harness.broker.retained["martlet/pi/task/door/state"] == nil)
        let info = try JSONValue(parsing: try #require(harness.broker.retained["martlet/pi/info"]).payload)
        #expect(info["tasks"]?.array?.count == 1)
        harness.stop()
    }

    @Test func aModelThatWasPackedIsMappedAgainBetweenEvents() throws {
        let made = Mutex(0)
        let isDone = Gate()
        let harness = try Harness(
            makeRunner: { (models, _) throws(DaemonError) in
                made.withLock { $0 += 1 }
                return FakeRunner(models, gate: Gate())
            },
            pack: { path, goesOn in
                isDone.note(path)
                isDone.wait()
                return goesOn() ? .packed(path: "/cache/m.gguf", seconds: 1) : .failed("stopped")
            })
        harness.publish("door/a", "unusual")
        _ = try harness.results("door", count: 1)
        // Packing is still going on, and nobody waited for it.
        try wait { isDone.seen == ["/m.gguf"] }
        #expect(made.withLock { $0 } == 1)
        isDone.open()
        try wait { made.withLock { $0 } == 2 }
        harness.publish("door/a", "routine")
        #expect(try harness.results("door", count: 2)[1]["label"] == .string("routine"))
        harness.stop()
    }

    @Test(arguments: [PackingResult.notNeeded, .failed("the disk is full")])
    func aModelThatIsNotPackedStaysAsItIs(result: PackingResult) throws {
        let made = Mutex(0)
        let isDone = Gate()
        let harness = try Harness(
            makeRunner: { (models, _) throws(DaemonError) in
                made.withLock { $0 += 1 }
                return FakeRunner(models, gate: Gate())
            },
            pack: { path, _ in
                defer { isDone.note(path) }
                return result
            })
        try wait { isDone.seen == ["/m.gguf"] }
        harness.publish("door/a", "unusual")
        _ = try harness.results("door", count: 1)
        #expect(made.withLock { $0 } == 1)
        harness.stop()
    }

    @Test func aModelIsPackedOnlyWhereTheConfigurationAllowsIt() throws {
        let asked = Gate()
        let harness = try Harness(
            model: "pack = false",
            pack: { path, _ in
                asked.note(path)
                return .notNeeded
            })
        harness.publish("door/a", "unusual")
        _ = try harness.results("door", count: 1)
        #expect(asked.seen.isEmpty)
        harness.stop()
    }

    @Test func aBadConfigurationIsNotTakenOver() throws {
        let harness = try Harness(reload: { "[[task]]\nkind = \"nonsense\"" })
        let reply = try harness.request("reload", #"{"transaction":7}"#)
        #expect(reply["status"] == .string("error") && reply["transaction"]?.integer == 7)
        #expect(reply["error"]?.string?.contains("kind \"nonsense\" is unknown") == true)
        harness.publish("door/a", "unusual")
        _ = try harness.results("door", count: 1)
        harness.stop()
    }
}

@Suite struct Requests {
    @Test func answersInTheContractsForm() throws {
        let harness = try Harness()
        let pong = try harness.request("ping", #"{"transaction":"abc"}"#)
        #expect(pong.object?.map(\.key) == ["status", "data", "transaction"] && pong["transaction"] == .string("abc"))
        let classified = try harness.request("classify", #"{"text":"it is p","labels":["p","q"]}"#)
        #expect(classified["data"]?["label"] == .string("p") && classified["data"]?["scores"] != nil)
        let byTask = try harness.request("classify", #"{"payload":{"a":"unusual"},"task":"door"}"#)
        #expect(byTask["data"]?["label"] == .string("unusual") && byTask["data"]?["task"] == .string("door"))
        #expect(try harness.request("task/door/run", "so routine")["data"]?["label"] == .string("routine"))
        let text = try harness.request("generate", #"{"prompt":"hi","max_tokens":3,"seed":1}"#)
        #expect(text["data"]?["text"] == .string("hi!") && text["data"]?["tokens"]?["generated"]?.integer == 3)
        let summary = try harness.request("summarize", #"{"text":"one","topic":"a"}"#)
        #expect(summary["data"]?["summary"] == .string("a=one"))
        // Requests are answered to whoever asked, not as a task's result.
        #expect(try harness.results("door").isEmpty)
        harness.stop()
    }

    @Test(arguments: [
        ("nonsense", "", "not supported"), ("extract", "{}", "schema is missing"), ("embed", "{}", "text is missing"),
        ("extract", #"{"schema":{}}"#, "text is missing"), ("extract", #"{"text":"x","schema":"{}"}"#, "an object"),
        ("extract", #"{"text":"x","task":"door"}"#, "no extract task named door"),
        ("extract", #"{"text":"x","schema":{},"max_tokens":0}"#, "max_tokens must be"),
        ("extract", #"{"text":"x","schema":{},"prompt":5}"#, "prompt must be"),
        ("embed", #"{"text":"x","model":"y"}"#, "no model named y"),
        ("task/door/teach", "{}", "not supported"), ("task/none/run", "x", "there is no task named none"),
        ("classify", "{}", "labels are missing"), ("classify", #"{"labels":["a","b"]}"#, "text is missing"),
        ("classify", #"{"text":"x","labels":["a"]}"#, "labels must be"),
        ("classify", #"{"text":"x","labels":["a",1]}"#, "labels must be"),
        ("classify", #"{"text":"x","task":"digest"}"#, "no classify task named digest"),
        ("classify", #"{"text":"\u200b","labels":["a","b"]}"#, "text is empty"),
        ("generate", "", "prompt is missing"), ("generate", #"{"prompt":"x","top_p":2}"#, "top_p must be"),
        ("generate", #"{"prompt":"x","model":"y"}"#, "no model named y"),
        ("generate", #"{"prompt":"x","max_tokens":1.5}"#, "max_tokens must be"),
        ("reload", "", "no configuration file"),
    ])
    func refusesWithOneSentence(_ verb: String, _ payload: String, _ expected: String) throws {
        let harness = try Harness()
        let reply = try harness.request(verb, payload)
        #expect(reply["status"] == .string("error"))
        #expect(reply["error"]?.string?.contains(expected) == true, "\(reply.text)")
        harness.stop()
    }

    @Test func anOversizeRequestIsRefused() throws {
        let harness = try Harness(limits: "max_payload = \"100B\"")
        let reply = try harness.request("generate", String(repeating: "x", count: 200))
        #expect(reply["error"] == .string("payload of 200 bytes exceeds max_payload (100 bytes)"))
        harness.stop()
    }

    @Test func honoursTheResponseTopicAndCorrelationOfMQTT5() throws {
        let harness = try Harness()
        var message = MQTTMessage(topic: "martlet/pi/request/ping", text: "")
        message.responseTopic = "reply/here"
        message.correlationData = [9, 8]
        harness.broker.publish(message)
        try wait { harness.messages("reply/here").count == 1 }
        #expect(harness.messages("reply/here")[0].correlationData == [9, 8])
        #expect(harness.messages("martlet/pi/response/ping").isEmpty)
        harness.stop()
    }
}
