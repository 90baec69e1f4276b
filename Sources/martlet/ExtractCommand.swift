import ArgumentParser
import Inference
import JSON
import Linux
import Tasks

/// `martlet extract`: puts a text, or each line of stdin, into JSON that follows a schema.
struct ExtractCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "extract", abstract: "Put a text, or each line of stdin, into JSON that follows a schema.",
        discussion: """
            The answer always validates, also where --max-tokens cuts it: the rest is then the shortest that the schema \
            allows. A keyword that cannot be kept is refused by name.
            """)

    @OptionGroup var options: ModelOptions
    @Option(help: "The JSON Schema, a file.") var schema: String
    @Option(help: "The instruction, with {{text}} and {{schema}} where these go; a good default without it.")
    var prompt: String?
    @Option(help: "Tokens of an answer at most.") var maxTokens = Extractor.standardMostTokens
    @OptionGroup var sampling: SamplingOptions
    @Option(help: "Answers to each text, with one seed after the other.") var repeats = 1
    @Flag(help: "Print what the answer took beside it.") var json = false
    @Argument(help: "The text; without it, one a line on stdin.") var text: [String] = []

    func validate() throws {
        guard maxTokens > 0 else { throw ValidationError("--max-tokens takes a positive number") }
        guard (1...100_000).contains(repeats) else { throw ValidationError("--repeats takes 1 to 100000") }
    }

    func run() throws {
        let schema = try input(schema)
        let extractor = try Extractor(
            SharedSession(try options.open()), schema: schema, prompt: prompt, mostTokens: maxTokens)
        if !text.isEmpty { return try extract(text.joined(separator: " "), extractor) }
        while let line = readLine() {
            if !trim(line).isEmpty { try extract(line, extractor) }
        }
    }

    private func extract(_ text: String, _ extractor: Extractor) throws {
        var sampling = sampling.values
        for _ in 0..<repeats {
            if let result = try extractor.extract(text, sampling: sampling) { write(result) }
            sampling.seed &+= 1
        }
    }

    private func write(_ result: Extraction) {
        guard json else { return writeOutput(result.json + "\n") }
        writeOutput(
            JSONWriter.line {
                if let value = try? JSONValue(parsing: result.json) { $0.member("data", value) }
                $0.member("cut", result.isCut)
                $0.member("prefill_ms", result.prefillSeconds * 1000, decimals: 2)
                $0.member("decode_ms", result.decodeSeconds * 1000, decimals: 2)
                $0.member("constraint_ms", result.constraintSeconds * 1000, decimals: 3)
                $0.object("tokens") {
                    $0.member("prompt", result.tokens.prompt)
                    $0.member("cached", result.tokens.cached)
                    $0.member("generated", result.tokens.generated)
                }
            })
    }
}
