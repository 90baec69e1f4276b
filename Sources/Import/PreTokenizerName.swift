import JSON

/// Finds GGUF's name of a byte-level pre-tokenizer from the expressions in tokenizer.json.
///
/// llama.cpp's converter tokenizes a text and looks the result's hash up; the expressions themselves tell the same
/// without a table of models, and a new model with known expressions is known.
enum PreTokenizerName {
    private static let contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
    private static let rest = #"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#

    /// Expressions of `Split`, with the name for each.
    private static let splits: [String: String] = [
        contractions + #"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"# + rest: "llama-bpe",
        contractions + #"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"# + rest: "qwen2",
        // As Phi-4 and others write the first: the case is spelled out.
        #"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"#
            + #"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"# + rest: "llama-bpe",
        #"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"#:
            "llama-bpe",
        #"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"#
            + #"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"#
            + #"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"#: "gpt-4o",
        #"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"#
            + #"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"#
            + #"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"#: "tekken",
        #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#: "gpt-2",
    ]

    /// The name, or nil and what was found.
    static func of(_ tokenizer: TokenizerJSON, _ architecture: Architecture) -> (name: String?, found: String) {
        let parts = tokenizer.parts("pre_tokenizer")
        let expressions = parts.filter { $0["type"]?.string == "Split" }
            .compactMap { $0["pattern"]?["Regex"]?.string ?? $0["pattern"]?["String"]?.string }
        let kinds = parts.compactMap { $0["type"]?.string }
        let found = (kinds + expressions).joined(separator: ", ")
        if expressions.isEmpty {
            guard kinds.last == "ByteLevel", kinds.allSatisfy({ ["Digits", "ByteLevel"].contains($0) }) else {
                return (nil, found)
            }
            if kinds.contains("Digits") { return (architecture.preTokenizer ?? "smollm", found) }
            return (architecture.preTokenizer == "phi-2" ? "phi-2" : "gpt-2", found)
        }
        if expressions.count == 1, let name = splits[expressions[0]] {
            guard name == "llama-bpe" else { return (name, found) }
            if architecture.preTokenizer == "lfm2" { return ("lfm2", found) }
            // Llama 3 takes whole words that are tokens; others with its expression merge from the bytes up.
            return (tokenizer.model?["ignore_merges"]?.bool == true ? name : "dbrx", found)
        }
        return (deepSeek(expressions), found)
    }

    /// DeepSeek cuts in several steps; the first tell which.
    private static func deepSeek(_ expressions: [String]) -> String? {
        guard expressions.first == "[\r\n]" || expressions.first == #"[\r\n]"# else {
            return expressions.first == #"\p{N}{1,3}"# ? "deepseek-v3" : nil
        }
        return expressions.contains { $0.hasPrefix(#"\s?[A-Za-z"#) } ? "deepseek-llm" : "deepseek-coder"
    }
}
