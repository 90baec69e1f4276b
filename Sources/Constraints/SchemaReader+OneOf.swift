import JSON

extension SchemaReader {
    /// Refuses a `oneOf` unless no value that is produced for one branch can satisfy another.
    ///
    /// That holds when their kinds differ; when listed values differ; or when, for objects, one branch requires a name
    /// that the other never has, or a common name tells them apart.
    mutating func checkExclusive(_ pointer: String, _ nodes: [Int]) throws(GrammarError) {
        for (index, first) in nodes.enumerated() {
            for (offset, second) in nodes[(index + 1)...].enumerated() {
                for a in leaves(first) {
                    for b in leaves(second) where !areDisjoint(a, b, depth: 0) {
                        throw GrammarError(
                            pointer, "its branches \(index) and \(index + 1 + offset) may hold for the same value",
                            "Use anyOf, or give the branches a required property with different const values")
                    }
                }
            }
        }
    }

    /// Each pair is compared once: objects that refer to each other would be compared along every way.
    private mutating func areDisjoint(_ a: Int, _ b: Int, depth: Int) -> Bool {
        guard a != b, depth < 8 else { return false }
        let pair = [a, b, depth]
        if let known = disjoint[pair] { return known }
        let result = compare(a, b, depth)
        disjoint[pair] = result
        return result
    }

    private mutating func compare(_ a: Int, _ b: Int, _ depth: Int) -> Bool {
        let (first, second) = (facts[a], facts[b])
        if let some = first.values, let others = second.values {
            let known = Set(others.map(Canonical.init))
            return !some.contains { known.contains(Canonical($0)) }
        }
        // Of listed values only their kinds are compared with what is not listed.
        func kinds(_ facts: SchemaFacts) -> Set<ValueKind> {
            facts.values.map { facts.kinds.intersection($0.map(ValueKind.init)) } ?? facts.kinds
        }
        let common = kinds(first).intersection(kinds(second))
        return common.isEmpty || common == [.object] && objectsAreDisjoint(a, b, depth)
    }

    private mutating func objectsAreDisjoint(_ a: Int, _ b: Int, _ depth: Int) -> Bool {
        guard let first = objectRule(a), let second = objectRule(b) else { return false }
        func isMissing(_ property: Grammar.Property, in rule: Grammar.ObjectRule) -> Bool {
            property.isRequired && rule.free.isEmpty && !rule.properties.contains { $0.head == property.head }
        }
        // What is produced for either branch must break the other: by a name that it lacks, or one it has too much.
        let lacksInSecond = first.properties.contains { isMissing($0, in: second) }
        let lacksInFirst = second.properties.contains { isMissing($0, in: first) }
        if lacksInSecond && (lacksInFirst || isClosed(b)) || lacksInFirst && isClosed(a) { return true }
        for property in first.properties where property.isRequired {
            guard let other = second.properties.first(where: { $0.head == property.head }), other.isRequired else {
                continue
            }
            if areApart(leaves(property.node), leaves(other.node), depth + 1) { return true }
        }
        return false
    }

    private mutating func areApart(_ some: [Int], _ others: [Int], _ depth: Int) -> Bool {
        for one in some {
            for other in others where !areDisjoint(one, other, depth: depth) { return false }
        }
        return true
    }

    /// Whether a validator refuses names that the rule does not have.
    private func isClosed(_ node: Int) -> Bool {
        facts[node].objects.contains {
            $0.schema["additionalProperties"] == .bool(false) && $0.schema["patternProperties"] == nil
        }
    }

    private func objectRule(_ node: Int) -> Grammar.ObjectRule? {
        for case .object(let number) in grammar.nodes[node] { return grammar.objects[number] }
        return nil
    }
}
