/// The tokens of words seen before in the same text, for the encoders whose words cost more than looking them up.
///
/// An entry points at an earlier place in the text and in the output: nothing is copied, and memory is 24 bytes an entry
/// whatever the words. Direct-mapped: a word that falls on another's entry takes it.
struct WordCache {
    private struct Entry {
        var hash: UInt64 = 0
        var word: Int32 = 0
        var tokens: Int32 = 0
        var length: UInt16 = 0
        var count: UInt16 = 0
    }

    /// English prose repeats 95% of its words within so many.
    private static let size = 1 << 13
    /// Short texts do not repeat themselves enough to pay for the table.
    private static let shortestText = 2048

    private var entries: [Entry] = []

    /// An empty cache, or none for a text of few bytes.
    init(textOf count: Int) {
        guard count >= Self.shortestText else { return }
        entries = [Entry](repeating: Entry(), count: Self.size)
    }

    /// Appends the tokens of `text[word]`: as they came out before, or as `make` appends them.
    ///
    /// - Parameter text: the same in every call but for what is added behind.
    @inline(__always)  // Runs for every word.
    mutating func encode(
        _ text: [UInt8], _ word: Range<Int>, into output: inout [Int32], make: (inout [Int32]) -> Void
    ) {
        // Long words seldom come twice; single bytes are cheap to make.
        guard !entries.isEmpty, word.count <= 64, word.count > 1 else { return make(&output) }
        var hash = Hash()
        for index in word { hash.add(text[index]) }
        let slot = Int(truncatingIfNeeded: hash.value) & (Self.size - 1)
        if append(entries[slot], text, word, hash.value, to: &output) { return }
        let first = output.count
        make(&output)
        guard let word32 = Int32(exactly: word.lowerBound), let first32 = Int32(exactly: first) else { return }
        entries[slot] = Entry(
            hash: hash.value, word: word32, tokens: first32, length: UInt16(word.count),
            count: UInt16(output.count - first))
    }

    @inline(__always)  // See above.
    private func append(
        _ entry: Entry, _ text: [UInt8], _ word: Range<Int>, _ hash: UInt64, to output: inout [Int32]
    ) -> Bool {
        guard entry.hash == hash, Int(entry.length) == word.count else { return false }
        let start = Int(entry.word)
        for offset in 0..<word.count where text[start + offset] != text[word.lowerBound + offset] { return false }
        let first = Int(entry.tokens)
        for index in first..<first + Int(entry.count) { output.append(output[index]) }
        return true
    }
}
