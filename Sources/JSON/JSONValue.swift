/// A JSON document as it was written: keys in their order, numbers in their digits.
///
/// FoundationEssentials' JSONDecoder was not used: it loses the order of keys and the text of numbers, and a
/// template must render `21.50` as the sensor sent it.
public enum JSONValue: Sendable, Equatable {
    case null
    case bool(Bool)
    case number(JSONNumber)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)
}

/// A number as its digits stood in the document.
public struct JSONNumber: Sendable, Equatable, Hashable, CustomStringConvertible {
    /// RFC 8259 number text, for example `-59.50` or `1e3`.
    public let text: String

    /// Only for text that follows RFC 8259's grammar; the parser and the writers below make sure of it.
    init(text: String) { self.text = text }

    public init(_ value: Int) { text = String(value) }

    /// Nil for infinity and NaN, which JSON cannot say.
    public init?(_ value: Double) {
        guard value.isFinite else { return nil }
        text = value.description
    }

    /// The nearest double; infinite when the digits exceed its range.
    public var double: Double { Double(text) ?? .nan }

    /// The exact integer, or nil when it has a fraction, an exponent or too many digits.
    public var integer: Int? { Int(text) }

    public var description: String { text }
}

/// Members of a JSON object in the order they were written.
public struct JSONObject: Sendable, Equatable, RandomAccessCollection {
    public typealias Member = (key: String, value: JSONValue)

    private var keys: [String] = []
    private var values: [JSONValue] = []

    public init() {}

    public init(_ members: [Member]) {
        for member in members { append(member.key, member.value) }
    }

    public mutating func append(_ key: String, _ value: JSONValue) {
        keys.append(key)
        values.append(value)
    }

    public var startIndex: Int { 0 }
    public var endIndex: Int { keys.count }
    public subscript(position: Int) -> Member { (keys[position], values[position]) }

    /// The value of `key`; of several with the same name the last, as in every common parser.
    ///
    /// - Complexity: O(n). Sensor payloads have tens of keys, where a scan beats hashing.
    public subscript(key: String) -> JSONValue? {
        keys.lastIndex(of: key).map { values[$0] }
    }
}

extension JSONValue {
    public var string: String? {
        guard case .string(let text) = self else { return nil }
        return text
    }

    public var number: JSONNumber? {
        guard case .number(let number) = self else { return nil }
        return number
    }

    public var double: Double? { number?.double }

    public var integer: Int? { number?.integer }

    public var bool: Bool? {
        guard case .bool(let value) = self else { return nil }
        return value
    }

    public var array: [JSONValue]? {
        guard case .array(let elements) = self else { return nil }
        return elements
    }

    public var object: JSONObject? {
        guard case .object(let members) = self else { return nil }
        return members
    }

    /// The member of an object; nil for every other kind of value.
    public subscript(key: String) -> JSONValue? { object?[key] }
}
