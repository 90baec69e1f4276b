/// The cuts before and after the words.
extension PreTokenizer {
    /// Cuts out each character (`single`) or each run of characters that belong, by their class and first byte, and
    /// passes on what lies between.
    func cut(
        _ text: [UInt8], _ range: Range<Int>, _ belongs: (CharacterClass, UInt8) -> Bool, single: Bool,
        _ body: (Range<Int>) -> Void
    ) {
        let piece = TextRange(text: text, end: range.upperBound)
        var start = range.lowerBound
        var at = start
        while at < range.upperBound {
            let character = piece.character(at)
            guard belongs(character.kind, text[at]) else {
                at += character.length
                continue
            }
            if start < at { body(start..<at) }
            var end = at + character.length
            while !single, end < range.upperBound {
                let next = piece.character(end)
                if !belongs(next.kind, text[end]) { break }
                end += next.length
            }
            body(at..<end)
            start = end
            at = end
        }
        if start < at { body(start..<at) }
    }

    /// `[0-9][0-9][0-9]`: three ASCII digits at a time; what is left stays together.
    func cutThrees(_ text: [UInt8], _ range: Range<Int>, _ body: (Range<Int>) -> Void) {
        func isDigit(_ index: Int) -> Bool { text[index] &- 0x30 < 10 }
        var start = range.lowerBound
        var at = start
        while at < range.upperBound {
            guard at + 3 <= range.upperBound, isDigit(at), isDigit(at + 1), isDigit(at + 2) else {
                at += 1
                continue
            }
            if start < at { body(start..<at) }
            body(at..<at + 3)
            at += 3
            start = at
        }
        if start < at { body(start..<at) }
    }
}
