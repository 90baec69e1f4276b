import Glibc
import Inference

/// How a classifier corrects what a model thinks of its labels before it has read anything.
public struct Calibration: Sendable, Hashable {
    /// Texts without content; the mean of their scores is what every score is divided by. Empty: no correction.
    public var contentFree: [String]
    /// Divide by the running mean of the scores of real events as well. For streams in which the labels are about
    /// equally frequent; an answer then depends on the events before it.
    public var followsEvents: Bool

    public init(contentFree: [String] = ["N/A", "", "[MASK]"], followsEvents: Bool = false) {
        self.contentFree = contentFree
        self.followsEvents = followsEvents
    }

    public static let none = Calibration(contentFree: [])
}

/// What a classifier says about one event.
public struct Classification: Sendable {
    /// Every label with its probability, in the classifier's order; they sum to 1.
    public var scores: [(label: String, score: Double)]
    public var tokens: TokenCount

    /// The most probable label; the first of equals.
    public var best: (label: String, score: Double) {
        scores.reduce(into: ("", -1)) { best, each in if each.score > best.1 { best = (each.label, each.score) } }
    }

    /// The most probable label if its probability is at least `confidence`, else `other`.
    public func label(confidence: Double, otherwise other: String) -> String {
        best.score >= confidence ? best.label : other
    }
}

/// Names the label of an event, without generating anything.
///
/// The state behind the prompt's beginning is kept, so an event costs its own tokens and the prompt's end; all labels are
/// scored in that same pass. Not thread-safe: it belongs to the thread of its session.
public final class Classifier {
    public let labels: [String]
    let shared: SharedSession
    let template: ClassifyTemplate
    let prefix: Prefix
    private let calibration: Calibration
    /// For each answer the mean scores of the content-free texts; nil until the first event.
    private var prior: [[Double]]?
    /// Sum and number of the scores of real events.
    private var seen: (sum: [Double], count: Double)

    /// More labels than any prompt could list; a cap for the recursion that builds the trie.
    public static let mostLabels = 1000
    /// Equal events that the running mean starts with, so that the first real ones do not swing it.
    private static let priorWeight = 16.0

    /// Prepares the tokens; nothing is computed before `prepare` or the first event.
    ///
    /// - Parameters:
    ///   - labels: at least two, all different, none empty.
    ///   - prompt: nil for the default.
    ///   - mostEventTokens: of a longer event only the first three quarters and the end are read.
    ///   - adapters: those that act on its events; nil for the model's.
    ///   - isSaved: whether the state behind its prompt outlives the process, where the session has a store.
    public init(
        _ shared: SharedSession, labels: [String], prompt: ClassifyPrompt = .standard,
        calibration: Calibration = Calibration(), mostEventTokens: Int = 512, adapters: [ScaledAdapter]? = nil,
        isSaved: Bool = false
    ) throws(TaskError) {
        guard (2...Self.mostLabels).contains(labels.count) else {
            throw TaskError(
                "a classifier has \(labels.count) labels instead of 2…\(Self.mostLabels). Change its `labels`.")
        }
        guard labels.allSatisfy({ !trimmed($0).isEmpty }) else {
            throw TaskError("a label is empty. Name every label.")
        }
        guard Set(labels).count == labels.count else {
            throw TaskError("a label is given twice. Make all labels different.")
        }
        self.shared = shared
        self.labels = labels
        self.calibration = calibration
        template = try ClassifyTemplate(
            prompt, labels: labels, model: shared.session.model, context: shared.session.context,
            mostEventTokens: mostEventTokens)
        prefix = Prefix(template.prefix, adapters: adapters, isSaved: isSaved)
        seen = ([Double](repeating: 0, count: labels.count), 0)
    }

    deinit { shared.forget(prefix) }

    /// Tokens of the prompt's beginning, whose state is kept.
    public var prefixTokenCount: Int { template.prefix.count }
    /// Tokens that are computed behind every event: the prompt's end, the answers' beginnings and where labels part.
    public var suffixTokenCount: Int { template.suffix.count + template.tree.nodes.count }

    /// Computes the prefix and the calibration, which the first event otherwise waits for.
    public func prepare() throws(TaskError) {
        _ = try shared.activate(prefix)
        _ = try priorScores()
    }

    /// The labels' probabilities for `text`.
    public func classify(_ text: String) throws(TaskError) -> Classification { try classify([text])[0].get() }

    /// The same for several events, computed together: each weight that is unpacked serves them all.
    ///
    /// What comes out is the same bit by bit as one by one; one that fails leaves the others as they are.
    public func classify(_ texts: [String]) -> [Result<Classification, TaskError>] {
        let prior: [[Double]]
        do throws(TaskError) { prior = try priorScores() } catch { return texts.map { _ in .failure(error) } }
        return evaluate(texts).map { result in
            result.map { answers, tokens in
                var scores = combined(answers, prior)
                if calibration.followsEvents { scores = following(scores) }
                return Classification(scores: Array(zip(labels, scores)).map { (label: $0, score: $1) }, tokens: tokens)
            }
        }
    }

    // MARK: Scores

    /// Each answer's scores divided by its prior, and of these the geometric mean: an answer that has no opinion then
    /// changes nothing.
    private func combined(_ answers: [[Double]], _ prior: [[Double]]) -> [Double] {
        var logs = [Double](repeating: 0, count: labels.count)
        for (scores, prior) in zip(answers, prior) {
            for (index, score) in Probability.normalized(zip(scores, prior).map { $0 / $1 }).enumerated() {
                logs[index] += log(max(score, 1e-12)) / Double(answers.count)
            }
        }
        return Probability.normalized(logs.map(Probability.exponential))
    }

    private func priorScores() throws(TaskError) -> [[Double]] {
        if let prior { return prior }
        var sums: [[Double]] = []
        for result in evaluate(calibration.contentFree) {
            let answers = try result.get().answers
            sums = sums.isEmpty ? answers : zip(sums, answers).map { zip($0, $1).map { $0 + $1 } }
        }
        // A floor, so that a label the model would never guess is not chosen for everything.
        let even = [[Double]](repeating: labels.map { _ in 1 }, count: max(1, template.answerCount))
        let prior = (sums.isEmpty ? even : sums).map { Probability.normalized($0).map { max($0, 1e-4) } }
        self.prior = prior
        return prior
    }

    private func following(_ scores: [Double]) -> [Double] {
        let start = Self.priorWeight / Double(labels.count)
        seen.sum = zip(seen.sum, scores).map { $0 + $1 }
        seen.count += 1
        return Probability.normalized(zip(scores, seen.sum).map { $0 * (Self.priorWeight + seen.count) / (start + $1) })
    }
}
