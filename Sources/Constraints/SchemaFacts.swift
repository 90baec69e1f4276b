import JSON

/// The kinds of value that JSON Schema tells apart.
enum ValueKind: String, CaseIterable, Sendable {
    case null, boolean, object, array, number, string

    init(_ value: JSONValue) {
        self =
            switch value {
            case .null: .null
            case .bool: .boolean
            case .number: .number
            case .string: .string
            case .array: .array
            case .object: .object
            }
    }
}

/// A subschema that speaks about a value, and where it stands.
struct SchemaPlace: Sendable {
    let pointer: String
    let schema: JSONObject
}

/// All that several schemas say about one value together.
struct SchemaFacts {
    var kinds = Set(ValueKind.allCases)
    /// What `enum` and `const` leave; nil without them.
    var values: [JSONValue]?
    var number = NumberLanguage()
    var text = StringLanguage()
    /// Those with keywords about objects, and about arrays.
    var objects: [SchemaPlace] = []
    var arrays: [SchemaPlace] = []
    /// Alternatives that are still to be chosen from: pointers of `anyOf` and `oneOf`.
    var groups: [(pointer: String, count: Int)] = []
}

/// Reads keywords of one subschema into facts. Every keyword of JSON Schema 2020-12 and its predecessors is kept, an
/// annotation, or refused by name.
struct KeywordReader {
    let place: SchemaPlace

    private static let annotations: Set<String> = [
        "$schema", "$comment", "$defs", "definitions", "$anchor", "$vocabulary", "title", "description", "default",
        "examples", "deprecated", "readOnly", "writeOnly", "contentMediaType", "contentEncoding", "contentSchema",
        // Read together with `contains`, which is refused.
        "minContains", "maxContains",
        // Read by `SchemaReader`.
        "$ref", "allOf", "anyOf", "oneOf", "$id",
    ]
    private static let ofObjects: Set<String> = [
        "properties", "required", "additionalProperties", "patternProperties", "propertyNames", "minProperties",
        "maxProperties", "unevaluatedProperties",
    ]
    private static let ofArrays: Set<String> = [
        "items", "prefixItems", "additionalItems", "minItems", "maxItems", "uniqueItems",
        "unevaluatedItems",
    ]
    private static let refused: [String: String] = [
        "not": "Say what is allowed instead", "if": "Use anyOf", "then": "Use anyOf", "else": "Use anyOf",
        "contains": "Use items or prefixItems", "dependentRequired": "Use anyOf",
        "dependentSchemas": "Use anyOf", "dependencies": "Use anyOf", "$dynamicRef": "Use $ref",
        "$recursiveRef": "Use $ref",
    ]

    func read(into facts: inout SchemaFacts) throws(GrammarError) {
        var isAboutObjects = false
        var isAboutArrays = false
        for (key, value) in place.schema {
            if Self.ofObjects.contains(key) {
                isAboutObjects = true
            } else if Self.ofArrays.contains(key) {
                isAboutArrays = true
            } else if let advice = Self.refused[key] {
                throw failure(key, "it is not supported", advice)
            } else if !Self.annotations.contains(key) {
                // What the standard does not know is an annotation by its own rule.
                try read(key, value, &facts)
            }
        }
        if isAboutObjects { facts.objects.append(place) }
        if isAboutArrays { facts.arrays.append(place) }
    }

    func failure(_ key: String, _ why: String, _ advice: String) -> GrammarError {
        GrammarError(place.pointer + JSONPointer(tokens: [key]).description, why, advice)
    }

    private func read(_ key: String, _ value: JSONValue, _ facts: inout SchemaFacts) throws(GrammarError) {
        switch key {
        case "type": try readType(value, &facts)
        case "enum":
            guard let values = value.array, !values.isEmpty else {
                throw failure(key, "it is not a list of values", "Write [\"a\", \"b\"]")
            }
            restrict(&facts, to: values)
        case "const": restrict(&facts, to: [value])
        case "minimum": facts.number.restrict(lower: Bound(value: try decimal(key, value), isExclusive: false))
        case "maximum": facts.number.restrict(upper: Bound(value: try decimal(key, value), isExclusive: false))
        case "exclusiveMinimum": facts.number.restrict(lower: Bound(value: try decimal(key, value), isExclusive: true))
        case "exclusiveMaximum": facts.number.restrict(upper: Bound(value: try decimal(key, value), isExclusive: true))
        case "multipleOf":
            guard let divisor = try decimal(key, value).smallInteger, divisor > 0 else {
                throw failure(
                    key, "only whole numbers above 0 are supported", "Use a whole number, or multiply the unit")
            }
            facts.number.divisors.insert(divisor)
        case "minLength": facts.text.least = max(facts.text.least, try count(key, value))
        case "maxLength": facts.text.most = min(facts.text.most, try count(key, value))
        case "pattern":
            guard let pattern = value.string else { throw failure(key, "it is not a string", "Write a pattern") }
            try check(pattern, key)
            facts.text.patterns.insert(pattern)
        case "format":
            guard let format = value.string else { throw failure(key, "it is not a string", "Name a format") }
            if StringFormat.refused.contains(format) {
                throw failure(
                    key, "\(format) is not supported",
                    "Use one of \(StringFormat.patterns.keys.sorted().joined(separator: ", ")), or leave it out")
            }
            // A format that the standard does not name is an annotation.
            if let pattern = StringFormat.patterns[format] { facts.text.patterns.insert(pattern) }
            if let most = StringFormat.most[format] { facts.text.most = min(facts.text.most, most) }
        default: break
        }
    }

