import GGUF
import Testing

@testable import Tokenizers

@Suite struct WordPieceTests {
    /// A vocabulary that `make-wordpiece.py` trained, and what Hugging Face's tokenizers say with it.
    private struct Vocabulary: Decodable {
        let tokens: [String]
        let lowercase: Bool
        let texts: [String]
        /// Nil for texts whose characters Hugging Face's tables are too old for.
        let ids: [[Int32]?]

        func tokenizer(_ change: (inout GGUFWriter) -> Void = { _ in }) throws -> Tokenizer {
            var writer = GGUFWriter()
            writer.set("tokenizer.ggml.model", .string("bert"))
            writer.set("tokenizer.ggml.pre", .string("jina-v2"))
            writer.set("tokenizer.ggml.tokens", .strings(tokens))
            writer.set("tokenizer.ggml.token_type", .int32s(tokens.indices.map { $0 < 5 ? 3 : 1 }))
            if !lowercase { writer.set("tokenizer.ggml.normalizer.lowercase", .bool(false)) }
            change(&writer)
            return try Tokenizer(open(writer.header()))
        }
    }

    private func vocabulary(_ name: String) throws -> Vocabulary {
        try #require(fixture("wordpiece.json", as: [String: Vocabulary].self)[name])
    }

    @Test(arguments: ["uncased", "cased"]) func `Tokens equal Hugging Face's for every text`(_ name: String) throws {
        let vocabulary = try vocabulary(name)
        let tokenizer = try vocabulary.tokenizer()
        let texts = try fixture("texts.json", as: [String].self) + vocabulary.texts
        try #require(texts.count == vocabulary.ids.count)
        var known: [String] = []
        for (text, expected) in zip(texts, vocabulary.ids) {
            guard let expected else { continue }
            known.append(text)
            let ids = tokenizer.encode(text, addSpecial: false, parseSpecial: false)
            #expect(ids == expected, "\(text.debugDescription)")
        }
        // All texts as one, through the cache of words.
        #expect(known.count > 130)
        let whole = known.joined(separator: "\n")
        #expect(
            tokenizer.encode(whole, addSpecial: false, parseSpecial: false)
                == vocabulary.ids.compactMap(\.self).flatMap(\.self))
    }

    @Test func `CLS and SEP stand around every text`() throws {
        let vocabulary = try vocabulary("uncased")
        let tokenizer = try vocabulary.tokenizer()
        #expect(tokenizer.bos == 2 && tokenizer.eos == 3)
        #expect(tokenizer.encode("", addSpecial: true, parseSpecial: false) == [2, 3])
        let inner = tokenizer.encode("the door", addSpecial: false, parseSpecial: false)
        #expect(tokenizer.encode("the door", addSpecial: true, parseSpecial: false) == [2] + inner + [3])
        let keyed = try vocabulary.tokenizer {
            $0.set("tokenizer.ggml.cls_token_id", .uint32(4))
            $0.set("tokenizer.ggml.seperator_token_id", .uint32(0))
            $0.set("tokenizer.ggml.add_bos_token", .bool(false))
        }
        #expect(keyed.encode("", addSpecial: true, parseSpecial: false) == [4, 0])
    }

    @Test func `Special tokens are read only where asked`() throws {
        let tokenizer = try vocabulary("uncased").tokenizer()
        #expect(tokenizer.encode("[SEP][CLS]", addSpecial: false, parseSpecial: true) == [3, 2])
        #expect(tokenizer.encode("[SEP]", addSpecial: false, parseSpecial: false).allSatisfy { $0 > 4 || $0 == 1 })
    }

    @Test func `Text comes back in lower case with one space between words`() throws {
        let tokenizer = try vocabulary("uncased").tokenizer()
        let ids = tokenizer.encode("The  Hello, a", addSpecial: true, parseSpecial: false)
        #expect(tokenizer.decode(ids) == "the hello , a")
    }

    @Test func `A word beyond a hundred characters is unknown`() throws {
        let tokenizer = try vocabulary("uncased").tokenizer()
        func ids(_ text: String) -> [Int32] { tokenizer.encode(text, addSpecial: false, parseSpecial: false) }
        #expect(ids(String(repeating: "é", count: 100)).count > 1)
        #expect(ids(String(repeating: "é", count: 101)) == [1])
    }

    @Test func `A vocabulary without a token for unknown words is refused`() throws {
        var writer = GGUFWriter()
        writer.set("tokenizer.ggml.model", .string("bert"))
        writer.set("tokenizer.ggml.tokens", .strings(["a", "b"]))
        let file = try open(writer.header())
        let error = #expect(throws: TokenizerError.self) { try Tokenizer(file) }
        #expect(error?.description.contains("no token for unknown words") == true)
    }
}
