/// Why a template cannot be rendered: it is not Jinja, needs what Martlet's Jinja lacks, or gave up by itself.
struct JinjaError: Error, Equatable {
    let reason: String

    init(_ reason: String) { self.reason = reason }
}

/// A word or sign of an expression.
enum JinjaToken: Equatable {
    case name(String)
    case text(String)
    case int(Int)
    case float(Double)
    case sign(String)
}

/// A stretch of a template's source.
enum JinjaPiece: Equatable {
    case text(String)
    /// `{{ … }}`
    case output([JinjaToken])
    /// `{% … %}`
    case block([JinjaToken])
}

/// Cuts a template into text, outputs and blocks, with white space as Hugging Face's settings have it: `trim_blocks`
/// and `lstrip_blocks`, one newline taken off the end.
struct JinjaLexer {
    private let source: [UInt8]
    private var at = 0
    private var pieces: [JinjaPiece] = []

    /// Real templates have up to 20 kB.
    static let longestSource = 1 << 18

    static func pieces(_ source: String) throws(JinjaError) -> [JinjaPiece] {
        var source = Array(source.utf8)
        guard source.count <= longestSource else { throw JinjaError("it is too long") }
        if source.contains(0x0D) {
            source = Array(String(decoding: source, as: UTF8.self).replacing("\r\n", with: "\n").utf8)
        }
        if source.last == 0x0A { source.removeLast() }
        var lexer = JinjaLexer(source: source)
        try lexer.run()
        return lexer.pieces
    }

    private init(source: [UInt8]) { self.source = source }

    private mutating func run() throws(JinjaError) {
        var startsLine = true
        while at < source.count {
            let start = at
            while at < source.count, !opens(at) { at += 1 }
            var end = at
            guard at < source.count else { return addText(start, end) }
            let kind = source[at + 1]
            at += 2
            let sign = at < source.count ? source[at] : 0
            if sign == 0x2D {  // -: without the white space before
                while end > start, isSpace(source[end - 1]) { end -= 1 }
                at += 1
            } else if sign == 0x2B {  // +: with it
                at += 1
            } else if kind != 0x7B {
                end = withoutIndent(start, end, startsLine)
            }
            addText(start, end)
            startsLine = try tag(kind)
        }
    }

    private func opens(_ index: Int) -> Bool {
        source[index] == 0x7B && index + 1 < source.count
            && (source[index + 1] == 0x7B || source[index + 1] == 0x25 || source[index + 1] == 0x23)
    }

    /// `lstrip_blocks`: blanks between the line's beginning and a block go.
    private func withoutIndent(_ start: Int, _ end: Int, _ startsLine: Bool) -> Int {
        var at = end
        while at > start, isSpace(source[at - 1]), source[at - 1] != 0x0A { at -= 1 }
        let isLineStart = at > start ? source[at - 1] == 0x0A : startsLine
        return isLineStart ? at : end
    }

    /// Reads a tag to its end; whether what follows begins a line.
    private mutating func tag(_ kind: UInt8) throws(JinjaError) -> Bool {
        switch kind {
        case 0x23:  // #
            while at + 1 < source.count, !(source[at] == 0x23 && source[at + 1] == 0x7D) { at += 1 }
            guard at + 1 < source.count else { throw JinjaError("a comment has no end") }
            let strips = source[at - 1] == 0x2D
            at += 2
            return endTag(strips: strips, trims: source[at - 3] != 0x2B)
        case 0x7B:  // {
            let (tokens, sign) = try tokens(until: 0x7D)
            pieces.append(.output(tokens))
            return endTag(strips: sign == 0x2D, trims: false)
        default:
            let (tokens, sign) = try tokens(until: 0x25)
            if tokens.first == .name("raw") { throw JinjaError("it uses 'raw'") }
            pieces.append(.block(tokens))
            return endTag(strips: sign == 0x2D, trims: sign != 0x2B)
        }
    }

    private mutating func endTag(strips: Bool, trims: Bool) -> Bool {
        let start = at
        if strips {
            while at < source.count, isSpace(source[at]) { at += 1 }
        } else if trims, at < source.count, source[at] == 0x0A {
            at += 1
        }
        return at > start && source[at - 1] == 0x0A
    }

