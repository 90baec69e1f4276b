import GGUF
import TestSupport
import Testing

@testable import Tokenizers

/// Texts and vocabularies made to hurt.
@Suite struct HostileTests {
    private func tokenizer(_ kind: String) throws -> Tokenizer {
        switch kind {
        case "sentencepiece": return try SentencePieceVocabulary.named("llama").tokenizer()
        case "wordpiece":
            var writer = GGUFWriter()
            let letters = (97...122).compactMap { Unicode.Scalar($0).map { String(Character($0)) } }
            writer.set("tokenizer.ggml.model", .string("bert"))
            writer.set(
                "tokenizer.ggml.tokens",
                .strings(
                    ["[UNK]", "[CLS]", "[SEP]"] + letters + letters.map { "▁" + $0 } + ["▁[", "▁'", "▁漢", "aa", "▁aaa"])
            )
            writer.set("tokenizer.ggml.unknown_token_id", .uint32(0))
            return try Tokenizer(open(writer.header()))
        default: return try SmallVocabulary(kind).tokenizer()
        }
    }

    /// This thread's seconds for a text and for the same at a quarter of its length: the better of two each, for quiet.
    private func times(_ tokenizer: Tokenizer, _ unit: [UInt8], _ count: Int) -> (quarter: Double, whole: Double) {
        func time(_ count: Int) -> Double {
            var bytes = unit
            while bytes.count < count { bytes += bytes }
            bytes.removeLast(bytes.count - count)
            return (0..<2).map { _ in
                processorSeconds { _ = tokenizer.encode(bytes: bytes, addSpecial: true, parseSpecial: true) }
            }.min() ?? 0
        }
        return (time(count / 4), time(count))
    }

    @Test(arguments: ["sentencepiece", "wordpiece", "llama-bpe", "tekken", "deepseek-llm", "deepseek-v3"])
    func `Four times the text takes about four times as long`(_ kind: String) throws {
        let tokenizer = try tokenizer(kind)
        let units: [[UInt8]] =
            ["a", " ", "🤖", "\n", "-", "É", "漢", "e\u{301}", "\u{301}", "aB", "'", "[", "<|im_", "ªA", "1", " a"].map {
                Array($0.utf8)
            } + [[0xFF], [0xE2, 0x82], [0xF0, 0x9F, 0x20]]
        for unit in units {
            let (quarter, whole) = times(tokenizer, unit, 200_000)
            // Four here; quadratic work would take sixteen times as long. Below a hundredth of a second noise decides.
            #expect(whole < 0.02 || whole / quarter < 10, "\(kind), \(unit): \(quarter) s, \(whole) s")
        }
    }

    @Test func `Random bytes come back repaired`() throws {
        for kind in ["sentencepiece", "tekken", "deepseek-llm"] {
            let tokenizer = try tokenizer(kind)
            var random = SplitMix(state: 1)
            for _ in 0..<100 {
                let count = Int.random(in: 0...300, using: &random)
                let bytes = (0..<count).map { _ in UInt8.random(in: 5...255, using: &random) }
                let tokens = tokenizer.encode(bytes: bytes, addSpecial: false, parseSpecial: false)
                let text = String(decoding: bytes, as: UTF8.self)
                #expect(tokenizer.decode(tokens) == text.replacing("▁", with: kind == "sentencepiece" ? " " : "▁"))
            }
        }
    }

    /// The smallest vocabulary of a kind that has all keys.
    private func seed(_ model: String) -> [UInt8] {
        var writer = GGUFWriter()
        let tokens = ["<unk>", "<s>", "</s>", "▁", "a", "b", "ab", "▁a", "<0x0A>", "<0xC3>", "Ġ", "Ġa", "<t>", "[UNK]"]
        writer.set("tokenizer.ggml.model", .string(model))
        writer.set("tokenizer.ggml.pre", .string("tekken"))
        writer.set("tokenizer.ggml.tokens", .strings(tokens))
        writer.set("tokenizer.ggml.scores", .floats([0, 0, 0, -5, -4, -4, -1, -2, 0, 0, -3, -3, 0, 0]))
        writer.set("tokenizer.ggml.token_type", .int32s([2, 3, 3, 1, 1, 1, 1, 1, 6, 6, 1, 1, 4, 3]))
        writer.set("tokenizer.ggml.merges", .strings(["a b", "Ġ a"]))
        writer.set("tokenizer.ggml.bos_token_id", .uint32(1))
        writer.set("tokenizer.ggml.eos_token_id", .uint32(2))
        writer.set("tokenizer.ggml.unknown_token_id", .uint32(0))
        writer.set("tokenizer.ggml.seperator_token_id", .uint32(2))
        writer.set("tokenizer.ggml.add_space_prefix", .bool(true))
        writer.set(
            "tokenizer.chat_template",
            .string("{% for m in messages %}{{ '<' ~ m.role + '>' }}{{ m['content']|trim }}{% endfor %}"))
        return writer.header()
    }

