import GGUF

/// Turns text into a model's tokens and back.
///
/// Built from the metadata of a GGUF file and bound to it: the texts of the tokens stay in the mapping.
public final class Tokenizer: Sendable {
    /// One case for each `tokenizer.ggml.model` that Martlet has; a new one is a new case and its encoder.
    private enum Algorithm: Sendable {
        case bytePair(BytePairEncoder, PreTokenizer)
        case sentencePiece(SentencePieceEncoder)
        case wordPiece(WordPieceEncoder)
    }

    /// `tokenizer.ggml.model`, as far as Martlet has it.
    enum Kind: Sendable {
        case bytePair, sentencePiece, wordPiece

        init?(_ model: String) {
            switch model {
            case "gpt2": self = .bytePair
            case "llama": self = .sentencePiece
            case "bert": self = .wordPiece
            default: return nil
            }
        }
    }

    /// `tokenizer.ggml.model`, for example `gpt2`.
    public let model: String
    /// `tokenizer.ggml.pre`, for example `smollm`.
    public let preTokenizer: String
    /// Begins a text; nil when the model has none.
    public let bos: Int32?
    /// Ends a text; nil when the model has none.
    public let eos: Int32?
    /// Whether the model wants BOS before every text.
    public let addsBOS: Bool
    /// Whether the model wants EOS after every text; only encoders do.
    let addsEOS: Bool

    private let vocabulary: Vocabulary
    private let added: AddedTokens
    private let endOfGeneration: Set<Int32>
    private let algorithm: Algorithm

    /// Reads the vocabulary. Throws `TokenizerError` when the file has none or needs an algorithm Martlet lacks.
    public init(_ file: GGUFFile) throws(TokenizerError) {
        guard let model = file.string("tokenizer.ggml.model") else {
            throw TokenizerError(absent: file.path, "tokenizer.ggml.model is missing")
        }
        // llama.cpp, too, takes a file without the key as "default".
        let pre = file.string("tokenizer.ggml.pre") ?? "default"
        guard let kind = Kind(model) else { throw Self.refusal(of: model, file.path) }
        var vocabulary = try Vocabulary(file, kind == .bytePair ? .byteLevel : .escapedSpaces)
        var endOfGeneration = try EndOfGeneration.tokens(file, &vocabulary)
        TemplateMarkup.mark(file, &vocabulary)
        let tokens = try SpecialTokens(file, vocabulary, kind, pre)
        if kind != .bytePair, let eos = tokens.eos { endOfGeneration.insert(eos) }
        algorithm = try Self.algorithm(kind, pre, file, vocabulary, tokens)
        added = AddedTokens(vocabulary, stripsRight: Self.isPhi3(file, kind))
        self.endOfGeneration = endOfGeneration
        self.vocabulary = vocabulary
        self.model = model
        preTokenizer = pre
        bos = tokens.bos
        eos = tokens.eos
        addsBOS = tokens.addsBOS
        addsEOS = tokens.addsEOS
    }

    private static func algorithm(
        _ kind: Kind, _ pre: String, _ file: GGUFFile, _ vocabulary: Vocabulary, _ tokens: SpecialTokens
    ) throws(TokenizerError) -> Algorithm {
        switch kind {
        case .bytePair:
            // No fallback: other words are other tokens, and a model that reads those answers nonsense without saying so.
            guard let words = PreTokenizer.named(pre) else {
                throw TokenizerError(
                    unsupported: file.path, "its pre-tokenizer \(quoted(pre)) is not supported",
                    "Use another model, or a newer Martlet")
            }
            let bytes = (0...255).map { byte in
                vocabulary.token(for: [UInt8(byte)][...]).map(UInt32.init) ?? MergeTable.missing
            }
            let encoder = BytePairEncoder(
                merges: try MergeTable(file, vocabulary), byteTokens: bytes,
                wholeWordsFirst: PreTokenizer.wholeWordsFirst.contains(pre))
            return .bytePair(encoder, words)
        case .sentencePiece:
            return .sentencePiece(try SentencePieceEncoder(file, vocabulary, unknown: tokens.unknown))
        case .wordPiece:
            guard let unknown = tokens.unknown else {
                throw TokenizerError(damaged: file.path, "it has no token for unknown words")
            }
            return .wordPiece(WordPieceEncoder(file, unknown: unknown))
        }
    }

