import Linux

/// A model's own chat template, ready to render.
struct JinjaTemplate: Equatable, Sendable {
    private let nodes: [JinjaNode]
    /// The texts of the model's tokens; empty without one.
    private let bos: String
    private let eos: String

    init(_ source: String, bos: String, eos: String) throws(JinjaError) {
        nodes = try JinjaParser.parse(source)
        self.bos = bos
        self.eos = eos
    }

    /// The conversation as the template writes it: with what Hugging Face's `apply_chat_template` hands to it, and no
    /// tools.
    ///
    /// - Parameter now: what `strftime_now` says is the time.
    func segments(
        _ messages: [ChatMessage], addGenerationPrompt: Bool, now: Timestamp
    ) throws(JinjaError) -> [TextSegment] {
        let values = messages.map { message in
            JinjaValue.dict(
                JinjaDict([
                    ("role", .text(message.role.rawValue)),
                    ("content", .text(JinjaText(message.content, isContent: true))),
                ]))
        }
        let variables: [String: JinjaValue] = [
            "messages": .list(values), "add_generation_prompt": .bool(addGenerationPrompt),
            "bos_token": .text(bos), "eos_token": .text(eos),
        ]
        do throws(JinjaError) {
            return try run(variables.merging(["tools": .none, "documents": .none]) { first, _ in first }, now)
        } catch {
            // Some templates go over tools without asking whether there are any, which undefined ones allow.
            return try run(variables, now)
        }
    }

    private func run(_ variables: [String: JinjaValue], _ now: Timestamp) throws(JinjaError) -> [TextSegment] {
        var renderer = JinjaRenderer(variables) { now.formatted($0) }
        try renderer.run(nodes)
        return Self.segments(renderer.output)
    }

    /// Runs of markup and of content.
    private static func segments(_ units: [UInt32]) -> [TextSegment] {
        var segments: [TextSegment] = []
        var start = 0
        while start < units.count {
            let mark = units[start] & JinjaText.content
            var end = start
            while end < units.count, units[end] & JinjaText.content == mark { end += 1 }
            segments.append(TextSegment(JinjaText(units[start..<end]).string, isMarkup: mark == 0))
            start = end
        }
        return segments
    }
}
