import JSON
import Linux

/// The JSON a result is published as; keys and their order are the published contract.
enum Envelope {
    /// The message for `…/task/<task>/result`, or the `data` of an answered request.
    static func bytes(_ outcome: Outcome, device: String) -> [UInt8] {
        JSONWriter.bytes(reserving: 512) { write(outcome, device: device, to: &$0) }
    }

    /// The members, for embedding.
    static func write(_ outcome: Outcome, device: String, to json: inout JSONWriter) {
        let job = outcome.job
        if let task = job.task { json.member("task", task.name) }
        json.member("kind", kind(of: job))
        json.member("device", device)
        json.member("id", job.id)
        json.member("topic", job.topic)
        json.member("received", job.received.description)
        switch outcome.result {
        case .success(.classification(let answer)): write(answer, of: job, to: &json)
        case .success(.summary(let answer)):
            json.member("summary", answer.summary)
            writeWindow(of: job, to: &json)
            json.member("grounded", answer.grounded)
            json.member("source", answer.source)
        case .success(.extraction(let answer)):
            json.member("data", (try? JSONValue(parsing: answer.json)) ?? .null)
            json.member("cut", answer.isCut)
        case .success(.text(let answer)): json.member("text", answer.text)
        case .success(.embedding(let answer)):
            json.array("embedding") { json in
                for value in answer.embedding { json.number(Double(value), decimals: 7) }
            }
        case .failure(let failure):
            json.member("error", failure.description)
            writeWindow(of: job, to: &json)
        }
        json.member("model", job.model)
        json.member("latency_ms", outcome.latencyMilliseconds, decimals: 1)
        json.member("queue_ms", outcome.queueMilliseconds, decimals: 1)
        let tokens = (try? outcome.result.get().effort.tokens) ?? TokenUse()
        json.object("tokens") { json in
            json.member("prompt", tokens.prompt)
            json.member("cached", tokens.cached)
            json.member("generated", tokens.generated)
        }
    }

    private static func kind(of job: Job) -> String {
        if let task = job.task { return task.kind.rawValue }
        return switch job.work {
        case .classify: "classify"
        case .summarize: "summarize"
        case .extract: "extract"
        case .generate: "generate"
        case .embed: "embed"
        }
    }

    private static func write(_ answer: ClassifyAnswer, of job: Job, to json: inout JSONWriter) {
        let verdict = Verdict(answer, task: job.task)
        json.member("label", verdict.label)
        json.member("confidence", verdict.confidence, decimals: 4)
        json.object("scores") { json in
            for (label, score) in answer.scores { json.member(label, score, decimals: 4) }
        }
    }

    private static func writeWindow(of job: Job, to json: inout JSONWriter) {
        guard case .summarize(let window, _) = job.work else { return }
        json.object("window") { json in
            json.member("start", window.start.description)
            json.member("end", window.end.description)
            json.member("events", window.count)
        }
    }
}

/// The label that is published: the likeliest, or the task's `otherwise` when that is not likely enough.
struct Verdict: Equatable {
    let label: String
    /// Probability of the likeliest label, also when `label` is another.
    let confidence: Double

    init(_ answer: ClassifyAnswer, task: TaskSection?) {
        let best = answer.scores.max { $0.score < $1.score }
        confidence = best?.score ?? 0
        guard let task, confidence < task.minConfidence else {
            label = best?.label ?? task?.otherwise ?? ""
            return
        }
        label = task.otherwise
    }
}

/// What `…/task/<task>/state` shows.
enum StateText {
    /// Home Assistant refuses states of more characters (it counts Unicode code points).
    static let longest = 255

    /// The label, the summary or the JSON; nil for failures, which leave the last state standing.
    static func make(_ outcome: Outcome) -> String? {
        switch outcome.result {
        case .success(.classification(let answer)): Verdict(answer, task: outcome.job.task).label
        case .success(.summary(let answer)): cut(answer.summary)
        case .success(.extraction(let answer)): cut(answer.json)
        case .success(.text), .success(.embedding), .failure: nil
        }
    }

    /// Cut between characters, so that neither a letter loses its accent nor an emoji its colour.
    static func cut(_ text: String, longest: Int = StateText.longest) -> String {
        guard text.unicodeScalars.count > longest else { return text }
        var count = 1  // the "…"
        var result = ""
        for character in text {
            count += character.unicodeScalars.count
            if count > longest { break }
            result.append(character)
        }
        return result + "…"
    }
}
