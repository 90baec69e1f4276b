/// What an event's text says, field by field.
///
/// Rendered payloads read `temperature: 21.5, contact: false`; a plain payload is one field without a name.
struct EventFields {
    enum Value: Equatable {
        case number(Double)
        case text(String)
    }

    private(set) var fields: [(name: String, value: Value)] = []

    /// Fields of one event that are looked at; a cap so that one payload cannot fill the window.
    private static let mostFields = 32

    init(_ text: String) {
        let parts = text.split(separator: ",", omittingEmptySubsequences: true)
        let pairs = parts.map { $0.split(separator: ":", maxSplits: 1) }
        // A sentence with a colon or a comma is no list of fields: every part must name one.
        guard pairs.allSatisfy({ $0.count == 2 && Self.isName(trimmed(String($0[0]))) }), !pairs.isEmpty else {
            fields = [("", Self.value(trimmed(text)))]
            return
        }
        for pair in pairs.prefix(Self.mostFields) {
            let value = trimmed(String(pair[1]))
            if !value.isEmpty { fields.append((trimmed(String(pair[0])), Self.value(value))) }
        }
    }

    /// A key of a payload: one or two short words.
    private static func isName(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= 40 && text.filter(\.isWhitespace).count <= 1
            && text.first?.isLetter == true
    }

    private static func value(_ text: String) -> Value { number(text).map(Value.number) ?? .text(text) }

    /// A whole text that is one number, perhaps with a unit behind it.
    private static func number(_ text: String) -> Double? {
        let digits = text.prefix { "+-.0123456789eE".contains($0) }
        // "5e" of "5e-lamp" is no number, nor is "2021-01-21T16:04".
        for end in [digits.count, digits.prefix { !"eE".contains($0) }.count] {
            guard let value = Double(digits.prefix(end)), value.isFinite else { continue }
            return isUnit(trimmed(String(text.dropFirst(end)))) ? value : nil
        }
        return nil
    }

    private static func isUnit(_ text: String) -> Bool {
        text.count <= 6 && text.allSatisfy { $0.isLetter || "%°/²³·".contains($0) }
    }
}
