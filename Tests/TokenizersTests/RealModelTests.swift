import Foundation
import GGUF
import Testing

@testable import Tokenizers

/// With the real SmolLM2, which `make model` fetches.
@Suite struct RealModelTests {
    private func model() throws -> GGUFFile {
        let environment = ProcessInfo.processInfo.environment
        let cache = environment["XDG_CACHE_HOME"] ?? "\(environment["HOME"] ?? "")/.cache"
        let path = environment["MARTLET_TEST_MODEL"] ?? "\(cache)/martlet/models/smollm2-135m-instruct-q4_1.gguf"
        try #require(FileManager.default.fileExists(atPath: path), "no model at \(path): `make model` fetches it")
        return try GGUFFile(path: path)
    }

    private struct Row: Decodable {
        let text: String
        let ids: [Int32]
    }

    @Test func `Every golden row of SmolLM2 is equal`() throws {
        let tokenizer = try Tokenizer(model())
        let rows = try fixture("smollm2-golden.json", as: [Row].self)
        try #require(rows.count == 17)
        for row in rows {
            #expect(tokenizer.encode(row.text, addSpecial: false, parseSpecial: false) == row.ids, "\(row.text)")
            #expect(tokenizer.decode(row.ids) == row.text)
        }
        #expect(tokenizer.vocabularyCount == 49_152)
        #expect(tokenizer.bos == 1)
        #expect(tokenizer.eos == 2)
        #expect(!tokenizer.addsBOS)
    }

    @Test func `SmolLM2 ends at its end of turn and text`() throws {
        let tokenizer = try Tokenizer(model())
        for text in ["<|im_end|>", "<|endoftext|>"] {
            #expect(try tokenizer.isEndOfGeneration(#require(tokenizer.token(for: text))))
        }
        #expect(try !tokenizer.isEndOfGeneration(#require(tokenizer.token(for: "<|im_start|>"))))
    }

    @Test func `SmolLM2's template brings its own system message`() throws {
        let template = try ChatTemplate.detect(in: model())
        #expect(template.name == "chatml")
        #expect(template.defaultSystem == "You are a helpful AI assistant named SmolLM, trained by Hugging Face")
        #expect(
            template.render([ChatMessage(.user, "Hi")], addGenerationPrompt: true)
                == "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
                + "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")
    }

    @Test func `English text tokenizes at more than a megabyte a second even in a debug build`() throws {
        let tokenizer = try Tokenizer(model())
        let line = "The temperature in the kitchen rose by 2.5 degrees, and the door sensor's battery is low. "
        let text = String(repeating: line, count: 10_000)
        var count = 0
        let time = seconds { count = tokenizer.encode(text, addSpecial: false, parseSpecial: false).count }
        #expect(count > 100_000)
        #expect(Double(text.utf8.count) / time > 1e6, "\(Double(text.utf8.count) / time / 1e6) MB/s")
    }
}
