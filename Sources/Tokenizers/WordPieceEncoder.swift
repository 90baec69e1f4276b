import GGUF

/// WordPiece: the longest token that begins a word, then the longest that goes on from there, until the word is used up.
/// A word that cannot be used up is unknown as a whole.
///
/// In GGUF a token that begins a word is written with "▁" before it, one that goes on without BERT's "##".
/// Source: `WordpieceTokenizer` in Google's bert tokenization.py.
struct WordPieceEncoder: Sendable {
    /// Stands for words that tokens cannot make.
    private let unknown: Int32
    private let normalizer: BertNormalizer

    /// BERT gives up on longer words, in characters; so no word costs more than a bounded time.
    private static let longestWord = 100

    init(_ file: GGUFFile, unknown: Int32) {
        self.unknown = unknown
        let lowercases = file.bool("tokenizer.ggml.normalizer.lowercase") ?? true
        normalizer = BertNormalizer(
            lowercases: lowercases, stripsAccents: file.bool("tokenizer.ggml.normalizer.strip_accents") ?? lowercases)
    }

    /// Appends the tokens of the stretch `text[range]`.
    ///
    /// - Parameter words: the normalised words so far; the stretch's are added to them.
    func encode(
        _ text: [UInt8], _ range: Range<Int>, _ vocabulary: Vocabulary, _ words: inout BertNormalizer.Words,
        _ cache: inout WordCache, into output: inout [Int32]
    ) {
        let first = words.words.count
        normalizer.append(text, range, to: &words)
        var written: [UInt8] = []
        for word in words.words[first...] {
            cache.encode(words.text, word, into: &output) {
                encodeWord(words.text, word, vocabulary, &written, into: &$0)
            }
        }
    }

    /// - Parameter written: scratch memory.
    private func encodeWord(
        _ text: [UInt8], _ word: Range<Int>, _ vocabulary: Vocabulary, _ written: inout [UInt8],
        into output: inout [Int32]
    ) {
        var characters = 0
        for index in word where text[index] & 0xC0 != 0x80 { characters += 1 }
        guard characters <= Self.longestWord else { return output.append(unknown) }
        written.removeAll(keepingCapacity: true)
        written += EscapedSpace.mark
        written += text[word]
        let first = output.count
        var start = 0
        while start < written.count {
            guard let (token, end) = longest(written, start, vocabulary) else {
                output.removeSubrange(first...)
                return output.append(unknown)
            }
            output.append(token)
            start = end
        }
    }

    /// The longest token that `written` holds at `start`; at the word's begin it covers more than the mark.
    private func longest(_ written: [UInt8], _ start: Int, _ vocabulary: Vocabulary) -> (Int32, Int)? {
        let least = start == 0 ? EscapedSpace.mark.count : start
        var hash = Hash()
        var found: (Int32, Int)?
        for end in start..<min(written.count, start + vocabulary.longest) {
            hash.add(written[end])
            guard end >= least, end + 1 == written.count || written[end + 1] & 0xC0 != 0x80 else { continue }
            guard let token = vocabulary.token(written: written, start..<end + 1, hash) else { continue }
            if vocabulary.kind(Int(token)) == .normal { found = (token, end + 1) }
        }
        return found
    }
}
