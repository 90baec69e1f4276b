import Catalogue
import GGUF
import Health
import Inference
import Kernels
import Linux
import Tasks
import Tokenizers

/// The real runner: one session a model, shared by its tasks.
final class ModelRunner: TaskRunner {
    struct Loaded {
        let section: Configuration.ModelSection
        let model: Model
        let shared: SharedSession
    }

    private(set) var loaded: [String: Loaded] = [:]
    private var order: [String] = []
    /// Beside the tasks', some for requests: a classifier has a trie and its calibration, some tens of KB; an extractor
    /// some MB of masks and states by and by.
    private let classifiers = SpecStore<ClassifierSpec, Classifier>(mostOthers: 16)
    private let summarizers = SpecStore<SummarySpec, Summarizer>(mostOthers: 4)
    let extractors = SpecStore<ExtractSpec, Extractor>(mostOthers: 2)
    /// By model and names.
    private var adapters: [[String]: [ScaledAdapter]] = [:]
    let isCancelled: @Sendable () -> Bool

    /// Maps and checks every model; weights stay in the page cache, and the cache of a session is taken page by page.
    init(
        _ sections: [Configuration.ModelSection], warn: (String) -> Void = { _ in },
        isCancelled: @escaping @Sendable () -> Bool
    ) throws(DaemonError) {
        self.isCancelled = isCancelled
        for section in sections {
            let model = try Self.load(section)
            // Encoders hold no conversations.
            if model.model.config.plan.isCausal, let warning = model.model.chatTemplate.warning(for: section.path) {
                warn("\(warning). Name another with chat_template in its [[model]]")
            }
            loaded[section.name] = model
            order.append(section.name)
        }
    }

    private static func load(_ section: Configuration.ModelSection) throws(DaemonError) -> Loaded {
        do {
            // A name of the catalogue stands for its file, as on the command line.
            let store = PackedModel.folder.map { ModelStore(cache: $0) }
            let path = try store?.resolve(section.path) { Suggestion.nearest(to: $0, in: $1) } ?? section.path
            let model = try Model(
                path: path, chatTemplate: section.chatTemplate.flatMap(ChatTemplate.named),
                stretch: section.isContextGiven ? RopeStretch(section.ropeScaling, context: section.context) : nil)
            guard !section.isContextGiven || section.context <= model.config.contextLength else {
                let reason = RopeStretch.refusal(of: section.context, model.config)
                throw DaemonError("the model \(section.path): \(reason)", exitStatus: 78)
            }
            if let expected = section.sha256 {
                let digest = try SHA256.hexadecimal(ofFile: path)
                guard digest == expected else {
                    throw DaemonError(
                        "the model \(section.path) has another SHA-256 than its [[model]] says: it is \(digest). "
                            + "Fetch it again, or correct sha256", exitStatus: 65)
                }
            }
            let context = min(section.context, model.config.contextLength)
            let kvCache = KVCacheType(rawValue: section.kvCache) ?? .f16
            let need = model.memoryNeed(context: context, threads: max(1, section.threads), kvCache: kvCache).total
            if let obstacle = BoardMemory().obstacle(need, "the model \(path) with a context of \(context) tokens") {
                throw DaemonError(obstacle, exitStatus: 65)
            }
            let session = try Session(
                model: model, context: context, threads: section.threads,
                kvCache: kvCache, ownsThread: true)
            session.use(try model.adapters(section.lora))
            return Loaded(
                section: section, model: model,
                shared: SharedSession(session, store: PackedModel.folder.map(PrefixStore.init(cache:))))
        } catch {
            switch error {
            case let error as DaemonError: throw error
            case let error as GGUFError: throw DaemonError(error.description, exitStatus: error.isNotFound ? 66 : 65)
            case let error as CatalogueError: throw DaemonError(error.description, exitStatus: 66)
            case let error as TierError: throw DaemonError(error.description, exitStatus: 64)
            case let error as SystemError:
                throw DaemonError("\(error). Check the path and its rights", exitStatus: error.isNotFound ? 66 : 70)
            default: throw DaemonError("\(error)", exitStatus: 65)
            }
        }
    }

    var models: [ModelInfo] {
        order.compactMap { loaded[$0] }.map {
            ModelInfo(
                name: $0.section.name, sha256: $0.section.sha256, architecture: $0.model.config.architecture,
                parameters: $0.model.parameterCount, bytes: $0.model.file.byteCount)
        }
    }

    /// Threads, batch and context follow the governor; a session never gets more than its configuration gave it.
    func apply(_ budget: Budget) {
        for session in loaded.values.map(\.shared.session) {
            if session.threads != budget.threads { session.threads = budget.threads }
            session.promptBatch = budget.batch
            session.usableContext = budget.context
        }
    }

    var threads: Int { loaded.values.map(\.shared.session.threads).max() ?? 0 }

    var tier: String { order.first.flatMap { loaded[$0]?.model.tier.rawValue } ?? "" }

