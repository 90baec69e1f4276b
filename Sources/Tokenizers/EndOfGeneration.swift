import GGUF

/// Which tokens end a generation.
///
/// Files name at most EOS and EOT, and often wrongly, so tokens are also known by their text, as llama.cpp knows them.
enum EndOfGeneration {
    /// End the text or the turn whatever the file says; they are control tokens even where it forgot to say so.
    static let texts = [
        "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>", "<end_of_turn>",
        "<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>",
        "<end_of_utterance>", "<eos>", "<turn|>", "<|tool_response>", "<｜end▁of▁sentence｜>", "[e~[",
    ]

    /// Separate files and repositories in code models: what follows is another document.
    static let separators = [
        "<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]", "<|fim_repo|>", "<|repo_name|>", "<fim-repo>",
        "<REPO>", "<reponame>", "<|file_sep|>",
    ]

    static let keys = ["eos_token_id", "eot_token_id", "eom_token_id"].map { "tokenizer.ggml.\($0)" }

    /// The set for a vocabulary; marks those found by text as control tokens.
    static func tokens(_ file: GGUFFile, _ vocabulary: inout Vocabulary) throws(TokenizerError) -> Set<Int32> {
        var tokens: Set<Int32> = []
        for text in texts + separators {
            let found = Array(text.utf8).withUnsafeBytes { vocabulary.token(written: $0) }
            guard let token = found else { continue }
            vocabulary.markControl(token)
            tokens.insert(token)
        }
        // Where there is a token for the end of the whole answer, this one ends a part of it.
        func token(_ text: String) -> Int32? { vocabulary.token(for: Array(text.utf8)[...]) }
        if token("<|return|>") != nil, token("<|call|>") != nil, let part = token("<|end|>") { tokens.remove(part) }
        for key in keys {
            if let token = try specialToken(key, file, vocabulary) { tokens.insert(token) }
        }
        return tokens
    }
}

/// The token that a key such as `tokenizer.ggml.bos_token_id` names, or nil without the key.
func specialToken(_ key: String, _ file: GGUFFile, _ vocabulary: Vocabulary) throws(TokenizerError) -> Int32? {
    guard let value = file.integer(key) else { return nil }
    guard value >= 0, value < vocabulary.count else {
        throw TokenizerError(damaged: file.path, "\(key) is \(value), but it has \(vocabulary.count) tokens")
    }
    return Int32(value)
}
