import Inference
import Linux
import Tokenizers

/// What a summary says, and how it came about.
public struct Summary: Sendable, Equatable {
    /// Who worded it.
    public enum Source: String, Sendable { case model, template }

    public var text: String
    /// Whether every number in it follows from its window.
    public var grounded: Bool
    public var source: Source
    public var tokens: TokenCount
    /// Seconds spent on prompts and on writing, over all attempts.
    public var prefillSeconds: Double
    public var decodeSeconds: Double
}

/// Puts a window of events into one or two sentences whose numbers are checked.
///
/// The model words facts that `WindowDigest` has computed. A wording with an invented number is sampled again, twice,
/// and then replaced by a plain sentence of facts. The state behind the instruction is kept like a classifier's. Not
/// thread-safe: it belongs to the thread of its session.
public final class Summarizer {
    private let shared: SharedSession
    private let tokenizer: Tokenizer
    private let prefix: Prefix
    private let lead: String
    private let suffix: [Int32]
    private let mostTokens: Int

    /// How a window is introduced when the task has no `prompt`.
    public static let standardPrompt =
        "Summarize these sensor events in one or two short sentences for the owner of the house. "
        + "Use only the numbers below, and mention what stands out."

    /// The temperature of wordings after the first: enough to leave the path that led to an invented number.
    private static let temperature: Float = 0.7
    /// Wordings at most.
    private static let attempts = 3

    /// - Parameters:
    ///   - prompt: the instruction; nil for the default. The facts go where it says `{{text}}`, or behind it.
    ///   - mostTokens: of one summary.
    ///   - adapters: those that act on its windows; nil for the model's.
    ///   - isSaved: whether the state behind its prompt outlives the process, where the session has a store.
    public init(
        _ shared: SharedSession, prompt: String? = nil, mostTokens: Int = 60, adapters: [ScaledAdapter]? = nil,
        isSaved: Bool = false
    ) throws(TaskError) {
        self.shared = shared
        self.mostTokens = max(1, mostTokens)
        let model = shared.session.model
        do throws(TokenizerError) { tokenizer = try model.tokenizer } catch { throw TaskError(error) }
        var text = (prompt ?? Self.standardPrompt).replacing(PromptParts.mark, with: "")
        if let place = text.range(of: ClassifyPrompt.textMark) {
            text.replaceSubrange(place, with: PromptParts.mark)
        } else {
            text += "\n\n" + PromptParts.mark
        }
        let parts = PromptParts([ChatMessage(.user, text)], template: model.chatTemplate)
        let (tokens, lead) = parts.prefix(tokenizer)
        prefix = Prefix(tokens, adapters: adapters, isSaved: isSaved)
        self.lead = lead
        suffix = parts.suffix(tokenizer)
    }

    deinit { shared.forget(prefix) }

    /// Summarises `events`; nil when `isCancelled` said so.
    public func summarize(
        _ events: [SummaryEvent], isCancelled: @escaping () -> Bool = { false }
    ) throws(TaskError) -> Summary? {
        try summarize(WindowDigest(events), isCancelled: isCancelled)
    }

    /// Summarises a window digested while its events came in.
    public func summarize(
        _ digest: WindowDigest, isCancelled: @escaping () -> Bool = { false }
    ) throws(TaskError) -> Summary? {
        guard digest.events > 0 else { throw TaskError("a window without events cannot be summarised. Wait for some.") }
        let facts = try factTokens(digest)
        let grounding = Grounding(digest)
        let cached = try shared.activate(prefix)
        // What was appended is of no use to the next event; the prefix is.
        defer { shared.session.truncate(to: prefix.tokens.count) }
        var effort = Effort(tokens: TokenCount(prompt: prefix.tokens.count + facts.count, cached: cached, generated: 0))
        for attempt in 0..<Self.attempts {
            guard let text = try write(facts, attempt, &effort, isCancelled) else { return nil }
            guard !text.isEmpty, grounding.firstInvented(in: text) == nil else { continue }
            return effort.summary(text, .model)
        }
        // True by construction: all its numbers are the digest's own.
        return effort.summary(digest.sentence, .template)
    }

    /// What all attempts took together.
    private struct Effort {
        var tokens: TokenCount
        var prefill = 0.0
        var decode = 0.0

        func summary(_ text: String, _ source: Summary.Source) -> Summary {
            Summary(
                text: text, grounded: true, source: source, tokens: tokens, prefillSeconds: prefill,
                decodeSeconds: decode)
        }
    }

    /// One wording: greedy first, then sampled. Nil when cancelled.
    private func write(
        _ facts: [Int32], _ attempt: Int, _ effort: inout Effort, _ isCancelled: @escaping () -> Bool
    ) throws(TaskError) -> String? {
        let session = shared.session
        var prompt = facts
        if attempt > 0 {
            // All but the last token is still there; that one is computed again for its logits.
            session.truncate(to: prefix.tokens.count + facts.count - 1)
            prompt = Array(facts.suffix(1))
        }
        let options = SamplerOptions(temperature: attempt == 0 ? 0 : Self.temperature, seed: UInt64(attempt))
        let start = monotonicNanoseconds()
        do throws(GenerationError) {
            var generator = try Generator(
                session, prompt: prompt, options: options, mostTokens: mostTokens, isCancelled: isCancelled)
            let prefilled = monotonicNanoseconds()
            let text = try generator.text()
            effort.tokens.generated += generator.tokenCount
            effort.prefill += Double(prefilled - start) / 1e9
            effort.decode += Double(monotonicNanoseconds() - prefilled) / 1e9
            guard generator.ending != .cancelled else { return nil }
            return tidied(text, isComplete: generator.ending == .endOfGeneration)
        } catch {
            throw TaskError(error.description)
        }
    }

    /// The digest's lines and the prompt's end; lines are left out from the end until all fits the context.
    private func factTokens(_ digest: WindowDigest) throws(TaskError) -> [Int32] {
        var lines = digest.lines
        let room = shared.session.context - prefix.tokens.count - suffix.count - mostTokens
        while true {
            let text = lines.map { "- \($0)" }.joined(separator: "\n")
            // Events are plain text here too: what they say cannot end the user's turn.
            let tokens = tokenizer.encode(
                lead + text, addSpecial: false, parseSpecial: false,
                continues: !tokenizer.beginsText(after: prefix.tokens.last))
            if tokens.count <= room { return tokens + suffix }
            guard lines.count > 1 else {
                throw TaskError(
                    "a summary needs \(tokens.count - room) tokens more than the context of "
                        + "\(shared.session.context). Raise `context` or shorten `prompt`.")
            }
            lines.removeLast()
        }
    }
}

/// A model's answer as one paragraph: no list marks, no sentence twice, no half sentence where the token limit cut it.
func tidied(_ text: String, isComplete: Bool) -> String {
    var sentences: [String] = []
    for part in SentenceWords.sentences(text) {
        var sentence = trimmed(part)
        while let mark = sentence.first, "-*•#>".contains(mark) { sentence = trimmed(String(sentence.dropFirst())) }
        if !sentence.isEmpty, !sentences.contains(sentence) { sentences.append(sentence) }
    }
    if !isComplete, sentences.count > 1, let last = sentences.last?.last, !".!?".contains(last) {
        sentences.removeLast()
    }
    return sentences.joined(separator: " ")
}
