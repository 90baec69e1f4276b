import JSON

extension SchemaReader {
    /// The ways to write a value of which all is known but what is inside it.
    mutating func parts(_ facts: SchemaFacts) throws(GrammarError) -> [Grammar.Part] {
        if let values = facts.values {
            let texts = try allowed(values, facts).map(\.spaced)
            return texts.isEmpty ? [] : [.automaton(try add(.literals(texts)))]
        }
        var parts: [Grammar.Part] = []
        var words: [String] = []
        if facts.kinds.contains(.null) { words.append("null") }
        if facts.kinds.contains(.boolean) { words += ["true", "false"] }
        if !words.isEmpty { parts.append(.automaton(try add(.literals(words.map { Array($0.utf8) })))) }
        if facts.kinds.contains(.number) {
            parts.append(.automaton(try automaton(facts.number, "a number of the schema")))
        }
        if facts.kinds.contains(.string) { parts.append(try stringPart(facts.text)) }
        if facts.kinds.contains(.object), let object = try object(facts.objects) {
            grammar.objects.append(object)
            parts.append(.object(grammar.objects.count - 1))
        }
        if facts.kinds.contains(.array), let array = try array(facts.arrays) {
            grammar.arrays.append(array)
            parts.append(.array(grammar.arrays.count - 1))
        }
        return parts
    }

    private mutating func stringPart(_ text: StringLanguage) throws(GrammarError) -> Grammar.Part {
        guard text.isLengthOnly else { return .string(try automaton(text, "a string of the schema")) }
        // Nothing fits between bounds that cross; an automaton of nothing says so.
        guard text.least <= text.most else { return .automaton(try add(.literals([]))) }
        let most = text.most == .max ? Int32.max : Int32(clamping: text.most)
        // Also of a member that need not be there: once begun it must be ended.
        guard text.least <= 4096 else {
            throw GrammarError("the schema wants more than 4096 characters. Lower minLength.")
        }
        return .text(least: Int32(clamping: text.least), most: most)
    }

    /// Listed values that keep the other keywords.
    private mutating func allowed(_ values: [JSONValue], _ facts: SchemaFacts) throws(GrammarError) -> [JSONValue] {
        var allowed: [JSONValue] = []
        for value in values where try isAllowed(value, facts) { allowed.append(value) }
        return allowed
    }

    /// Whether a listed value keeps the other keywords.
    private mutating func isAllowed(_ value: JSONValue, _ facts: SchemaFacts) throws(GrammarError) -> Bool {
        guard facts.kinds.contains(ValueKind(value)) else { return false }
        switch value {
        case .number(let number): return Decimal(number).map { facts.number.contains($0) } ?? false
        case .string(let text):
            let length = text.unicodeScalars.count
            guard facts.text.least <= length, length <= facts.text.most else { return false }
            guard !facts.text.isLengthOnly else { return true }
            // Its length is known to fit, and the automaton would cut long ones.
            var language = facts.text
            (language.least, language.most) = (0, .max)
            guard let bytes = Alphabet.json.bytes(text) else { return false }
            return grammar.automata[try automaton(language, "a string of the schema")].matches(bytes)
        case .object: try refuseInside(facts.objects.first)
        case .array: try refuseInside(facts.arrays.first)
        default: break
        }
        return true
    }

    private func refuseInside(_ place: SchemaPlace?) throws(GrammarError) {
        guard let place else { return }
        throw GrammarError(
            place.pointer, "a listed object or array beside keywords about its inside is not supported",
            "Leave either out")
    }

    // MARK: Arrays

