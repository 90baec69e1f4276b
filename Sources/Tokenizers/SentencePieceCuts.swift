/// Where a text can be cut into words without changing what merging makes of it.
///
/// No merge can cross a place between two characters that no token holds side by side, so the words between such places
/// merge on their own, and the same word always comes out the same. Characters are told apart by their last byte on the
/// left and their first byte on the right, the mark of a space by itself: in most vocabularies no token holds a space
/// behind another character, which makes words of words.
struct SentencePieceCuts: Sendable {
    /// One bit for each pair of neighbours that a token holds: 256 × 256.
    private var joined = [UInt64](repeating: 0, count: 1024)

    /// Stands for the mark of a space; no byte of UTF-8.
    private static let space: UInt8 = 0xFF

    /// - Parameter usable: by token, whether text can become it.
    init(_ vocabulary: Vocabulary, _ usable: [Bool]) {
        for token in 0..<vocabulary.count where usable[token] {
            let bytes = Array(vocabulary.texts[token])
            var at = 0
            var last: UInt8?
            while at < bytes.count {
                let (first, end) = Self.character(bytes, at)
                if let last { set(last, first) }
                last = first == Self.space ? first : bytes[end - 1]
                at = end
            }
        }
    }

    private mutating func set(_ left: UInt8, _ right: UInt8) {
        joined[Int(left) << 2 | Int(right >> 6)] |= 1 << UInt64(right & 63)
    }

    @inline(__always)  // Runs for every character of a text.
    private static func character(_ bytes: [UInt8], _ at: Int) -> (first: UInt8, end: Int) {
        let lead = bytes[at]
        if lead < 0x80 { return (lead, at + 1) }
        if EscapedSpace.isMark(bytes, at) { return (space, at + 3) }
        return (lead, min(at + lengthOfCharacter(lead), bytes.count))
    }

    /// The end of the word that begins at `start`: the next cut, or `longest` bytes on.
    func endOfWord(_ text: [UInt8], _ start: Int, longest: Int) -> Int {
        var (first, at) = Self.character(text, start)
        while at < text.count, at - start < longest {
            let last = first == Self.space ? first : text[at - 1]
            let (next, end) = Self.character(text, at)
            if joined[Int(last) << 2 | Int(next >> 6)] & 1 << UInt64(next & 63) == 0 { break }
            first = next
            at = end
        }
        return at
    }
}
