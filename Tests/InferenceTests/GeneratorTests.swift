import Inference
import TestModels
import Testing
import Tokenizers

@Suite struct GeneratorTests {
    private let prompt: [Int32] = [1, 90, 80, 70]

    @Test func endsAtTheLimitOfTokensAndStreamsWhatTheTokensSay() throws {
        let model = try TinyModel(seed: 2).model
        let session = try Session(model: model, context: 128, threads: 1)
        var generator = try Generator(session, prompt: prompt, mostTokens: 12)
        var pieces: [String] = []
        while let piece = try generator.next() { pieces.append(piece) }
        #expect(generator.ending == .tokenLimit && generator.tokenCount == 12)
        #expect(!pieces.contains(""))

        // By hand: the most likely token, one after the other.
        session.truncate(to: 0)
        try session.evaluate(prompt)
        var tokens: [Int32] = []
        for _ in 0..<12 {
            let logits = session.logits()
            let best = try #require(logits.indices.max { logits[$0] < logits[$1] })
            tokens.append(Int32(best))
            try session.evaluate([Int32(best)])
        }
        #expect(pieces.joined() == (try model.tokenizer).decode(tokens))
    }

    @Test func sameSeedSameTextAnotherSeedAnother() throws {
        let session = try Session(model: try TinyModel().model, context: 128, threads: 1)
        func text(_ seed: UInt64) throws -> String {
            session.truncate(to: 0)
            let options = SamplerOptions(temperature: 1.5, topK: 0, topP: 1, minP: 0, repeatPenalty: 1.1, seed: seed)
            var generator = try Generator(session, prompt: prompt, options: options, mostTokens: 30)
            return try generator.text()
        }
        #expect(try text(1) == text(1))
        #expect(try text(1) != text(2))
    }

    @Test func endsWhereTheContextDoes() throws {
        let session = try Session(model: try TinyModel().model, context: 16, threads: 1)
        // A temperature at which every token is as likely, and a seed that does not end the text.
        let options = SamplerOptions(temperature: 100, topK: 0, topP: 1, minP: 0, seed: 3)
        var generator = try Generator(session, prompt: prompt, options: options, mostTokens: 1000)
        _ = try generator.text()
        #expect(generator.ending == .contextFull)
        #expect(session.count == 16)
        #expect(generator.tokenCount == 16 - prompt.count + 1, "the last token needs no cell of its own")
    }

    @Test func refusesAPromptThatDoesNotFit() throws {
        let session = try Session(model: try TinyModel().model, context: 16, threads: 1)
        let error = #expect(throws: GenerationError.self) {
            _ = try Generator(session, prompt: [Int32](repeating: 9, count: 17), mostTokens: 1)
        }
        #expect(error?.description.contains("17 tokens") == true)
        #expect(session.count == 0)
    }

    @Test func stopsWhenTheCallerAsks() throws {
        let session = try Session(model: try TinyModel().model, context: 256, threads: 1, batch: 8)
        var asked = 0
        var generator = try Generator(
            session, prompt: [Int32](repeating: 9, count: 100), mostTokens: 5,
            isCancelled: {
                asked += 1
                return asked > 3
            })
        #expect(generator.ending == .cancelled)
        #expect(session.count == 24, "three passes of eight were done")
        #expect(try generator.next() == nil)
    }

    @Test func theRealModelAnswersAndEndsItsTurn() throws {
        let model = try realModel()
        let session = try Session(model: model, context: 256, threads: 2)
        let question = [ChatMessage(.user, "What is the capital of France? Answer with one word.")]
        let segments = model.chatTemplate.segments(question, addGenerationPrompt: true)
        let tokens = (try model.tokenizer).encode(segments, addSpecial: true)
        var generator = try Generator(session, prompt: tokens, mostTokens: 40)
        #expect(try generator.text().contains("Paris"))
        #expect(generator.ending == .endOfGeneration)
    }
}