    /// Phi-3 on llama's vocabulary; llama.cpp goes by the name alone, Phi-4's byte-level vocabulary is another.
    private static func isPhi3(_ file: GGUFFile, _ kind: Kind) -> Bool {
        guard kind == .sentencePiece else { return false }
        if file.string("general.architecture") == "phi3" { return true }
        let name = (file.string("general.name") ?? "").lowercased()
        return name.contains("phi-3") || name.contains("phi3")
    }

    private static func refusal(of model: String, _ path: String) -> TokenizerError {
        let names = ["t5": "Unigram", "rwkv": "RWKV", "plamo2": "PLaMo 2", "gemma4": "Gemma 4"]
        let name = names[model].map { " (\($0))" } ?? ""
        return TokenizerError(
            unsupported: path, "tokenizer model \(quoted(model))\(name) is not supported",
            "Use a model whose vocabulary is byte-level BPE (gpt2), SentencePiece BPE (llama) or WordPiece (bert)")
    }

    /// How many tokens the vocabulary holds.
    public var vocabularyCount: Int { vocabulary.count }

    /// Whether a generation is over when the model chooses `token`.
    public func isEndOfGeneration(_ token: Int32) -> Bool { endOfGeneration.contains(token) }

    /// The token whose bytes are exactly `text`, for example `<|im_start|>` or ` the`; nil when there is none.
    public func token(for text: String) -> Int32? { vocabulary.token(for: Array(text.utf8)[...]) }

    /// Whether text behind `token` is tokenised as at a beginning: behind none, and behind special tokens.
    ///
    /// SentencePiece puts a space before such text, so this decides what `continues` is to be.
    public func beginsText(after token: Int32?) -> Bool {
        guard let token, token >= 0, token < vocabulary.count else { return true }
        switch vocabulary.kind(Int(token)) {
        case .control, .unknown, .userDefined: return true
        case .normal, .unused, .byte: return false
        }
    }

    /// The tokens of a text.
    ///
    /// - Parameters:
    ///   - addSpecial: put BOS before and EOS after where the model wants them.
    ///   - parseSpecial: read `<|im_end|>` and the like as tokens. False for text from outside, which must not be able
    ///     to end a turn. Tokens that the vocabulary calls user-defined are found either way, but for those that chat
    ///     templates write.
    ///   - continues: the text goes on behind other text; see `beginsText(after:)`.
    public func encode(
        _ text: String, addSpecial: Bool, parseSpecial: Bool, continues: Bool = false
    ) -> [Int32] {
        let text = Array(text.utf8)
        return encode(
            text, special: parseSpecial ? [0..<text.count] : [], addSpecial: addSpecial, continues: continues)
    }

    /// The tokens of bytes from outside; each maximal invalid part of UTF-8 counts as one U+FFFD.
    public func encode(bytes: [UInt8], addSpecial: Bool, parseSpecial: Bool) -> [Int32] {
        encode(String(decoding: bytes, as: UTF8.self), addSpecial: addSpecial, parseSpecial: parseSpecial)
    }

    /// The tokens of a rendered conversation: those of the whole text, with special tokens read in the markup only.
    public func encode(_ segments: [TextSegment], addSpecial: Bool, continues: Bool = false) -> [Int32] {
        var text: [UInt8] = []
        var special: [Range<Int>] = []
        for segment in segments {
            let start = text.count
            text.append(contentsOf: segment.text.utf8)
            guard segment.isMarkup else { continue }
            // Markup next to markup is one range, so that a token may span both.
            if let last = special.last, last.upperBound == start {
                special[special.count - 1] = last.lowerBound..<text.count
            } else {
                special.append(start..<text.count)
            }
        }
        var tokens = encode(text, special: special, addSpecial: addSpecial, continues: continues)
        // Templates write BOS where the model wants it, and so does the tokenizer.
        if addSpecial, addsBOS, let bos, tokens.count > 1, tokens[0] == bos, tokens[1] == bos { tokens.removeFirst() }
        return tokens
    }

