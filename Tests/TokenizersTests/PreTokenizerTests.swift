import Testing

@testable import Tokenizers

@Suite struct PreTokenizerTests {
    static let kinds = [
        "gpt-2", "smollm", "starcoder", "llama-bpe", "dbrx", "qwen2", "qwen35", "seed-coder", "falcon", "default",
    ]

    @Test(arguments: kinds) func `Tokens equal llama.cpp's for every text`(_ kind: String) throws {
        let texts = try fixture("texts.json", as: [String].self)
        let expected = try #require(fixture("pre-tokenizers.json", as: [String: [[Int32]]].self)[kind])
        try #require(texts.count == expected.count && texts.count > 100)
        let tokenizer = try SmallVocabulary(kind).tokenizer()
        for (text, ids) in zip(texts, expected) {
            #expect(
                tokenizer.encode(text, addSpecial: false, parseSpecial: true) == ids,
                "\(kind): \(text.debugDescription)")
        }
    }

    static let publishedKinds = ["tekken", "gpt-4o", "deepseek-llm", "deepseek-coder", "deepseek-v3"]

    @Test(arguments: publishedKinds) func `Pieces equal those of the published expressions`(_ kind: String) throws {
        let texts = try fixture("texts.json", as: [String].self)
        let expected = try #require(fixture("pieces.json", as: [String: [[Int]]].self)[kind])
        try #require(texts.count == expected.count)
        let words = try #require(PreTokenizer.named(kind))
        for (text, lengths) in zip(texts, expected) {
            var pieces: [Int] = []
            let bytes = Array(text.utf8)
            words.forEachPiece(of: bytes, in: 0..<bytes.count) { pieces.append($0.count) }
            #expect(text.isEmpty || pieces == lengths, "\(text.debugDescription)")
        }
    }

    @Test(arguments: kinds + publishedKinds) func `Every text decodes to itself`(_ kind: String) throws {
        let tokenizer = try SmallVocabulary(kind).tokenizer()
        for text in try fixture("texts.json", as: [String].self) {
            let tokens = tokenizer.encode(text, addSpecial: false, parseSpecial: false)
            #expect(tokenizer.decode(tokens) == text)
        }
    }

    @Test(arguments: kinds + publishedKinds) func `Pieces cover the text without gap or overlap`(_ kind: String) throws
    {
        let words = try #require(PreTokenizer.named(kind))
        for text in try fixture("texts.json", as: [String].self) {
            var end = 0
            let bytes = Array(text.utf8)
            words.forEachPiece(of: bytes, in: 0..<bytes.count) { piece in
                #expect(piece.lowerBound == end && !piece.isEmpty)
                end = piece.upperBound
            }
            #expect(end == bytes.count)
        }
    }

    @Test func `Scanning damaged UTF-8 ends and stays inside`() {
        // No caller passes any; this is the second line of defence.
        let bytes: [UInt8] = [0xF0, 0x9F, 0x20, 0xC3, 0x80, 0x80, 0xE2, 0x82, 0x31, 0xFF, 0xC3]
        for kind in Self.kinds + Self.publishedKinds {
            var end = 0
            PreTokenizer.named(kind)?.forEachPiece(of: bytes, in: 0..<bytes.count) { piece in
                #expect(piece.lowerBound == end && !piece.isEmpty)
                end = piece.upperBound
            }
            #expect(end == bytes.count)
        }
    }

    @Test func `Every ASCII character has the class that Unicode gives it`() throws {
        for value in UInt8(0)..<0x80 {
            let scalar = Unicode.Scalar(value)
            let expected: CharacterClass =
                if scalar.properties.isWhitespace {
                    .space
                } else {
                    switch scalar.properties.generalCategory {
                    case .uppercaseLetter, .lowercaseLetter: .letter
                    case .decimalNumber: .number
                    case .mathSymbol, .currencySymbol, .modifierSymbol, .otherSymbol: .symbol
                    case .control: .other
                    default: .punctuation
                    }
                }
            #expect(CharacterClass.of(ascii: value) == expected, "U+\(String(value, radix: 16))")
        }
    }

    @Test func `An unknown pre-tokenizer is none`() {
        #expect(PreTokenizer.named("no-such") == nil)
        #expect(PreTokenizer.named("") == nil)
    }
}
