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

/// Which user-defined tokens are a chat template's markup.
///
/// User-defined tokens are found in any text. Where a file calls `<|im_start|>` so, a message could begin a turn with it:
/// what templates write is found in markup only. Such a token stays user-defined, not control, because `<think>` and
/// `<tool_call>` are part of the answer; and `<table>` and the like, which no template writes, stay as they are.
enum TemplateMarkup {
    /// Bytes of a token; longer ones are not looked for, which bounds the time.
    private static let longest = 64

    /// Marks the tokens that the file's own template or a known one writes.
    static func mark(_ file: GGUFFile, _ vocabulary: inout Vocabulary) {
        guard vocabulary.kinds.contains(.userDefined) else { return }
        let own = (file.string("tokenizer.chat_template") ?? "").utf8.prefix(JinjaLexer.longestSource)
        for text in [Array(own), ChatTemplate.markup] {
            for start in text.indices where text[start] == 0x3C || text[start] == 0x5B {  // < [
                mark(text, start, &vocabulary)
            }
        }
    }

    private static func mark(_ text: [UInt8], _ start: Int, _ vocabulary: inout Vocabulary) {
        var hash = Hash()
        for end in start..<min(start + min(longest, vocabulary.longest), text.count) {
            hash.add(text[end])
            guard end - start >= 2, let token = vocabulary.token(written: text, start..<end + 1, hash) else { continue }
            if vocabulary.kind(Int(token)) == .userDefined { vocabulary.markMarkup(token) }
        }
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
