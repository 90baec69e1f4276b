/// Why a text is not JSON, and where.
public struct JSONError: Error, Equatable, CustomStringConvertible {
    public enum Reason: String, Sendable {
        case unexpectedEnd = "it ends too early"
        case unexpectedCharacter = "there is a character that does not belong there"
        case badNumber = "a number is malformed"
        case badString = "a string is malformed"
        case badEscape = "an escape in a string is malformed"
        case notUTF8 = "a string is not valid UTF-8"
        case trailing = "something follows the end"
        case tooDeep = "it is nested too deeply"
        case tooManyValues = "it has too many values"
    }
    public let reason: Reason
    /// Byte offset from the start.
    public let offset: Int

    public var description: String { "not JSON: \(reason.rawValue) (byte \(offset))" }
}

/// Caps on a document from outside, so that a few bytes cannot cost the stack or megabytes.
public struct JSONLimits: Sendable {
    /// Arrays and objects inside one another. Parsing recurses, and threads have small stacks.
    public var depth: Int
    /// Values altogether; one byte of input can make one of 24 bytes.
    public var values: Int

    public init(depth: Int = 64, values: Int = 65_536) {
        self.depth = depth
        self.values = values
    }
}

extension JSONValue {
    /// Parses one RFC 8259 document, strictly; white space around it is allowed.
    ///
    /// A lone surrogate escape (`\ud83d`) becomes U+FFFD, as browsers print it.
    public init(parsing bytes: [UInt8], limits: JSONLimits = JSONLimits()) throws(JSONError) {
        var parser = JSONParser(bytes: bytes, limits: limits)
        self = try parser.document()
    }

    public init(parsing text: String, limits: JSONLimits = JSONLimits()) throws(JSONError) {
        try self.init(parsing: Array(text.utf8), limits: limits)
    }
}

private struct JSONParser {
    let bytes: [UInt8]
    let limits: JSONLimits
    var position = 0
    var values = 0

    init(bytes: [UInt8], limits: JSONLimits) {
        self.bytes = bytes
        self.limits = limits
    }

    func failure(_ reason: JSONError.Reason, at offset: Int? = nil) -> JSONError {
        JSONError(reason: reason, offset: offset ?? position)
    }

    /// The next byte, or nil at the end; never moves.
    var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    mutating func document() throws(JSONError) -> JSONValue {
        let value = try value(depth: 0)
        skipSpace()
        guard next == nil else { throw failure(.trailing) }
        return value
    }

    mutating func skipSpace() {
        while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
    }

    mutating func value(depth: Int) throws(JSONError) -> JSONValue {
        skipSpace()
        values += 1
        guard values <= limits.values else { throw failure(.tooManyValues) }
        guard let byte = next else { throw failure(.unexpectedEnd) }
        switch byte {
        case UInt8(ascii: "{"): return .object(try object(depth: depth + 1))
        case UInt8(ascii: "["): return .array(try array(depth: depth + 1))
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"):
            try word("true")
            return .bool(true)
        case UInt8(ascii: "f"):
            try word("false")
            return .bool(false)
        case UInt8(ascii: "n"):
            try word("null")
            return .null
        default: return .number(try number())
        }
    }

    mutating func word(_ word: StaticString) throws(JSONError) {
        let start = position
        for byte in word.description.utf8 {
            guard let found = next else { throw failure(.unexpectedEnd) }
            guard found == byte else { throw failure(.unexpectedCharacter, at: start) }
            position += 1
        }
    }

    mutating func object(depth: Int) throws(JSONError) -> JSONObject {
        guard depth <= limits.depth else { throw failure(.tooDeep) }
        position += 1
        var members = JSONObject()
        skipSpace()
        if next == UInt8(ascii: "}") {
            position += 1
            return members
        }
        while true {
            skipSpace()
            guard let quote = next else { throw failure(.unexpectedEnd) }
            guard quote == UInt8(ascii: "\"") else { throw failure(.unexpectedCharacter) }
            let key = try string()
            skipSpace()
            guard let colon = next else { throw failure(.unexpectedEnd) }
            guard colon == UInt8(ascii: ":") else { throw failure(.unexpectedCharacter) }
            position += 1
            members.append(key, try value(depth: depth))
            if try endsContainer(UInt8(ascii: "}")) { return members }
        }
    }

    mutating func array(depth: Int) throws(JSONError) -> [JSONValue] {
        guard depth <= limits.depth else { throw failure(.tooDeep) }
        position += 1
        var elements: [JSONValue] = []
        skipSpace()
        if next == UInt8(ascii: "]") {
            position += 1
            return elements
        }
        while true {
            elements.append(try value(depth: depth))
            if try endsContainer(UInt8(ascii: "]")) { return elements }
        }
    }

