import JSON

/// One message's payload, read once and shared by all tasks that take it.
struct Payload: Sendable {
    /// The payload as text; invalid UTF-8 replaced by U+FFFD.
    let text: String
    /// The payload as JSON when it is an object, an array or a string; numbers stay text.
    let json: JSONValue?

    init(_ bytes: [UInt8]) {
        text = String(decoding: bytes, as: UTF8.self)
        switch bytes.first(where: { $0 > 0x20 }) {
        case UInt8(ascii: "{"), UInt8(ascii: "["), UInt8(ascii: "\""):
            // Parse the repaired text: sensors in the wild send a Latin-1 degree sign inside otherwise good JSON.
            json = try? JSONValue(parsing: text)
        default: json = nil
        }
    }

    var isEmpty: Bool { text.utf8.allSatisfy { $0 <= 0x20 } }

    /// What stands for the payload when a task has no template, and for `{{payload}}`.
    var described: String { json.map(PayloadText.describe) ?? text }
}

/// JSON payloads as words a small model reads well: `temperature: 21.5, occupancy: true`.
enum PayloadText {
    /// Members beyond this are cut: no sensor has more, and the model's context is short.
    static let mostMembers = 128

    static func describe(_ value: JSONValue) -> String {
        if let senML = SenML.describe(value) { return senML }
        var members: [(key: String, value: String)] = []
        switch value {
        case .object, .array: flatten(value, key: "", into: &members)
        default: return inline(value)
        }
        guard !members.isEmpty else { return value.text }
        return members.map { $0.key.isEmpty ? $0.value : "\($0.key): \($0.value)" }.joined(separator: ", ")
    }

    /// A value inside a sentence: a string without quotes, a number in its digits, null as nothing.
    static func inline(_ value: JSONValue) -> String {
        switch value {
        case .null: ""
        case .bool(let flag): flag ? "true" : "false"
        case .number(let number): number.text
        case .string(let text): text
        case .array, .object: value.text
        }
    }

    /// Scalars of one level first, then what is nested, its keys joined with dots; nulls say nothing and are left out.
    ///
    /// Recursion is safe: the parser refuses nesting beyond 64.
    private static func flatten(_ value: JSONValue, key: String, into members: inout [(key: String, value: String)]) {
        func path(_ part: String) -> String { key.isEmpty ? part : "\(key).\(part)" }
        switch value {
        case .object(let object):
            for member in object where !member.value.isContainer && member.value != .null {
                append(path(member.key), inline(member.value), to: &members)
            }
            for member in object where member.value.isContainer {
                flatten(member.value, key: path(member.key), into: &members)
            }
        case .array(let elements):
            guard elements.contains(where: \.isContainer) else {
                let list = elements.filter { $0 != .null }.map(inline)
                if !list.isEmpty { append(key, list.joined(separator: " "), to: &members) }
                return
            }
            for (index, element) in elements.enumerated() where members.count < mostMembers {
                flatten(element, key: path(String(index)), into: &members)
            }
        default: append(key, inline(value), to: &members)
        }
    }

    private static func append(_ key: String, _ value: String, to members: inout [(key: String, value: String)]) {
        if members.count < mostMembers { members.append((key, value)) }
    }
}

extension JSONValue {
    var isContainer: Bool {
        switch self {
        case .array, .object: true
        default: false
        }
    }
}
