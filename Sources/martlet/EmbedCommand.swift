import ArgumentParser
import Inference
import JSON
import Linux
import Tokenizers

/// `martlet embed`: the vector of a text, or of each line of stdin.
struct EmbedCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "embed",
        abstract: "Print the embedding of a text, or of each line of stdin: a vector of length one.",
        discussion: """
            Texts whose vectors' products are near 1 mean nearly the same. Encoders (all-MiniLM, bge, e5) are made for \
            it; of other models the mean of the states is taken.
            """)

    @OptionGroup var options: ModelOptions
    @Flag(help: "Print JSON, with the number of tokens.") var json = false
    @Argument(help: "The text; without it, one text a line on stdin.") var text: [String] = []

    func run() throws {
        let session = try options.open(chats: false)
        let tokenizer = try session.model.tokenizer
        if !text.isEmpty { return try embed(text.joined(separator: " "), session, tokenizer) }
        while let line = readLine() {
            if !trim(line).isEmpty { try embed(line, session, tokenizer) }
        }
    }

    private func embed(_ text: String, _ session: Session, _ tokenizer: Tokenizer) throws {
        let start = monotonicNanoseconds()
        let tokens = tokenizer.encode(text, addSpecial: true, parseSpecial: false)
        let vector = try session.embedding(of: tokens)
        let milliseconds = Double(monotonicNanoseconds() - start) / 1e6
        guard json else { return writeOutput(vector.map { "\($0)" }.joined(separator: " ") + "\n") }
        writeOutput(
            JSONWriter.line {
                $0.array("embedding") { for value in vector { $0.number(Double(value), decimals: 7) } }
                $0.member("latency_ms", milliseconds, decimals: 2)
                $0.object("tokens") { $0.member("prompt", tokens.count) }
            })
    }
}
