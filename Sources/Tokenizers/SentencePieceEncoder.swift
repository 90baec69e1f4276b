import GGUF

/// SentencePiece's merging of characters by score: the adjacent pair whose joined text is the best token becomes that
/// token, until no pair is one; of equal scores the leftmost. Characters without a token become bytes.
///
/// Source: Kudo and Richardson 2018, `bpe_model.cc`. Vocabularies trained as unigram models say so by another
/// `tokenizer.ggml.model` and are refused.
struct SentencePieceEncoder: Sendable {
    /// By token: smaller is better; `none` for tokens that text must not become: control tokens, bytes, unused ones.
    private let keys: [UInt32]
    /// The token of each single byte, or -1.
    private let byteTokens: [Int32]
    /// Stands for a character without a token when bytes have none either; -1 without one.
    private let unknown: Int32
    private let cuts: SentencePieceCuts
    /// Whether a space is put before the text and behind each special token.
    let addsSpacePrefix: Bool
    /// Whether runs of spaces count as one and those at the ends as none.
    private let removesExtraSpaces: Bool

    private static let none = UInt32.max
    /// Above this many symbols a heap finds the best pair; below, looking at all pairs is faster.
    private static let shortWord = 64
    /// Longer stretches without a cut are divided, so that scratch memory stays below 10 MB.
    static let longestWord = 1 << 18

    init(_ file: GGUFFile, _ vocabulary: Vocabulary, unknown: Int32?) throws(TokenizerError) {
        keys = try Self.keys(file, vocabulary)
        byteTokens = (0...255).map { byte in
            let text = ByteToken.text(UInt8(byte))
            return vocabulary.token(written: text, 0..<text.count) ?? -1
        }
        self.unknown = unknown ?? -1
        cuts = SentencePieceCuts(vocabulary, keys.map { $0 != Self.none })
        addsSpacePrefix = file.bool("tokenizer.ggml.add_space_prefix") ?? true
        removesExtraSpaces = file.bool("tokenizer.ggml.remove_extra_whitespaces") ?? false
    }

    /// The order of scores as integers, best first; a score that is not a number is the worst.
    private static func keys(_ file: GGUFFile, _ vocabulary: Vocabulary) throws(TokenizerError) -> [UInt32] {
        let key = "tokenizer.ggml.scores"
        if let kind = file.type(of: key), kind.type == .array, kind.count != vocabulary.count {
            throw TokenizerError(
                damaged: file.path, "it has \(vocabulary.count) tokens, but \(kind.count) scores")
        }
        guard let scores = file.floats(key) else {
            throw TokenizerError(absent: file.path, "\(key) is missing")
        }
        return scores.indices.map { token in
            guard vocabulary.isText(token) else { return none }
            let score = scores[token]
            guard !score.isNaN else { return none - 1 }
            // -0 and 0 are one score. The bits of floats of one sign order as integers do.
            let bits = (score + 0).bitPattern
            return min(bits >> 31 == 1 ? bits : ~(bits | 0x8000_0000), none - 1)
        }
    }

    /// The scratch memory of one call to encode, reused from word to word.
    struct Scratch {
        /// Where each symbol begins, and its length; a merged symbol lies at its first character's place.
        var starts: [Int32] = []
        var lengths: [Int32] = []
        var next: [Int32] = []
        var previous: [Int32] = []
        /// The key of the pair that begins at each symbol.
        var ranks: [UInt32] = []
        var heap = RankHeap()
    }

    /// Appends the tokens of the stretch `text[range]`.
    ///
    /// - Parameters:
    ///   - spacePrefix: the stretch begins a text or stands behind a special token.
    ///   - written: the text so far with its spaces escaped; the stretch is added to it.
    func encode(
        _ text: [UInt8], _ range: Range<Int>, spacePrefix: Bool, _ vocabulary: Vocabulary, _ written: inout [UInt8],
        _ cache: inout WordCache, _ scratch: inout Scratch, into output: inout [Int32]
    ) {
        var start = written.count
        escape(text, range, spacePrefix, &written)
        while start < written.count {
            let end = cuts.endOfWord(written, start, longest: Self.longestWord)
            cache.encode(written, start..<end, into: &output) {
                merge(written, start..<end, vocabulary, &scratch, into: &$0)
            }
            start = end
        }
    }

    private func escape(_ text: [UInt8], _ range: Range<Int>, _ spacePrefix: Bool, _ written: inout [UInt8]) {
        var range = range
        if removesExtraSpaces {
            while range.lowerBound < range.upperBound, text[range.lowerBound] == 0x20 { range.removeFirst() }
            while range.lowerBound < range.upperBound, text[range.upperBound - 1] == 0x20 { range.removeLast() }
        }
        if spacePrefix && addsSpacePrefix { written += EscapedSpace.mark }
        for index in range {
            let byte = text[index]
            if byte != 0x20 {
                written.append(byte)
            } else if !removesExtraSpaces || text[index - 1] != 0x20 {
                written.append(0xE2)
                written.append(0x96)
                written.append(0x81)
            }
        }
    }

