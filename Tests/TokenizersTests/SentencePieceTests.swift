import GGUF
import TestSupport
import Testing

@testable import Tokenizers

/// A vocabulary that `make-sentencepiece.py` trained, and what SentencePiece says with it.
struct SentencePieceVocabulary: Decodable {
    let tokens: [String]
    let scores: [Float]
    let types: [Int32]
    let addSpacePrefix: Bool
    let ids: [[Int32]?]

    static func named(_ name: String) throws -> SentencePieceVocabulary {
        let all = try fixture("sentencepiece.json", as: [String: SentencePieceVocabulary].self)
        return try #require(all[name])
    }

    var writer: GGUFWriter {
        var writer = GGUFWriter()
        // Converters write user-defined tokens as they stand in text.
        let written = zip(tokens, types).map { $1 == 4 ? $0.replacing("▁", with: " ") : $0 }
        writer.set("tokenizer.ggml.model", .string("llama"))
        writer.set("tokenizer.ggml.tokens", .strings(written))
        writer.set("tokenizer.ggml.scores", .floats(scores))
        writer.set("tokenizer.ggml.token_type", .int32s(types))
        writer.set("tokenizer.ggml.bos_token_id", .uint32(1))
        writer.set("tokenizer.ggml.eos_token_id", .uint32(2))
        writer.set("tokenizer.ggml.unknown_token_id", .uint32(0))
        writer.set("tokenizer.ggml.add_space_prefix", .bool(addSpacePrefix))
        return writer
    }

    func tokenizer(_ change: (inout GGUFWriter) -> Void = { _ in }) throws -> Tokenizer {
        var writer = writer
        change(&writer)
        return try Tokenizer(open(writer.header()))
    }
}

@Suite struct SentencePieceTests {
    private func ids(_ tokenizer: Tokenizer, _ text: String, continues: Bool = false) -> [Int32] {
        tokenizer.encode(text, addSpecial: false, parseSpecial: false, continues: continues)
    }

    @Test(arguments: ["llama", "gemma"]) func `Tokens equal SentencePiece's for every text`(_ name: String) throws {
        let vocabulary = try SentencePieceVocabulary.named(name)
        let tokenizer = try vocabulary.tokenizer()
        let texts = try fixture("texts.json", as: [String].self)
        try #require(texts.count == vocabulary.ids.count)
        for (text, expected) in zip(texts, vocabulary.ids) {
            guard let expected else { continue }
            #expect(ids(tokenizer, text) == expected, "\(text.debugDescription)")
            #expect(tokenizer.decode(expected) == text)
        }
        // All texts as one, through the cache of words.
        let whole = texts.joined(separator: "\n")
        #expect(whole.utf8.count > 2048)
        #expect(tokenizer.decode(ids(tokenizer, whole)) == whole)
    }

    /// Merging as its definition reads: the best pair anywhere, again and again, on the whole text.
    private func reference(_ text: String, _ vocabulary: SentencePieceVocabulary) -> [String] {
        var scores: [String: Float] = [:]
        for (index, token) in vocabulary.tokens.enumerated() where vocabulary.types[index] == 1 {
            scores[token] = vocabulary.scores[index]
        }
        var symbols = ("▁" + text.replacing(" ", with: "▁")).unicodeScalars.map { String(Character($0)) }
        while true {
            let pairs = zip(symbols, symbols.dropFirst()).map { scores[$0 + $1] ?? -.infinity }
            guard let best = pairs.max(), best > -.infinity, let at = pairs.firstIndex(of: best) else { return symbols }
            symbols[at] += symbols[at + 1]
            symbols.remove(at: at + 1)
        }
    }

    @Test func `Short and long words merge as the definition says`() throws {
        let vocabulary = try SentencePieceVocabulary.named("llama")
        let tokenizer = try vocabulary.tokenizer()
        var random = SplitMix(state: 1)
        for length in [1, 2, 3, 16, 63, 64, 65, 66, 130, 400] {
            for letters in ["-", "- ", "er", "therin ", "abcdefghijklmnopqrstuvwxyz"] {
                let text = String((0..<length).compactMap { _ in letters.randomElement(using: &random) })
                let pieces = ids(tokenizer, text).map { vocabulary.tokens[Int($0)] }
                #expect(pieces == reference(text, vocabulary), "\(text)")
            }
        }
    }

