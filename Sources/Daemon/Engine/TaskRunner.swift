import Health
import Linux

/// Tokens of one answer, as published.
public struct TokenUse: Sendable, Equatable {
    /// All tokens of the prompt.
    public var prompt: Int
    /// Of these, how many were still in the cache.
    public var cached: Int
    public var generated: Int

    public init(prompt: Int = 0, cached: Int = 0, generated: Int = 0) {
        self.prompt = prompt
        self.cached = cached
        self.generated = generated
    }
}

/// What one answer cost.
public struct Effort: Sendable, Equatable {
    public var tokens: TokenUse
    /// Seconds spent on prompt tokens that were not cached.
    public var prefillSeconds: Double
    /// Seconds spent generating.
    public var decodeSeconds: Double

    public init(tokens: TokenUse = TokenUse(), prefillSeconds: Double = 0, decodeSeconds: Double = 0) {
        self.tokens = tokens
        self.prefillSeconds = prefillSeconds
        self.decodeSeconds = decodeSeconds
    }
}

/// What defines a classifier: equal specs share their prepared prompt and calibration.
public struct ClassifierSpec: Sendable, Hashable {
    public var model: String
    public var labels: [String]
    /// Nil: the kind's default.
    public var prompt: String?
    /// Adapters as the configuration names them; nil: the model's.
    public var lora: [String]?
}

public struct SummarySpec: Sendable, Hashable {
    public var model: String
    public var prompt: String?
    public var maxTokens: Int
    public var lora: [String]?
}

/// What defines an extractor: equal specs share their compiled schema and prepared prompt.
public struct ExtractSpec: Sendable, Hashable {
    public var model: String
    /// A JSON Schema's text.
    public var schema: String
    /// Nil: the kind's default.
    public var prompt: String?
    public var maxTokens: Int
    public var lora: [String]?
    /// Whether the schema came in a message: it may cost less then.
    public var isRequest = false
}

public struct GenerationSpec: Sendable, Equatable {
    public var model: String
    public var prompt: String
    /// No chat template.
    public var raw = false
    public var maxTokens = 128
    public var temperature = 0.0
    public var topK: Int?
    public var topP: Double?
    public var minP: Double?
    public var repeatPenalty: Double?
    public var seed: UInt64?
}

/// One event of a summary's window.
public struct WindowEvent: Sendable, Equatable {
    public var received: Timestamp
    public var topic: String
    public var text: String
}

public struct ClassifyAnswer: Sendable {
    /// Every label with its probability, in the order of the spec.
    public var scores: [(label: String, score: Double)]
    public var effort: Effort

    public init(scores: [(label: String, score: Double)], effort: Effort) {
        self.scores = scores
        self.effort = effort
    }
}

public struct SummaryAnswer: Sendable {
    public var summary: String
    /// Whether every number in it follows from the window.
    public var grounded: Bool
    /// Who worded it: `model`, or `template` when the model kept inventing numbers.
    public var source: String
    public var effort: Effort

    public init(summary: String, grounded: Bool, source: String = "model", effort: Effort) {
        self.summary = summary
        self.grounded = grounded
        self.source = source
        self.effort = effort
    }
}

public struct GenerateAnswer: Sendable {
    public var text: String
    public var effort: Effort

    public init(text: String, effort: Effort) {
        self.text = text
        self.effort = effort
    }
}

public struct ExtractAnswer: Sendable {
    /// JSON on one line that the schema allows.
    public var json: String
    /// Whether `max_tokens` cut it: the rest is then the shortest that the schema allows.
    public var isCut: Bool
    public var effort: Effort

    public init(json: String, isCut: Bool, effort: Effort) {
        self.json = json
        self.isCut = isCut
        self.effort = effort
    }
}

public struct EmbedAnswer: Sendable {
    /// Of length one.
    public var embedding: [Float]
    public var effort: Effort

    public init(embedding: [Float], effort: Effort) {
        self.embedding = embedding
        self.effort = effort
    }
}

/// A loaded model as `info` publishes it.
public struct ModelInfo: Sendable, Equatable {
    public var name: String
    public var sha256: String?
    public var architecture: String
    public var parameters: Int
    public var bytes: Int

    public init(name: String, sha256: String?, architecture: String, parameters: Int, bytes: Int) {
        self.name = name
        self.sha256 = sha256
        self.architecture = architecture
        self.parameters = parameters
        self.bytes = bytes
    }
}

/// Runs tasks on models. Made and used on the engine thread only, so it need not be thread-safe.
///
/// The seam between the daemon and the models: tests run the whole daemon on a runner that computes nothing.
public protocol TaskRunner: AnyObject {
    /// Every model it has loaded.
    var models: [ModelInfo] { get }
    /// Threads that compute.
    var threads: Int { get }
    /// The kernels' instruction-set tier, for example `dotprod`.
    var tier: String { get }

    /// Makes what these tasks need before their first event; may be empty work.
    func prepare(_ tasks: [TaskSection])
    /// What the governor allows for the next answer: threads, context and batch.
    func apply(_ budget: Budget)
    func classify(_ text: String, _ spec: ClassifierSpec) throws(EventFailure) -> ClassifyAnswer
    /// Several texts, each answered as if it were alone; a runner that can computes them together.
    func classify(_ texts: [String], _ spec: ClassifierSpec) -> [Result<ClassifyAnswer, EventFailure>]
    func summarize(_ events: [WindowEvent], _ spec: SummarySpec) throws(EventFailure) -> SummaryAnswer
    func extract(_ text: String, _ spec: ExtractSpec) throws(EventFailure) -> ExtractAnswer
    func generate(_ spec: GenerationSpec) throws(EventFailure) -> GenerateAnswer
    func embed(_ text: String, model: String) throws(EventFailure) -> EmbedAnswer
}

extension TaskRunner {
    public func prepare(_ tasks: [TaskSection]) {}
    public func apply(_ budget: Budget) {}
    public func classify(_ texts: [String], _ spec: ClassifierSpec) -> [Result<ClassifyAnswer, EventFailure>] {
        texts.map { text in
            Result { () throws(EventFailure) in try classify(text, spec) }
        }
    }
}

/// Why the daemon cannot start; carries the exit status the command line ends with.
public struct DaemonError: Error, CustomStringConvertible, Sendable {
    public let description: String
    /// sysexits.h: 65 bad model, 66 not found, 69 unavailable, 70 internal, 73 cannot create, 78 configuration.
    public let exitStatus: Int32

    public init(_ description: String, exitStatus: Int32) {
        self.description = description
        self.exitStatus = exitStatus
    }
}

/// Makes the runner of a configuration's models; called on the engine thread at start and after a reload that
/// changes them. `isCancelled` turns true when the daemon stops: long work should then end with any failure.
public typealias TaskRunnerFactory =
    @Sendable (_ models: [Configuration.ModelSection], _ isCancelled: @escaping @Sendable () -> Bool)
    throws(DaemonError) -> any TaskRunner
