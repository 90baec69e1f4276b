import Dispatch
import Glibc
import JSON
import Linux
import Logging
import Spool
import Synchronization
import Testing
import Transport

@testable import Daemon

/// A runner that computes nothing: the first label that the text names is the likely one.
///
/// "block…" waits for the gate, "fail…" fails, and the prompt "die" ends the process.
final class FakeRunner: TaskRunner {
    let models: [ModelInfo]
    let threads = 1
    let tier = "fake"
    private let gate: Gate

    init(_ models: [Configuration.ModelSection], gate: Gate) {
        self.gate = gate
        self.models = models.map {
            ModelInfo(name: $0.name, sha256: nil, architecture: "fake", parameters: 1, bytes: 2)
        }
    }

    func classify(_ text: String, _ spec: ClassifierSpec) throws(EventFailure) -> ClassifyAnswer {
        gate.note(text)
        if text.hasPrefix("block") { gate.wait() }
        if text.hasPrefix("fail") { throw .engine("the model said no") }
        let likely = spec.labels.first { text.contains($0) }
        let rest = likely == nil ? 1 / Double(spec.labels.count) : 0.2 / Double(spec.labels.count - 1)
        let effort = Effort(tokens: TokenUse(prompt: 63, cached: 41), prefillSeconds: 0.1)
        return ClassifyAnswer(scores: spec.labels.map { ($0, $0 == likely ? 0.8 : rest) }, effort: effort)
    }

    func classify(_ texts: [String], _ spec: ClassifierSpec) -> [Result<ClassifyAnswer, EventFailure>] {
        gate.note(together: texts)
        return texts.map { text in Result { () throws(EventFailure) in try classify(text, spec) } }
    }

    func summarize(_ events: [WindowEvent], _ spec: SummarySpec) throws(EventFailure) -> SummaryAnswer {
        if events.contains(where: { $0.text == "long" }) {
            return SummaryAnswer(summary: String(repeating: "é", count: 300), grounded: true, effort: Effort())
        }
        let text = events.map { "\($0.topic)=\($0.text)" }.joined(separator: "; ")
        return SummaryAnswer(summary: text, grounded: true, effort: Effort(tokens: TokenUse(generated: 7)))
    }

    func extract(_ text: String, _ spec: ExtractSpec) throws(EventFailure) -> ExtractAnswer {
        gate.note(text)
        if text.hasPrefix("fail") { throw .engine("the model said no") }
        let long = text == "long" ? String(repeating: "é", count: 300) : text
        return ExtractAnswer(
            json: "{\"text\": \"\(long)\", \"most\": \(spec.maxTokens)}", isCut: text == "cut",
            effort: Effort(tokens: TokenUse(prompt: 30, cached: 20, generated: 5)))
    }

    func embed(_ text: String, model: String) throws(EventFailure) -> EmbedAnswer {
        EmbedAnswer(embedding: [0.6, -0.8], effort: Effort(tokens: TokenUse(prompt: text.utf8.count)))
    }

    func generate(_ spec: GenerationSpec) throws(EventFailure) -> GenerateAnswer {
        if spec.prompt == "die" { kill(getpid(), SIGKILL) }
        return GenerateAnswer(text: "\(spec.prompt)!", effort: Effort(tokens: TokenUse(generated: spec.maxTokens)))
    }
}

/// Holds the fake engine, and remembers what it was asked.
final class Gate: Sendable {
    private let semaphore = DispatchSemaphore(value: 0)
    private let texts = Mutex<[String]>([])
    private let batches = Mutex<[[String]]>([])
    /// Texts so far; counted also where they are not kept.
    let count = Atomic(0)
    private let keeps: Bool

    init(keeps: Bool = true) { self.keeps = keeps }

    var seen: [String] { texts.withLock { $0 } }
    /// What was computed together, where that was more than one text.
    var together: [[String]] { batches.withLock { $0 } }
    func note(_ text: String) {
        count.add(1, ordering: .relaxed)
        if keeps { texts.withLock { $0.append(text) } }
    }
    func note(together texts: [String]) { if keeps { batches.withLock { $0.append(texts) } } }
    func wait() { semaphore.wait() }
    func open() { semaphore.signal() }
}

/// A clock that tests set forward.
final class FakeClock: Sendable {
    private let elapsed = Mutex<UInt64>(0)
    func advance(_ duration: Duration) { elapsed.withLock { $0 += duration.nanoseconds } }
    var source: TimeSource {
        TimeSource(
            monotonic: { [self] in 1_000_000_000 + elapsed.withLock { $0 } },
            wall: { [self] in Timestamp(milliseconds: 1_790_000_000_000 + Int64(elapsed.withLock { $0 } / 1_000_000)) })
    }
}

/// A log that is only counted.
struct SilentLog: LogHandler {
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .info
    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { nil }
        set {}
    }
    func log(event: LogEvent) {}
}

