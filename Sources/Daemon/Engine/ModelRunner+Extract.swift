import Tasks

// Extraction: a task's schema compiled once, or a request's.
extension ModelRunner {
    func extract(_ text: String, _ spec: ExtractSpec) throws(EventFailure) -> ExtractAnswer {
        let extraction: Extraction?
        do throws(TaskError) {
            extraction = try extractor(spec).extract(text, isCancelled: isCancelled)
        } catch {
            throw .engine(error.description)
        }
        guard let extraction else { throw .stopped }
        let effort = Effort(
            tokens: TokenUse(extraction.tokens), prefillSeconds: extraction.prefillSeconds,
            decodeSeconds: extraction.decodeSeconds)
        return ExtractAnswer(json: extraction.json, isCut: extraction.isCut, effort: effort)
    }

    func extractor(_ spec: ExtractSpec) throws(TaskError) -> Extractor {
        loaded[spec.model]?.shared.savesStates = !spec.isRequest
        return try extractors.get(spec) { () throws(TaskError) in
            guard let shared = loaded[spec.model]?.shared else {
                throw TaskError("there is no model named \(spec.model)")
            }
            return try Extractor(
                shared, schema: Array(spec.schema.utf8), prompt: spec.prompt, mostTokens: spec.maxTokens,
                limits: spec.isRequest ? .request : .standard, adapters: adapters(spec.lora, of: spec.model))
        }
    }
}
