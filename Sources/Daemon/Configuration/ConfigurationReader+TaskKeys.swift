import Constraints
import JSON
import Transport

extension ConfigurationReader {
    /// Caps with a reason: filters are matched one by one for every message.
    private static let mostFilters = 64
    /// Labels are scored in one tree behind the event, inside the context.
    private static let mostLabels = 256

    func subscriptions(_ table: TableReader, device: String) -> [String] {
        let written = table.strings("subscribe", example: "[\"home/#\"]", orOne: true) ?? []
        if written.count > Self.mostFilters {
            table.error(
                "subscribe", "subscribe has \(written.count) filters, more than \(Self.mostFilters)", "Use wildcards")
        }
        return written.compactMap { entry in
            let filter = Self.expanded(entry.value, device: device)
            guard let reason = topicFilterProblem(filter) else { return filter }
            problems.error(
                entry.line, "\"\(entry.value)\" is not an MQTT topic filter: \(reason)",
                "Write a topic, or a filter as home/+/state or home/#")
            return nil
        }
    }

    /// The documentation writes topics with `<device>`; so may a configuration.
    static func expanded(_ topic: String, device: String) -> String { topic.replacing("<device>", with: device) }

    func template(_ table: TableReader) -> EventTemplate? {
        guard let written = table.string("text", example: "\"{{topic}}: {{payload}}\"") else { return nil }
        do {
            return try EventTemplate(written.value)
        } catch {
            problems.error(written.line, "text: \(error.message)", error.suggestion)
            return nil
        }
    }

    func labels(_ table: TableReader, kind: TaskSection.Kind?, otherwise: inout String) -> [String] {
        let written = table.strings("labels", example: "[\"routine\", \"unusual\"]")
        if let other = table.string("otherwise", example: "\"uncertain\"") {
            if other.value.isEmpty {
                problems.error(
                    other.line, "otherwise is empty", "Write a label to publish when unsure, as \"uncertain\"")
            } else {
                otherwise = other.value
            }
        }
        guard kind == .classify else { return [] }
        guard let written else {
            if !table.has("labels") {
                problems.error(table.line, "a classify task needs labels", "Add labels = [\"routine\", \"unusual\"]")
            }
            return []
        }
        var seen: Set<String> = []
        for label in written {
            if label.value.allSatisfy(\.isWhitespace) {
                problems.error(label.line, "a label is empty", "Remove it or give it a name")
            } else if label.value.utf8.count > 200 {
                // 255 is Home Assistant's limit of a state; labels are single words or short phrases.
                problems.error(label.line, "a label is longer than 200 bytes", "Use a word or a short phrase")
            } else if !seen.insert(label.value).inserted {
                problems.error(label.line, "the label \"\(label.value)\" stands twice", "Remove one of them")
            }
        }
        if written.count < 2 {
            table.error("labels", "labels has fewer than two entries", "A choice needs at least two labels")
        } else if written.count > Self.mostLabels {
            table.error("labels", "labels has more than \(Self.mostLabels) entries", "Split the task")
        }
        return written.map(\.value)
    }

    func window(_ table: TableReader, kind: TaskSection.Kind?, device: String) -> TaskSection.Window? {
        let present = ["window", "every", "on"].filter(table.has)
        if kind == .summarize, present.count > 1 {
            table.error(
                present[1], "\(present.joined(separator: " and ")) exclude one another",
                "Keep one; a request to task/<name>/run closes the window in every case")
        }
        let time = table.duration("window", in: .seconds(1)...(.seconds(7 * 86_400)), example: "15m")
        let count = table.integer("every", in: 1...10_000)
        let topic = table.string("on", example: "\"martlet/<device>/task/<name>/run\"")
        guard kind == .summarize else { return nil }
        if let time { return .time(time) }
        if let count { return .count(count) }
        if let topic {
            let expanded = Self.expanded(topic.value, device: device)
            if isValidTopic(expanded) { return .onTopic(expanded) }
            problems.error(topic.line, "on = \"\(topic.value)\" is not a topic", "Write one topic without wildcards")
        }
        return .time(.seconds(900))
    }

    func pointer(_ table: TableReader) -> JSONPointer? {
        guard let written = table.string("value", example: "\"/temperature\"") else { return nil }
        if let pointer = JSONPointer(written.value) { return pointer }
        problems.error(
            written.line, "value \"\(written.value)\" is not a JSON Pointer",
            "Write value = \"/\(written.value)\", as /temperature")
        return nil
    }

    /// The text of a schema that compiles: a file, beside the configuration unless its path begins with a slash, or
    /// the schema itself, which begins with a brace.
    func schema(_ table: TableReader, kind: TaskSection.Kind?) -> String? {
        let written = table.string("schema", example: "\"door.json\"")
        guard kind == .extract else { return nil }
        guard let written else {
            if !table.has("schema") {
                problems.error(
                    table.line, "an extract task needs a schema", "Add schema = \"FILE.json\", a JSON Schema")
            }
            return nil
        }
        let isInline = written.value.first { !$0.isWhitespace } == "{"
        let path = besideConfiguration(written.value)
        guard let text = isInline ? written.value : context.readFile(path) else {
            problems.error(
                written.line, "the schema \(path) cannot be read",
                "Check the path, which is relative to the configuration's folder, and its rights")
            return nil
        }
        do throws(GrammarError) {
            _ = try Grammar(schema: Array(text.utf8))
        } catch {
            problems.error(written.line, sentences: (isInline ? "" : "\(path): ") + error.description)
        }
        return text
    }

    private func besideConfiguration(_ path: String) -> String {
        guard !path.hasPrefix("/"), let slash = file.lastIndex(of: "/") else { return path }
        return "\(file[...slash])\(path)"
    }

    /// A key that another kind has is a mistake here: it would have no effect.
    func checkKeys(_ table: TableReader, of kind: TaskSection.Kind) {
        let kinds: [(key: String, kinds: [TaskSection.Kind])] = [
            ("labels", [.classify]), ("min_confidence", [.classify]), ("otherwise", [.classify]),
            ("window", [.summarize, .detect]), ("every", [.summarize]), ("on", [.summarize]),
            ("max_tokens", [.summarize, .extract, .detect]), ("value", [.detect]), ("explain", [.detect]),
            ("schema", [.extract]),
        ]
        for (key, owners) in kinds where table.has(key) && !owners.contains(kind) {
            let names = owners.map(\.rawValue).joined(separator: " or ")
            table.error(
                key, "\(key) has no meaning for kind \"\(kind.rawValue)\"", "Remove it, or use kind = \"\(names)\"")
        }
    }
}