/// What a client received.
final class Heard: Sendable {
    private let messages = Mutex<[MQTTMessage]>([])
    var all: [MQTTMessage] { messages.withLock { $0 } }
    func append(_ message: MQTTMessage) { messages.withLock { $0.append(message) } }
}

/// A whole daemon on an in-memory broker, with a client that hears everything.
final class Harness: Sendable {
    let broker: InMemoryBroker
    let daemon: Daemon
    let gate: Gate
    let clock = FakeClock()
    private let heard = Heard()
    private let observer: InMemoryTransport

    static let tasks = """
        [[task]]
        name = "door"
        kind = "classify"
        subscribe = ["door/#"]
        labels = ["routine", "unusual"]
        min_confidence = 0.6
        [[task]]
        name = "digest"
        kind = "summarize"
        subscribe = ["home/#"]
        every = 3
        """

    init(
        _ tasks: String = Harness.tasks, limits: String = "", broker: InMemoryBroker = InMemoryBroker(),
        spool: Spool? = nil, tree: FileTree = .machine, start: Bool = true, reload: (@Sendable () -> String)? = nil,
        makeRunner: TaskRunnerFactory? = nil, model: String = "", ledger: WorkLedger? = nil,
        onHang: (@Sendable () -> Void)? = nil,
        pack: (@Sendable (String, @Sendable () -> Bool) -> PackingResult)? = nil, keeps: Bool = true
    ) throws {
        gate = Gate(keeps: keeps)
        @Sendable func whole(_ tasks: String) -> String {
            """
            [device]
            id = "pi"
            [broker]
            url = "mqtt://localhost"
            [[model]]
            name = "m"
            path = "/m.gguf"
            \(model)
            [limits]
            \(limits)
            \(tasks)
            """
        }
        let configuration = try parse(whole(tasks))
        self.broker = broker
        let gate = gate
        var parts = DaemonParts(
            transport: InMemoryTransport(broker: broker, options: configuration.mqttOptions),
            spool: try spool ?? .inMemory(),
            makeRunner: { (models, _) throws(DaemonError) in
                guard let makeRunner else { return FakeRunner(models, gate: gate) }
                return try makeRunner(models, { false })
            },
            logger: Logger(label: "test") { _ in SilentLog() })
        parts.time = clock.source
        parts.tree = tree
        parts.pack = pack
        parts.ledger = ledger
        parts.onHang = onHang
        if let reload {
            parts.loadConfiguration = { () throws(ConfigurationError) in
                try Configuration.parse(Array(whole(reload()).utf8), file: "m.toml", context: testContext)
            }
        }
        daemon = Daemon(configuration, parts)
        observer = InMemoryTransport(broker: broker, clientID: "observer")
        try observer.start(
            onMessage: { [heard] message in
                heard.append(message)
                return .accepted
            }, onEvent: { _ in })
        if keeps { try observer.subscribe([MQTTSubscription(filter: "#", qos: 1)]) }
        if start { try daemon.start() }
    }

    func publish(_ topic: String, _ text: String, qos: Int = 1) {
        broker.publish(MQTTMessage(topic: topic, text: text, qos: qos))
    }

    /// Everything heard on a topic so far.
    func messages(_ topic: String) -> [MQTTMessage] {
        heard.all.filter { topicMatches(filter: topic, topic: $0.topic) }
    }

    /// The report the broker keeps.
    var health: JSONValue {
        get throws { try JSONValue(parsing: try #require(broker.retained["martlet/pi/health"]).payload) }
    }

    func results(_ task: String) throws -> [JSONValue] {
        try messages("martlet/pi/task/\(task)/result").map { try JSONValue(parsing: $0.payload) }
    }

    /// Waits until there are `count` results of a task; the engine has its own thread.
    func results(_ task: String, count: Int) throws -> [JSONValue] {
        try wait { try self.results(task).count >= count }
        let found = try results(task)
        #expect(found.count == count)
        return found
    }

    /// Sends a request and waits for its reply.
    func request(_ verb: String, _ payload: String) throws -> JSONValue {
        let before = messages("martlet/pi/response/\(verb)").count
        publish("martlet/pi/request/\(verb)", payload, qos: 0)
        try wait { self.messages("martlet/pi/response/\(verb)").count > before }
        return try JSONValue(parsing: messages("martlet/pi/response/\(verb)")[before].payload)
    }

    func stop(drain: Duration = .milliseconds(200)) {
        var limits = Daemon.StopLimits()
        limits.drain = drain
        limits.engine = .milliseconds(500)
        limits.publish = .seconds(5)
        daemon.stop(limits)
    }

    struct Timeout: Error {}
}

/// Waits until something another thread does has happened. The limit is for a busy machine and a reconnection that backs
/// off: it passes only where something is wrong.
func wait(_ limit: Duration = .seconds(60), until isTrue: () throws -> Bool) throws {
    let deadline = monotonicNanoseconds() + limit.nanoseconds
    while try !isTrue() {
        guard monotonicNanoseconds() < deadline else { throw Harness.Timeout() }
        usleep(1000)
    }
}
