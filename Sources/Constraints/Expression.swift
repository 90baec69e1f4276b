/// Regular expressions over bytes, each held once, with their derivatives.
///
/// The derivative of an expression by a byte is what may follow that byte (Brzozowski 1964). Intersection and complement
/// come for free, which a table of an NFA would not give: a pattern with a length, names that are not in a list.
/// Terms are numbers; equal terms have equal numbers.
struct Expressions {
    enum Term: Hashable {
        case nothing
        case end
        case bytes(ByteSet)
        case then(Int, Int)
        /// Sorted, all different.
        case either([Int])
        case both([Int])
        case not(Int)
        /// The highest number is .max for any.
        case repeated(Int, Int, Int)
    }

    private var terms: [Term] = []
    private var numbers: [Term: Int] = [:]
    private var acceptsEnd: [Bool] = []
    /// Work done, so that a hostile pattern costs a second and not a day.
    private var work = 0
    private static let mostWork = 3_000_000

    static let nothing = 0
    static let end = 1
    /// Every text: the complement of nothing.
    static let anything = 2

    init() {
        _ = add(.nothing)
        _ = add(.end)
        _ = add(.not(Self.nothing))
    }

    private mutating func add(_ term: Term) -> Int {
        if let number = numbers[term] { return number }
        let number = terms.count
        terms.append(term)
        numbers[term] = number
        acceptsEnd.append(isNullable(term))
        return number
    }

    private func isNullable(_ term: Term) -> Bool {
        switch term {
        case .nothing, .bytes: false
        case .end: true
        case .then(let a, let b): acceptsEnd[a] && acceptsEnd[b]
        case .either(let all): all.contains { acceptsEnd[$0] }
        case .both(let all): all.allSatisfy { acceptsEnd[$0] }
        case .not(let a): !acceptsEnd[a]
        case .repeated(let a, let least, _): least == 0 || acceptsEnd[a]
        }
    }

    // MARK: Making terms

    mutating func bytes(_ set: ByteSet) -> Int { set == ByteSet() ? Self.nothing : add(.bytes(set)) }

    mutating func text(_ bytes: some BidirectionalCollection<UInt8>) -> Int {
        bytes.reversed().reduce(Self.end) { tail, byte in then(self.bytes(ByteSet(byte)), tail) }
    }

    mutating func then(_ a: Int, _ b: Int) -> Int {
        if a == Self.nothing || b == Self.nothing { return Self.nothing }
        if a == Self.end { return b }
        if b == Self.end { return a }
        // Leaning right keeps equal texts equal terms.
        if case .then(let first, let rest) = terms[a] { return then(first, then(rest, b)) }
        return add(.then(a, b))
    }

    mutating func sequence(_ all: [Int]) -> Int { all.reversed().reduce(Self.end) { then($1, $0) } }

    mutating func either(_ all: [Int]) -> Int {
        var members: Set<Int> = []
        var bytes = ByteSet()
        for term in all {
            switch terms[term] {
            case .nothing: break
            case .either(let inner):
                for member in inner {
                    if case .bytes(let set) = terms[member] { bytes.formUnion(set) } else { members.insert(member) }
                }
            case .bytes(let set): bytes.formUnion(set)
            default: members.insert(term)
            }
        }
        if members.contains(Self.anything) { return Self.anything }
        if bytes != ByteSet() { members.insert(add(.bytes(bytes))) }
        if members.count <= 1 { return members.first ?? Self.nothing }
        work += members.count
        return add(.either(members.sorted()))
    }

    mutating func both(_ all: [Int]) -> Int {
        var members: Set<Int> = []
        for term in all {
            if case .both(let inner) = terms[term] { members.formUnion(inner) } else { members.insert(term) }
        }
        if members.contains(Self.nothing) { return Self.nothing }
        members.remove(Self.anything)
        if members.count <= 1 { return members.first ?? Self.anything }
        work += members.count
        return add(.both(members.sorted()))
    }

    mutating func not(_ a: Int) -> Int {
        if case .not(let inner) = terms[a] { return inner }
        return add(.not(a))
    }