    /// Nil when not even the empty array fits.
    private mutating func array(_ places: [SchemaPlace]) throws(GrammarError) -> Grammar.ArrayRule? {
        var rule = Grammar.ArrayRule()
        var firsts: [[String]] = []
        var rests: [String?] = []
        var isUnique = false
        for place in places {
            let reader = KeywordReader(place: place)
            let (first, rest) = try elements(place)
            firsts.append(first)
            rests.append(rest)
            if let least = place.schema["minItems"] {
                rule.least = max(rule.least, try reader.count("minItems", least))
            }
            if let most = place.schema["maxItems"] { rule.most = min(rule.most, try reader.count("maxItems", most)) }
            isUnique = isUnique || place.schema["uniqueItems"]?.bool == true
        }
        guard rule.least <= 4096 else { throw GrammarError("the schema wants more than 4096 items. Lower minItems.") }
        let fixed = firsts.map(\.count).max() ?? 0
        guard fixed <= Self.mostMembers else {
            throw GrammarError("the schema has more than \(Self.mostMembers) prefixItems. Use items.")
        }
        for index in 0..<fixed {
            let all = zip(firsts, rests).compactMap { first, rest in index < first.count ? first[index] : rest }
            rule.first.append(try node(Set(all)))
        }
        let closed = places.contains { $0.schema["unevaluatedItems"].map { $0 != .bool(true) } ?? false }
        let all = Set(rests.compactMap { $0 })
        rule.rest = closed && all.isEmpty ? nil : try node(all)
        if rule.rest == nil { rule.most = min(rule.most, fixed) }
        if isUnique, rule.most > 1 { rule.unique = try uniqueValues(all, places, fixed) }
        return rule.least <= rule.most ? rule : nil
    }

    /// Pointers of the schemas of the first elements and of those behind them, in either spelling.
    private func elements(_ place: SchemaPlace) throws(GrammarError) -> ([String], String?) {
        func list(_ key: String) throws(GrammarError) -> [String] {
            guard let value = place.schema[key] else { return [] }
            guard let count = value.array?.count else {
                throw KeywordReader(place: place).failure(key, "it is not a list of schemas", "Write [{…}, {…}]")
            }
            return (0..<count).map { "\(place.pointer)/\(key)/\($0)" }
        }
        if place.schema["items"]?.array != nil {
            let rest = place.schema["additionalItems"] == nil ? nil : "\(place.pointer)/additionalItems"
            return (try list("items"), rest)
        }
        return (try list("prefixItems"), place.schema["items"] == nil ? nil : "\(place.pointer)/items")
    }

    /// The values of an array of different ones, which must be listed: those of other kinds cannot be kept apart.
    private mutating func uniqueValues(
        _ items: Set<String>, _ places: [SchemaPlace], _ fixed: Int
    ) throws(GrammarError) -> [[UInt8]] {
        let place = places.first { $0.schema["uniqueItems"] != nil } ?? places[0]
        let complaint = KeywordReader(place: place).failure(
            "uniqueItems", "it is only supported where items has enum, const or boolean, of up to 64 values",
            "List the values with enum, or leave it out")
        guard fixed == 0, items.count == 1, let pointer = items.first else { throw complaint }
        guard case .object(let schema) = try resolved(pointer) else { throw complaint }
        var facts = SchemaFacts()
        try KeywordReader(place: SchemaPlace(pointer: pointer, schema: schema)).read(into: &facts)
        for key in ["$ref", "anyOf", "oneOf", "allOf"] where schema[key] != nil { throw complaint }
        var values = facts.values
        if values == nil, facts.kinds.isSubset(of: [.boolean, .null]) {
            values = (facts.kinds.contains(.boolean) ? [.bool(true), .bool(false)] : [])
            if facts.kinds.contains(.null) { values?.append(.null) }
        }
        let allowed = try allowed(values ?? [], facts)
        guard !allowed.isEmpty, allowed.count <= 64 else { throw complaint }
        return allowed.map(\.spaced)
    }

    /// The schema that a chain of mere references ends at.
    func resolved(_ pointer: String) throws(GrammarError) -> JSONValue {
        var value = try subschema(pointer)
        for _ in 0..<100 {
            guard case .object(let schema) = value, schema.count == 1, let text = schema["$ref"]?.string,
                let target = JSONPointer(String(text.dropFirst())), let next = try? subschema(target.description)
            else { break }
            value = next
        }
        return value
    }
}
