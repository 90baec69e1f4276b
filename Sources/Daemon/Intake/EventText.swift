/// The words a model reads for one event: rendered, cleaned and capped.
enum EventText {
    /// Bytes. A context of 2,048 tokens holds about 6 KiB of English; more could not be read anyway, and a thousand
    /// waiting events must fit the memory budget.
    static let longest = 8 << 10

    /// The text of a message for a task, or why it has none.
    static func make(
        topic: String, payload: Payload, template: EventTemplate?, longest: Int = EventText.longest
    ) throws(EventFailure) -> String {
        if payload.isEmpty, template?.usesPayload ?? true { throw .emptyPayload }
        let rendered = template?.render(topic: topic, payload: payload) ?? payload.described
        let text = clean(rendered, longest: longest)
        guard !text.isEmpty else { throw .emptyText }
        return text
    }

    /// Removes what a reader cannot see and what could hide instructions: control, zero-width, bidirectional and tag
    /// characters; runs of blanks become one, and the result is cut at a character with "…".
    static func clean(_ text: String, longest: Int) -> String {
        var result = ""
        result.reserveCapacity(min(text.utf8.count, longest))
        var pending: Character?
        var wasReturn = false
        for scalar in text.unicodeScalars {
            defer { wasReturn = scalar == "\r" }
            switch blank(scalar) {
            case .newline where wasReturn && scalar == "\n": continue
            case .newline: pending = "\n"
            case .space: pending = pending ?? " "
            case .invisible: continue
            case .none:
                // Blanks at the start are dropped, those at the end never written.
                if let blank = pending, !result.isEmpty { result.append(blank) }
                pending = nil
                guard result.utf8.count + UTF8.width(scalar) <= longest else { return cut(result, longest: longest) }
                result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    private enum Blank { case none, space, newline, invisible }

    private static func blank(_ scalar: Unicode.Scalar) -> Blank {
        switch scalar.value {
        case 0x0A, 0x0D, 0x2028, 0x2029: .newline
        case 0x20, 0x09, 0x0B, 0x0C, 0xA0: .space
        case 0x00...0x1F, 0x7F...0x9F: .space
        // Soft hyphen, zero-width and directional marks, word joiners, BOM, interlinear and tag characters.
        case 0xAD, 0x61C, 0x180E, 0x200B...0x200F, 0x202A...0x202E, 0x2060...0x206F, 0xFEFF, 0xFFF9...0xFFFB,
            0xE0000...0xE007F:
            .invisible
        default: .none
        }
    }

    /// `text` with its end replaced by "…" so that it fits, cut between characters and not inside one.
    static func cut(_ text: String, longest: Int) -> String {
        var text = text
        while !text.isEmpty, text.utf8.count + 3 > longest { text.removeLast() }
        return text + "…"
    }
}

extension UTF8 {
    /// Bytes of a scalar in UTF-8.
    static func width(_ scalar: Unicode.Scalar) -> Int {
        scalar.value < 0x80 ? 1 : scalar.value < 0x800 ? 2 : scalar.value < 0x10000 ? 3 : 4
    }
}

/// Why an event has no answer; `description` is the `error` of its envelope.
public enum EventFailure: Error, Equatable, CustomStringConvertible, Sendable {
    case emptyPayload
    case emptyText
    case oversize(bytes: Int, limit: Int)
    /// The queue was full and this event had the lowest priority.
    case shed
    /// It waited longer than its task's deadline.
    case expired
    /// The daemon stopped before it could be computed, and it was not spooled.
    case stopped
    /// The process died while it worked on this event, as often as `WorkLedger.Suspicion` allows.
    case quarantined(deaths: Int)
    /// The engine could not answer; its own sentence.
    case engine(String)

    public var description: String {
        switch self {
        case .emptyPayload: "empty payload"
        case .emptyText: "nothing to read: the text is empty after cleaning"
        case .oversize(let bytes, let limit): "payload of \(bytes) bytes exceeds max_payload (\(limit) bytes)"
        case .shed: "shed"
        case .expired: "expired"
        case .stopped: "the daemon stopped before this could be computed"
        case .quarantined(let deaths): "set aside: the process died \(deaths) times while it worked on this event"
        case .engine(let reason): reason
        }
    }
}