    @Test func `A space stands before a text and behind special tokens only`() throws {
        let tokenizer = try SentencePieceVocabulary.named("llama").tokenizer()
        let re = try #require(tokenizer.token(for: "re"))
        let spacedRe = try #require(tokenizer.token(for: " re"))
        #expect(ids(tokenizer, "re") == [spacedRe])
        #expect(ids(tokenizer, "re", continues: true) == [re])
        #expect(tokenizer.encode("re<s>re", addSpecial: true, parseSpecial: true) == [1, spacedRe, 1, spacedRe])
        #expect(tokenizer.decode([1, spacedRe, 1, spacedRe]) == "rere")
        #expect(tokenizer.decode([spacedRe, spacedRe]) == "re re")
        #expect(ids(tokenizer, "").isEmpty)
        #expect(tokenizer.beginsText(after: nil) && tokenizer.beginsText(after: 1))
        #expect(!tokenizer.beginsText(after: re))
        var bytes: [UInt8] = []
        tokenizer.append(spacedRe, to: &bytes)
        tokenizer.append(spacedRe, to: &bytes, begins: true)
        #expect(bytes == Array(" rere".utf8))
    }

    @Test func `Text cannot become control tokens or bytes`() throws {
        let vocabulary = try SentencePieceVocabulary.named("llama")
        // Even where the merges for it are there.
        var tokens = vocabulary.tokens
        tokens[tokens.count - 1] = "s>"
        tokens[tokens.count - 2] = "0A>"
        tokens[tokens.count - 3] = "<0x"
        let tokenizer = try vocabulary.tokenizer { $0.set("tokenizer.ggml.tokens", .strings(tokens)) }
        let line = try #require(tokens.firstIndex(of: "<0x0A>"))
        for text in ["<s>", "a<s>", "<0x0A>", "</s>", "<unk>"] {
            let ids = ids(tokenizer, text)
            #expect(ids.allSatisfy { $0 > 2 && $0 != line }, "\(text)")
            #expect(tokenizer.decode(ids) == text)
        }
        #expect(ids(tokenizer, "\n").last == Int32(line))
    }

    @Test func `Without byte tokens a character is unknown`() throws {
        let vocabulary = try SentencePieceVocabulary.named("llama")
        let tokens = vocabulary.tokens.map { $0.hasPrefix("<0x") ? "no\($0)" : $0 }
        let tokenizer = try vocabulary.tokenizer { $0.set("tokenizer.ggml.tokens", .strings(tokens)) }
        #expect(ids(tokenizer, "𒀀𒀁", continues: true) == [0, 0])
        #expect(tokenizer.decode([0]) == "")
    }

    @Test func `Blanks are squeezed where the file asks`() throws {
        let vocabulary = try SentencePieceVocabulary.named("llama")
        let tokenizer = try vocabulary.tokenizer {
            $0.set("tokenizer.ggml.remove_extra_whitespaces", .bool(true))
        }
        #expect(ids(tokenizer, "  the   door  ") == ids(tokenizer, "the door"))
        #expect(ids(tokenizer, "   ").count <= 1)
    }

    @Test func `Phi-3's special tokens take the white space behind them along`() throws {
        var vocabulary = try SentencePieceVocabulary.named("llama").writer
        vocabulary.set("general.architecture", .string("phi3"))
        let tokenizer = try Tokenizer(open(vocabulary.header()))
        func ids(_ text: String) -> [Int32] { tokenizer.encode(text, addSpecial: false, parseSpecial: true) }
        #expect(ids("</s>\n \tre") == ids("</s>re"))
        #expect(ids("<s> re") != ids("<s>re"))
        #expect(ids("</s>\n") == [2])
    }

    @Test func `Scores that do not fit are refused, odd ones are not`() throws {
        let vocabulary = try SentencePieceVocabulary.named("llama")
        func refusal(_ scores: GGUFValue) -> String? {
            do {
                _ = try vocabulary.tokenizer { $0.set("tokenizer.ggml.scores", scores) }
                return nil
            } catch { return "\(error)" }
        }
        #expect(refusal(.floats([1, 2]))?.contains("1500 tokens, but 2 scores") == true)
        #expect(refusal(.uint32(1))?.contains("scores is missing") == true)
        let odd: [Float] = [.nan, .infinity, -.infinity, 0, -0, .leastNonzeroMagnitude, -.nan]
        let scores = vocabulary.scores.indices.map { odd[$0 % odd.count] }
        let tokenizer = try vocabulary.tokenizer { $0.set("tokenizer.ggml.scores", .floats(scores)) }
        let text = "the door in the kitchen"
        #expect(tokenizer.decode(ids(tokenizer, text)) == text)
    }
}
