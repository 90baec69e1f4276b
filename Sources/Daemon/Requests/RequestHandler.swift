import Constraints
import JSON
import Linux
import Spool
import Tasks
import Transport

/// Answers requests: at once where nothing is computed, otherwise through the engine's queue.
struct RequestHandler: Sendable {
    /// Above events of the default priority: somebody waits for the answer.
    static let priority = 7

    let outbox: Outbox
    let scheduler: Scheduler
    let windows: Windows
    let time: TimeSource
    let configuration: @Sendable () -> Configuration
    /// Reads the configuration again and says how that went.
    let reload: @Sendable (@escaping @Sendable (Result<JSONValue, RequestError>) -> Void) -> Void
    let describe: @Sendable () -> JSONValue

    func handle(_ request: Request) {
        guard isValidTopic(request.reply.topic) else { return }
        do throws(RequestError) {
            try dispatch(request)
        } catch {
            outbox.reply(request.reply, .failure(error))
        }
    }

    private func dispatch(_ request: Request) throws(RequestError) {
        if let refusal = request.refusal { throw refusal }
        switch request.verb {
        case "ping": outbox.reply(request.reply, .success(describe()))
        case "reload": reload { [outbox] in outbox.reply(request.reply, $0) }
        case "classify": try classify(request)
        case "summarize": try summarizeText(request)
        case "extract": try extract(request)
        case "generate": try generate(request)
        case "embed": try embed(request)
        case "model/load" where !configuration().requests.modelLoad:
            throw RequestError("loading models by request is off. Set [requests] model_load = true")
        default:
            let levels = request.verb.split(separator: "/", omittingEmptySubsequences: false)
            guard levels.count == 3, levels[0] == "task", levels[2] == "run" else {
                throw RequestError("\(request.verb.prefix(64)) is not supported by this build")
            }
            try run(task: String(levels[1]), request)
        }
    }

    private func classify(_ request: Request) throws(RequestError) {
        let configuration = configuration()
        if let name = try request.string("task") {
            guard let task = configuration.task(named: name), task.kind == .classify else {
                throw RequestError("there is no classify task named \(name)")
            }
            return queue(.classify(try request.text(template: task.text), task.classifierSpec), task: task, request)
        }
        guard let listed = request.fields["labels"] else {
            throw RequestError("labels are missing: send {\"text\": \"…\", \"labels\": [\"a\", \"b\"]} or a task")
        }
        let labels = (listed.array ?? []).compactMap(\.string)
        guard labels.count >= 2, labels.count <= 64, labels.count == listed.array?.count,
            Set(labels).count == labels.count,
            labels.allSatisfy({ !$0.isEmpty && $0.utf8.count <= 200 })
        else { throw RequestError("labels must be 2 to 64 different strings") }
        let spec = ClassifierSpec(
            model: try model(request, configuration), labels: labels, prompt: try prompt(request))
        queue(.classify(try request.text(), spec), task: nil, request)
    }

    private func summarizeText(_ request: Request) throws(RequestError) {
        let configuration = configuration()
        let now = time.wall()
        let event = WindowEvent(received: now, topic: try request.string("topic") ?? "", text: try request.text())
        let spec = SummarySpec(
            model: try model(request, configuration), prompt: try prompt(request),
            maxTokens: try request.integer("max_tokens", in: 1...1024) ?? 60)
        let task = TaskSection(name: "", kind: .summarize, model: spec.model, subscribe: [])
        let window = ClosedWindow(
            task: task, id: ULID.next().description, start: now, end: now, count: 1, events: [event], keys: [])
        queue(.summarize(window, spec), task: nil, request)
    }

    private func extract(_ request: Request) throws(RequestError) {
        let configuration = configuration()
        if let name = try request.string("task") {
            guard let task = configuration.task(named: name), task.kind == .extract else {
                throw RequestError("there is no extract task named \(name.prefix(64))")
            }
            return queue(task.work(try request.text(template: task.text)), task: task, request)
        }
        guard let schema = request.fields["schema"] else {
            throw RequestError(
                "schema is missing: send {\"text\": \"…\", \"schema\": {\"type\": \"object\", …}} or a task")
        }
        guard schema.object != nil else { throw RequestError("schema must be a JSON Schema, an object") }
        let text = schema.text
        let limit = Grammar.Limits.request.bytes
        guard text.utf8.count <= limit else {
            throw RequestError(
                "the schema has \(text.utf8.count) bytes, a request's may have \(limit). Configure a task with it")
        }
        let spec = ExtractSpec(
            model: try model(request, configuration), schema: text, prompt: try prompt(request),
            maxTokens: try request.integer("max_tokens", in: 1...4096) ?? Extractor.standardMostTokens,
            isRequest: true)
        queue(.extract(try request.wholeText(), spec), task: nil, request)
    }

