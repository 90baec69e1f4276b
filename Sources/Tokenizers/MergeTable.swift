import GGUF

/// The merges of a byte-pair vocabulary: for two adjacent tokens, the rank of their merge and the token it makes.
///
/// Memory: 4 bytes a merge and 8 bytes a slot, at most 3/4 full: 0.7 MB for 48,900 merges, 5.3 MB for 280,000.
struct MergeTable: Sendable {
    /// No merge: larger than every rank.
    static let none: UInt32 = .max
    /// A byte without a token: stands in a word, merges with nothing, and is left out of the result.
    static let missing: UInt32 = 0xF_FFFE
    /// Ranks are packed in 24 bits. The largest vocabularies have under 600,000 merges; these would take 40 MB.
    static let most = 1 << 21

    private static let free = UInt64.max
    /// Left token in the upper 20 bits, right token in the next 20, rank in the lower 24.
    private var slots: [UInt64]
    /// By rank.
    private var results: [UInt32]
    private let shift: UInt64

    /// Reads `tokenizer.ggml.merges`, whose entries are two tokens with a space between, best first.
    ///
    /// A merge of or into something that is no token is left out: llama.cpp would make such a word and then, finding no
    /// token for it, fall back to its bytes, which no published vocabulary relies on. One into a control token is left
    /// out too, so that no text can become one.
    init(_ file: GGUFFile, _ vocabulary: Vocabulary) throws(TokenizerError) {
        let key = "tokenizer.ggml.merges"
        guard let kind = file.type(of: key), kind.type == .array, kind.element == .string else {
            throw TokenizerError(absent: file.path, "\(key) is missing")
        }
        guard kind.count < Self.most else {
            throw TokenizerError(unsupported: file.path, "it has \(kind.count) merges", "Use another model")
        }
        let size = tableSize(kind.count)
        slots = [UInt64](repeating: Self.free, count: size)
        results = []
        results.reserveCapacity(kind.count)
        shift = UInt64(64 - size.trailingZeroBitCount)
        file.forEachString(key) { add($0, vocabulary) }
    }

    private mutating func add(_ text: UnsafeRawBufferPointer, _ vocabulary: Vocabulary) {
        let rank = UInt32(results.count)
        results.append(Self.missing)
        // The first character may itself be a space only in a hand-made file; llama.cpp searches from the second too.
        guard let space = text.dropFirst().firstIndex(of: 0x20) else { return }
        let first = UnsafeRawBufferPointer(rebasing: text[..<space])
        let second = UnsafeRawBufferPointer(rebasing: text[(space + 1)...])
        guard let left = vocabulary.token(written: first), let right = vocabulary.token(written: second),
            let result = vocabulary.token(written: first, second), vocabulary.isText(Int(result))
        else { return }
        results[Int(rank)] = UInt32(result)
        let pair = Self.pair(UInt32(left), UInt32(right))
        var slot = index(pair)
        while slots[slot] != Self.free {
            if slots[slot] >> 24 == pair { return }  // The first of equal merges has the better rank.
            slot = (slot + 1) & (slots.count - 1)
        }
        slots[slot] = pair << 24 | UInt64(rank)
    }

    /// The rank of merging two tokens, or `none`.
    @inline(__always)  // Called for every pair of every word.
    func rank(_ left: UInt32, _ right: UInt32) -> UInt32 {
        let pair = Self.pair(left, right)
        var slot = index(pair)
        while true {
            let entry = slots[slot]
            if entry >> 24 == pair { return UInt32(truncatingIfNeeded: entry) & 0xFF_FFFF }
            if entry == Self.free { return Self.none }
            slot = (slot + 1) & (slots.count - 1)
        }
    }

    /// The token that the merge of that rank makes.
    func result(_ rank: UInt32) -> UInt32 { results[Int(rank)] }

    @inline(__always)  // A shift and an or.
    private static func pair(_ left: UInt32, _ right: UInt32) -> UInt64 { UInt64(left) << 20 | UInt64(right) }

    @inline(__always)  // Fibonacci hashing: one multiplication.
    private func index(_ pair: UInt64) -> Int {
        Int(truncatingIfNeeded: (pair &* 0x9E37_79B9_7F4A_7C15) >> shift)
    }
}
