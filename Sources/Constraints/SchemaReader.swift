import JSON
import Linux

extension Grammar {
    /// What a schema may cost, so that one of a kilobyte cannot ask for a gigabyte or for minutes.
    public struct Limits: Sendable, Equatable {
        /// Bytes of its text.
        public var bytes: Int
        /// Combinations of subschemas.
        public var nodes: Int
        /// States of the automata of strings and numbers, all together.
        public var states: Int

        /// For schemas that the owner of the machine has written.
        public static let standard = Limits(bytes: 1 << 20, nodes: 2000, states: 200_000)
        /// For those in a message, which events wait behind while it is compiled: half a second on a fast core at most,
        /// some seconds on a small board, as an answer takes.
        public static let request = Limits(bytes: 16 << 10, nodes: 200, states: 20_000)
    }

    /// JSON that a schema allows, on one line.
    ///
    /// Everything it produces is valid; not everything valid is produced: members come in the schema's order, names that
    /// it does not list only where it asks for them, numbers without exponent. Throws when a keyword cannot be kept.
    public init(schema: JSONValue, limits: Limits = .standard) throws(GrammarError) {
        var reader = SchemaReader(schema, limits)
        self = try reader.compile()
    }

    /// The same of a schema's text.
    public init(schema text: [UInt8], limits: Limits = .standard) throws(GrammarError) {
        guard text.count <= limits.bytes else {
            throw GrammarError("the schema has \(text.count) bytes, more than \(limits.bytes). Split it.")
        }
        let value: JSONValue
        do throws(JSONError) {
            value = try JSONValue(parsing: text)
        } catch {
            throw GrammarError("the schema is \(error). Correct it there.")
        }
        self = try Grammar(schema: value, limits: limits)
    }
}

/// Turns a schema into a grammar: a node for each set of subschemas that must hold together.
struct SchemaReader {
    private let root: JSONValue
    private let limits: Grammar.Limits
    var grammar = Grammar()
    /// Which schemas a node is about, and the alternatives chosen for it.
    private struct Key: Hashable {
        var pointers: Set<String>
        var chosen: Set<String> = []
    }
    private var ids: [Key: Int] = [:]
    private var keys: [Key] = []
    /// For each node the nodes it is one of; empty for a node with parts of its own.
    private var branches: [[Int]] = []
    /// Nodes behind each branch of `oneOf`, to be compared when all is known.
    private var exclusive: [(pointer: String, nodes: [Int])] = []
    var facts: [SchemaFacts] = []
    /// Pairs of nodes that were compared for `oneOf`, at a depth.
    var disjoint: [[Int]: Bool] = [:]
    private var strings: [StringLanguage: Int] = [:]
    private var numbers: [NumberLanguage: Int] = [:]
    private var sound: Set<String> = []

    private static let mostReferences = 100
    static let mostMembers = 256

    init(_ root: JSONValue, _ limits: Grammar.Limits) {
        self.root = root
        self.limits = limits
    }

    mutating func compile() throws(GrammarError) -> Grammar {
        grammar.root = try node([""])
        var at = 0
        while at < keys.count {
            try fill(at)
            at += 1
        }
        for group in exclusive { try checkExclusive(group.pointer, group.nodes) }
        let own = grammar.nodes
        for node in own.indices { grammar.nodes[node] = leaves(node).flatMap { own[$0] } }
        try grammar.finish()
        return grammar
    }

    // MARK: Nodes

    /// The node of a value for which all these subschemas hold.
    mutating func node(_ pointers: Set<String>) throws(GrammarError) -> Int { try node(Key(pointers: pointers)) }

    private mutating func node(_ key: Key) throws(GrammarError) -> Int {
        if let id = ids[key] { return id }
        guard keys.count < limits.nodes else {
            throw GrammarError("the schema has more than \(limits.nodes) combinations of subschemas. Simplify it.")
        }
        ids[key] = keys.count
        keys.append(key)
        branches.append([])
        facts.append(SchemaFacts())
        grammar.nodes.append([])
        return keys.count - 1
    }

    /// Nodes with parts of their own that a node stands for.
    func leaves(_ node: Int) -> [Int] {
        var seen: Set<Int> = [node]
        var found: [Int] = []
        var queue = [node]
        while let next = queue.popLast() {
            if branches[next].isEmpty { found.append(next) }
            for branch in branches[next].reversed() where seen.insert(branch).inserted { queue.append(branch) }
        }
        return found
    }

    private mutating func fill(_ node: Int) throws(GrammarError) {
        let key = keys[node]
        var facts = SchemaFacts()
        var seen: Set<String> = []
        for pointer in key.pointers.sorted() { try collect(pointer, key.chosen, &facts, &seen, depth: 0) }
        self.facts[node] = facts
        guard let group = facts.groups.first else {
            grammar.nodes[node] = try parts(facts)
            return
        }
        let isExclusive = group.pointer.hasSuffix("/oneOf")
        for index in 0..<group.count {
            var choice = key
            choice.pointers.insert("\(group.pointer)/\(index)")
            choice.chosen.insert(group.pointer)
            branches[node].append(try self.node(choice))
        }
        if isExclusive { exclusive.append((group.pointer, branches[node])) }
    }

