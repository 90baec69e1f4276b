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

    private let session: Session
    private let tokenizer: Tokenizer
    private let limit: Int
    private var sampler: Sampler
    private var stream = TextStream()
    private var recent: [Int32] = []
    private var pending: Int32?
    /// Whether no text was written yet, and the prompt ends with a special token.
    private var begins: Bool
    private let isCancelled: () -> Bool

    /// Tokens that a repeat penalty looks back on, as llama.cpp's default.
    private static let memory = 64

    /// Computes the prompt behind what the session holds.
    ///
    /// - Parameters:
    ///   - prompt: at least one token; it must fit the session's context.
    ///   - mostTokens: of text; the end-of-generation token comes on top.
    ///   - isCancelled: asked between passes; a prompt on a small board takes a minute.
    public init(
        _ session: Session, prompt: [Int32], options: SamplerOptions = SamplerOptions(), mostTokens: Int,
        isCancelled: @escaping () -> Bool = { false }
    ) throws(GenerationError) {
        self.session = session
        do throws(TokenizerError) { tokenizer = try session.model.tokenizer } catch { throw .tokenizer(error) }
        self.isCancelled = isCancelled
        begins = tokenizer.beginsText(after: prompt.last)
        limit = max(0, mostTokens)
        sampler = Sampler(options)
        recent.reserveCapacity(2 * Self.memory)
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
        guard tokenCount < limit else { return end(.tokenLimit) }
        if let last = pending {
            // The last token is computed only now that another one is wanted.
            guard session.count < session.context else { return end(.contextFull) }
            guard !isCancelled() else { return end(.cancelled) }
            do throws(InferenceError) { try session.evaluate(last) } catch { throw .inference(error) }
        }
        let token = sampler.sample(session.logits(), recent: recent.suffix(Self.memory))
        if tokenizer.isEndOfGeneration(token) { return end(.endOfGeneration) }
        tokenCount += 1
        pending = token
        if recent.count >= 2 * Self.memory { recent.removeFirst(Self.memory) }
        recent.append(token)
        var bytes: [UInt8] = []
        tokenizer.append(token, to: &bytes, begins: begins)
        begins = begins && bytes.isEmpty
        return stream.append(bytes)
    }

    private mutating func end(_ ending: Ending) -> String {
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

    public var description: String {
        switch self {
        case .tokenizer(let error): error.description
        case .inference(let error): error.description
        case .promptTooLong(let tokens, let room):
            "the prompt is \(tokens) tokens long, and \(room) fit. Shorten it or raise `context`."
        }
    }
}
