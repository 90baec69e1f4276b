import Inference
import Linux
import Tokenizers

// What only requests ask for: text behind a prompt, and vectors.
extension ModelRunner {
    func generate(_ spec: GenerationSpec) throws(EventFailure) -> GenerateAnswer {
        guard let shared = loaded[spec.model]?.shared else { throw .engine("there is no model named \(spec.model)") }
        let start = monotonicNanoseconds()
        let prompt = try tokens(of: spec, for: shared.session.model)
        // The tasks' prefixes are put aside; they come back with the next event.
        shared.release()
        guard let answer = try generate(prompt, spec, on: shared.session, since: start) else { throw .stopped }
        return answer
    }

    /// Nil when it was told to stop.
    private func generate(
        _ prompt: [Int32], _ spec: GenerationSpec, on session: Session, since start: UInt64
    ) throws(EventFailure) -> GenerateAnswer? {
        do throws(GenerationError) {
            var generator = try Generator(
                session, prompt: prompt, options: spec.sampling, mostTokens: spec.maxTokens,
                isCancelled: isCancelled)
            let prefilled = monotonicNanoseconds()
            let text = try generator.text()
            let ended = monotonicNanoseconds()
            guard generator.ending != .cancelled else { return nil }
            let tokens = TokenUse(prompt: prompt.count, generated: generator.tokenCount)
            let effort = Effort(
                tokens: tokens, prefillSeconds: Double(prefilled - start) / 1e9,
                decodeSeconds: Double(ended - prefilled) / 1e9)
            return GenerateAnswer(text: text, effort: effort)
        } catch {
            throw .engine(error.description)
        }
    }

    private func tokens(of spec: GenerationSpec, for model: Model) throws(EventFailure) -> [Int32] {
        do throws(TokenizerError) {
            let tokenizer = try model.tokenizer
            guard !spec.raw else { return tokenizer.encode(spec.prompt, addSpecial: true, parseSpecial: true) }
            let message = ChatMessage(.user, spec.prompt)
            return tokenizer.encode(
                model.chatTemplate.segments([message], addGenerationPrompt: true), addSpecial: true)
        } catch {
            throw .engine(error.description)
        }
    }

    func embed(_ text: String, model: String) throws(EventFailure) -> EmbedAnswer {
        guard let shared = loaded[model]?.shared else { throw .engine("there is no model named \(model)") }
        let start = monotonicNanoseconds()
        // As for generation: the tasks' prefixes are put aside.
        shared.release()
        do {
            let tokens = try shared.session.model.tokenizer.encode(text, addSpecial: true, parseSpecial: false)
            let vector = try shared.session.embedding(of: tokens)
            let seconds = Double(monotonicNanoseconds() - start) / 1e9
            return EmbedAnswer(
                embedding: vector, effort: Effort(tokens: TokenUse(prompt: tokens.count), prefillSeconds: seconds))
        } catch {
            throw .engine("\(error)")
        }
    }
}

extension GenerationSpec {
    /// What a request leaves out has llama.cpp's defaults.
    var sampling: SamplerOptions {
        var options = SamplerOptions(temperature: Float(temperature))
        if let topK { options.topK = topK }
        if let topP { options.topP = Float(topP) }
        if let minP { options.minP = Float(minP) }
        if let repeatPenalty { options.repeatPenalty = Float(repeatPenalty) }
        if let seed { options.seed = seed }
        return options
    }
}
