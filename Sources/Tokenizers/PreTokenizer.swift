/// Cuts text into words before merging: no merge crosses a cut.
///
/// Each published pre-tokenizer is a list of regular expressions; every expression cuts the pieces that the one before
/// left, and text between matches is a piece too. They are written here as scanners, because a regular-expression
/// engine would cost more memory and time than the rest of the tokenizer. The expressions are quoted beside the code.
struct PreTokenizer: Sendable, Equatable {
    /// The last expression, which decides about words.
    enum Words: Sendable, Equatable {
        case gpt2
        /// llama 3, qwen 2 and their relatives.
        case modern(ModernWords)
    }

    /// Cuts before the words are looked for.
    enum First: Sendable, Equatable {
        case nothing
        /// `\p{N}`: every digit on its own.
        case digits
        /// `[\p{P}\$\+<=>\^~\|]+`, with or without the back quote.
        case punctuation(backQuote: Bool)
    }

    /// Cuts inside the words that were found.
    enum Last: Sendable, Equatable {
        case nothing
        /// `[0-9][0-9][0-9]`.
        case threes
        /// `\p{N}+`, then `[0-9][0-9][0-9]`.
        case numbersThenThrees
    }

    var first = First.nothing
    var words: Words
    var last = Last.nothing

    /// The pre-tokenizer that `tokenizer.ggml.pre` names, or nil when Martlet does not have it.
    static func named(_ name: String) -> PreTokenizer? {
        switch name {
        case "gpt-2", "phi-2", "jina-es", "jina-de", "gigachat", "jina-v2-es", "jina-v2-de", "a.x-4.0", "mellum",
            "modern-bert", "mpt", "olmo", "jais", "trillion", "granite-docling", "exaone4", "jina-v1-en",
            "jina-v2-code", "roberta-bpe":
            PreTokenizer(words: .gpt2)
        case "starcoder", "refact", "command-r", "smollm", "codeshell", "exaone", "minerva-7b", "mellum2":
            PreTokenizer(first: .digits, words: .gpt2)
        case "llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2",
            "jina-v5-nano", "dbrx", "smaug-bpe", "chatglm-bpe", "glm4", "glm5":
            PreTokenizer(words: .modern(ModernWords(digits: 3)))
        case "qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "megrez", "stablelm2", "hunyuan", "solar-open",
            "grok-2", "bailingmoe", "bailingmoe2", "llada-moe":
            PreTokenizer(words: .modern(ModernWords(digits: 1)))
        case "qwen35":
            PreTokenizer(words: .modern(ModernWords(digits: 1, marksAreLetters: true)))
        case "seed-coder":
            PreTokenizer(words: .modern(ModernWords(digits: 1, newlinesAfterSymbols: false)))
        case "ufakzeka":
            PreTokenizer(words: .modern(ModernWords(digits: 1, contractions: false)))
        case "falcon":
            PreTokenizer(first: .punctuation(backQuote: true), words: .gpt2, last: .threes)
        case "default":
            PreTokenizer(first: .punctuation(backQuote: false), words: .gpt2, last: .numbersThenThrees)
        default:
            nil
        }
    }

    /// Pre-tokenizers whose words are taken whole when they are tokens (llama.cpp's `ignore_merges`).
    static let wholeWordsFirst: Set<String> = [
        "llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano",
        "glm4", "glm5",
    ]

    /// Pre-tokenizers that put BOS first unless the file says otherwise.
    static let addsBOS: Set<String> = [
        "llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano",
    ]

    /// Calls `body` with each piece of `text[range]` in order; together they cover it.
    func forEachPiece(of text: [UInt8], in range: Range<Int>, _ body: (Range<Int>) -> Void) {
        switch first {
        case .nothing:
            cutWords(text, range, body)
        case .digits:
            cut(text, range, { kind, _ in kind == .number }, single: true) { cutWords(text, $0, body) }
        case .punctuation(let backQuote):
            let belongs = { (kind: CharacterClass, byte: UInt8) in
                kind == .punctuation || kind == .symbol && byte < 0x80 && (backQuote || byte != 0x60)
            }
            cut(text, range, belongs, single: false) { cutWords(text, $0, body) }
        }
    }

    private func cutWords(_ text: [UInt8], _ range: Range<Int>, _ body: (Range<Int>) -> Void) {
        let piece = TextRange(text: text, end: range.upperBound)
        var at = range.lowerBound
        while at < range.upperBound {
            let end =
                switch words {
                case .gpt2: piece.endOfGPT2Word(at)
                case .modern(let words): piece.endOfModernWord(at, words)
                }
            cutInside(text, at..<end, body)
            at = end
        }
    }

    private func cutInside(_ text: [UInt8], _ range: Range<Int>, _ body: (Range<Int>) -> Void) {
        switch last {
        case .nothing:
            body(range)
        case .threes:
            cutThrees(text, range, body)
        case .numbersThenThrees:
            cut(text, range, { kind, _ in kind == .number }, single: false) { cutThrees(text, $0, body) }
        }
    }
}
