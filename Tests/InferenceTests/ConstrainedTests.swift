import Constraints
import JSON
import TestModels
import Testing
import Tokenizers

@testable import Inference

@Suite struct ConstrainedTests {
    private let prompt: [Int32] = [1, 90, 80, 70]
    private static let schema = """
        {"type":"object","properties":{"kind":{"enum":["indoor","inner"]},"level":{"type":"integer","minimum":-5,
         "maximum":40},"note":{"type":"string","maxLength":12}},"required":["kind","level"],"additionalProperties":false}
        """

    private func grammar() throws -> Grammar { try Grammar(schema: Array(Self.schema.utf8)) }

    /// Random weights want anything; what is written is what the schema says, inside any limit that fits at all.
    @Test func aModelOfNoSenseWritesWhatTheSchemaAllows() throws {
        let model = try TinyModel(seed: 4).model
        let session = try Session(model: model, context: 256, threads: 1)
        let constraint = try model.constraint(try grammar())
        var cut = 0
        for seed in 0..<40 {
            session.truncate(to: 0)
            let options = SamplerOptions(temperature: 2, topK: 0, topP: 1, minP: 0, seed: UInt64(seed))
            let limit = 45 + seed
            var generator = try Generator(
                session, prompt: prompt, options: options, mostTokens: limit, constraint: constraint)
            let text = try generator.text()
            #expect(generator.tokenCount <= limit)
            if generator.ending == .tokenLimit { cut += 1 } else { #expect(generator.ending == .endOfGeneration) }
            let value = try JSONValue(parsing: text)
            #expect(["indoor", "inner"].contains(value["kind"]?.string ?? ""))
            #expect((-5...40).contains(value["level"]?.integer ?? 99))
            #expect((value["note"]?.string ?? "").unicodeScalars.count <= 12)
            #expect((value.object?.count ?? 9) <= 3)
        }
        #expect(cut > 0 && cut < 40)
    }

    @Test func endsInsideTheContextAsWell() throws {
        let model = try TinyModel(seed: 4).model
        let session = try Session(model: model, context: 60, threads: 1)
        let constraint = try model.constraint(try grammar())
        let options = SamplerOptions(temperature: 2, topK: 0, topP: 1, minP: 0, seed: 1)
        var generator = try Generator(
            session, prompt: prompt, options: options, mostTokens: 500, constraint: constraint)
        _ = try JSONValue(parsing: try generator.text())
        #expect(session.count <= 60)
    }

    @Test func refusesAConstraintThatDoesNotFit() throws {
        let model = try TinyModel().model
        let session = try Session(model: model, context: 128, threads: 1)
        let constraint = try model.constraint(try grammar())
        let error = #expect(throws: GenerationError.self) {
            _ = try Generator(session, prompt: prompt, mostTokens: 5, constraint: constraint)
        }
        #expect(error?.description.contains("and 5 fit") == true)
        #expect(session.count == 0, "nothing is computed before it is known to be of use")
    }

    /// The model is asked only where there is a choice, and sees forced text as the tokenizer splits it.
    @Test func forcedTextIsComputedInOnePass() throws {
        let model = try TinyModel(seed: 3).model
        let session = try Session(model: model, context: 256, threads: 1)
        let grammar = try Grammar(schema: Array(#"{"const":{"in":["a long text that is known",1,2,3]}}"#.utf8))
        let passes = session.state.times.passes
        var generator = try Generator(
            session, prompt: prompt, mostTokens: 200, constraint: try model.constraint(grammar))
        let text = try generator.text()
        #expect(text == #"{"in": ["a long text that is known", 1, 2, 3]}"#)
        #expect(
            generator.tokenCount == (try model.tokenizer).encode(text, addSpecial: false, parseSpecial: false).count)
        #expect(session.state.times.passes - passes <= 2 && generator.ending == .endOfGeneration)
    }

    @Test func choicesAndPatterns() throws {
        let model = try TinyModel(seed: 5).model
        let session = try Session(model: model, context: 128, threads: 1)
        let constraints = [
            try model.constraint(try Grammar(choices: ["open", "opened", "né"])),
            try model.constraint(try Grammar(pattern: "[a-c]{3}(-[0-9]{2}){1,2}")),
        ]
        for seed in 0..<30 {
            for (index, constraint) in constraints.enumerated() {
                session.truncate(to: 0)
                let options = SamplerOptions(temperature: 3, topK: 0, topP: 1, minP: 0, seed: UInt64(seed))
                var generator = try Generator(
                    session, prompt: prompt, options: options, mostTokens: 40, constraint: constraint)
                let text = try generator.text()
                if index == 0 {
                    #expect(["open", "opened", "né"].contains(text))
                } else {
                    let parts = text.split(separator: "-")
                    #expect(parts.first?.count == 3 && (2...3).contains(parts.count), "\(text)")
                    #expect(parts.first?.allSatisfy { "abc".contains($0) } == true)
                    #expect(parts.dropFirst().allSatisfy { $0.count == 2 && $0.allSatisfy(\.isNumber) })
                }
            }
        }
    }

    @Test func theSamplerChoosesOnlyWhatIsAllowed() throws {
        let model = try TinyModel(seed: 5).model
        var state = ConstraintState(try model.constraint(try Grammar(pattern: "[a-e]+")))
        let mask = state.allowed()
        let logits = (0..<model.vocabularyCount).map { Float(($0 * 7919) % 101) / 10 }
        var sampler = Sampler(SamplerOptions(temperature: 5, topK: 0, topP: 1, minP: 0, seed: 1))
        var drawn: Set<Int32> = []
        for _ in 0..<400 {
            drawn.insert(logits.withUnsafeBufferPointer { sampler.sample($0, allowed: mask) })
        }
        #expect(drawn == Set((0..<Int32(model.vocabularyCount)).filter(mask.contains)) && drawn.count == mask.count)
        var greedy = Sampler()
        let best = drawn.max { (logits[Int($0)], -$0) < (logits[Int($1)], -$1) }
        #expect(logits.withUnsafeBufferPointer { greedy.sample($0, allowed: mask) } == best)
    }

    @Test func theRealModelFillsTheSchemaWithSense() throws {
        let model = try realModel()
        let session = try Session(model: model, context: 512, threads: 2)
        let schema = """
            {"type":"object","properties":{"city":{"type":"string"},"country":{"type":"string"}},
             "required":["city","country"],"additionalProperties":false}
            """
        let question = [ChatMessage(.user, "What is the capital of France, and of which country? Answer as JSON.")]
        let segments = model.chatTemplate.segments(question, addGenerationPrompt: true)
        var generator = try Generator(
            session, prompt: (try model.tokenizer).encode(segments, addSpecial: true), mostTokens: 60,
            constraint: try model.constraint(try Grammar(schema: Array(schema.utf8))))
        let value = try JSONValue(parsing: try generator.text())
        #expect(value["city"]?.string?.contains("Paris") == true && value["country"]?.string != nil)
    }
}