    private func merge(
        _ text: [UInt8], _ word: Range<Int>, _ vocabulary: Vocabulary, _ scratch: inout Scratch,
        into output: inout [Int32]
    ) {
        let count = split(text, word, &scratch)
        for at in 0..<count { update(at, text, vocabulary, &scratch) }
        let isLong = count > Self.shortWord
        if isLong { scratch.heap.fill(scratch.ranks) }
        while let at = isLong ? bestOfHeap(&scratch) : bestOfAll(scratch.ranks) {
            let right = Int(scratch.next[at])
            scratch.lengths[at] += scratch.lengths[right]
            scratch.ranks[right] = Self.none
            scratch.next[at] = scratch.next[right]
            let after = scratch.next[at]
            if after >= 0 { scratch.previous[Int(after)] = Int32(at) }
            update(at, text, vocabulary, &scratch)
            if isLong, scratch.ranks[at] != Self.none { scratch.heap.push(scratch.ranks[at], at) }
            let before = Int(scratch.previous[at])
            guard before >= 0 else { continue }
            update(before, text, vocabulary, &scratch)
            if isLong, scratch.ranks[before] != Self.none { scratch.heap.push(scratch.ranks[before], before) }
        }
        var at = 0
        while at >= 0 {
            let start = Int(scratch.starts[at])
            append(text, start..<start + Int(scratch.lengths[at]), vocabulary, to: &output)
            at = Int(scratch.next[at])
        }
    }

    /// Cuts a word into its characters; how many.
    private func split(_ text: [UInt8], _ word: Range<Int>, _ scratch: inout Scratch) -> Int {
        scratch.starts.removeAll(keepingCapacity: true)
        scratch.lengths.removeAll(keepingCapacity: true)
        scratch.next.removeAll(keepingCapacity: true)
        scratch.previous.removeAll(keepingCapacity: true)
        var at = word.lowerBound
        while at < word.upperBound {
            let length = min(lengthOfCharacter(text[at]), word.upperBound - at)
            let index = Int32(scratch.starts.count)
            scratch.starts.append(Int32(at))
            scratch.lengths.append(Int32(length))
            scratch.previous.append(index - 1)
            scratch.next.append(at + length < word.upperBound ? index + 1 : -1)
            at += length
        }
        let count = scratch.starts.count
        scratch.ranks.removeAll(keepingCapacity: true)
        for _ in 0..<count { scratch.ranks.append(Self.none) }
        return count
    }

    /// Looks up what the pair that begins at a symbol would make.
    private func update(_ at: Int, _ text: [UInt8], _ vocabulary: Vocabulary, _ scratch: inout Scratch) {
        scratch.ranks[at] = Self.none
        let right = Int(scratch.next[at])
        guard right >= 0 else { return }
        let start = Int(scratch.starts[at])
        let length = Int(scratch.lengths[at]) + Int(scratch.lengths[right])
        guard length <= vocabulary.longest else { return }
        guard let token = vocabulary.token(written: text, start..<start + length) else { return }
        scratch.ranks[at] = keys[Int(token)]
    }

    private func bestOfAll(_ ranks: [UInt32]) -> Int? {
        var best = Self.none
        var at = 0
        for index in ranks.indices where ranks[index] < best {
            best = ranks[index]
            at = index
        }
        return best == Self.none ? nil : at
    }

    /// An entry whose pair has changed since is stale, unless the pair's key is the same: then it is as good.
    private func bestOfHeap(_ scratch: inout Scratch) -> Int? {
        while let (rank, at) = scratch.heap.pop() {
            if scratch.ranks[at] == rank { return at }
        }
        return nil
    }

    /// A symbol's token, or its bytes.
    private func append(
        _ text: [UInt8], _ symbol: Range<Int>, _ vocabulary: Vocabulary, to output: inout [Int32]
    ) {
        if let token = vocabulary.token(written: text, symbol), keys[Int(token)] != Self.none {
            output.append(token)
            return
        }
        if symbol.allSatisfy({ byteTokens[Int(text[$0])] >= 0 }) {
            for index in symbol { output.append(byteTokens[Int(text[index])]) }
        } else if unknown >= 0 {
            output.append(unknown)
        }
    }
}

/// Bytes of the UTF-8 character that begins with `lead`.
@inline(__always)  // Asked for every character of a text.
func lengthOfCharacter(_ lead: UInt8) -> Int {
    lead < 0xC0 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4
}
