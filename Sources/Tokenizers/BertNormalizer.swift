// The only door to Unicode's decompositions without Foundation; swift-foundation takes it too. Tables of our own would
// be 2,061 entries beside the standard library's.
@_spi(_Unicode) import Swift

/// What BERT makes of text before it looks for words: control characters go, white space and punctuation part words,
/// Chinese characters stand alone, and uncased models see lower-case letters without accents.
///
/// Source: `BasicTokenizer` in Google's bert tokenization.py; where Hugging Face's `BertNormalizer` differs (unassigned
/// characters stay), as that.
struct BertNormalizer: Sendable {
    var lowercases = true
    var stripsAccents = true

    /// One word, normalised, in `text`; punctuation and Chinese characters are words of their own.
    struct Words {
        var text: [UInt8] = []
        var words: [Range<Int>] = []
        fileprivate var start = 0

        fileprivate mutating func endWord() {
            if start < text.count { words.append(start..<text.count) }
            start = text.count
        }
    }

    /// Appends the words of `text[range]`, which is valid UTF-8.
    func append(_ text: [UInt8], _ range: Range<Int>, to words: inout Words) {
        var at = range.lowerBound
        while at < range.upperBound {
            let byte = text[at]
            if byte < 0x80 {
                appendASCII(byte, to: &words)
                at += 1
                continue
            }
            let length = min(lengthOfCharacter(byte), range.upperBound - at)
            var value = UInt32(byte) & (0x7F >> UInt32(length))
            for offset in 1..<max(length, 1) { value = value << 6 | UInt32(text[at + offset] & 0x3F) }
            if let scalar = Unicode.Scalar(value) { append(scalar, to: &words) }
            at += length
        }
        words.endWord()
    }

    @inline(__always)  // A few instructions for nearly every character.
    private func appendASCII(_ byte: UInt8, to words: inout Words) {
        switch CharacterClass.of(ascii: byte) {
        case .letter: words.text.append(lowercases ? byte | 0x20 : byte)
        case .number: words.text.append(byte)
        // These are control characters to Unicode; BERT takes four of them as space and leaves the others out.
        case .space where byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D: words.endWord()
        case .punctuation, .symbol:
            words.endWord()
            words.text.append(byte)
            words.endWord()
        case .mark, .space, .other: break
        }
    }

    private func append(_ scalar: Unicode.Scalar, to words: inout Words) {
        switch scalar.properties.generalCategory {
        case .control, .format, .privateUse, .surrogate: return
        default: break
        }
        if scalar.value == 0xFFFD { return }
        let isChinese = Self.isChinese(scalar.value)
        if isChinese { words.endWord() }
        if stripsAccents {
            // Only marks move when a text is decomposed as a whole, and they are left out: one character at a time will do.
            for part in String(Character(scalar))._nfd where part.properties.generalCategory != .nonspacingMark {
                appendFolded(part, to: &words)
            }
        } else {
            appendFolded(scalar, to: &words)
        }
        if isChinese { words.endWord() }
    }

    private func appendFolded(_ scalar: Unicode.Scalar, to words: inout Words) {
        if scalar.value < 0x80 { return appendASCII(UInt8(scalar.value), to: &words) }
        switch CharacterClass.of(scalar) {
        case .space:
            words.endWord()
        case .punctuation:
            words.endWord()
            words.text.append(contentsOf: String(Character(scalar)).utf8)
            words.endWord()
        case .letter, .mark, .number, .symbol, .other:
            if lowercases, scalar.properties.changesWhenLowercased {
                words.text.append(contentsOf: scalar.properties.lowercaseMapping.utf8)
            } else {
                words.text.append(contentsOf: String(Character(scalar)).utf8)
            }
        }
    }

    /// BERT's CJK blocks; kana and hangul are written with other rules and are not among them.
    private static func isChinese(_ value: UInt32) -> Bool {
        switch value {
        case 0x4E00...0x9FFF, 0x3400...0x4DBF, 0x20000...0x2A6DF, 0x2A700...0x2B73F, 0x2B740...0x2B81F,
            0x2B820...0x2CEAF, 0xF900...0xFAFF, 0x2F800...0x2FA1F:
            true
        default: false
        }
    }
}