    /// Complains about a pattern under the keyword's own name.
    func check(_ pattern: String, _ key: String) throws(GrammarError) {
        var terms = Expressions()
        do {
            _ = try PatternParser.parse(pattern, .json, into: &terms)
        } catch {
            throw GrammarError(
                "the schema's \(GrammarError.shown("\(place.pointer)/\(key)")) cannot be followed: \(error.description)"
            )
        }
    }

    private func readType(_ value: JSONValue, _ facts: inout SchemaFacts) throws(GrammarError) {
        let names = value.array?.map(\.string) ?? [value.string]
        var kinds: Set<ValueKind> = []
        var hasNumber = false
        for name in names {
            if name == "integer" {
                kinds.insert(.number)
            } else if let kind = name.flatMap(ValueKind.init(rawValue:)) {
                kinds.insert(kind)
                if kind == .number { hasNumber = true }
            } else {
                throw failure(
                    "type", "it names no type", "Use null, boolean, object, array, number, string or integer")
            }
        }
        facts.kinds.formIntersection(kinds)
        if kinds.contains(.number), !hasNumber { facts.number.isInteger = true }
    }

    private func restrict(_ facts: inout SchemaFacts, to values: [JSONValue]) {
        let known = facts.values?.map(Canonical.init)
        var seen: Set<Canonical> = []
        facts.values = values.filter { value in
            let canonical = Canonical(value)
            return seen.insert(canonical).inserted && known?.contains(canonical) ?? true
        }
    }

    private func decimal(_ key: String, _ value: JSONValue) throws(GrammarError) -> Decimal {
        guard let number = value.number, let decimal = Decimal(number) else {
            throw failure(key, "it is not a number of up to 400 digits", "Write a number")
        }
        return decimal
    }

    /// A bound of a length.
    func count(_ key: String, _ value: JSONValue) throws(GrammarError) -> Int {
        guard let number = value.number, let decimal = Decimal(number), let count = decimal.smallInteger, count >= 0
        else { throw failure(key, "it is not a whole number from 0 to 999999999", "Write a whole number") }
        return count
    }
}

/// A value by which JSON Schema calls two equal: 1 and 1.0 are, and members have no order.
struct Canonical: Hashable {
    private let text: String

    init(_ value: JSONValue) { text = Self.text(value) }

    private static func text(_ value: JSONValue) -> String {
        switch value {
        case .number(let number):
            guard let decimal = Decimal(number) else { return number.text }
            return "\(decimal.isNegative ? "-" : "")\(decimal.whole).\(decimal.fraction)"
        case .array(let all): return "[" + all.map(text).joined(separator: ",") + "]"
        case .object(let members):
            // Of equal names the last counts, as for every reader.
            var last: [String: JSONValue] = [:]
            for (key, value) in members { last[key] = value }
            let sorted = last.sorted { $0.key < $1.key }
            return "{" + sorted.map { JSONValue.string($0.key).text + ":" + text($0.value) }.joined(separator: ",")
                + "}"
        default: return value.text
        }
    }
}

extension JSONValue {
    /// JSON on one line, spaced as the rest of a constrained text.
    var spaced: [UInt8] {
        switch self {
        case .array(let all):
            return [UInt8(ascii: "[")] + all.map(\.spaced).joined(separator: Grammar.comma) + [UInt8(ascii: "]")]
        case .object(let members):
            let each = members.map { Array(JSONValue.string($0.key).text.utf8) + Grammar.colon + $0.value.spaced }
            return [UInt8(ascii: "{")] + each.joined(separator: Grammar.comma) + [UInt8(ascii: "}")]
        default: return Array(text.utf8)
        }
    }
}
