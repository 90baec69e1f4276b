import Tokenizers

/// The words around an event that make a model name its label.
///
/// `{{labels}}` stands for the list of labels, `{{text}}` for the event. What stands before the event is computed once;
/// what stands behind it is computed for every event, so it should be short.
public struct ClassifyPrompt: Sendable, Hashable {
    /// The system message; nil leaves it to the model's template.
    public var system: String?
    /// The user's message; an event without a `{{text}}` to go to is put behind it, on lines of its own.
    public var user: String
    /// How an answer may begin, up to the label. The labels are scored behind each and the scores combined.
    public var answers: [String]

    public init(system: String? = nil, user: String, answers: [String] = Self.standardAnswers) {
        self.system = system
        self.user = user
        self.answers = answers
    }

    /// Words for what a text is about and for what it is: labels are either.
    public static let standardAnswers = ["This text is about", "Category:"]

    /// What measured best with SmolLM2-135M over spam, news, smart-home, sentiment and log texts (README). A list of the
    /// labels, instructions and examples made it worse, once calibrated: a model this small prefers what it has just
    /// read.
    public static let standard = ClassifyPrompt(user: "{{text}}")

    static let textMark = "{{text}}"
    static let labelsMark = "{{labels}}"

    /// The conversation, with `PromptParts.mark` for the event.
    func messages(_ labels: [String]) -> [ChatMessage] {
        func filled(_ text: String) -> String {
            text.replacing(PromptParts.mark, with: "")
                .replacing(Self.labelsMark, with: labels.joined(separator: ", "))
        }
        var messages = system.map { [ChatMessage(.system, filled($0))] } ?? []
        var user = filled(self.user)
        if user.range(of: Self.textMark) == nil { user += "\n\n" + Self.textMark }
        if let place = user.range(of: Self.textMark) { user.replaceSubrange(place, with: PromptParts.mark) }
        // A second mark would be read as words.
        messages.append(ChatMessage(.user, user.replacing(Self.textMark, with: "")))
        return messages
    }
}
