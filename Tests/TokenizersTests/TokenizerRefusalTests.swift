import Foundation
import GGUF
import Testing

@testable import Tokenizers

/// Files whose tokenizer must be refused, each with one line that says why.
@Suite struct TokenizerRefusalTests {
    private func refusal(_ change: (inout GGUFWriter) -> Void, _ location: SourceLocation = #_sourceLocation) throws
        -> String
    {
        var vocabulary = try SmallVocabulary()
        change(&vocabulary.writer)
        let file = try vocabulary.file()
        do {
            _ = try Tokenizer(file)
            Issue.record("the tokenizer was accepted", sourceLocation: location)
            return ""
        } catch {
            #expect(!error.description.contains("\n"), sourceLocation: location)
            #expect(error.description.contains(file.path), sourceLocation: location)
            return error.description
        }
    }

    @Test func `A file without a tokenizer says so`() throws {
        let file = try open(GGUFWriter().header())
        let error = #expect(throws: TokenizerError.self) { try Tokenizer(file) }
        #expect(error?.description.contains("has no tokenizer: tokenizer.ggml.model is missing") == true)
    }

    @Test(arguments: [
        ("t5", "(Unigram)"), ("gemma4", "(Gemma 4)"), ("rwkv", "(RWKV)"),
        ("new\nthing", "'new\u{FFFD}thing'"),
    ])
    func `Other algorithms are named`(_ model: String, _ name: String) throws {
        let message = try refusal { $0.set("tokenizer.ggml.model", .string(model)) }
        #expect(message.contains("tokenizer model"))
        #expect(message.contains("is not supported"))
        #expect(message.contains(name))
    }

    @Test func `What is missing or does not fit is named`() throws {
        #expect(try refusal { $0.set("tokenizer.ggml.pre", .string("no-such")) }.contains("pre-tokenizer 'no-such'"))
        #expect(
            try refusal { $0.set("tokenizer.ggml.tokens", .uint32(1)) }.contains("tokenizer.ggml.tokens is missing"))
        #expect(
            try refusal { $0.set("tokenizer.ggml.tokens", .strings([])) }.contains("tokenizer.ggml.tokens is missing"))
        #expect(
            try refusal { $0.set("tokenizer.ggml.merges", .uint32(1)) }.contains("tokenizer.ggml.merges is missing"))
        #expect(
            try refusal { $0.set("tokenizer.ggml.merges", .int32s([1])) }.contains("tokenizer.ggml.merges is missing"))
        let merges = [String](repeating: "", count: 1 << 21)
        #expect(try refusal { $0.set("tokenizer.ggml.merges", .strings(merges)) }.contains("it has 2097152 merges"))
        #expect(try refusal { $0.set("tokenizer.ggml.token_type", .int32s([1, 2])) }.contains("but 2 token types"))
        #expect(
            try refusal { $0.set("tokenizer.ggml.bos_token_id", .uint32(999_999)) }.contains("bos_token_id is 999999"))
        #expect(try refusal { $0.set("tokenizer.ggml.eos_token_id", .int32(-1)) }.contains("eos_token_id is -1"))
    }

    @Test func `A file without a pre-tokenizer counts as default`() throws {
        var vocabulary = try SmallVocabulary()
        vocabulary.writer.set("tokenizer.ggml.pre", .uint32(0))
        #expect(try vocabulary.tokenizer().preTokenizer == "default")
    }

    @Test func `Damaged metadata never crashes the tokenizer`() throws {
        var writer = GGUFWriter()
        writer.set("tokenizer.ggml.model", .string("gpt2"))
        writer.set("tokenizer.ggml.pre", .string("llama-bpe"))
        writer.set("tokenizer.ggml.tokens", .strings(["<|im_end|>", "a", "b", "ab", "Ġ", "Ġab", "é", "<tool>"]))
        writer.set("tokenizer.ggml.token_type", .int32s([3, 1, 1, 1, 1, 1, 1, 4]))
        writer.set("tokenizer.ggml.merges", .strings(["a b", "Ġ ab"]))
        writer.set("tokenizer.ggml.bos_token_id", .uint32(0))
        writer.set("tokenizer.chat_template", .string("{{ '<|im_start|>system\nBe good<|im_end|>' }}"))
        let bytes = writer.header()
        var accepted = 0
        for position in bytes.indices {
            for bit in [position % 8, (position + 3) % 8] {
                var damaged = bytes
                damaged[position] ^= 1 << UInt8(bit)
                guard let file = try? open(damaged), let tokenizer = try? Tokenizer(file) else { continue }
                accepted += 1
                let tokens = tokenizer.encode("ab ab é<|im_end|>\n<tool>", addSpecial: true, parseSpecial: true)
                _ = tokenizer.decode(tokens, special: true)
                _ = ChatTemplate.detect(in: file).render([ChatMessage(.user, "a")], addGenerationPrompt: true)
                #expect(tokens.allSatisfy { $0 >= 0 && $0 < tokenizer.vocabularyCount })
            }
        }
        #expect(accepted > 200)
    }
}
