import Inference
import JSON
import Logging
import Spool
import Tasks
import TestModels
import TestSupport
import Testing
import Transport

@testable import Daemon

private let schema = """
    {"type": "object", "properties": {"room": {"enum": ["kitchen", "cellar"]}, "celsius": {"type": "integer",
     "minimum": -40, "maximum": 85}}, "required": ["room", "celsius"], "additionalProperties": false}
    """

/// What every answer of `schema` is.
private func isValid(_ value: JSONValue?) -> Bool {
    guard let value, value.object?.map(\.key) == ["room", "celsius"] else { return false }
    return ["kitchen", "cellar"].contains(value["room"]?.string ?? "")
        && (-40...85).contains(value["celsius"]?.integer ?? 99)
}

private let tasks = """
    [[task]]
    name = "facts"
    kind = "extract"
    subscribe = ["notes/#"]
    text = "note: {{payload}}"
    schema = '{"type": "object"}'
    max_tokens = 77
    """

@Suite struct ExtractTasks {
    private static let keys = [
        "task", "kind", "device", "id", "topic", "received", "data", "cut", "model", "latency_ms", "queue_ms", "tokens",
    ]

    @Test func anEventIsAnsweredInTheEnvelopeAndInTheState() throws {
        let harness = try Harness(tasks)
        harness.publish("notes/a", "hello")
        let result = try harness.results("facts", count: 1)[0]
        #expect(result.object?.map(\.key) == Self.keys)
        #expect(result["kind"] == .string("extract") && result["cut"] == .bool(false))
        #expect(result["data"]?.text == #"{"text":"note: hello","most":77}"#)
        #expect(result["tokens"]?.text == #"{"prompt":30,"cached":20,"generated":5}"#)
        try wait { harness.broker.retained["martlet/pi/task/facts/state"] != nil }
        #expect(
            harness.broker.retained["martlet/pi/task/facts/state"]?.text == #"{"text": "note: hello", "most": 77}"#)
        #expect(try harness.daemon.parts.spool.counts().events == 0)
        harness.stop()
    }

    @Test func aLongAnswerIsCutForTheStateOnlyAndAFailureLeavesIt() throws {
        let harness = try Harness(tasks.replacing("note: ", with: ""))
        harness.publish("notes/a", "long")
        #expect(try harness.results("facts", count: 1)[0]["data"]?["text"]?.string?.count == 300)
        try wait { harness.broker.retained["martlet/pi/task/facts/state"] != nil }
        harness.publish("notes/a", "fail")
        harness.publish("notes/a", "")
        let errors = try harness.results("facts", count: 3).compactMap { $0["error"]?.string }
        #expect(Set(errors) == ["the model said no", "empty payload"])
        let state = try #require(harness.broker.retained["martlet/pi/task/facts/state"]?.text)
        #expect(state.unicodeScalars.count == 255 && state.hasPrefix(#"{"text": "éé"#) && state.hasSuffix("é…"))
        harness.stop()
    }