    /// Adds what the schema at `pointer`, and those it refers to, say.
    private mutating func collect(
        _ pointer: String, _ chosen: Set<String>, _ facts: inout SchemaFacts, _ seen: inout Set<String>, depth: Int
    ) throws(GrammarError) {
        guard seen.insert(pointer).inserted else { return }
        guard depth < Self.mostReferences else {
            throw GrammarError(pointer, "references are nested deeper than \(Self.mostReferences)", "Simplify it")
        }
        try checkSound(pointer, [])
        let schema: JSONObject
        switch try subschema(pointer) {
        case .bool(true): return
        case .bool(false):
            facts.kinds = []
            return
        case .object(let object): schema = object
        default: throw GrammarError(pointer, "a schema must be an object, true or false", "Correct it")
        }
        if schema["$id"] != nil, !pointer.isEmpty {
            throw GrammarError("\(pointer)/$id", "schemas inside the schema are not supported", "Leave it out")
        }
        try KeywordReader(place: SchemaPlace(pointer: pointer, schema: schema)).read(into: &facts)
        for target in try sameValue(pointer, schema) {
            try collect(target, chosen, &facts, &seen, depth: depth + 1)
        }
        for key in ["anyOf", "oneOf"] {
            guard let group = schema[key] else { continue }
            guard let count = group.array?.count, count > 0 else {
                throw GrammarError("\(pointer)/\(key)", "it is not a list of schemas", "Write [{…}, {…}]")
            }
            let place = "\(pointer)/\(key)"
            if !chosen.contains(place) { facts.groups.append((place, count)) }
        }
    }

    /// Pointers of the schemas that hold for the same value whatever is chosen.
    private func sameValue(_ pointer: String, _ schema: JSONObject) throws(GrammarError) -> [String] {
        var targets: [String] = []
        if let reference = schema["$ref"] { targets.append(try target(reference, "\(pointer)/$ref")) }
        if let all = schema["allOf"] {
            guard let count = all.array?.count else {
                throw GrammarError("\(pointer)/allOf", "it is not a list of schemas", "Write [{…}, {…}]")
            }
            targets += (0..<count).map { "\(pointer)/allOf/\($0)" }
        }
        return targets
    }

    /// Refuses a schema that leads back to itself without a value in between.
    private mutating func checkSound(_ pointer: String, _ path: [String]) throws(GrammarError) {
        guard !path.contains(pointer) else {
            throw GrammarError(pointer, "it refers to itself without an object or array in between", "Break the circle")
        }
        guard path.count < Self.mostReferences else {
            throw GrammarError(pointer, "references are nested deeper than \(Self.mostReferences)", "Simplify it")
        }
        guard !sound.contains(pointer) else { return }
        if case .object(let schema) = try subschema(pointer) {
            var targets = try sameValue(pointer, schema)
            for key in ["anyOf", "oneOf"] {
                targets += (0..<(schema[key]?.array?.count ?? 0)).map { "\(pointer)/\(key)/\($0)" }
            }
            for target in targets { try checkSound(target, path + [pointer]) }
        }
        sound.insert(pointer)
    }

    // MARK: References

    func subschema(_ pointer: String) throws(GrammarError) -> JSONValue {
        guard let value = JSONPointer(pointer).flatMap({ root[$0] }) else {
            throw GrammarError(pointer, "there is no such schema", "Correct the reference")
        }
        return value
    }

    private func target(_ reference: JSONValue, _ place: String) throws(GrammarError) -> String {
        guard let text = reference.string, text.hasPrefix("#") else {
            throw GrammarError(place, "only references inside the schema are supported", "Write #/$defs/NAME")
        }
        guard let pointer = Self.percentDecoded(text.dropFirst()), let parsed = JSONPointer(pointer) else {
            throw GrammarError(place, "it is not a JSON Pointer", "Write #/$defs/NAME")
        }
        guard root[parsed] != nil else {
            throw GrammarError(place, "there is nothing at \(oneLine(text, most: 200))", "Correct the reference")
        }
        return parsed.description
    }

    private static func percentDecoded(_ text: Substring) -> String? {
        guard text.contains("%") else { return String(text) }
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else {
                return nil
            }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    // MARK: Automata

    mutating func automaton(_ language: StringLanguage, _ what: String) throws(GrammarError) -> Int {
        if let known = strings[language] { return known }
        strings[language] = try add(try language.automaton(what))
        return grammar.automata.count - 1
    }

    mutating func automaton(_ language: NumberLanguage, _ what: String) throws(GrammarError) -> Int {
        if let known = numbers[language] { return known }
        numbers[language] = try add(try language.automaton(what))
        return grammar.automata.count - 1
    }

    mutating func add(_ automaton: ByteDFA) throws(GrammarError) -> Int {
        grammar.automata.append(automaton)
        guard grammar.automata.reduce(0, { $0 + $1.stateCount }) < limits.states else {
            throw GrammarError("the schema's strings and numbers are too complex together. Use simpler patterns.")
        }
        return grammar.automata.count - 1
    }
}
