/// The automaton of a grammar with its stack, made while it is used.
///
/// A state is a term: what may still be written. `a` then `b` then `c` *is* the stack, so that a call returns by itself,
/// and terms are held once, so that equal stacks are equal numbers and a step is a look-up after the first time. An
/// alternative of stacks is a term too: there is no backtracking. Every living state can be completed; a way that cannot
/// is cut when it is made.
///
/// The tables grow while new states are met and are emptied when they hold too much; `epoch` then changes and state
/// numbers of before mean nothing.
struct Machine {
    enum Term: Hashable {
        case nothing
        case end
        /// Part of `pool`.
        case bytes(Int32, Int32)
        case automaton(Int32, Int32)
        /// Between `least` and `most` characters of a string; .max for any number.
        case characters(least: Int32, most: Int32)
        case then(Int32, Int32)
        case either([Int32])
        case value(node: Int32, level: Int32)
        case members(object: Int32, index: Int32, count: Int32, level: Int32)
        case items(array: Int32, count: Int32, level: Int32)
        case unique(array: Int32, count: Int32, left: UInt64)
    }

    static let nothing: Int32 = 0
    static let end: Int32 = 1

    let grammar: Grammar
    private(set) var epoch = 0
    private(set) var start: Int32 = 0
    private(set) var terms: [Term] = []
    private var numbers: [Term: Int32] = [:]
    private var acceptsEnd: [Bool] = []
    /// Bytes to the nearest end.
    private var lengths: [Int32] = []
    /// Where each term's row of `table` begins; -1 before its first step.
    private var rows: [Int32] = []
    /// (rows, columns): the next term, or -1 when not known yet.
    private var table: [Int32] = []
    /// The only byte that may follow, -1 for several or none, -2 when not known yet.
    private var forcedBytes: [Int16] = []

    /// Literal texts, each once.
    private var pool: [UInt8] = []
    private var literals: [[UInt8]: Term] = [:]
    private let columns: [UInt8]
    private let samples: [UInt8]
    /// Whether a column stands for one byte only.
    private let isSingle: [Bool]

    /// 4 MiB of rows and about as much of terms.
    private static let mostCells = 1 << 20
    private static let mostTerms = 1 << 15

    init(_ grammar: Grammar) {
        self.grammar = grammar
        var splits: Set<ByteSet> = []
        for automaton in grammar.automata {
            var sets = [ByteSet](repeating: ByteSet(), count: automaton.columnCount)
            for byte in UInt8.min...UInt8.max { sets[Int(automaton.columns[Int(byte)])].insert(byte) }
            splits.formUnion(sets)
        }
        var literal = Array("{}[]\"".utf8) + Grammar.comma + Grammar.colon
        for object in grammar.objects { for property in object.properties { literal += property.head } }
        for array in grammar.arrays { for value in array.unique ?? [] { literal += value } }
        splits.formUnion(literal.map { ByteSet($0) })
        (columns, samples) = ByteSet.columns(Array(splits))
        var counts = [Int](repeating: 0, count: samples.count)
        for column in columns { counts[Int(column)] += 1 }
        isSingle = counts.map { $0 == 1 }
        reset()
    }

    /// Forgets all states.
    private mutating func reset() {
        epoch += 1
        terms.removeAll()
        numbers.removeAll()
        acceptsEnd.removeAll()
        lengths.removeAll()
        rows.removeAll()
        table.removeAll()
        forcedBytes.removeAll()
        _ = add(.nothing)
        _ = add(.end)
        start = add(.value(node: Int32(grammar.root), level: Int32(Grammar.mostLevels)))
    }

    /// Empties the tables when they are full. Only between two uses: states of before are void.
    mutating func trim() { if terms.count > Self.mostTerms || table.count > Self.mostCells { reset() } }

    // MARK: Using it

    func isComplete(_ state: Int32) -> Bool { acceptsEnd[Int(state)] }

    /// Bytes of the shortest completion.
    func length(_ state: Int32) -> Int32 { lengths[Int(state)] }

    /// What follows a byte; `nothing` when it may not.
    mutating func step(_ state: Int32, _ byte: UInt8) -> Int32 { step(state, column: columns[Int(byte)]) }

    private mutating func step(_ state: Int32, column: UInt8) -> Int32 {
        var row = Int(rows[Int(state)])
        if row < 0 {
            row = table.count
            rows[Int(state)] = Int32(truncatingIfNeeded: row)
            table += repeatElement(-1, count: samples.count)
        }
        let known = table[row + Int(column)]
        if known >= 0 { return known }
        let next = derivative(state, samples[Int(column)])
        table[row + Int(column)] = next
        return next
    }

    /// The only byte that may follow a state that is not complete; nil when there is a choice.
    mutating func forcedByte(_ state: Int32) -> UInt8? {
        if forcedBytes[Int(state)] == -2 { forcedBytes[Int(state)] = findForcedByte(state) }
        return UInt8(exactly: forcedBytes[Int(state)])
    }

    private mutating func findForcedByte(_ state: Int32) -> Int16 {
        guard !isComplete(state) else { return -1 }
        var found: Int16 = -1
        for column in samples.indices where step(state, column: UInt8(column)) != Self.nothing {
            guard found == -1, isSingle[column] else { return -1 }
            found = Int16(samples[column])
        }
        return found
    }

