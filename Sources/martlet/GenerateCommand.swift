import ArgumentParser
import Constraints
import Inference
import Tokenizers

/// `martlet generate`: streams text.
struct GenerateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate", abstract: "Stream a text that follows a prompt.")

    @OptionGroup var options: ModelOptions

    @Option(help: "The prompt; stdin without it.")
    var prompt: String?

    @Flag(help: "Continue the prompt as it is, without the model's chat template.")
    var raw = false

    @Option(help: "Tokens to generate at most.")
    var maxTokens = 256

    @OptionGroup var sampling: SamplingOptions

    @Option(help: "Write JSON that this JSON Schema allows, a file.")
    var jsonSchema: String?

    @Option(help: "Write text that this regular expression matches as a whole.")
    var regex: String?

    @Option(help: "Write one of these texts, separated by commas.")
    var choice: String?

    func validate() throws {
        guard maxTokens > 0 else { throw ValidationError("--max-tokens takes a positive number") }
        guard [jsonSchema, regex, choice].compactMap(\.self).count <= 1 else {
            throw ValidationError("--json-schema, --regex and --choice exclude one another")
        }
    }

    /// What the text must be; nil for anything.
    private func grammar() throws -> Grammar? {
        if let jsonSchema { return try Grammar(schema: input(jsonSchema)) }
        if let regex { return try Grammar(pattern: regex) }
        return try choice.map { try Grammar(choices: $0.split(separator: ",").map { trim(String($0)) }) }
    }

    func run() throws {
        let grammar = try grammar()
        let session = try options.open(chats: !raw)
        let tokenizer = try session.model.tokenizer
        let text = try prompt ?? String(decoding: input(nil), as: UTF8.self)
        let tokens =
            raw
            ? tokenizer.encode(text, addSpecial: true, parseSpecial: true)
            : tokenizer.encode(
                session.model.chatTemplate.segments([ChatMessage(.user, text)], addGenerationPrompt: true),
                addSpecial: true)
        guard !tokens.isEmpty else { throw CommandError(.data, "the prompt is empty. Give some text with --prompt") }
        var generator = try Generator(
            session, prompt: tokens, options: sampling.values, mostTokens: maxTokens,
            constraint: try grammar.map { try session.model.constraint($0) })
        while let piece = try generator.next() { writeOutput(piece) }
        writeOutput("\n")
    }
}
