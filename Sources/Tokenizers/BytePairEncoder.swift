/// Byte-level byte-pair encoding: a word's bytes become tokens, and the best-ranked adjacent pair is merged until
/// none is left; of equal ranks the leftmost. Source: Sennrich et al. 2016; GPT-2's encoder.py.
struct BytePairEncoder: Sendable {
    let merges: MergeTable
    /// The token of each single byte, or `MergeTable.missing`.
    let byteTokens: [UInt32]
    /// Whether a word that is a token as a whole is taken unmerged, as tiktoken does (llama 3).
    let wholeWordsFirst: Bool

    /// Above this many bytes a heap finds the best pair; below, looking at all pairs is faster.
    static let shortWord = 64
    /// Longer words are cut: no language has them, and the scratch memory of one word stays below 6 MB.
    static let longestWord = 1 << 18

    /// The scratch memory of one call to encode, reused from word to word.
    struct Scratch {
        var tokens: [UInt32] = []
        var ranks: [UInt32] = []
        var next: [Int32] = []
        var previous: [Int32] = []
        var heap = RankHeap()
    }

    /// Appends the tokens of the word `text[range]`.
    func encode(
        _ text: [UInt8], _ range: Range<Int>, _ vocabulary: Vocabulary, _ scratch: inout Scratch,
        into output: inout [Int32]
    ) {
        if range.count == 1 {
            append(byteTokens[Int(text[range.lowerBound])], to: &output)
            return
        }
        if wholeWordsFirst, let token = vocabulary.token(for: text[range]), vocabulary.isText(Int(token)) {
            output.append(token)
            return
        }
        var start = range.lowerBound
        while start < range.upperBound {
            let end = min(start + Self.longestWord, range.upperBound)
            scratch.tokens.removeAll(keepingCapacity: true)
            for index in start..<end { scratch.tokens.append(byteTokens[Int(text[index])]) }
            if end - start <= Self.shortWord {
                mergeShort(&scratch.tokens, &scratch.ranks)
                for token in scratch.tokens { append(token, to: &output) }
            } else {
                mergeLong(&scratch)
                var at: Int32 = 0
                while at >= 0 {
                    append(scratch.tokens[Int(at)], to: &output)
                    at = scratch.next[Int(at)]
                }
            }
            start = end
        }
    }

    private func append(_ token: UInt32, to output: inout [Int32]) {
        if token != MergeTable.missing { output.append(Int32(bitPattern: token)) }
    }

    /// Merges in place, looking at all pairs each time: O(n²), but without a heap's bookkeeping.
    private func mergeShort(_ tokens: inout [UInt32], _ ranks: inout [UInt32]) {
        ranks.removeAll(keepingCapacity: true)
        for index in 1..<max(1, tokens.count) { ranks.append(merges.rank(tokens[index - 1], tokens[index])) }
        while true {
            var best = MergeTable.none
            var at = 0
            for index in ranks.indices where ranks[index] < best {
                best = ranks[index]
                at = index
            }
            if best == MergeTable.none { return }
            tokens[at] = merges.result(best)
            // Close the gap by hand: `remove(at:)` costs more than these few words.
            for index in at + 1..<tokens.count - 1 { tokens[index] = tokens[index + 1] }
            for index in at..<ranks.count - 1 { ranks[index] = ranks[index + 1] }
            tokens.removeLast()
            ranks.removeLast()
            if at > 0 { ranks[at - 1] = merges.rank(tokens[at - 1], tokens[at]) }
            if at < ranks.count { ranks[at] = merges.rank(tokens[at], tokens[at + 1]) }
        }
    }

    /// Merges through a heap of pairs over a linked list: O(n log n) on any input.
    ///
    /// `ranks[i]` is the rank now of the pair that begins at i; a heap entry of another rank is stale.
    private func mergeLong(_ scratch: inout Scratch) {
        let count = scratch.tokens.count
        scratch.next = (0..<count).map { $0 + 1 < count ? Int32($0 + 1) : -1 }
        scratch.previous = (0..<count).map { Int32($0 - 1) }
        scratch.ranks = (0..<count).map {
            $0 + 1 < count ? merges.rank(scratch.tokens[$0], scratch.tokens[$0 + 1]) : MergeTable.none
        }
        scratch.heap.fill(scratch.ranks)
        while let (rank, at) = scratch.heap.pop() {
            guard scratch.ranks[at] == rank else { continue }
            let right = Int(scratch.next[at])
            scratch.tokens[at] = merges.result(rank)
            scratch.ranks[right] = MergeTable.none
            scratch.next[at] = scratch.next[right]
            let after = scratch.next[at]
            if after >= 0 { scratch.previous[Int(after)] = Int32(at) }
            update(at, &scratch)
            if scratch.previous[at] >= 0 { update(Int(scratch.previous[at]), &scratch) }
        }
    }

    private func update(_ at: Int, _ scratch: inout Scratch) {
        let right = scratch.next[at]
        let rank = right < 0 ? MergeTable.none : merges.rank(scratch.tokens[at], scratch.tokens[Int(right)])
        scratch.ranks[at] = rank
        if rank != MergeTable.none { scratch.heap.push(rank, at) }
    }
}

/// A binary heap of (rank, position), smallest first; both packed into one number so that one comparison orders them.
///
/// swift-collections' `Heap` is a min-max heap; its second end costs time and is not needed.
struct RankHeap {
    private var entries: [UInt64] = []

    /// Replaces the content with every position whose rank is a merge.
    mutating func fill(_ ranks: [UInt32]) {
        entries.removeAll(keepingCapacity: true)
        for (position, rank) in ranks.enumerated() where rank != MergeTable.none {
            entries.append(UInt64(rank) << 32 | UInt64(position))
        }
        for index in stride(from: entries.count / 2 - 1, through: 0, by: -1) { sink(index) }
    }

    mutating func push(_ rank: UInt32, _ position: Int) {
        let entry = UInt64(rank) << 32 | UInt64(position)
        entries.append(entry)
        var at = entries.count - 1
        while at > 0, entries[(at - 1) / 2] > entry {
            entries[at] = entries[(at - 1) / 2]
            at = (at - 1) / 2
        }
        entries[at] = entry
    }

    mutating func pop() -> (rank: UInt32, position: Int)? {
        guard let first = entries.first else { return nil }
        let last = entries.removeLast()
        if !entries.isEmpty {
            entries[0] = last
            sink(0)
        }
        return (UInt32(first >> 32), Int(first & 0xFFFF_FFFF))
    }

    private mutating func sink(_ start: Int) {
        let entry = entries[start]
        var at = start
        while 2 * at + 1 < entries.count {
            var child = 2 * at + 1
            if child + 1 < entries.count, entries[child + 1] < entries[child] { child += 1 }
            if entries[child] >= entry { break }
            entries[at] = entries[child]
            at = child
        }
        entries[at] = entry
    }
}