    /// `text` is valid UTF-8.
    private func encode(_ text: [UInt8], special: [Range<Int>], addSpecial: Bool, continues: Bool) -> [Int32] {
        var tokens: [Int32] = []
        // English takes about four bytes a token; a little more room saves the last growth.
        tokens.reserveCapacity(text.count / 3 + 2)
        if addSpecial, addsBOS, let bos { tokens.append(bos) }
        var cache = WordCache(textOf: text.count)
        switch algorithm {
        case .bytePair(let encoder, let words):
            var scratch = BytePairEncoder.Scratch()
            added.partition(text, special: special) { stretch in
                words.forEachPiece(of: text, in: stretch) { piece in
                    cache.encode(text, piece, into: &tokens) {
                        encoder.encode(text, piece, vocabulary, &scratch, into: &$0)
                    }
                }
            } found: {
                tokens.append($0)
            }
        case .sentencePiece(let encoder):
            var scratch = SentencePieceEncoder.Scratch()
            var written: [UInt8] = []
            written.reserveCapacity(text.count + text.count / 2)
            var begins = !continues
            added.partition(text, special: special) { stretch in
                encoder.encode(
                    text, stretch, spacePrefix: begins, vocabulary, &written, &cache, &scratch, into: &tokens)
                begins = false
            } found: {
                tokens.append($0)
                begins = true
            }
        case .wordPiece(let encoder):
            var words = BertNormalizer.Words()
            added.partition(text, special: special) { stretch in
                encoder.encode(text, stretch, vocabulary, &words, &cache, into: &tokens)
            } found: {
                tokens.append($0)
            }
        }
        if addSpecial, addsEOS, let eos { tokens.append(eos) }
        return tokens
    }

    private var isWordPiece: Bool { if case .wordPiece = algorithm { true } else { false } }

    /// Whether decoded text has a space at its beginning that no text had: SentencePiece's prefix, or the space that
    /// WordPiece writes before every word.
    private var writesLeadingSpace: Bool {
        switch algorithm {
        case .bytePair: false
        case .sentencePiece(let encoder): encoder.addsSpacePrefix
        case .wordPiece: true
        }
    }

    /// Appends the bytes of a token. A token is often only part of a character: collect bytes before making a String.
    ///
    /// Control tokens have no bytes unless `special`; a number outside the vocabulary has none at all.
    ///
    /// - Parameter begins: the token begins a text, see `beginsText(after:)`: the space that encoding put before the text
    ///   is left out.
    public func append(_ token: Int32, to bytes: inout [UInt8], special: Bool = false, begins: Bool = false) {
        guard token >= 0, token < vocabulary.count else { return }
        switch vocabulary.kind(Int(token)) {
        case .normal, .userDefined, .byte: break
        case .control, .unknown, .unused: if !special { return }
        }
        var leavesOut = begins && writesLeadingSpace && vocabulary.kind(Int(token)) == .normal
        vocabulary.forEachByte(of: Int(token)) { byte in
            if !leavesOut || byte != 0x20 { bytes.append(byte) }
            leavesOut = false
        }
    }

    /// The text of tokens; invalid UTF-8, as at a cut, is repaired.
    ///
    /// The space that encoding puts before a text is taken away. WordPiece cannot be undone: its text comes back in lower
    /// case, with one space between all words and signs.
    public func decode(_ tokens: [Int32], special: Bool = false) -> String {
        var bytes: [UInt8] = []
        var previous: Int32?
        for token in tokens {
            // WordPiece writes the space before every word.
            let begins = isWordPiece ? bytes.isEmpty : beginsText(after: previous)
            append(token, to: &bytes, special: special, begins: begins)
            previous = token
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
