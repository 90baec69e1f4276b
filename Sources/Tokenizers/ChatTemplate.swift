import Linux

/// One message of a conversation.
public struct ChatMessage: Sendable, Equatable {
    public enum Role: String, Sendable { case system, user, assistant }

    public var role: Role
    public var content: String

    public init(_ role: Role, _ content: String) {
        self.role = role
        self.content = content
    }
}

/// A stretch of a prompt: the template's own text, in which special tokens count, or content from outside, in which
/// they must not.
public struct TextSegment: Sendable, Equatable {
    public var text: String
    /// True for the template's own text: `<|im_end|>` there is a token.
    public var isMarkup: Bool

    public init(_ text: String, isMarkup: Bool) {
        self.text = text
        self.isMarkup = isMarkup
    }
}

/// How a model expects a conversation to be written.
///
/// A model's own template is a Jinja program, and it is run: revisions of one model differ in a newline, put a date or an
/// empty thought into the prompt, or drop the system message, and a table of families got those wrong. The families are
/// still here as data: to be named by the user, and for files whose program is missing or cannot be run. What is not
/// rendered: tools, images, reasoning switches.
/// BOS stands in the text where the program writes it; `Tokenizer.encode(_:addSpecial:)` never doubles it.
public struct ChatTemplate: Sendable, Equatable {
    /// What stands around a message's content.
    struct Turn: Sendable, Equatable {
        var before: String
        var after: String
    }

    /// Where the system message goes.
    enum System: Sendable, Equatable {
        /// It is a turn like the others.
        case turn(Turn)
        /// It stands, between these texts, in the first user turn before its content.
        case inFirstUser(Turn)
    }

    /// The family, for example `chatml`; `own` for a model's program that is of none of them.
    public internal(set) var name: String
    /// Why something else than the model's own template is used, as a sentence's beginning; nil when nothing is wrong.
    public internal(set) var problem: String?
    /// The model's own template; the rest is used where it is nil or gives up.
    var program: JinjaTemplate?
    var system: System
    var user: Turn
    var assistant: Turn
    /// Put before every user turn but the first.
    var laterUser = ""
    /// Invites the model to answer.
    var generationPrompt: String
    /// The system message the model gets when the conversation does not begin with one.
    public internal(set) var defaultSystem: String?
    /// Whether the template trims white space around contents.
    var trims = false

    /// What to tell the user about a file whose own template is not used; nil when nothing is wrong.
    public func warning(for path: String) -> String? {
        problem.map { "\(path): \($0); conversations are written as '\(name)' has them" }
    }

    /// The conversation as one text.
    ///
    /// - Parameters:
    ///   - addGenerationPrompt: end with what makes the model answer as the assistant.
    ///   - now: the date that Llama 3.2, Granite and others are told.
    public func render(
        _ messages: [ChatMessage], addGenerationPrompt: Bool, now: Timestamp = .now()
    ) -> String {
        segments(messages, addGenerationPrompt: addGenerationPrompt, now: now).map(\.text).joined()
    }

    /// The conversation with markup and content told apart, for `Tokenizer.encode(_:addSpecial:)`: content that holds
    /// `<|im_end|>` then cannot end its turn.
    ///
    /// A program that refuses a system message, as Gemma's does, gets it in the first user message.
    public func segments(
        _ messages: [ChatMessage], addGenerationPrompt: Bool, now: Timestamp = .now()
    ) -> [TextSegment] {
        guard let program, !messages.isEmpty else {
            return familySegments(messages, addGenerationPrompt: addGenerationPrompt)
        }
        for messages in [messages, Self.folded(messages)] {
            let segments = try? program.segments(messages, addGenerationPrompt: addGenerationPrompt, now: now)
            if let segments { return segments }
        }
        // Two user messages in a row, for example.
        return familySegments(messages, addGenerationPrompt: addGenerationPrompt)
    }

    /// The conversation with its system message put before the first user message's text.
    private static func folded(_ messages: [ChatMessage]) -> [ChatMessage] {
        guard messages.count > 1, messages[0].role == .system, messages[1].role == .user else { return messages }
        let first = ChatMessage(.user, messages[0].content + "\n\n" + messages[1].content)
        return [first] + messages[2...]
    }

    private func familySegments(_ messages: [ChatMessage], addGenerationPrompt: Bool) -> [TextSegment] {
        var output: [TextSegment] = []
        var waitingSystem: String?
        var isLaterUser = false
        var messages = messages[...]
        if let defaultSystem, let first = messages.first, first.role != .system {
            messages = [ChatMessage(.system, defaultSystem)] + messages
        }
        for message in messages {
            switch message.role {
            case .system:
                switch system {
                case .turn(let turn): append(turn, message.content, to: &output)
                case .inFirstUser: waitingSystem = message.content
                }
            case .user:
                if isLaterUser { output.append(TextSegment(laterUser, isMarkup: true)) }
                append(user, message.content, system: waitingSystem, to: &output)
                waitingSystem = nil
                isLaterUser = true
            case .assistant:
                append(assistant, message.content, to: &output)
            }
        }
        // Jinja templates fail or drop a system message that no user turn follows; the model should still see it.
        if let waitingSystem { append(user, waitingSystem, to: &output) }
        if addGenerationPrompt { output.append(TextSegment(generationPrompt, isMarkup: true)) }
        return output.filter { !$0.text.isEmpty }
    }

    private func append(_ turn: Turn, _ content: String, system message: String? = nil, to output: inout [TextSegment])
    {
        output.append(TextSegment(turn.before, isMarkup: true))
        if let message, case .inFirstUser(let around) = system {
            output.append(TextSegment(around.before, isMarkup: true))
            output.append(TextSegment(message, isMarkup: false))
            output.append(TextSegment(around.after, isMarkup: true))
        }
        output.append(TextSegment(trims ? trimmed(content) : content, isMarkup: false))
        output.append(TextSegment(turn.after, isMarkup: true))
    }
}

/// Without white space at both ends, as Jinja's `trim` does.
func trimmed(_ text: String) -> String {
    // Python's str.strip also takes the four separators U+001C–U+001F.
    let isSpace = { (scalar: Unicode.Scalar) in
        scalar.properties.isWhitespace || (0x1C...0x1F).contains(scalar.value)
    }
    var scalars = text.unicodeScalars[...]
    while let first = scalars.first, isSpace(first) { scalars.removeFirst() }
    while let last = scalars.last, isSpace(last) { scalars.removeLast() }
    return String(String.UnicodeScalarView(scalars))
}
