/// The cuts before and inside the words.
extension PreTokenizer {
    /// Calls `body` with what one expression cuts off and with what lies between, in order.
    func cut(_ cut: Cut, _ text: [UInt8], _ range: Range<Int>, _ body: (Range<Int>) -> Void) {
        let piece = TextRange(text: text, end: range.upperBound)
        switch cut {
        case .digits:
            piece.cut(range, most: 1, body) { piece.character($0).kind == .number }
        case .numbers:
            piece.cut(range, body) { piece.character($0).kind == .number }
        case .numberGroups:
            piece.cut(range, most: 3, body) { piece.character($0).kind == .number }
        case .threes:
            piece.cutThrees(range, body)
        case .punctuation(let backQuote):
            piece.cut(range, body) { at in
                let kind = piece.character(at).kind
                return kind == .punctuation || kind == .symbol && text[at] < 0x80 && (backQuote || text[at] != 0x60)
            }
        case .newlines:
            piece.cut(range, most: 1, body) { piece.isNewline(text[$0]) }
        case .casedLetters:
            piece.cut(range, spaced: true, body) { CasedLetters.contains(piece.scalar($0)) }
        case .letters:
            piece.cut(range, spaced: true, body) { piece.character($0).kind == .letter }
        case .signs:
            piece.cut(range, spaced: true, body) { Self.isSign(piece.scalar($0)) }
        case .spacedPunctuation:
            piece.cut(range, spaced: true, body) { piece.character($0).kind == .punctuation }
        case .trailingSpace:
            piece.cutTrailingSpace(range, body)
        case .wideScripts:
            guard !isASCII(text, range) else { return body(range) }
            piece.cut(range, body) { at in
                switch piece.scalar(at) {
                case 0x0800...0x9FA5, 0xAC00...0xD7FF: true
                default: false
                }
            }
        case .hanAndKana:
            guard !isASCII(text, range) else { return body(range) }
            piece.cut(range, body) { at in
                switch piece.scalar(at) {
                case 0x3040...0x30FF, 0x4E00...0x9FA5: true
                default: false
                }
            }
        }
    }

    /// Most words are, and have nothing to cut out.
    private func isASCII(_ text: [UInt8], _ range: Range<Int>) -> Bool {
        for index in range where text[index] >= 0x80 { return false }
        return true
    }

    /// The signs of ASCII with its letters, general punctuation, and their full-width forms.
    private static func isSign(_ scalar: UInt32) -> Bool {
        switch scalar {
        case 0x21...0x2F, 0x3A...0x7E, 0x2018...0x201F, 0x3000...0x3002, 0xFF01...0xFF0F, 0xFF1A...0xFF5E: true
        default: false
        }
    }
}

extension TextRange {
    /// Cuts out runs of characters that belong, of `most` at most.
    ///
    /// - Parameter spaced: a white-space character before a run is cut out with it, whether it belongs itself or not.
    func cut(
        _ range: Range<Int>, most: Int = .max, spaced: Bool = false, _ body: (Range<Int>) -> Void,
        _ belongs: (Int) -> Bool
    ) {
        var start = range.lowerBound
        var at = start
        while at < range.upperBound {
            let character = character(at)
            let second = at + character.length
            let takesSpace =
                spaced && character.kind == .space && second < range.upperBound && belongs(second)
            guard takesSpace || belongs(at) else {
                at = second
                continue
            }
            if start < at { body(start..<at) }
            var end = second
            var count = takesSpace ? 0 : 1
            while count < most, end < range.upperBound, belongs(end) {
                end += self.character(end).length
                count += 1
            }
            body(at..<end)
            start = end
            at = end
        }
        if start < at { body(start..<at) }
    }

    /// `[0-9][0-9][0-9]`: three ASCII digits at a time; what is left stays together.
    func cutThrees(_ range: Range<Int>, _ body: (Range<Int>) -> Void) {
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

    /// `\s+$`: the white space at the end.
    func cutTrailingSpace(_ range: Range<Int>, _ body: (Range<Int>) -> Void) {
        // Nearly every piece ends so.
        if let last = range.last, text[last] < 0x80, CharacterClass.of(ascii: text[last]) != .space {
            return body(range)
        }
        var at = range.lowerBound
        var space = range.upperBound
        while at < range.upperBound {
            let character = character(at)
            if character.kind != .space {
                space = range.upperBound
            } else if space == range.upperBound {
                space = at
            }
            at += character.length
        }
        if range.lowerBound < space { body(range.lowerBound..<space) }
        if space < range.upperBound { body(space..<range.upperBound) }
    }
}