    /// Consumes a comma (false) or the closing bracket (true).
    mutating func endsContainer(_ closing: UInt8) throws(JSONError) -> Bool {
        skipSpace()
        guard let byte = next else { throw failure(.unexpectedEnd) }
        guard byte == closing || byte == UInt8(ascii: ",") else { throw failure(.unexpectedCharacter) }
        position += 1
        return byte == closing
    }

    /// `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`
    mutating func number() throws(JSONError) -> JSONNumber {
        let start = position
        if next == UInt8(ascii: "-") { position += 1 }
        guard let first = next else { throw failure(.unexpectedEnd) }
        guard isDigit(first) else { throw failure(start == position ? .unexpectedCharacter : .badNumber) }
        if first == UInt8(ascii: "0") { position += 1 } else { skipDigits() }
        if next == UInt8(ascii: ".") {
            position += 1
            guard skipDigits() > 0 else { throw failure(.badNumber) }
        }
        if next == UInt8(ascii: "e") || next == UInt8(ascii: "E") {
            position += 1
            if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { position += 1 }
            guard skipDigits() > 0 else { throw failure(.badNumber) }
        }
        return JSONNumber(text: String(decoding: bytes[start..<position], as: UTF8.self))
    }

    @discardableResult
    mutating func skipDigits() -> Int {
        let start = position
        while let byte = next, isDigit(byte) { position += 1 }
        return position - start
    }

    func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }  // wraps on purpose: bytes below "0" become large
}

extension JSONParser {
    /// A string from its opening quote to behind its closing one.
    mutating func string() throws(JSONError) -> String {
        position += 1
        let start = position
        while let byte = next {
            if byte == UInt8(ascii: "\"") {
                let text = try decoded(bytes[start..<position], from: start)
                position += 1
                return text
            }
            if byte == UInt8(ascii: "\\") { return try escapedString(from: start) }
            guard byte >= 0x20 else { throw failure(.badString) }
            position += 1
        }
        throw failure(.unexpectedEnd)
    }

    /// The slow path, from the first backslash on.
    mutating func escapedString(from start: Int) throws(JSONError) -> String {
        var buffer = Array(bytes[start..<position])
        while let byte = next {
            if byte == UInt8(ascii: "\"") {
                let text = try decoded(buffer[...], from: start)
                position += 1
                return text
            }
            if byte == UInt8(ascii: "\\") {
                position += 1
                try appendEscape(to: &buffer)
            } else {
                guard byte >= 0x20 else { throw failure(.badString) }
                buffer.append(byte)
                position += 1
            }
        }
        throw failure(.unexpectedEnd)
    }

    func decoded(_ slice: ArraySlice<UInt8>, from start: Int) throws(JSONError) -> String {
        guard let text = String(validating: slice, as: UTF8.self) else { throw failure(.notUTF8, at: start) }
        return text
    }

    mutating func appendEscape(to buffer: inout [UInt8]) throws(JSONError) {
        guard let byte = next else { throw failure(.unexpectedEnd) }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): buffer.append(byte)
        case UInt8(ascii: "b"): buffer.append(0x08)
        case UInt8(ascii: "f"): buffer.append(0x0C)
        case UInt8(ascii: "n"): buffer.append(0x0A)
        case UInt8(ascii: "r"): buffer.append(0x0D)
        case UInt8(ascii: "t"): buffer.append(0x09)
        case UInt8(ascii: "u"): buffer += Array(String(Character(try unicodeEscape())).utf8)
        default: throw failure(.badEscape, at: position - 1)
        }
    }

    mutating func unicodeEscape() throws(JSONError) -> Unicode.Scalar {
        let replacement: Unicode.Scalar = "\u{FFFD}"
        let high = try codeUnit()
        guard high & 0xF800 == 0xD800 else { return Unicode.Scalar(high) ?? replacement }
        // A pair needs a high half and `\u` with a low half right behind it; anything else stays for the next turn.
        guard high < 0xDC00, position + 1 < bytes.count, bytes[position] == UInt8(ascii: "\\"),
            bytes[position + 1] == UInt8(ascii: "u")
        else { return replacement }
        let resume = position
        position += 2
        let low = try codeUnit()
        guard low & 0xFC00 == 0xDC00 else {
            position = resume
            return replacement
        }
        return Unicode.Scalar(0x10000 + ((high & 0x3FF) << 10 | (low & 0x3FF))) ?? replacement
    }

    /// Four hexadecimal digits.
    mutating func codeUnit() throws(JSONError) -> UInt32 {
        var unit: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = next else { throw failure(.unexpectedEnd) }
            guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 0x80 else {
                throw failure(.badEscape)
            }
            unit = unit << 4 | UInt32(digit)
            position += 1
        }
        return unit
    }
}
