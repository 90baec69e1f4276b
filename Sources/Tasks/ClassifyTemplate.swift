import Inference
import Tokenizers

/// A classifier's prompt as tokens: prefix, event, suffix, labels.
///
/// The three parts are tokenised on their own, so that the prefix and suffix are the same for every event; blanks between
/// prefix and event go to the side where the result is what the whole would give.
struct ClassifyTemplate: Sendable {
    /// Up to the event; computed once.
    let prefix: [Int32]
    /// Behind the event, up to where the answers part.
    let suffix: [Int32]
    /// Behind the suffix: the answers and their labels.
    let tree: AnswerTree
    /// Tokens of an event that the model reads at most.
    let longestEvent: Int
    /// Blanks that belong to the event's tokens.
    private let lead: String
    let answerCount: Int
    private let tokenizer: Tokenizer
    /// Stands where the middle of a long event was left out.
    private let ellipsis: [Int32]

    /// Throws when the labels are unusable or the prompt leaves no room for an event.
    init(
        _ prompt: ClassifyPrompt, labels: [String], model: Model, context: Int, mostEventTokens: Int
    ) throws(TaskError) {
        let tokenizer: Tokenizer
        do throws(TokenizerError) { tokenizer = try model.tokenizer } catch { throw TaskError(error) }
        self.tokenizer = tokenizer
        let parts = PromptParts(prompt.messages(labels), template: model.chatTemplate)
        (prefix, lead) = parts.prefix(tokenizer)
        let answers = prompt.answers.isEmpty ? [""] : prompt.answers
        answerCount = answers.count
        let spoken = answers.map { answer in
            labels.map { label in
                tokenizer.encode(
                    Self.spoken(label, behind: answer), addSpecial: false, parseSpecial: false, continues: true)
            }
        }
        guard spoken.allSatisfy({ Set($0).count == labels.count && !$0.contains([]) }) else {
            throw TaskError("two labels are the same to this model. Make them differ in letters.")
        }
        tree = AnswerTree(
            answers.map { parts.suffix(tokenizer, answer: $0) }, labels: spoken,
            end: tokenizer.eos ?? tokenizer.encode("\n", addSpecial: false, parseSpecial: false).first ?? 0)
        suffix = tree.common
        ellipsis = tokenizer.encode(" … ", addSpecial: false, parseSpecial: false, continues: true)
        let room = context - prefix.count - suffix.count - tree.nodes.count
        // Fewer could not carry an event and the mark of what was left out.
        guard room >= 8 else {
            throw TaskError(
                "prompt and labels take \(context - room) of \(context) tokens, which leaves no room for an event. "
                    + "Raise `context`, or shorten prompt or labels.")
        }
        longestEvent = min(room, max(8, mostEventTokens))
    }

    /// A label as the model is to write it behind the answer's beginning.
    private static func spoken(_ label: String, behind answer: String) -> String {
        let joins = answer.isEmpty || answer.last?.isWhitespace == true || answer.hasSuffix("\"")
        return joins ? label : " " + label
    }

    // MARK: The event's tokens

    /// The tokens of an event; of a long one its first three quarters and its end, where logs tell what went wrong.
    ///
    /// Special tokens in the text are plain text: an event cannot end its turn.
    func eventTokens(_ text: String) -> [Int32] {
        let text = trimmed(capped(text))
        guard !text.isEmpty else { return [] }
        let tokens = tokenizer.encode(
            lead + text, addSpecial: false, parseSpecial: false,
            continues: !tokenizer.beginsText(after: prefix.last))
        guard tokens.count > longestEvent else { return tokens }
        let kept = longestEvent - ellipsis.count
        guard kept >= 2 else { return Array(tokens.prefix(longestEvent)) }
        let head = kept - kept / 4
        return Array(tokens.prefix(head)) + ellipsis + Array(tokens.suffix(kept - head))
    }

    /// Cuts what no token limit could let through before it is tokenised: a payload may be megabytes.
    private func capped(_ text: String) -> String {
        // No token of a sensible text is longer on average.
        let bytes = longestEvent * 16
        guard text.utf8.count > 2 * bytes else { return text }
        let utf8 = text.utf8
        let head = String(decoding: utf8.prefix(bytes), as: UTF8.self)
        return head + String(decoding: utf8.suffix(bytes), as: UTF8.self)
    }
}
