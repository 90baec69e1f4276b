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
    static let shortestText = 2048

    private var entries: [Entry] = []

    /// Whether texts of `count` bytes are worth a cache. Offsets are kept in 32 bits.
    init(textOf count: Int) {
        guard count >= Self.shortestText, count < Int32.max else { return }
        entries = [Entry](repeating: Entry(), count: Self.size)
    }

    var isOn: Bool { !entries.isEmpty }

    /// Appends the tokens of `text[range]` as they came out before; false when the word is new.
    @inline(__always)  // Runs for every word.
    func append(_ text: [UInt8], _ range: Range<Int>, _ hash: UInt64, to output: inout [Int32]) -> Bool {
        let entry = entries[Int(truncatingIfNeeded: hash) & (Self.size - 1)]
        guard entry.hash == hash, Int(entry.length) == range.count else { return false }
        let word = Int(entry.word)
        for offset in 0..<range.count where text[word + offset] != text[range.lowerBound + offset] { return false }
        let first = Int(entry.tokens)
        for index in first..<first + Int(entry.count) { output.append(output[index]) }
        return true
    }

    /// Remembers that `text[range]` became the tokens from `first` to the end of `output`.
    mutating func remember(_ range: Range<Int>, _ hash: UInt64, from first: Int, in output: [Int32]) {
        guard range.count <= 64, first <= Int(Int32.max) else { return }
        entries[Int(truncatingIfNeeded: hash) & (Self.size - 1)] = Entry(
            hash: hash, word: Int32(range.lowerBound), tokens: Int32(first), length: UInt16(range.count),
            count: UInt16(output.count - first))
    }
}
