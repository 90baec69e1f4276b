import Constraints
import Inference
import JSON
import Linux
import Tokenizers

/// What was read out of a text.
public struct Extraction: Sendable, Equatable {
    /// JSON on one line that the schema allows, always.
    public var json: String
    /// Whether the limit of tokens cut it short: the rest is then the shortest that the schema allows.
    public var isCut: Bool
    public var tokens: TokenCount
    /// Seconds spent on the prompt, on writing, and of those on the constraint.
    public var prefillSeconds: Double
    public var decodeSeconds: Double
    public var constraintSeconds: Double
}

/// Puts what a text says into JSON that follows a schema.
///
/// The schema is compiled once and its masks are kept between texts, as is the state behind the instruction. Not
/// thread-safe: it belongs to the thread of its session.
public final class Extractor {
    private let shared: SharedSession
    private let tokenizer: Tokenizer
    private let constraint: Constraint
    private let prefix: Prefix
    private let lead: String
    private let suffix: [Int32]
    private let mostTokens: Int

    /// The instruction when there is no other. Without the schema: a model as small as SmolLM2-135M takes the first
    /// value that it has read there (measured: one text of four right with it, four without). Name `{{schema}}` in a
    /// prompt of your own for larger ones.
    public static let standardPrompt = "Extract the data from the text as JSON.\n\nText: {{text}}"

    /// Tokens of an answer at most where nothing else is said.
    public static let standardMostTokens = 256

    /// - Parameters:
    ///   - schema: the JSON Schema's text.
    ///   - prompt: the instruction; nil for the default. The text goes where it says `{{text}}`, the schema
    ///     where it says `{{schema}}`; a prompt without `{{text}}` gets it behind its end.
    ///   - mostTokens: of one answer.
    ///   - limits: what the schema may cost; less for one from a stranger.
    ///   - adapters: those that act on its texts; nil for the model's.
    ///   - isSaved: whether the state behind its prompt outlives the process, where the session has a store.
    public init(
        _ shared: SharedSession, schema: [UInt8], prompt: String? = nil, mostTokens: Int = standardMostTokens,
        limits: Grammar.Limits = .standard, adapters: [ScaledAdapter]? = nil,
        isSaved: Bool = false
    ) throws(TaskError) {
        self.shared = shared
        self.mostTokens = max(1, mostTokens)
        let model = shared.session.model
        constraint = try Self.constraint(schema, limits, model)
        do throws(TokenizerError) { tokenizer = try model.tokenizer } catch { throw TaskError(error) }
        let parts = PromptParts(
            [ChatMessage(.user, Self.message(prompt, schema))], template: model.chatTemplate)
        let (tokens, lead) = parts.prefix(tokenizer)
        prefix = Prefix(tokens, adapters: adapters, isSaved: isSaved)
        self.lead = lead
        suffix = parts.suffix(tokenizer)
    }

    deinit { shared.forget(prefix) }

    /// Computes the state behind the instruction, which the first text otherwise waits for.
    public func prepare() throws(TaskError) { _ = try shared.activate(prefix) }

    private static func constraint(
        _ schema: [UInt8], _ limits: Grammar.Limits, _ model: Model
    ) throws(TaskError) -> Constraint {
        let grammar: Grammar
        do throws(GrammarError) {
            grammar = try Grammar(schema: schema, limits: limits)
        } catch {
            throw TaskError(error.description)
        }
        do throws(TokenizerError) { return try model.constraint(grammar) } catch { throw TaskError(error) }
    }

    /// The user's message, with `PromptParts.mark` for the text.
    private static func message(_ prompt: String?, _ schema: [UInt8]) -> String {
        // Without the blanks that people indent a schema with: each is a token to compute.
        let compact = (try? JSONValue(parsing: schema))?.text ?? ""
        var text = (prompt ?? standardPrompt).replacing(PromptParts.mark, with: "")
        text = text.replacing("{{schema}}", with: compact.replacing(PromptParts.mark, with: ""))
        guard let place = text.range(of: ClassifyPrompt.textMark) else { return text + "\n\nText: " + PromptParts.mark }
        text.replaceSubrange(place, with: PromptParts.mark)
        return text
    }

    /// Reads one text; nil when `isCancelled` said so.
    ///
    /// - Parameter sampling: greedy by default, so that the same text gives the same answer.
    public func extract(
        _ text: String, sampling: SamplerOptions = SamplerOptions(), isCancelled: @escaping () -> Bool = { false }
    ) throws(TaskError) -> Extraction? {
        let session = shared.session
        let cached = try shared.activate(prefix)
        // What was appended is of no use to the next text; the prefix is.
        defer { session.truncate(to: prefix.tokens.count) }
        // Texts are plain here: what they say cannot end the user's turn.
        let event =
            tokenizer.encode(
                lead + text, addSpecial: false, parseSpecial: false,
                continues: !tokenizer.beginsText(after: prefix.tokens.last)) + suffix
        let start = monotonicNanoseconds()
        do throws(GenerationError) {
            var generator = try Generator(
                session, prompt: event, options: sampling, mostTokens: mostTokens, constraint: constraint,
                isCancelled: isCancelled)
            let prefilled = monotonicNanoseconds()
            let json = try generator.text()
            guard generator.ending != .cancelled else { return nil }
            return Extraction(
                json: json, isCut: generator.ending == .tokenLimit,
                tokens: TokenCount(
                    prompt: prefix.tokens.count + event.count, cached: cached, generated: generator.tokenCount),
                prefillSeconds: Double(prefilled - start) / 1e9,
                decodeSeconds: Double(monotonicNanoseconds() - prefilled) / 1e9,
                constraintSeconds: Double(generator.constraintNanoseconds) / 1e9)
        } catch {
            throw TaskError(error.description)
        }
    }
}
