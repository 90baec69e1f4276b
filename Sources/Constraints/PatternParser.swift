import Linux

/// Reads a regular expression of ECMA-262 into a term over bytes.
///
/// What has no meaning for a set of texts or would not stay regular is refused with its position: look-around, back
/// references, word boundaries, property classes. Lazy quantifiers and captures are read; they change no set of texts.
/// Classes are those of ECMA-262 whatever a validator does: `\d` is 0–9, `\w` ASCII.
struct PatternParser {
    private let scalars: [Unicode.Scalar]
    private var at = 0
    private var depth = 0
    private let pattern: String
    private let alphabet: Alphabet

    /// The ends of a text as bytes that UTF-8 never has: anchors then are characters like others.
    static let textStart: UInt8 = 0xFF
    static let textEnd: UInt8 = 0xFE

    /// Caps: recursion goes as deep as groups nest and as sequences are long, and numbers multiply states.
    private static let mostScalars = 1000
    private static let mostDepth = 50
    private static let mostRepetitions = 1000

    /// The term of `pattern`, with `textStart` and `textEnd` where it has anchors.
    static func parse(
        _ pattern: String, _ alphabet: Alphabet, into terms: inout Expressions
    ) throws(GrammarError) -> Int {
        var parser = PatternParser(pattern, alphabet)
        guard parser.scalars.count <= mostScalars else {
            throw parser.failure("it is longer than \(mostScalars) characters", "Shorten it")
        }
        let term = try parser.alternatives(&terms)
        guard parser.next == nil else { throw parser.failure("there is a ) without (", #"Write \) for the character"#) }
        return term
    }

    private init(_ pattern: String, _ alphabet: Alphabet) {
        self.pattern = pattern
        self.alphabet = alphabet
        scalars = Array(pattern.unicodeScalars)
    }

    private var next: Unicode.Scalar? { at < scalars.count ? scalars[at] : nil }

    private func failure(_ why: String, _ advice: String, at place: Int? = nil) -> GrammarError {
        return GrammarError(
            "the pattern \(oneLine(pattern, most: 60)) cannot be used: at \((place ?? at) + 1): \(why). \(advice).")
    }

    private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        guard next == scalar else { return false }
        at += 1
        return true
    }

    private mutating func alternatives(_ terms: inout Expressions) throws(GrammarError) -> Int {
        var all = [try sequence(&terms)]
        while take("|") { all.append(try sequence(&terms)) }
        return terms.either(all)
    }

    private mutating func sequence(_ terms: inout Expressions) throws(GrammarError) -> Int {
        var all: [Int] = []
        while let scalar = next, scalar != "|", scalar != ")" {
            if take("^") {
                all.append(terms.bytes(ByteSet(Self.textStart)))
            } else if take("$") {
                all.append(terms.bytes(ByteSet(Self.textEnd)))
            } else {
                all.append(try quantified(&terms))
            }
        }
        return terms.sequence(all)
    }

    private mutating func quantified(_ terms: inout Expressions) throws(GrammarError) -> Int {
        let atom = try atom(&terms)
        guard let (least, most) = try quantifier() else { return atom }
        _ = take("?")
        let place = at
        if try quantifier() != nil {
            throw failure("a repetition is repeated", "Put the first one into a group", at: place)
        }
        return terms.repeated(atom, least, most)
    }

    private mutating func quantifier() throws(GrammarError) -> (Int, Int)? {
        if take("*") { return (0, .max) }
        if take("+") { return (1, .max) }
        if take("?") { return (0, 1) }
        let place = at
        guard take("{") else { return nil }
        guard let least = try number() else {
            // As browsers do: a brace that begins no repetition is a brace.
            at = place
            return nil
        }
        var most = least
        if take(",") { most = try number() ?? .max }
        guard take("}") else { throw failure("a repetition does not end with }", #"Write {2}, {2,} or {2,5}, or \{"#) }
        guard least <= most else {
            throw failure("a repetition's bounds are in the wrong order", "Swap them", at: place)
        }
        return (least, most)
    }

    private mutating func number() throws(GrammarError) -> Int? {
        var value: Int?
        while let scalar = next, let digit = Int(String(scalar)), scalar.isASCII {
            value = (value ?? 0) * 10 + digit
            guard let value, value <= Self.mostRepetitions else {
                throw failure("it repeats more than \(Self.mostRepetitions) times", "Use minLength and maxLength")
            }
            at += 1
        }
        return value
    }

    private mutating func atom(_ terms: inout Expressions) throws(GrammarError) -> Int {
        guard let scalar = next else { return Expressions.end }
        switch scalar {
        case "(": return try group(&terms)
        case "[":
            at += 1
            return terms.character(try characterClass(), alphabet)
        case ".":
            at += 1
            return terms.character(CodePointSet.lineEnd.inverted, alphabet)
        case "\\":
            at += 1
            return terms.character(try escape(inClass: false), alphabet)
        case "*", "+", "?": throw failure("there is nothing to repeat", "Write \\\(scalar) for the character")
        default:
            at += 1
            return terms.character(CodePointSet(scalar), alphabet)
        }
    }

    private mutating func group(_ terms: inout Expressions) throws(GrammarError) -> Int {
        let place = at
        at += 1
        if take("?") {
            if take("<") {
                guard next != "=", next != "!" else {
                    throw failure("look-behind is not supported", "Write a pattern without it", at: place)
                }
                while let scalar = next, scalar != ">", scalar != ")" { _ = take(scalar) }
                guard take(">") else { throw failure("the group's name does not end", "Write (?<name>…)", at: place) }
            } else if !take(":") {
                let isLook = next == "=" || next == "!"
                throw failure(
                    isLook ? "look-ahead is not supported" : "flags in a group are not supported",
                    "Write a pattern without it", at: place)
            }
        }
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.mostDepth else { throw failure("groups nest deeper than \(Self.mostDepth)", "Simplify it") }
        let term = try alternatives(&terms)
        guard take(")") else { throw failure("a group does not end", "Add a )", at: place) }
        return term
    }

    // MARK: Characters

    /// Behind the opening bracket.
    private mutating func characterClass() throws(GrammarError) -> CodePointSet {
        let place = at - 1
        let isInverted = take("^")
        var ranges: [ClosedRange<UInt32>] = []
        while !take("]") {
            let first = try member(place)
            let dash = at
            guard take("-"), next != nil, next != "]" else {
                at = dash
                ranges += first.ranges
                continue
            }
            let last = try member(place)
            guard let low = Self.single(first), let high = Self.single(last) else {
                throw failure("a range has a class at its end", "Write the - last", at: dash)
            }
            guard low <= high else { throw failure("a range is in the wrong order", "Swap its ends", at: dash) }
            ranges.append(low...high)
        }
        let set = CodePointSet(ranges)
        return isInverted ? set.inverted : set
    }

    private static func single(_ set: CodePointSet) -> UInt32? {
        guard set.ranges.count == 1, let range = set.ranges.first, range.count == 1 else { return nil }
        return range.lowerBound
    }

    private mutating func member(_ start: Int) throws(GrammarError) -> CodePointSet {
        guard let scalar = next else { throw failure("a class does not end", "Add a ]", at: start) }
        at += 1
        return scalar == "\\" ? try escape(inClass: true) : CodePointSet(scalar)
    }

    /// Behind the backslash.
    private mutating func escape(inClass: Bool) throws(GrammarError) -> CodePointSet {
        let place = at - 1
        guard let letter = next else { throw failure("it ends with a backslash", #"Write \\ for one"#, at: place) }
        at += 1
        switch letter {
        case "d": return .digit
        case "D": return CodePointSet.digit.inverted
        case "w": return .word
        case "W": return CodePointSet.word.inverted
        case "s": return .space
        case "S": return CodePointSet.space.inverted
        case "t": return CodePointSet("\t")
        case "n": return CodePointSet("\n")
        case "r": return CodePointSet("\r")
        case "v": return CodePointSet("\u{B}")
        case "f": return CodePointSet("\u{C}")
        case "b" where inClass: return CodePointSet("\u{8}")
        case "b", "B": throw failure("word boundaries are not supported", "Write the characters around", at: place)
        case "0" where !(next.map { ("0"..."9").contains($0) } ?? false): return CodePointSet("\0")
        case "0"..."9", "k": throw failure("back references are not supported", "Write the text again", at: place)
        case "p", "P": throw failure("\\\(letter) is not supported", "Write the ranges, as [A-Za-zÀ-ÿ]", at: place)
        case "x", "u": return CodePointSet(try numbered(letter, place))
        case "c":
            guard let control = next, control.isASCII, control.properties.isAlphabetic,
                let scalar = Unicode.Scalar(control.value & 31)
            else { throw failure("\\c needs a letter", "Write \\x and two digits", at: place) }
            at += 1
            return CodePointSet(scalar)
        default:
            guard letter.isASCII, !letter.properties.isAlphabetic else {
                throw failure("\\\(letter) is unknown", "Leave the backslash out", at: place)
            }
            return CodePointSet(letter)
        }
    }

    /// `\xHH`, `\uHHHH`, a pair of surrogates, or `\u{H…}`; behind the letter.
    private mutating func numbered(_ letter: Unicode.Scalar, _ place: Int) throws(GrammarError) -> Unicode.Scalar {
        let complaint = failure("\\\(letter) needs hexadecimal digits of a character", #"Write \u00e9"#, at: place)
        if letter == "u", take("{") {
            let value = hexadecimal(most: 6)
            guard let value, take("}"), let scalar = Unicode.Scalar(value) else { throw complaint }
            return scalar
        }
        let count = letter == "x" ? 2 : 4
        guard let first = hexadecimal(exactly: count) else { throw complaint }
        if let scalar = Unicode.Scalar(first) { return scalar }
        guard first < 0xDC00, take("\\"), take("u"), let second = hexadecimal(exactly: 4), second & 0xFC00 == 0xDC00,
            let scalar = Unicode.Scalar(0x1_0000 + ((first & 0x3FF) << 10 | second & 0x3FF))
        else { throw complaint }
        return scalar
    }

    private mutating func hexadecimal(exactly count: Int) -> UInt32? {
        let start = at
        guard let value = hexadecimal(most: count), at - start == count else { return nil }
        return value
    }

    private mutating func hexadecimal(most count: Int) -> UInt32? {
        var value: UInt32?
        for _ in 0..<count {
            guard let scalar = next, scalar.isASCII, let digit = Character(scalar).hexDigitValue else { break }
            value = (value ?? 0) << 4 | UInt32(truncatingIfNeeded: digit)
            at += 1
        }
        return value
    }
}
