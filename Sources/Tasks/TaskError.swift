import Inference
import Tokenizers

/// Why a task cannot be done: one sentence, then what to do.
public struct TaskError: Error, CustomStringConvertible, Sendable, Equatable {
    public let description: String

    public init(_ description: String) { self.description = description }
    init(_ error: InferenceError) { description = error.description }
    init(_ error: TokenizerError) { description = error.description }
}

/// Tokens that one answer took.
public struct TokenCount: Sendable, Equatable {
    /// All tokens of the prompt.
    public var prompt: Int
    /// Of these, how many were not computed because their state was kept.
    public var cached: Int
    /// Tokens the model generated; none for a classification.
    public var generated: Int

    public init(prompt: Int, cached: Int, generated: Int) {
        self.prompt = prompt
        self.cached = cached
        self.generated = generated
    }
}