    private func embed(_ request: Request) throws(RequestError) {
        let model = try model(request, configuration())
        queue(.embed(try request.wholeText(), model: model), task: nil, request)
    }

    /// A prompt of its own; the model's context is shorter than this cap in all but odd cases.
    private func prompt(_ request: Request) throws(RequestError) -> String? {
        guard let prompt = try request.string("prompt") else { return nil }
        guard prompt.utf8.count <= EventText.longest * 4 else { throw RequestError("prompt is longer than 32 KiB") }
        return prompt
    }

    private func generate(_ request: Request) throws(RequestError) {
        var prompt = try request.string("prompt") ?? request.plain ?? ""
        if prompt.isEmpty { prompt = try request.string("text") ?? "" }
        guard !prompt.isEmpty else { throw RequestError("prompt is missing: send {\"prompt\": \"…\"}") }
        guard prompt.utf8.count <= EventText.longest * 4 else { throw RequestError("prompt is longer than 32 KiB") }
        var spec = GenerationSpec(model: try model(request, configuration()), prompt: prompt)
        spec.raw = request.fields["raw"]?.bool ?? false
        spec.maxTokens = try request.integer("max_tokens", in: 1...4096) ?? spec.maxTokens
        spec.temperature = try request.number("temperature", in: 0...5) ?? 0
        spec.topK = try request.integer("top_k", in: 0...1_000_000)
        spec.topP = try request.number("top_p", in: 0...1)
        spec.minP = try request.number("min_p", in: 0...1)
        spec.repeatPenalty = try request.number("repeat_penalty", in: 0.1...10)
        spec.seed = try request.integer("seed", in: 0...Int.max).map(UInt64.init)
        queue(.generate(spec), task: nil, request)
    }

    /// A classify or extract task runs on the request's text; a summary's window is closed now.
    private func run(task name: String, _ request: Request) throws(RequestError) {
        guard let task = configuration().task(named: name) else {
            throw RequestError("there is no task named \(name.prefix(64))")
        }
        switch task.kind {
        case .classify, .extract:
            queue(task.work(try request.text(template: task.text)), task: task, request)
        case .summarize:
            guard let window = windows.close(name) else { throw RequestError("the window of \(name) has no events") }
            let job = Job(
                id: window.id, task: task, topic: window.topic, received: window.end, ready: time.monotonic(),
                deadline: nil, priority: max(task.priority, Self.priority), origin: .window, reply: request.reply,
                work: .summarize(window, task.summarySpec))
            scheduler.offer(job)
        case .detect: throw RequestError("\(task.kind.rawValue) is not supported by this build")
        }
    }

    private func model(_ request: Request, _ configuration: Configuration) throws(RequestError) -> String {
        guard let name = try request.string("model") else { return configuration.models.first?.name ?? "" }
        guard configuration.models.contains(where: { $0.name == name }) else {
            throw RequestError("there is no model named \(name.prefix(64))")
        }
        return name
    }

    private func queue(_ work: Job.Work, task: TaskSection?, _ request: Request) {
        scheduler.offer(
            Job(
                id: ULID.next().description, task: task, topic: "request/\(request.verb)", received: time.wall(),
                ready: time.monotonic(), deadline: nil, priority: Self.priority, origin: .request,
                reply: request.reply, work: work))
    }
}

extension TaskSection {
    var classifierSpec: ClassifierSpec { ClassifierSpec(model: model, labels: labels, prompt: prompt, lora: lora) }
    var extractSpec: ExtractSpec {
        ExtractSpec(model: model, schema: schema ?? "", prompt: prompt, maxTokens: maxTokens, lora: lora)
    }
    var summarySpec: SummarySpec { SummarySpec(model: model, prompt: prompt, maxTokens: maxTokens, lora: lora) }

    /// What is to be done with the text of one event; summaries work on windows instead.
    func work(_ text: String) -> Job.Work {
        kind == .extract ? .extract(text, extractSpec) : .classify(text, classifierSpec)
    }
}
