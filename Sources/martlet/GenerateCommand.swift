import ArgumentParser
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

    @Option(help: "0 is greedy; higher is more varied.")
    var temperature: Float = 0

    @Option(help: "Sample from the K most likely tokens; 0 takes all.")
    var topK = 40

    @Option(help: "Sample from the most likely tokens that reach this probability together.")
    var topP: Float = 0.95

    @Option(help: "Drop tokens less likely than this share of the most likely one.")
    var minP: Float = 0.05

    @Option(help: "Divide the scores of recent tokens; 1 is off.")
    var repeatPenalty: Float = 1

    @Option(help: "The same seed gives the same text.")
    var seed: UInt64 = 0

    func validate() throws {
        guard maxTokens > 0 else { throw ValidationError("--max-tokens takes a positive number") }
        guard temperature >= 0, temperature.isFinite else { throw ValidationError("--temperature takes 0 or more") }
        guard topK >= 0 else { throw ValidationError("--top-k takes 0 or more") }
        guard (0...1).contains(topP), (0...1).contains(minP) else {
            throw ValidationError("--top-p and --min-p take 0 to 1")
        }
        guard repeatPenalty > 0, repeatPenalty.isFinite else {
            throw ValidationError("--repeat-penalty takes a positive number")
        }
    }

    func run() throws {
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
        let sampling = SamplerOptions(
            temperature: temperature, topK: topK, topP: topP, minP: minP, repeatPenalty: repeatPenalty, seed: seed)
        var generator = try Generator(session, prompt: tokens, options: sampling, mostTokens: maxTokens)
        while let piece = try generator.next() { writeOutput(piece) }
        writeOutput("\n")
    }
}
