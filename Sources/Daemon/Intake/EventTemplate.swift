import JSON

/// Why a template is not understood; shown with the line of the configuration.
public struct EventTemplateError: Error, Equatable {
    public let message: String
    public let suggestion: String
}

/// The `text` of a task: how an event becomes the words the model reads.
///
/// `{{topic}}`, `{{topic.0}}` (a level of it), `{{payload}}`, `{{payload.a.b}}` and, for keys with dots or
/// slashes, `{{payload./a~1b/0}}` (RFC 6901). What the payload lacks renders as nothing.
public struct EventTemplate: Sendable, Equatable {
    enum Part: Sendable, Equatable {
        case literal(String)
        case topic
        case topicLevel(Int)
        case payload
        case value(JSONPointer)
    }

    let parts: [Part]

    /// Whether rendering looks at the payload at all; a template of the topic alone accepts empty messages.
    var usesPayload: Bool {
        parts.contains { part in
            switch part {
            case .payload, .value: true
            default: false
            }
        }
    }

    public init(_ source: String) throws(EventTemplateError) {
        var parts: [Part] = []
        var rest = source[...]
        while let open = rest.firstRange(of: "{{") {
            if open.lowerBound > rest.startIndex { parts.append(.literal(String(rest[..<open.lowerBound]))) }
            rest = rest[open.upperBound...]
            guard let close = rest.firstRange(of: "}}") else {
                throw EventTemplateError(message: "{{ is not closed", suggestion: "Add }} behind the name")
            }
            parts.append(try Self.part(rest[..<close.lowerBound]))
            rest = rest[close.upperBound...]
        }
        if !rest.isEmpty { parts.append(.literal(String(rest))) }
        guard !source.allSatisfy(\.isWhitespace) else {
            throw EventTemplateError(
                message: "the template is empty", suggestion: "Write \"{{payload}}\", or leave it out")
        }
        // A cap with a reason: each part costs a walk through the payload for every event.
        guard parts.count <= 256 else {
            throw EventTemplateError(message: "it has more than 256 parts", suggestion: "Shorten it")
        }
        self.parts = parts
    }

    private static func part(_ source: Substring) throws(EventTemplateError) -> Part {
        let name = source.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        if name == "topic" { return .topic }
        if name == "payload" { return .payload }
        if name.hasPrefix("topic.") {
            guard let level = Int(name.dropFirst(6)), (0...127).contains(level) else {
                throw EventTemplateError(
                    message: "{{\(name)}} is not a level of the topic", suggestion: "Write {{topic.0}} for the first")
            }
            return .topicLevel(level)
        }
        if name.hasPrefix("payload./") {
            guard let pointer = JSONPointer(String(name.dropFirst(8))) else {
                throw EventTemplateError(
                    message: "{{\(name)}} is not a JSON Pointer",
                    suggestion: "In a pointer ~ is written ~0 and / in a key ~1")
            }
            return .value(pointer)
        }
        if name.hasPrefix("payload.") {
            let keys = name.dropFirst(8).split(separator: ".", omittingEmptySubsequences: false).map(String.init)
            guard keys.allSatisfy({ !$0.isEmpty }) else {
                throw EventTemplateError(message: "{{\(name)}} has an empty key", suggestion: "Write {{payload.a.b}}")
            }
            return .value(JSONPointer(tokens: keys))
        }
        // The name Home Assistant's templates use for the same thing.
        let hint =
            name.hasPrefix("value_json.")
            ? "Did you mean {{payload.\(name.dropFirst(11))}}?"
            : "Known are {{topic}}, {{topic.0}}, {{payload}}, {{payload.key}}"
        throw EventTemplateError(message: "{{\(name)}} is unknown", suggestion: hint)
    }

    /// The template filled in; not yet cleaned or capped.
    func render(topic: String, payload: Payload) -> String {
        var text = ""
        for part in parts {
            switch part {
            case .literal(let literal): text += literal
            case .topic: text += topic
            case .topicLevel(let level):
                let levels = topic.split(separator: "/", omittingEmptySubsequences: false)
                if levels.indices.contains(level) { text += levels[level] }
            case .payload: text += payload.described
            case .value(let pointer):
                if let value = payload.json?[pointer] { text += PayloadText.inline(value) }
            }
        }
        return text
    }
}
