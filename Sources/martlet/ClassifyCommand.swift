import ArgumentParser
import Inference
import JSON
import Linux
import Tasks

/// `martlet classify`: names the label of a text, or of each line of stdin.
struct ClassifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "classify", abstract: "Name the label of a text, or of each line of stdin.")

    @OptionGroup var options: ModelOptions
    @Option(help: "The labels, separated by commas.") var labels: String
    @Flag(help: "Print JSON with all scores.") var json = false
    @Argument(help: "The text; without it, one event a line on stdin.") var text: [String] = []

    func validate() throws {
        let names = names
        guard names.count >= 2 else {
            throw ValidationError("--labels takes two labels or more, separated by commas")
        }
        guard !names.contains(""), Set(names).count == names.count else {
            throw ValidationError("--labels takes labels that are not empty and all different")
        }
    }

    private var names: [String] { labels.split(separator: ",").map { trim(String($0)) } }

    func run() throws {
        let classifier = try Classifier(SharedSession(try options.open()), labels: names)
        if !text.isEmpty { return try classify(text.joined(separator: " "), classifier) }
        while let line = readLine() {
            if !trim(line).isEmpty { try classify(line, classifier) }
        }
    }

    private func classify(_ event: String, _ classifier: Classifier) throws {
        let start = monotonicNanoseconds()
        let result = try classifier.classify(event)
        let milliseconds = Double(monotonicNanoseconds() - start) / 1e6
        guard json else {
            return writeOutput("\(result.best.label)\t\(Rounded(result.best.score, 3))\n")
        }
        writeOutput(
            JSONWriter.line {
                $0.member("label", result.best.label)
                $0.member("confidence", result.best.score, decimals: 4)
                $0.object("scores") { for (label, score) in result.scores { $0.member(label, score, decimals: 4) } }
                $0.member("latency_ms", milliseconds, decimals: 2)
                $0.object("tokens") {
                    $0.member("prompt", result.tokens.prompt)
                    $0.member("cached", result.tokens.cached)
                    $0.member("generated", result.tokens.generated)
                }
            })
    }
}

/// Without white space at the ends.
func trim(_ text: String) -> String {
    let start = text.drop { $0.isWhitespace }
    return String(start.reversed().drop { $0.isWhitespace }.reversed())
}
