/// What a text may be, compiled: automata for its regular parts and rules that call each other for the rest.
///
/// Independent of any vocabulary, immutable, and shared by all that follow it.
public struct Grammar: Sendable {
    /// A way to write a value.
    enum Part: Sendable {
        case automaton(Int)
        /// Between quotes.
        case string(Int)
        /// A string of which only the number of characters is bounded.
        case text(least: Int32, most: Int32)
        case object(Int)
        case array(Int)
    }

    struct Property: Sendable {
        /// `"name": `
        let head: [UInt8]
        let node: Int
        let isRequired: Bool
    }

    /// Properties are written in their order; names that are not listed come last.
    struct ObjectRule: Sendable {
        var properties: [Property] = []
        /// Automata of other names' text, and what belongs to them.
        var free: [(names: Int, node: Int)] = []
        var least = 0
        var most = Int.max
    }

    struct ArrayRule: Sendable {
        var first: [Int] = []
        /// What stands behind `first`; nil for nothing.
        var rest: Int?
        var least = 0
        var most = Int.max
        /// All values there are, each to be used once.
        var unique: [[UInt8]]?
    }

    var automata: [ByteDFA] = []
    /// The ways to write each node's value.
    var nodes: [[Part]] = []
    var objects: [ObjectRule] = []
    var arrays: [ArrayRule] = []
    var root = 0
    /// Bytes of the shortest value: (nodes, levels left); `endless` where there is none.
    private(set) var shortest: [[Int32]] = []
    /// The automaton of one character of a string.
    private(set) var character = 0

    /// Objects and arrays inside one another at most; a stack grows no deeper.
    static let mostLevels = 32
    /// Bytes that the shortest text may have: more than any context holds, and little enough to be written out.
    static let mostBytes = 1 << 16
    static let endless: Int32 = .max / 4
    /// Between members, and behind a name: one line as JSON is mostly written, and as models write it.
    static let comma = Array(", ".utf8)
    static let colon = Array(": ".utf8)

    init() {}

    /// A text that is one of `choices`.
    public init(choices: [String]) throws(GrammarError) {
        guard !choices.isEmpty, !choices.contains("") else {
            throw GrammarError("there is nothing to choose from. Name at least one text that is not empty.")
        }
        automata = [.literals(choices.map { Array($0.utf8) })]
        nodes = [[.automaton(0)]]
        try finish()
    }

    /// A text that a regular expression of ECMA-262 matches from beginning to end.
    public init(pattern: String) throws(GrammarError) {
        automata = [try StringLanguage.whole(pattern)]
        nodes = [[.automaton(0)]]
        try finish()
    }

    /// Whether names may be written that the schema does not list: they must be kept different while writing.
    var hasFreeNames: Bool { objects.contains { !$0.free.isEmpty } }

    /// Measures all nodes. Throws when nothing at all can be written.
    mutating func finish() throws(GrammarError) {
        character = automata.count
        var terms = Expressions()
        let start = terms.bytes(ByteSet(PatternParser.textStart))
        let end = terms.bytes(ByteSet(PatternParser.textEnd))
        let any = terms.character(.all, .json)
        automata.append(try terms.unmarked(terms.sequence([start, any, end]), "a character"))
        shortest = [[Int32]](
            repeating: [Int32](repeating: Self.endless, count: Self.mostLevels + 1), count: nodes.count)
        for level in 0...Self.mostLevels {
            for node in nodes.indices {
                shortest[node][level] = nodes[node].map { length($0, level) }.min() ?? Self.endless
            }
        }
        guard shortest[root][Self.mostLevels] < Self.endless else {
            throw GrammarError("no text can satisfy the constraint: its parts contradict each other. Loosen it.")
        }
        guard shortest[root][Self.mostLevels] <= Self.mostBytes else {
            throw GrammarError("the shortest text has more than \(Self.mostBytes) bytes. Lower minLength or minItems.")
        }
    }

    // MARK: Lengths of the shortest texts

    func length(_ part: Part, _ level: Int) -> Int32 {
        switch part {
        case .automaton(let number): length(automata[number])
        case .string(let number): Self.sum(length(automata[number]), 2)
        case .text(let least, _): least + 2
        case .object(let number): level == 0 ? Self.endless : Self.sum(1, membersLength(number, 0, 0, level - 1))
        case .array(let number): level == 0 ? Self.endless : Self.sum(1, itemsLength(number, 0, level - 1))
        }
    }

    private func length(_ automaton: ByteDFA) -> Int32 {
        automaton.isEmpty ? Self.endless : automaton.distance[Int(automaton.start)]
    }

    static func sum(_ lengths: Int32...) -> Int32 { min(endless, lengths.reduce(0) { min(endless, $0 + $1) }) }

    /// From property `index` on, `count` members being written, to the closing brace.
    func membersLength(_ object: Int, _ index: Int, _ count: Int, _ level: Int) -> Int32 {
        let rule = objects[object]
        var total: Int32 = 1
        var count = count
        var optional: [Int32] = []
        let comma = Int32(Self.comma.count)
        for property in rule.properties[min(index, rule.properties.count)...] {
            let length = Self.sum(Int32(property.head.count), shortest[property.node][level])
            guard property.isRequired else {
                optional.append(length)
                continue
            }
            total = Self.sum(total, length, count > 0 ? comma : 0)
            count += 1
        }
        guard count <= rule.most, rule.least <= rule.most else { return Self.endless }
        guard count < rule.least else { return total }
        optional.sort()
        for length in optional.prefix(rule.least - count) where length < Self.endless {
            total = Self.sum(total, length, count > 0 ? comma : 0)
            count += 1
        }
        let free =
            rule.free.map { free in
                Self.sum(2 + Int32(Self.colon.count), length(automata[free.names]), shortest[free.node][level])
            }.min() ?? Self.endless
        while count < rule.least, total < Self.endless {
            total = Self.sum(total, free, count > 0 ? comma : 0)
            count += 1
        }
        return total
    }

    /// From element `count` on to the closing bracket.
    func itemsLength(_ array: Int, _ count: Int, _ level: Int) -> Int32 {
        let rule = arrays[array]
        if let values = rule.unique { return uniqueLength(array, count, UInt64.max >> UInt64(64 - values.count)) }
        var total: Int32 = 1
        guard count < rule.least else { return total }
        for index in count..<rule.least where total < Self.endless {
            let node = index < rule.first.count ? rule.first[index] : rule.rest
            total = Self.sum(
                total, node.map { shortest[$0][level] } ?? Self.endless, index > 0 ? Int32(Self.comma.count) : 0)
        }
        return total
    }

    /// The same of an array of different values, of which those in `left` are not used yet.
    func uniqueLength(_ array: Int, _ count: Int, _ left: UInt64) -> Int32 {
        let rule = arrays[array]
        let values = (rule.unique ?? []).enumerated().filter { left >> UInt64($0.offset) & 1 == 1 }
        let need = max(0, rule.least - count)
        guard values.count >= need else { return Self.endless }
        let commas = max(0, count > 0 ? need : need - 1) * Self.comma.count
        return Int32(clamping: values.map(\.element.count).sorted().prefix(need).reduce(1 + commas, +))
    }
}