    /// Computes each classifier's prefix and calibration, so that the first event does not wait for them.
    func prepare(_ tasks: [TaskSection]) {
        extractors.keep(tasks.filter { $0.kind == .extract }.map(\.extractSpec))
        classifiers.keep(tasks.filter { $0.kind == .classify }.map(\.classifierSpec))
        summarizers.keep(tasks.filter { $0.kind == .summarize }.map(\.summarySpec))
        for task in tasks where !isCancelled() {
            // A task that cannot be prepared says why with its first event.
            switch task.kind {
            case .classify: try? classifier(task.classifierSpec).prepare()
            case .extract: try? extractor(task.extractSpec).prepare()
            case .summarize, .detect: break
            }
        }
    }

    func classify(_ text: String, _ spec: ClassifierSpec) throws(EventFailure) -> ClassifyAnswer {
        try classify([text], spec)[0].get()
    }

    func classify(_ texts: [String], _ spec: ClassifierSpec) -> [Result<ClassifyAnswer, EventFailure>] {
        let start = monotonicNanoseconds()
        let answers: [Result<Classification, TaskError>]
        do throws(EventFailure) {
            answers = try classifier(spec).classify(texts)
        } catch {
            return texts.map { _ in .failure(error) }
        }
        let seconds = Double(monotonicNanoseconds() - start) / 1e9
        // Each has its share of the time, so that the speed that is reported is that of the tokens.
        let computed = answers.map { ((try? $0.get().tokens).map { $0.prompt - $0.cached }) ?? 0 }
        let all = Double(max(1, computed.reduce(0, +)))
        return zip(answers, computed).map { answer, own in
            answer.map { answer in
                let effort = Effort(
                    tokens: TokenUse(answer.tokens), prefillSeconds: seconds * Double(own) / all)
                return ClassifyAnswer(scores: answer.scores, effort: effort)
            }.mapError { .engine($0.description) }
        }
    }

    func summarize(_ events: [WindowEvent], _ spec: SummarySpec) throws(EventFailure) -> SummaryAnswer {
        guard let shared = loaded[spec.model]?.shared else { throw .engine("there is no model named \(spec.model)") }
        let events = events.map { SummaryEvent(received: $0.received, topic: $0.topic, text: $0.text) }
        let summary: Summary?
        do throws(TaskError) {
            let summarizer = try summarizer(spec, on: shared)
            summary = try summarizer.summarize(events, isCancelled: isCancelled)
        } catch {
            throw .engine(error.description)
        }
        guard let summary else { throw .stopped }
        let effort = Effort(
            tokens: TokenUse(summary.tokens), prefillSeconds: summary.prefillSeconds,
            decodeSeconds: summary.decodeSeconds)
        return SummaryAnswer(
            summary: summary.text, grounded: summary.grounded, source: summary.source.rawValue, effort: effort)
    }

    /// The summariser of a task, whose prompt's state is kept, or of a request.
    private func summarizer(_ spec: SummarySpec, on shared: SharedSession) throws(TaskError) -> Summarizer {
        shared.savesStates = summarizers.isTask(spec)
        return try summarizers.get(spec) { () throws(TaskError) in
            try Summarizer(
                shared, prompt: spec.prompt, mostTokens: spec.maxTokens, adapters: adapters(spec.lora, of: spec.model))
        }
    }

    /// A task's adapters, opened once for all tasks that name them; nil for the model's.
    func adapters(_ names: [String]?, of model: String) throws(TaskError) -> [ScaledAdapter]? {
        guard let names, let loaded = loaded[model] else { return nil }
        let key = [model] + names
        if let known = adapters[key] { return known }
        do {
            let opened = try loaded.model.adapters(names)
            adapters[key] = opened
            return opened
        } catch {
            throw TaskError("\(error)")
        }
    }

    private func classifier(_ spec: ClassifierSpec) throws(EventFailure) -> Classifier {
        guard let shared = loaded[spec.model]?.shared else { throw .engine("there is no model named \(spec.model)") }
        shared.savesStates = classifiers.isTask(spec)
        do throws(TaskError) {
            return try classifiers.get(spec) { () throws(TaskError) in
                try Classifier(
                    shared, labels: spec.labels, prompt: .instruction(spec.prompt),
                    adapters: adapters(spec.lora, of: spec.model))
            }
        } catch {
            throw .engine(error.description)
        }
    }
}

extension ClassifyPrompt {
    /// A task's `prompt`: a whole user message when it says where the text goes, else what to judge by.
    static func instruction(_ prompt: String?) -> ClassifyPrompt {
        guard let prompt else { return .standard }
        if prompt.contains("{{text}}") { return ClassifyPrompt(user: prompt) }
        var result = ClassifyPrompt.standard
        result.system = prompt.contains("{{labels}}") ? prompt : "\(prompt) Answer with one label: {{labels}}."
        return result
    }
}

extension TokenUse {
    init(_ count: TokenCount) {
        self.init(prompt: count.prompt, cached: count.cached, generated: count.generated)
    }
}