    /// The tokens up to `}}` or `%}`, and the sign before that, if any.
    private mutating func tokens(until close: UInt8) throws(JinjaError) -> ([JinjaToken], UInt8) {
        var tokens: [JinjaToken] = []
        var depth = 0
        while at < source.count {
            let byte = source[at]
            if isSpace(byte) {
                at += 1
                continue
            }
            let next = at + 1 < source.count ? source[at + 1] : 0
            if depth == 0, byte == close, next == 0x7D {
                at += 2
                return (tokens, 0)
            }
            if depth == 0, byte == 0x2D || byte == 0x2B, next == close, at + 2 < source.count, source[at + 2] == 0x7D {
                at += 3
                return (tokens, byte)
            }
            let token = try token(byte)
            if case .sign(let sign) = token {
                if ["(", "[", "{"].contains(sign) { depth += 1 } else if [")", "]", "}"].contains(sign) { depth -= 1 }
            }
            tokens.append(token)
        }
        throw JinjaError("a tag has no end")
    }

    private mutating func token(_ byte: UInt8) throws(JinjaError) -> JinjaToken {
        if byte == 0x22 || byte == 0x27 { return .text(try string(byte)) }
        if isLetter(byte) {
            let start = at
            while at < source.count, isLetter(source[at]) || isDigit(source[at]) { at += 1 }
            return .name(String(decoding: source[start..<at], as: UTF8.self))
        }
        if isDigit(byte) { return try number() }
        let two = String(decoding: source[at..<min(at + 2, source.count)], as: UTF8.self)
        if ["==", "!=", "<=", ">=", "//", "**"].contains(two) {
            at += 2
            return .sign(two)
        }
        guard "+-*/%~<>=()[]{},.:|".utf8.contains(byte) else { throw JinjaError("a sign in a tag is unknown") }
        at += 1
        return .sign(String(decoding: [byte], as: UTF8.self))
    }

    private mutating func number() throws(JinjaError) -> JinjaToken {
        let start = at
        while at < source.count, isDigit(source[at]) { at += 1 }
        let isFloat = at + 1 < source.count && source[at] == 0x2E && isDigit(source[at + 1])
        if isFloat {
            at += 1
            while at < source.count, isDigit(source[at]) { at += 1 }
        }
        let text = String(decoding: source[start..<at], as: UTF8.self)
        if isFloat, let value = Double(text) { return .float(value) }
        guard let value = Int(text) else { throw JinjaError("a number is too large") }
        return .int(value)
    }

    /// A literal, with Python's escapes.
    private mutating func string(_ quote: UInt8) throws(JinjaError) -> String {
        at += 1
        var bytes: [UInt8] = []
        while at < source.count, source[at] != quote {
            let byte = source[at]
            at += 1
            guard byte == 0x5C, at < source.count else {
                bytes.append(byte)
                continue
            }
            let escaped = source[at]
            at += 1
            switch escaped {
            case 0x6E: bytes.append(0x0A)
            case 0x74: bytes.append(0x09)
            case 0x72: bytes.append(0x0D)
            case 0x5C, 0x22, 0x27: bytes.append(escaped)
            case 0x0A: break
            case 0x75, 0x78: bytes += try hexadecimal(escaped == 0x75 ? 4 : 2)
            default: bytes += [0x5C, escaped]
            }
        }
        guard at < source.count else { throw JinjaError("a string has no end") }
        at += 1
        return String(decoding: bytes, as: UTF8.self)
    }

    private mutating func hexadecimal(_ count: Int) throws(JinjaError) -> [UInt8] {
        let digits = source[at..<min(at + count, source.count)]
        guard digits.count == count, let value = UInt32(String(decoding: digits, as: UTF8.self), radix: 16),
            let scalar = Unicode.Scalar(value)
        else { throw JinjaError("an escape in a string is no character") }
        at += count
        return Array(String(Character(scalar)).utf8)
    }

    private mutating func addText(_ start: Int, _ end: Int) {
        if start < end { pieces.append(.text(String(decoding: source[start..<end], as: UTF8.self))) }
    }

    private func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte &- 9 < 5 }
    private func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) &- 0x61 < 26 || byte == 0x5F }
    private func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }
}