    mutating func repeated(_ a: Int, _ least: Int, _ most: Int = .max) -> Int {
        if most == 0 || a == Self.end { return Self.end }
        if a == Self.nothing { return least == 0 ? Self.end : Self.nothing }
        if least == 1, most == 1 { return a }
        return add(.repeated(a, acceptsEnd[a] ? 0 : least, most))
    }

    /// A character out of `set`, encoded by `alphabet`.
    mutating func character(_ set: CodePointSet, _ alphabet: Alphabet) -> Int {
        either(
            alphabet.paths(set).map { path in
                sequence(path.map { bytes(ByteSet($0)) })
            })
    }

    // MARK: Derivatives

    private mutating func derivative(_ number: Int, _ byte: UInt8) -> Int {
        work += 1
        switch terms[number] {
        case .nothing, .end: return Self.nothing
        case .bytes(let set): return set.contains(byte) ? Self.end : Self.nothing
        case .then(let a, let b):
            let first = then(derivative(a, byte), b)
            return acceptsEnd[a] ? either([first, derivative(b, byte)]) : first
        case .either(let all): return either(all.map { derivative($0, byte) })
        case .both(let all): return both(all.map { derivative($0, byte) })
        case .not(let a): return not(derivative(a, byte))
        case .repeated(let a, let least, let most):
            let rest = repeated(a, max(0, least - 1), most == .max ? .max : most - 1)
            return then(derivative(a, byte), rest)
        }
    }

    /// The automaton of the texts that a term holds between `PatternParser.textStart` and `textEnd`.
    ///
    /// Throws when it has more than `limit` states or takes too much work; `what` says what it is of.
    mutating func unmarked(_ term: Int, limit: Int = 20_000, _ what: String) throws(GrammarError) -> ByteDFA {
        let complaint = GrammarError(
            "\(what) is too complex: its automaton has more than \(limit) states. Use fewer or smaller repetitions.")
        work = 0
        // Both ends are bytes of their own, so that no text can hold them.
        let splits = terms.compactMap { if case .bytes(let set) = $0 { set } else { nil } }
        let start = derivative(term, PatternParser.textStart)
        var copy = self
        let dfa = try ByteDFA.explore(start, splits: splits, limit: limit) { state, byte throws(GrammarError) in
            guard byte < PatternParser.textEnd else { return nil }
            let next = copy.derivative(state, byte)
            guard copy.work < Self.mostWork else { throw complaint }
            return next == Self.nothing ? nil : next
        } accepts: {
            let end = copy.derivative($0, PatternParser.textEnd)
            return copy.acceptsEnd[end]
        }
        guard let dfa else { throw complaint }
        return dfa
    }
}

/// How a character becomes bytes.
enum Alphabet: Sendable {
    /// As it is, in UTF-8.
    case plain
    /// As in a JSON string: quote, backslash and the five controls that have a short escape are escaped, other controls
    /// cannot be written. Each text has one form, so that complements mean what they say.
    case json

    private static let escapes: [(UInt32, Character)] = [
        (0x22, "\""), (0x5C, "\\"), (0x08, "b"), (0x0C, "f"), (0x0A, "n"), (0x0D, "r"), (0x09, "t"),
    ]
    private static let escaped = CodePointSet([0...0x1F, 0x22...0x22, 0x5C...0x5C])

    func paths(_ set: CodePointSet) -> [[ClosedRange<UInt8>]] {
        guard self == .json else { return set.utf8 }
        let backslash = UInt8(ascii: "\\")
        return set.subtracting(Self.escaped).utf8
            + Self.escapes.compactMap { value, letter in
                guard set.contains(value), let ascii = letter.asciiValue else { return nil }
                return [backslash...backslash, ascii...ascii]
            }
    }

    /// The bytes of a text; nil when it holds a control that this alphabet cannot write.
    func bytes(_ text: String) -> [UInt8]? {
        guard self == .json else { return Array(text.utf8) }
        var bytes: [UInt8] = []
        for scalar in text.unicodeScalars {
            if let escape = Self.escapes.first(where: { $0.0 == scalar.value }) {
                bytes += [UInt8(ascii: "\\"), escape.1.asciiValue ?? 0]
            } else if scalar.value < 0x20 {
                return nil
            } else {
                bytes += Array(String(Character(scalar)).utf8)
            }
        }
        return bytes
    }
}
