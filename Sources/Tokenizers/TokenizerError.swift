/// Why a file's tokenizer cannot be used: one sentence, and what to do about it.
public struct TokenizerError: Error, Equatable, CustomStringConvertible {
    /// The model file as the caller named it.
    public let path: String
    /// The whole sentence, with the path and the advice.
    public let description: String

    /// The file holds no vocabulary. Its weights can still be run on raw tokens.
    init(absent path: String, _ reason: String) {
        self.path = path
        description = "\(path) has no tokenizer: \(reason). Use a model file that carries its vocabulary"
    }

    init(unsupported path: String, _ reason: String, _ advice: String) {
        self.path = path
        description = "cannot use the tokenizer of \(path): \(reason). \(advice)"
    }

    init(damaged path: String, _ reason: String) {
        self.path = path
        description = "the tokenizer of \(path) is damaged: \(reason). Download the model again"
    }
}