    private func use(_ file: GGUFFile) -> Bool {
        let template = ChatTemplate.detect(in: file)
        let segments = template.segments([ChatMessage(.user, " ab</s>")], addGenerationPrompt: true)
        guard let tokenizer = try? Tokenizer(file) else { return false }
        let count = Int32(tokenizer.vocabularyCount)
        for tokens in [
            tokenizer.encode(segments, addSpecial: true),
            tokenizer.encode("ab  a é\n<s>\u{0}[UNK]<t>漢", addSpecial: true, parseSpecial: true),
            tokenizer.encode(bytes: [0xFF, 0x61, 0xC3], addSpecial: false, parseSpecial: false),
        ] {
            #expect(tokens.allSatisfy { $0 >= 0 && $0 < count })
            _ = tokenizer.decode(tokens, special: true)
            _ = tokenizer.decode(tokens)
        }
        return true
    }

    @Test(arguments: ["llama", "bert", "gpt2"]) func `Damaged vocabularies never crash`(_ model: String) throws {
        let bytes = seed(model)
        var accepted = 0
        var random = SplitMix(state: 1)
        for round in 0..<3000 {
            var damaged = bytes
            for _ in 0...round % 4 {
                let position = Int.random(in: 24..<bytes.count, using: &random)
                let drawn = UInt8.random(in: 0...255, using: &random)
                damaged[position] = [0, 1, 0xFF, 0x7F, damaged[position] ^ 4, drawn][round % 6]
            }
            if let file = try? open(damaged), use(file) { accepted += 1 }
        }
        #expect(accepted > 300)
    }

    @Test(arguments: ["llama", "bert", "gpt2"]) func `Odd vocabularies are used or refused`(_ model: String) throws {
        let odd: [(String, GGUFValue)] = [
            ("tokens", .strings([String](repeating: "a", count: 14))),
            ("tokens", .strings([String](repeating: "", count: 14))),
            ("tokens", .strings([String](repeating: String(repeating: "a", count: 5000), count: 14))),
            ("tokens", .strings(["x"])), ("token_type", .int32s([])),
            ("token_type", .int32s([Int32](repeating: -7, count: 14))),
            ("scores", .floats([])), ("scores", .int32s([Int32](repeating: 3, count: 14))), ("merges", .strings([])),
            ("merges", .strings(["", " ", "  ", "a", "a  b", "ab ab ab"])), ("bos_token_id", .uint32(.max)),
            ("eos_token_id", .int32(-1)), ("unknown_token_id", .uint32(14)), ("unknown_token_id", .string("0")),
            ("add_space_prefix", .uint32(1)), ("pre", .string("")), ("pre", .uint32(3)),
        ]
        for (key, value) in odd {
            var writer = GGUFWriter()
            writer.set("tokenizer.ggml.model", .string(model))
            writer.set("tokenizer.ggml.pre", .string("llama-bpe"))
            writer.set("tokenizer.ggml.tokens", .strings((0..<14).map { "t\($0)" }))
            writer.set("tokenizer.ggml.scores", .floats([Float](repeating: 0, count: 14)))
            writer.set("tokenizer.ggml.merges", .strings(["t 1"]))
            writer.set("tokenizer.ggml.unknown_token_id", .uint32(0))
            writer.set("tokenizer.ggml.\(key)", value)
            _ = use(try open(writer.header()))
        }
    }
}