    @Test func requestsNameATaskOrBringASchema() throws {
        let harness = try Harness(tasks)
        let byTask = try harness.request("extract", #"{"task":"facts","payload":"x","transaction":[4]}"#)
        #expect(byTask["status"] == .string("ok") && byTask["transaction"]?.text == "[4]")
        #expect(byTask["data"]?["data"]?.text == #"{"text":"note: x","most":77}"#)
        let run = try harness.request("task/facts/run", "y")
        #expect(run["data"]?["data"]?["text"] == .string("note: y"))
        let own = try harness.request("extract", #"{"text":"z","schema":{"type":"object"},"max_tokens":9}"#)
        #expect(own["data"]?["data"]?.text == #"{"text":"z","most":9}"#)
        #expect(own["data"]?["kind"] == .string("extract") && own["data"]?["task"] == nil)
        #expect(try harness.request("extract", #"{"text":"z","schema":{}}"#)["data"]?["data"]?["most"]?.integer == 256)
        // Answered to whoever asked, not as the task's result.
        #expect(try harness.results("facts").isEmpty)
        let large = #"{"text":"z","schema":{"const":"\#(String(repeating: "a", count: 20_000))"}}"#
        let refused = try harness.request("extract", large)["error"]?.string
        #expect(refused == "the schema has 20012 bytes, a request's may have 16384. Configure a task with it")
        harness.stop()
    }

    @Test func aTextBecomesAVector() throws {
        let harness = try Harness()
        let reply = try harness.request("embed", #"{"text":"door open","transaction":"t"}"#)
        #expect(reply["data"]?["embedding"]?.text == "[0.6,-0.8]" && reply["transaction"] == .string("t"))
        #expect(reply["data"]?["kind"] == .string("embed") && reply["data"]?["tokens"]?["prompt"]?.integer == 9)
        #expect(try harness.request("embed", "plain")["data"]?["tokens"]?["prompt"]?.integer == 5)
        // Not cut, as events are.
        let long = try harness.request("embed", String(repeating: "x", count: 32_768))
        #expect(long["data"]?["tokens"]?["prompt"]?.integer == 32_768)
        let longer = try harness.request("embed", #"{"text":"\#(String(repeating: "x", count: 32_769))"}"#)
        #expect(longer["error"] == .string("text is longer than 32 KiB. Send it in parts"))
        harness.stop()
    }

    @Test func aReloadTakesAnotherSchemaOver() throws {
        let harness = try Harness(tasks, reload: { tasks.replacing("77", with: "78") })
        #expect(try harness.request("task/facts/run", "y")["data"]?["data"]?["most"]?.integer == 77)
        #expect(try harness.request("reload", "")["status"] == .string("ok"))
        #expect(try harness.request("task/facts/run", "y")["data"]?["data"]?["most"]?.integer == 78)
        harness.stop()
    }
}

/// The real runner on a small model.
@Suite struct ExtractionRunners {
    private let tiny: TinyModel
    private let runner: ModelRunner
    private let spec = ExtractSpec(model: "tiny", schema: schema, prompt: nil, maxTokens: 80)

    init() throws {
        tiny = try TinyModel(seed: 2)
        let section = Configuration.ModelSection(
            name: "tiny", path: tiny.model.file.path, context: 512, threads: 2, kvCache: "f16", lora: [])
        runner = try ModelRunner([section], isCancelled: { false })
    }

    private func task(_ name: String, schema: String) -> TaskSection {
        var task = TaskSection(name: name, kind: .extract, model: "tiny", subscribe: [])
        (task.schema, task.maxTokens) = (schema, 80)
        return task
    }

    @Test func answersFollowTheSchemaAndThePromptIsKept() throws {
        runner.prepare([task("a", schema: schema)])
        let labels = ClassifierSpec(model: "tiny", labels: ["routine", "unusual"], prompt: nil)
        let first = try runner.extract("21 degrees in the kitchen", spec)
        #expect(isValid(try JSONValue(parsing: first.json)))
        #expect(first.effort.tokens.cached > 20, "prepared before the first event")
        // Others in between change nothing.
        let scores = try runner.classify("door", labels).scores.map(\.score)
        let vector = try runner.embed("21 degrees", model: "tiny")
        let again = try runner.extract("21 degrees in the kitchen", spec)
        #expect(again.json == first.json && again.effort.tokens == first.effort.tokens)
        #expect(try runner.classify("door", labels).scores.map(\.score) == scores)
        #expect(try runner.embed("21 degrees", model: "tiny").embedding == vector.embedding)
        let length: Float = vector.embedding.reduce(0) { $0 + $1 * $1 }
        #expect(vector.embedding.count == 64 && abs(length - 1) < 1e-5 && vector.effort.tokens.prompt > 3)
    }

    @Test func aTaskHasItsOwnAdapters() throws {
        let folder = try TemporaryFolder()
        let path = folder.path("adapter.gguf")
        _ = try AdapterFixture(
            tiny.model, seed: "1", rank: 4, alpha: 64,
            matrices: ["blk.0.attn_q.weight", "blk.0.ffn_down.weight", "blk.1.ffn_down.weight"], keptAt: path)
        let free = ExtractSpec(
            model: "tiny", schema: #"{"type": "string", "minLength": 30, "maxLength": 30}"#, prompt: nil, maxTokens: 80)
        var (own, lost) = (free, free)
        (own.lora, lost.lora) = ([path], [folder.path("none.gguf")])
        let plain = try runner.extract("door", free).json
        let adapted = try runner.extract("door", own).json
        #expect(plain != adapted)
        #expect(try runner.extract("door", free).json == plain)
        #expect(try runner.extract("door", own).json == adapted)
        #expect(throws: EventFailure.self) { try runner.extract("door", lost) }
    }

    @Test func requestsMayCostLessAndFailWithASentence() {
        func failure(_ text: String, _ change: (inout ExtractSpec) -> Void) -> String {
            var spec = spec
            change(&spec)
            let error = #expect(throws: EventFailure.self) { try runner.extract(text, spec) }
            let sentence = error?.description ?? ""
            #expect(!sentence.contains("\n"))
            return sentence
        }
        // Two halves of one alternative, each with many arrays.
        let members = (0..<300).map { #""a\#($0)": {"type": "array", "items": {"const": \#($0)}}"# }
        let halves = [members.prefix(150), members.suffix(150)].map { half -> String in
            let list = half.joined(separator: ",")
            return #"{"properties": {\#(list)}}"#
        }
        let wide = #"{"anyOf": [\#(halves[0]), \#(halves[1])]}"#
        #expect(
            failure("x") { ($0.schema, $0.isRequest) = (wide, true) }.contains("more than 200 combinations"))
        #expect(
            failure("x") { ($0.schema, $0.isRequest) = (String(repeating: " ", count: 20_000) + "{}", true) }
                .contains("20002 bytes, more than 16384"))
        #expect(failure("x") { $0.schema = #"{"not": {}}"# }.contains("/not cannot be followed"))
        #expect(failure("x") { $0.maxTokens = 3 }.contains("and 3 fit"))
        #expect(failure("x") { $0.model = "y" } == "there is no model named y")
        #expect(failure(String(repeating: "word ", count: 200)) { _ in }.contains("the prompt is"))
        #expect(throws: EventFailure.self) { try runner.embed(String(repeating: "word ", count: 200), model: "tiny") }
        #expect(throws: EventFailure.self) { try runner.embed("x", model: "y") }
    }

    @Test func aContextBeyondTheTrainingIsRefusedOrStretched() throws {
        var section = Configuration.ModelSection(
            name: "tiny", path: tiny.model.file.path, context: 2048, threads: 1, kvCache: "f16", lora: [])
        // The default is lowered.
        _ = try ModelRunner([section], isCancelled: { false })
        section.isContextGiven = true
        let error = #expect(throws: DaemonError.self) { try ModelRunner([section], isCancelled: { false }) }
        #expect(error?.exitStatus == 78)
        #expect(error?.description.contains("2048 tokens is more than the 512 that the model was trained for") == true)
        section.ropeScaling = .yarn
        let stretched = try ModelRunner([section], isCancelled: { false })
        let long = String(repeating: "word ", count: 200)
        #expect(try stretched.embed(long, model: "tiny").effort.tokens.prompt > 512)
    }
}

@Suite struct SpecStores {
    @Test func tasksStayAndRequestsGiveWay() throws {
        var made: [String] = []
        let store = SpecStore<String, String>(mostOthers: 2)
        func ask(_ specs: [String]) throws {
            for spec in specs {
                let thing = try store.get(spec) { () throws(TaskError) in
                    guard !spec.hasPrefix("bad") else { throw TaskError("bad") }
                    made.append(spec)
                    return "of \(spec)"
                }
                #expect(thing == "of \(spec)")
            }
        }
        store.keep(["t1", "t2", "t3"])
        try ask(["t1", "t2", "t3", "r1", "r2", "r1", "r3", "t1", "t2", "t3", "r1", "r2"])
        #expect(made == ["t1", "t2", "t3", "r1", "r2", "r3", "r2"])
        // What cannot be made takes nobody's place for good.
        for number in 0..<5 { #expect(throws: TaskError.self) { try ask(["bad\(number)"]) } }
        made = []
        try ask(["t1", "r4", "r5", "r4", "r5"])
        #expect(made == ["r4", "r5"])
        // What is in both configurations is not made again.
        store.keep(["t1"])
        made = []
        try ask(["t1", "t2", "r5"])
        #expect(made == ["t2", "r5"])
    }
}

/// mosquitto, the real client, the real runner: what comes out is JSON that follows the schema.
@Suite(.serialized) struct ExtractionOnARealBroker {
    @Test func eventsAndRequestsAreAnswered() throws {
        let tiny = try TinyModel(seed: 2)
        let folder = try TemporaryFolder()
        try folder.write(schema, to: "room.json")
        let text = """
            [device]
            id = "pi"
            [broker]
            url = "mqtt://127.0.0.1:PORT"
            [[model]]
            path = "\(tiny.model.file.path)"
            pack = false
            [[task]]
            name = "facts"
            kind = "extract"
            subscribe = ["notes/#"]
            schema = "room.json"
            """
        let broker = try BrokerHarness()
        defer { broker.stop() }
        let configuration = try Configuration.parse(
            Array(text.replacing("PORT", with: "\(broker.port)").utf8), file: folder.path("martlet.toml"),
            context: .machine())
        let daemon = Daemon(
            configuration,
            DaemonParts(
                transport: try MQTTClient(configuration.mqttOptions), spool: try .inMemory(),
                makeRunner: { (models, isCancelled) throws(DaemonError) in
                    try ModelRunner(models, isCancelled: isCancelled)
                }, logger: Logger(label: "test") { _ in SilentLog() }))
        try daemon.start()
        defer { daemon.stop() }
        let ear = try broker.subscriber("#", ["-v", "-q", "1"])
        try wait { daemon.parts.transport.isConnected }
        func heard(_ topic: String) throws -> JSONValue {
            try wait { !OnARealBroker.lines(ear, containing: topic + " {").isEmpty }
            let line = try #require(OnARealBroker.lines(ear, containing: topic + " {").first)
            return try JSONValue(parsing: String(line.drop { $0 != "{" }))
        }
        // Retained: being connected is not yet being subscribed.
        try broker.publish("notes/a", "21 degrees in the kitchen", ["-q", "1", "-r"])
        let result = try heard("martlet/pi/task/facts/result")
        #expect(isValid(result["data"]) && result["cut"] == .bool(false) && result["error"] == nil)
        #expect(isValid(try heard("martlet/pi/task/facts/state")))
        #expect(try heard("martlet/pi/info")["tasks"]?.array?.first?["kind"] == .string("extract"))
        try broker.publish(
            "martlet/pi/request/extract", #"{"text":"4 in the cellar","schema":\#(schema.replacing("\n", with: ""))}"#,
            ["-D", "publish", "response-topic", "mine", "-D", "publish", "correlation-data", "7"])
        let own = try heard("mine")
        #expect(own["status"] == .string("ok") && isValid(own["data"]?["data"]))
        try broker.publish("martlet/pi/request/extract", #"{"text":"x","schema":{"not":{}},"transaction":3}"#)
        let refused = try heard("martlet/pi/response/extract")
        #expect(refused["status"] == .string("error") && refused["transaction"]?.integer == 3)
        #expect(refused["error"]?.string?.contains("/not cannot be followed") == true)
        try broker.publish("martlet/pi/request/embed", #"{"text":"4 in the cellar"}"#)
        #expect(try heard("martlet/pi/response/embed")["data"]?["embedding"]?.array?.count == 64)
    }
}
