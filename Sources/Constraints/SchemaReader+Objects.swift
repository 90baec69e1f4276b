import JSON

extension SchemaReader {
    /// What all schemas say about an object; nil when they leave none.
    mutating func object(_ places: [SchemaPlace]) throws(GrammarError) -> Grammar.ObjectRule? {
        var rule = Grammar.ObjectRule()
        var parts: [ObjectFacts] = []
        for place in places { parts.append(try ObjectFacts(place)) }
        for part in parts {
            rule.least = max(rule.least, part.least)
            rule.most = min(rule.most, part.most)
        }
        let required = Set(parts.flatMap(\.required))
        var names: [String] = []
        var known: Set<String> = []
        for name in parts.flatMap(\.names) + parts.flatMap(\.required) where known.insert(name).inserted {
            names.append(name)
        }
        guard names.count <= Self.mostMembers else {
            throw GrammarError("an object of the schema has more than \(Self.mostMembers) properties. Split it.")
        }
        var nameFacts = StringLanguage()
        for part in parts { try restrict(&nameFacts, part.nameSchema) }
        let isClosed = parts.contains(where: \.isClosed)
        for name in names {
            var pointers: Set<String> = []
            for part in parts { pointers.formUnion(try self.pointers(of: name, part)) }
            guard try fits(name, nameFacts), !(isClosed && pointers.isEmpty) else {
                if required.contains(name) { return nil }
                continue
            }
            let head = Array(JSONValue.string(name).text.utf8) + Grammar.colon
            let property = Grammar.Property(
                head: head, node: try node(pointers), isRequired: required.contains(name))
            rule.properties.append(property)
        }
        let asked = parts.contains { $0.asksForNames } || names.isEmpty || rule.least > names.count
        if asked { rule.free = try freeNames(parts, except: known, nameFacts, isClosed) }
        return rule
    }

    private mutating func restrict(_ names: inout StringLanguage, _ pointer: String?) throws(GrammarError) {
        guard let pointer else { return }
        let complaint = GrammarError(
            pointer, "only pattern, format, minLength, enum and $ref to such are supported for names", "Simplify it")
        let value = try resolved(pointer)
        if value == .bool(true) { return }
        guard case .object(let schema) = value else { throw complaint }
        var facts = SchemaFacts()
        try KeywordReader(place: SchemaPlace(pointer: pointer, schema: schema)).read(into: &facts)
        for key in ["$ref", "anyOf", "oneOf", "allOf"] where schema[key] != nil { throw complaint }
        names.patterns.formUnion(facts.text.patterns)
        names.least = max(names.least, facts.text.least)
        names.most = min(names.most, facts.text.most)
        if !facts.kinds.contains(.string) { names.only = [] }
        if let values = facts.values {
            let texts = values.compactMap(\.string)
            names.only = names.only.map { $0.filter(texts.contains) } ?? texts
        }
    }

    private mutating func fits(_ name: String, _ names: StringLanguage) throws(GrammarError) -> Bool {
        let length = name.unicodeScalars.count
        guard names.least <= length, length <= names.most else { return false }
        var language = names
        (language.least, language.most) = (0, .max)
        if language.isLengthOnly { return true }
        guard let bytes = Alphabet.json.bytes(name) else {
            throw GrammarError("the schema matches names with control characters against a pattern. Rename them.")
        }
        return grammar.automata[try automaton(language, "the names of the schema")].matches(bytes)
    }

    /// Pointers of the schemas that one part has for the value of `name`.
    private mutating func pointers(of name: String, _ part: ObjectFacts) throws(GrammarError) -> [String] {
        var found: [String] = []
        if part.names.contains(name) {
            found.append(part.pointer + JSONPointer(tokens: ["properties", name]).description)
        }
        for pattern in part.patterns where try fits(name, StringLanguage(patterns: [pattern])) {
            found.append(part.pointer + JSONPointer(tokens: ["patternProperties", pattern]).description)
        }
        if found.isEmpty, part.hasAdditional { found.append(part.pointer + "/additionalProperties") }
        return found
    }

    /// Names that are not listed: those of one pattern each, and those of none. Names of two patterns are not produced.
    private mutating func freeNames(
        _ parts: [ObjectFacts], except names: Set<String>, _ facts: StringLanguage, _ isClosed: Bool
    ) throws(GrammarError) -> [(names: Int, node: Int)] {
        let patterns = Set(parts.flatMap(\.patterns)).sorted()
        var free: [(names: Int, node: Int)] = []
        for pattern in patterns.map(Optional.some) + [nil] {
            var language = facts
            language.except = names
            language.least = max(1, language.least)
            language.exceptPatterns = Set(patterns.filter { $0 != pattern })
            if let pattern { language.patterns.insert(pattern) }
            var pointers: Set<String> = []
            for part in parts {
                if let pattern, part.patterns.contains(pattern) {
                    let tokens = ["patternProperties", pattern]
                    pointers.insert(part.pointer + JSONPointer(tokens: tokens).description)
                } else if part.hasAdditional {
                    pointers.insert(part.pointer + "/additionalProperties")
                }
            }
            if isClosed, pointers.isEmpty { continue }
            if pointers.contains(where: { (try? subschema($0)) == .bool(false) }) { continue }
            let number = try automaton(language, "the names of the schema")
            guard !grammar.automata[number].isEmpty else { continue }
            // Names are kept different while writing, which must never leave a name without an end.
            guard grammar.automata[number].isEndlessEverywhere else {
                throw GrammarError(
                    parts.first?.pointer ?? "", "it allows only so many names that it does not list",
                    "List them under properties, with additionalProperties false")
            }
            free.append((number, try node(pointers)))
        }
        return free
    }
}

/// The keywords of one schema about objects.
struct ObjectFacts {
    let pointer: String
    private(set) var names: [String] = []
    private(set) var required: [String] = []
    private(set) var patterns: [String] = []
    let hasAdditional: Bool
    /// Whether the schema speaks of names that it does not list, and allows some.
    private(set) var asksForNames = false
    private(set) var nameSchema: String?
    private(set) var isClosed = false
    private(set) var least = 0
    private(set) var most = Int.max

    init(_ place: SchemaPlace) throws(GrammarError) {
        pointer = place.pointer
        let schema = place.schema
        let reader = KeywordReader(place: place)
        func members(_ key: String) throws(GrammarError) -> [String] {
            guard let value = schema[key] else { return [] }
            guard let object = value.object else {
                throw reader.failure(key, "it is not an object of schemas", "Write {\"name\": {…}}")
            }
            return object.map(\.key)
        }
        hasAdditional = schema["additionalProperties"] != nil
        names = try members("properties")
        patterns = try members("patternProperties")
        for pattern in patterns { try reader.check(pattern, "patternProperties") }
        if let value = schema["required"] {
            guard let array = value.array, array.allSatisfy({ $0.string != nil }) else {
                throw reader.failure("required", "it is not a list of names", "Write [\"a\", \"b\"]")
            }
            required = array.compactMap(\.string)
        }
        if schema["propertyNames"] != nil { nameSchema = pointer + "/propertyNames" }
        if let value = schema["minProperties"] { least = try reader.count("minProperties", value) }
        if let value = schema["maxProperties"] { most = try reader.count("maxProperties", value) }
        guard least <= 256 else { throw reader.failure("minProperties", "it is more than 256", "Lower it") }
        let additional = schema["additionalProperties"]
        asksForNames = !patterns.isEmpty || additional != nil && additional != .bool(false)
        isClosed = schema["unevaluatedProperties"].map { $0 != .bool(true) } ?? false
    }
}
