/// The Unicode classes that pre-tokenizers tell apart.
enum CharacterClass: UInt8 {
    case letter  // \p{L}
    case mark  // \p{M}
    case number  // \p{N}
    case punctuation  // \p{P}
    case symbol  // \p{S}
    case space  // \s: White_Space
    case other  // controls, formats, unassigned

    @inline(__always)  // Called for every character of the text.
    static func of(ascii byte: UInt8) -> CharacterClass {
        if (byte | 0x20) &- 0x61 < 26 { return .letter }
        if byte &- 0x30 < 10 { return .number }
        if byte == 0x20 || byte &- 9 < 5 { return .space }
        if byte < 0x21 || byte == 0x7F { return .other }
        switch byte {
        case 0x24, 0x2B, 0x3C, 0x3D, 0x3E, 0x5E, 0x60, 0x7C, 0x7E: return .symbol  // $+<=>^`|~
        default: return .punctuation
        }
    }

    /// The class of any scalar, from the tables in Swift's standard library.
    static func of(_ scalar: Unicode.Scalar) -> CharacterClass {
        if scalar.value < 0x80 { return of(ascii: UInt8(scalar.value)) }
        let properties = scalar.properties
        switch properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: return .letter
        case .nonspacingMark, .spacingMark, .enclosingMark: return .mark
        case .decimalNumber, .letterNumber, .otherNumber: return .number
        case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation, .initialPunctuation,
            .finalPunctuation, .otherPunctuation:
            return .punctuation
        case .mathSymbol, .currencySymbol, .modifierSymbol, .otherSymbol: return .symbol
        default: return properties.isWhitespace ? .space : .other
        }
    }
}

/// A character of the text: its class and how many bytes it takes.
struct ScannedCharacter {
    let kind: CharacterClass
    let length: Int
}

/// The bytes of a text between two places, read character by character. The text is valid UTF-8.
struct TextRange {
    let text: [UInt8]
    let end: Int

    /// The character at `index`, which must be below `end`.
    @inline(__always)  // The ASCII path is a few instructions and must not pay for a call.
    func character(_ index: Int) -> ScannedCharacter {
        let byte = text[index]
        if byte < 0x80 { return ScannedCharacter(kind: .of(ascii: byte), length: 1) }
        return wide(index)
    }

    @inline(__always)  // See `character`.
    func kind(_ index: Int) -> CharacterClass? { index < end ? character(index).kind : nil }

    @inline(never)  // Keeps the ASCII path small.
    private func wide(_ index: Int) -> ScannedCharacter {
        let lead = text[index]
        let length = min(lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2, end - index)
        let kind = Unicode.Scalar(scalar(index)).map { CharacterClass.of($0) }
        return ScannedCharacter(kind: kind ?? .other, length: length)
    }

    /// The number of the character at `index`; a surrogate's, which is no character, where one is cut off.
    func scalar(_ index: Int) -> UInt32 {
        let lead = text[index]
        if lead < 0x80 { return UInt32(lead) }
        let length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2
        // Never true for valid UTF-8; checked so that no caller can make this read past the range.
        guard index + length <= end else { return 0xD800 }
        var value = UInt32(lead) & (0x7F >> UInt32(length))
        for offset in 1..<length { value = value << 6 | UInt32(text[index + offset] & 0x3F) }
        return value
    }

    /// The first index from `start` on whose character is not of `kind`.
    @inline(__always)  // A loop over ASCII bytes for nearly all text.
    func run(_ start: Int, while belongs: (CharacterClass) -> Bool) -> Int {
        var at = start
        while at < end {
            let next = character(at)
            if !belongs(next.kind) { break }
            at += next.length
        }
        return at
    }
}
