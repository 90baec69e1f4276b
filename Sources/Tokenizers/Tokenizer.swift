import GGUF

/// Turns text into a model's tokens and back.
///
/// Built from the metadata of a GGUF file and bound to it: the texts of the tokens stay in the mapping.
public final class Tokenizer: Sendable {
    /// One case for each `tokenizer.ggml.model` that Martlet has; a new one is a new case and its encoder.
    private enum Algorithm: Sendable {
        case bytePair(BytePairEncoder, PreTokenizer)
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
    public let addsEOS: Bool

    private let vocabulary: Vocabulary
    private let added: AddedTokens
    private let endOfGeneration: Set<Int32>
    private let algorithm: Algorithm

    /// Reads the vocabulary. Throws `TokenizerError` when the file has none or needs an algorithm Martlet lacks.
    public init(_ file: GGUFFile) throws(TokenizerError) {
        guard let model = file.string("tokenizer.ggml.model") else {
            throw TokenizerError(absent: file.path, "tokenizer.ggml.model is missing")
        }
        guard model == "gpt2" else { throw Self.refusal(of: model, file.path) }
        // llama.cpp, too, takes a file without the key as "default".
        let pre = file.string("tokenizer.ggml.pre") ?? "default"
        guard let words = PreTokenizer.named(pre) else {
            throw TokenizerError(
                unsupported: file.path, "its pre-tokenizer \(quoted(pre)) is not supported",
                "Use a model with one of the gpt-2, llama-bpe, qwen2, starcoder or smollm kinds")
        }
        var vocabulary = try Vocabulary(file, byteLevel: true)
        let bytes = (0...255).map { vocabulary.token(for: [UInt8($0)][...]).map(UInt32.init) ?? MergeTable.missing }
        let encoder = BytePairEncoder(
            merges: try MergeTable(file, vocabulary), byteTokens: bytes,
            wholeWordsFirst: PreTokenizer.wholeWordsFirst.contains(pre))
        algorithm = .bytePair(encoder, words)
        endOfGeneration = try EndOfGeneration.tokens(file, &vocabulary)
        self.vocabulary = vocabulary
        added = AddedTokens(vocabulary)
        self.model = model
        preTokenizer = pre
        bos = try specialToken("tokenizer.ggml.bos_token_id", file, vocabulary)
        eos = try specialToken("tokenizer.ggml.eos_token_id", file, vocabulary)
        addsBOS = (file.bool("tokenizer.ggml.add_bos_token") ?? PreTokenizer.addsBOS.contains(pre)) && bos != nil
        addsEOS = (file.bool("tokenizer.ggml.add_eos_token") ?? false) && eos != nil
    }

    private static func refusal(of model: String, _ path: String) -> TokenizerError {
        let names = ["llama": "SentencePiece", "bert": "WordPiece", "t5": "Unigram", "rwkv": "RWKV"]
        let name = names[model].map { " (\($0))" } ?? ""
        return TokenizerError(
            unsupported: path, "tokenizer model \(quoted(model))\(name) is not supported yet",
            "Use a model with a byte-level BPE vocabulary, for example SmolLM2, Llama 3 or Qwen 2")
    }

    /// How many tokens the vocabulary holds.
    public var vocabularyCount: Int { vocabulary.count }

    /// Whether a generation is over when the model chooses `token`.
    public func isEndOfGeneration(_ token: Int32) -> Bool { endOfGeneration.contains(token) }

    /// The token whose bytes are exactly `text`, for example `<|im_start|>` or ` the`; nil when there is none.
    public func token(for text: String) -> Int32? { vocabulary.token(for: Array(text.utf8)[...]) }

    /// The tokens of a text.
    ///
    /// - Parameters:
    ///   - addSpecial: put BOS before and EOS after where the model wants them.
    ///   - parseSpecial: read `<|im_end|>` and the like as tokens. False for text from outside, which must not be able
    ///     to end a turn. Tokens that the vocabulary calls user-defined are found either way.
    public func encode(_ text: String, addSpecial: Bool, parseSpecial: Bool) -> [Int32] {
        let text = Array(text.utf8)
        return encode(text, special: parseSpecial ? [0..<text.count] : [], addSpecial: addSpecial)
    }

    /// The tokens of bytes from outside; each maximal invalid part of UTF-8 counts as one U+FFFD.
    public func encode(bytes: [UInt8], addSpecial: Bool, parseSpecial: Bool) -> [Int32] {
        encode(String(decoding: bytes, as: UTF8.self), addSpecial: addSpecial, parseSpecial: parseSpecial)
    }

    /// The tokens of a rendered conversation: those of the whole text, with special tokens read in the markup only.
    public func encode(_ segments: [TextSegment], addSpecial: Bool) -> [Int32] {
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
        return encode(text, special: special, addSpecial: addSpecial)
    }

    /// `text` is valid UTF-8.
    private func encode(_ text: [UInt8], special: [Range<Int>], addSpecial: Bool) -> [Int32] {
        var tokens: [Int32] = []
        // English takes about four bytes a token; a little more room saves the last growth.
        tokens.reserveCapacity(text.count / 3 + 2)
        if addSpecial, addsBOS, let bos { tokens.append(bos) }
        var scratch = BytePairEncoder.Scratch()
        added.partition(text, special: special) { stretch in
            switch algorithm {
            case .bytePair(let encoder, let words):
                words.forEachPiece(of: text, in: stretch) { piece in
                    encoder.encode(text, piece, vocabulary, &scratch, into: &tokens)
                }
            }
        } found: {
            tokens.append($0)
        }
        if addSpecial, addsEOS, let eos { tokens.append(eos) }
        return tokens
    }

    /// Appends the bytes of a token. A token is often only part of a character: collect bytes before making a String.
    ///
    /// Control tokens have no bytes unless `special`; a number outside the vocabulary has none at all.
    public func append(_ token: Int32, to bytes: inout [UInt8], special: Bool = false) {
        guard token >= 0, token < vocabulary.count else { return }
        switch vocabulary.kind(Int(token)) {
        case .normal, .userDefined, .byte: break
        case .control, .unknown, .unused: if !special { return }
        }
        vocabulary.forEachByte(of: Int(token)) { bytes.append($0) }
    }

    /// The text of tokens; invalid UTF-8, as at a cut, is repaired.
    public func decode(_ tokens: [Int32], special: Bool = false) -> String {
        var bytes: [UInt8] = []
        for token in tokens { append(token, to: &bytes, special: special) }
        return String(decoding: bytes, as: UTF8.self)
    }
}
