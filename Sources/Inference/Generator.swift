import Constraints
import Tokenizers

/// Writes text behind a prompt, token by token.
///
/// Borrows its session, which must not be used by anyone else until the text is complete; what it appended stays there.
public struct Generator {
    /// Why the text ended.
    public enum Ending: Sendable, Equatable {
        /// The model ended its answer.
        case endOfGeneration
        /// The caller's limit of tokens.
        case tokenLimit
        /// No cell of the context is left.
        case contextFull
        /// The caller asked to stop.
        case cancelled
    }

    /// Set when the text is complete.
    public private(set) var ending: Ending?
    /// Tokens written, the one that ended the text not counted.
    public private(set) var tokenCount = 0

    /// Nanoseconds spent on the constraint.
    public internal(set) var constraintNanoseconds: UInt64 = 0

    let session: Session
    let tokenizer: Tokenizer
    let limit: Int
    var sampler: Sampler
    private var stream = TextStream()
    /// Whether no text was written yet, and the prompt ends with a special token.
    private var begins: Bool
    private(set) var recent: [Int32] = []
    /// Tokens of the text that are not computed yet.
    private var pending: [Int32] = []
    private var bytes: [UInt8] = []
    var guide: ConstraintState?
    private let isCancelled: () -> Bool

    /// Tokens that a repeat penalty looks back on, as llama.cpp's default.
    static let memory = 64

    /// Computes the prompt behind what the session holds.
    ///
    /// - Parameters:
    ///   - prompt: at least one token; it must fit the session's context.
    ///   - mostTokens: of text; the end-of-generation token comes on top.
    ///   - constraint: what the text must be. It then always is, whatever the limits: near them the text is brought to
    ///     its nearest end, and one that does not fit at all is refused here.
    ///   - isCancelled: asked between passes; a prompt on a small board takes a minute.
    public init(
        _ session: Session, prompt: [Int32], options: SamplerOptions = SamplerOptions(), mostTokens: Int,
        constraint: Constraint? = nil, isCancelled: @escaping () -> Bool = { false }
    ) throws(GenerationError) {
        self.session = session
        do throws(TokenizerError) { tokenizer = try session.model.tokenizer } catch { throw .tokenizer(error) }
        self.isCancelled = isCancelled
        begins = tokenizer.beginsText(after: prompt.last)
        limit = max(0, mostTokens)
        sampler = Sampler(options)
        recent.reserveCapacity(2 * Self.memory)
        if let constraint { try follow(constraint, promptTokens: prompt.count) }
        try compute(prompt)
        recent = Array(prompt.suffix(Self.memory))
    }

    /// The next piece of text, at least one whole character; nil when the text is complete.
    public mutating func next() throws(GenerationError) -> String? {
        while ending == nil {
            let piece = try step()
            if !piece.isEmpty { return piece }
        }
        let rest = stream.finish()
        return rest.isEmpty ? nil : rest
    }

    /// Writes the whole text.
    public mutating func text() throws(GenerationError) -> String {
        var text = ""
        while let piece = try next() { text += piece }
        return text
    }

    private mutating func step() throws(GenerationError) -> String {
        guard guide == nil else { return try constrainedStep() }
        guard tokenCount < limit else { return end(.tokenLimit) }
        guard session.count + pending.count <= session.context else { return end(.contextFull) }
        guard try computePending() else { return end(.cancelled) }
        let token = sampler.sample(session.logits(), recent: recent.suffix(Self.memory))
        if tokenizer.isEndOfGeneration(token) { return end(.endOfGeneration) }
        return write(token)
    }

    /// Tokens that can still be written: what is left of the limit and of the context. The last one needs no cell.
    var room: Int { min(limit - tokenCount, session.usableContext - session.count - pending.count + 1) }

    /// Computes what was written last, only now that another token is wanted; false when cancelled.
    mutating func computePending() throws(GenerationError) -> Bool {
        guard !pending.isEmpty else { return true }
        guard !isCancelled() else { return false }
        do throws(InferenceError) {
            if pending.count == 1 { try session.evaluate(pending[0]) } else { try session.evaluate(pending) }
        } catch {
            throw .inference(error)
        }
        pending.removeAll(keepingCapacity: true)
        return true
    }

    /// Adds a token to the text; the whole characters that are known now.
    mutating func write(_ token: Int32) -> String {
        tokenCount += 1
        pending.append(token)
        if recent.count >= 2 * Self.memory { recent.removeFirst(Self.memory) }
        recent.append(token)
        bytes.removeAll(keepingCapacity: true)
        // What a constraint wants is written as it is, a blank at its beginning too.
        tokenizer.append(token, to: &bytes, begins: begins && guide == nil)
        begins = begins && bytes.isEmpty
        return stream.append(bytes)
    }

    /// Adds text that no model need see, as `tokens` tokens.
    mutating func write(last text: [UInt8], tokens: Int) -> String {
        tokenCount += tokens
        return stream.append(text)
    }

    mutating func end(_ ending: Ending) -> String {
        self.ending = ending
        return ""
    }

    private mutating func compute(_ prompt: [Int32]) throws(GenerationError) {
        guard prompt.count <= session.context - session.count else {
            throw .promptTooLong(tokens: prompt.count, room: session.context - session.count)
        }
        var rest = prompt[...]
        while !rest.isEmpty {
            guard !isCancelled() else {
                ending = .cancelled
                return
            }
            do throws(InferenceError) {
                try session.evaluate(Array(rest.prefix(session.batch)))
            } catch {
                throw .inference(error)
            }
            rest = rest.dropFirst(session.batch)
        }
    }
}

/// Why a text cannot be generated.
public enum GenerationError: Error, CustomStringConvertible, Sendable {
    case tokenizer(TokenizerError)
    case inference(InferenceError)
    case promptTooLong(tokens: Int, room: Int)
    /// Not even the shortest text that the constraint allows fits.
    case constraintTooLong(tokens: Int, room: Int)
    /// The vocabulary cannot write what the constraint wants.
    case constraintUnwritable

    public var description: String {
        switch self {
        case .tokenizer(let error): error.description
        case .inference(let error): error.description
        case .promptTooLong(let tokens, let room):
            "the prompt is \(tokens) tokens long, and \(room) fit. Shorten it or raise `context`."
        case .constraintTooLong(let tokens, let room):
            "the shortest answer that the constraint allows takes \(tokens) tokens, and \(max(0, room)) fit. "
                + "Allow more tokens, raise `context`, or ask for less."
        case .constraintUnwritable:
            "the model's vocabulary cannot write what the constraint wants. Use a model with tokens for all bytes."
        }
    }
}