    /// Bytes that may follow, the one nearest to an end first; of bytes that make no difference only one.
    mutating func choices(_ state: Int32) -> [UInt8] {
        var choices: [(length: Int32, byte: UInt8)] = []
        for (column, byte) in samples.enumerated() {
            let next = step(state, column: UInt8(column))
            if next != Self.nothing { choices.append((length(next), byte)) }
        }
        return choices.sorted { $0 < $1 }.map(\.byte)
    }

    // MARK: Terms

    mutating func add(_ term: Term) -> Int32 {
        if let number = numbers[term] { return number }
        let number = Int32(truncatingIfNeeded: terms.count)
        terms.append(term)
        numbers[term] = number
        acceptsEnd.append(isNullable(term))
        lengths.append(measure(term))
        rows.append(-1)
        forcedBytes.append(-2)
        return number
    }

    private func isNullable(_ term: Term) -> Bool {
        switch term {
        case .end: true
        case .automaton(let number, let state): grammar.automata[Int(number)].accepts[Int(state)]
        case .characters(let least, _): least == 0
        case .then(let a, let b): acceptsEnd[Int(a)] && acceptsEnd[Int(b)]
        case .either(let all): all.contains { acceptsEnd[Int($0)] }
        case .value(let node, let level): grammar.shortest[Int(node)][Int(level)] == 0
        case .nothing, .bytes, .members, .items, .unique: false
        }
    }

    private func measure(_ term: Term) -> Int32 {
        switch term {
        case .nothing: Grammar.endless
        case .end: 0
        case .bytes(let from, let to): to - from
        case .automaton(let number, let state): grammar.automata[Int(number)].distance[Int(state)]
        case .characters(let least, _): least
        case .then(let a, let b): Grammar.sum(lengths[Int(a)], lengths[Int(b)])
        case .either(let all): all.map { lengths[Int($0)] }.min() ?? Grammar.endless
        case .value(let node, let level): grammar.shortest[Int(node)][Int(level)]
        case .members(let object, let index, let count, let level):
            grammar.membersLength(Int(object), Int(index), Int(count), Int(level))
        case .items(let array, let count, let level): grammar.itemsLength(Int(array), Int(count), Int(level))
        case .unique(let array, let count, let left): grammar.uniqueLength(Int(array), Int(count), left)
        }
    }

    mutating func then(_ a: Int32, _ b: Int32) -> Int32 {
        if a == Self.nothing || b == Self.nothing { return Self.nothing }
        if a == Self.end { return b }
        if b == Self.end { return a }
        if case .then(let first, let rest) = terms[Int(a)] { return then(first, then(rest, b)) }
        let number = add(.then(a, b))
        return lengths[Int(number)] >= Grammar.endless ? Self.nothing : number
    }

    mutating func either(_ all: [Int32]) -> Int32 {
        var members: Set<Int32> = []
        for term in all where lengths[Int(term)] < Grammar.endless {
            if case .either(let inner) = terms[Int(term)] { members.formUnion(inner) } else { members.insert(term) }
        }
        return members.count <= 1 ? members.first ?? Self.nothing : add(.either(members.sorted()))
    }

    mutating func literal(_ bytes: [UInt8]) -> Int32 {
        guard !bytes.isEmpty else { return Self.end }
        if let known = literals[bytes] { return add(known) }
        let term = Term.bytes(Int32(pool.count), Int32(pool.count + bytes.count))
        pool += bytes
        literals[bytes] = term
        return add(term)
    }

    mutating func sequence(_ all: [Int32]) -> Int32 { all.reversed().reduce(Self.end) { then($1, $0) } }

    mutating func automaton(_ number: Int, _ state: Int32) -> Int32 {
        let automaton = grammar.automata[number]
        guard state != ByteDFA.dead else { return Self.nothing }
        // Where nothing can follow, one end is like another.
        if automaton.isFinal(state) { return Self.end }
        return add(.automaton(Int32(number), state))
    }

    // MARK: Steps

    private mutating func derivative(_ state: Int32, _ byte: UInt8) -> Int32 {
        switch terms[Int(state)] {
        case .nothing, .end: return Self.nothing
        case .bytes(let from, let to):
            guard pool[Int(from)] == byte else { return Self.nothing }
            return from + 1 == to ? Self.end : add(.bytes(from + 1, to))
        case .automaton(let number, let place):
            return automaton(Int(number), grammar.automata[Int(number)].step(place, byte))
        case .characters(let least, let most):
            guard most > 0 else { return Self.nothing }
            let one = grammar.automata[grammar.character]
            let first = automaton(grammar.character, one.step(one.start, byte))
            guard first != Self.nothing else { return Self.nothing }
            let most = most == .max ? .max : most - 1
            return then(first, most == 0 ? Self.end : add(.characters(least: max(0, least - 1), most: most)))
        case .then(let a, let b):
            let first = then(step(a, byte), b)
            return acceptsEnd[Int(a)] ? either([first, step(b, byte)]) : first
        case .either(let all): return either(all.map { step($0, byte) })
        default: return step(expanded(state), byte)
        }
    }
}
