import ArgumentParser
import JSON
import Linux
import Tasks

/// `martlet summarize`: one or two sentences about a file of events or a text.
struct SummarizeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "summarize", abstract: "Summarize events, one a line.",
        discussion: "A line may begin with a topic and a tab. Numbers in the summary are checked against the lines.")

    @OptionGroup var options: ModelOptions
    @Option(help: "Tokens of the summary at most.") var maxTokens = 60
    @Option(help: "The instruction; a good default without it.") var prompt: String?
    @Flag(help: "Print JSON.") var json = false
    @Argument(help: "The file; stdin without it.") var file: String?

    func validate() throws {
        guard maxTokens > 0 else { throw ValidationError("--max-tokens takes a positive number") }
    }

    func run() throws {
        let now = Timestamp.now()
        let text = String(decoding: try input(file), as: UTF8.self)
        let events = text.split(whereSeparator: \.isNewline).map { line in
            let parts = line.split(separator: "\t", maxSplits: 1)
            return parts.count == 2
                ? SummaryEvent(received: now, topic: String(parts[0]), text: String(parts[1]))
                : SummaryEvent(received: now, topic: "event", text: String(line))
        }.filter { !trim($0.text).isEmpty }
        guard !events.isEmpty else {
            throw CommandError(.data, "there is nothing to summarize: the input is empty. Give one event a line")
        }
        let summarizer = try Summarizer(SharedSession(try options.open()), prompt: prompt, mostTokens: maxTokens)
        guard let summary = try summarizer.summarize(events) else { return }
        guard json else { return writeOutput(summary.text + "\n") }
        writeOutput(
            JSONWriter.line {
                $0.member("summary", summary.text)
                $0.member("grounded", summary.grounded)
                $0.member("source", summary.source.rawValue)
                $0.member("events", events.count)
                $0.object("tokens") {
                    $0.member("prompt", summary.tokens.prompt)
                    $0.member("cached", summary.tokens.cached)
                    $0.member("generated", summary.tokens.generated)
                }
            })
    }
}
