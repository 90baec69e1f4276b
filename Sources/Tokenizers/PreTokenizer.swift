/// Cuts text into words before merging: no merge crosses a cut.
///
/// Each published pre-tokenizer is a list of regular expressions; every expression cuts the pieces that the one before
/// left, and text between matches is a piece too. They are written here as scanners, because a regular-expression
/// engine would cost more memory and time than the rest of the tokenizer. The expressions are quoted beside the code.
struct PreTokenizer: Sendable, Equatable {
    /// The expression that decides about words.
    enum Words: Sendable, Equatable {
        /// No such expression: what the cuts leave are the words.
        case none
        case gpt2
        /// llama 3, qwen 2 and their relatives.
        case modern(ModernWords)
        /// Mistral's tekken, GPT-4o.
        case cased(CasedWords)
        /// DeepSeek 3.
        case marked
    }

    /// An expression that cuts pieces off, before the words are looked for or inside them.
    enum Cut: Sendable, Equatable {
        /// `\p{N}`: every digit on its own.
        case digits
        /// `\p{N}+`
        case numbers
        /// `\p{N}{1,3}`
        case numberGroups
        /// `[0-9][0-9][0-9]`
        case threes
        /// `[\p{P}\$\+<=>\^~\|]+`, with or without the back quote.
        case punctuation(backQuote: Bool)
        /// `[\r\n]`
        case newlines
        /// `\s?[A-Za-zµÀ-Ö…]+`: the letters of `CasedLetters`.
        case casedLetters
        /// `\s?\p{L}+`
        case letters
        /// `\s?[!-/:-~！-／：-～‘-‟　-。]+`
        case signs
        /// `\s?\p{P}+`
        case spacedPunctuation
        /// `\s+$`
        case trailingSpace
        /// `[一-龥ࠀ-一가-퟿]+`
        case wideScripts
        /// `[一-龥぀-ゟ゠-ヿ]+`
        case hanAndKana
    }

    /// One after the other on what the one before left.
    var before: [Cut] = []
    var words: Words
    var after: [Cut] = []

    /// The pre-tokenizer that `tokenizer.ggml.pre` names, or nil when Martlet does not have it.
    static func named(_ name: String) -> PreTokenizer? {
        switch name {
        case "gpt-2", "phi-2", "jina-es", "jina-de", "gigachat", "jina-v2-es", "jina-v2-de", "a.x-4.0", "mellum",
            "modern-bert", "mpt", "olmo", "jais", "trillion", "granite-docling", "exaone4", "jina-v1-en",
            "jina-v2-code", "roberta-bpe":
            PreTokenizer(words: .gpt2)
        case "starcoder", "refact", "command-r", "smollm", "codeshell", "exaone", "minerva-7b", "mellum2":
            PreTokenizer(before: [.digits], words: .gpt2)
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
        case "tekken":
            PreTokenizer(words: .cased(CasedWords(digits: 1)))
        case "gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2":
            PreTokenizer(words: .cased(CasedWords(digits: 3, contractions: true)))
        case "deepseek-llm":
            PreTokenizer(
                before: [.newlines, .casedLetters, .signs, .trailingSpace, .wideScripts, .digits], words: .none)
        case "deepseek-coder":
            PreTokenizer(before: [.newlines, .letters, .spacedPunctuation, .wideScripts, .digits], words: .none)
        case "deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4":
            PreTokenizer(before: [.numberGroups, .hanAndKana], words: .marked)
        case "falcon":
            PreTokenizer(before: [.punctuation(backQuote: true)], words: .gpt2, after: [.threes])
        case "default":
            PreTokenizer(before: [.punctuation(backQuote: false)], words: .gpt2, after: [.numbers, .threes])
        default:
            nil
        }
    }

    /// Pre-tokenizers whose words are taken whole when they are tokens (llama.cpp's `ignore_merges`).
    static let wholeWordsFirst: Set<String> = [
        "llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano",
        "glm4", "glm5", "tekken",
    ]

    /// Pre-tokenizers that put BOS first unless the file says otherwise.
    static let addsBOS: Set<String> = [
        "llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano",
        "tekken",
    ]

    /// Calls `body` with each piece of `text[range]` in order; together they cover it.
    func forEachPiece(of text: [UInt8], in range: Range<Int>, _ body: (Range<Int>) -> Void) {
        apply(before[...], text, range) { piece in
            cutWords(text, piece) { apply(after[...], text, $0, body) }
        }
    }

    private func apply(
        _ cuts: ArraySlice<Cut>, _ text: [UInt8], _ range: Range<Int>, _ body: (Range<Int>) -> Void
    ) {
        guard let first = cuts.first else { return body(range) }
        cut(first, text, range) { apply(cuts.dropFirst(), text, $0, body) }
    }

    private func cutWords(_ text: [UInt8], _ range: Range<Int>, _ body: (Range<Int>) -> Void) {
        let piece = TextRange(text: text, end: range.upperBound)
        var at = range.lowerBound
        while at < range.upperBound {
            let end =
                switch words {
                case .none: range.upperBound
                case .gpt2: piece.endOfGPT2Word(at)
                case .modern(let words): piece.endOfModernWord(at, words)
                case .cased(let words): piece.endOfCasedWord(at, words)
                case .marked: piece.endOfMarkedWord(at)
                }
            body(at..<end)
            at = end
        }
    }
}
