/// One thing wrong in a configuration file, with its line and what to do about it.
public struct ConfigurationProblem: Sendable, Equatable, CustomStringConvertible {
    public enum Severity: Sendable { case warning, error }
    public let severity: Severity
    public let file: String
    /// From 1; 0 when it concerns the whole file.
    public let line: Int
    /// What is wrong and why, without a final stop.
    public let message: String
    /// What to do, without a final stop.
    public let suggestion: String

    /// `FILE:LINE: message. suggestion`
    public var description: String {
        let place = line > 0 ? "\(file):\(line)" : file
        let kind = severity == .warning ? "warning: " : ""
        return suggestion.isEmpty ? "\(place): \(kind)\(message)" : "\(place): \(kind)\(message). \(suggestion)"
    }
}

/// Everything wrong in a configuration, in the order of the file. Exit status 78.
public struct ConfigurationError: Error, CustomStringConvertible {
    public let problems: [ConfigurationProblem]
    /// Whether the file itself is missing, so that the exit status is 66 and not 78.
    public var isNotFound = false

    public var description: String { problems.map(\.description).joined(separator: "\n") }
}

/// Collects problems while the reader goes on, so that all are reported at once.
final class ProblemList {
    let file: String
    private(set) var problems: [ConfigurationProblem] = []

    init(file: String) { self.file = file }

    func error(_ line: Int, _ message: String, _ suggestion: String) {
        add(.error, line, message, suggestion)
    }

    /// Another room's error, which is a sentence with what to do behind it.
    func error(_ line: Int, sentences: String) {
        add(.error, line, sentences.hasSuffix(".") ? String(sentences.dropLast()) : sentences, "")
    }

    func warning(_ line: Int, _ message: String, _ suggestion: String) {
        add(.warning, line, message, suggestion)
    }

    private func add(_ severity: ConfigurationProblem.Severity, _ line: Int, _ message: String, _ suggestion: String) {
        problems.append(
            ConfigurationProblem(
                severity: severity, file: file, line: line, message: message, suggestion: suggestion))
    }

    /// In the order of the file; problems of one line keep the order they were found in.
    var sorted: [ConfigurationProblem] {
        problems.enumerated().sorted { ($0.element.line, $0.offset) < ($1.element.line, $1.offset) }.map(\.element)
    }
}
