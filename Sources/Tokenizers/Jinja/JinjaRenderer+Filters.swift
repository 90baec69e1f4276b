import GGUF

/// Filters, tests and methods, as far as published chat templates use them.
extension JinjaRenderer {
    static let textMethods: Set<String> = [
        "strip", "lstrip", "rstrip", "split", "startswith", "endswith", "upper", "lower", "title", "capitalize",
        "replace", "join", "find", "removeprefix", "removesuffix",
    ]
    /// Each piece of a split text is an object of its own.
    private static let mostPieces = 1 << 16
    static let dictMethods: Set<String> = ["items", "keys", "values", "get"]

    mutating func method(
        _ receiver: JinjaValue, _ name: String, _ arguments: JinjaArguments
    ) throws(JinjaError) -> JinjaValue {
        switch receiver {
        case .text(let text): return try method(text, name, arguments)
        case .dict(let dict):
            switch name {
            case "items":
                try count(objects: dict.entries.count)
                return .list(zip(try keys(of: dict), dict.entries).map { .list([$0, $1.value]) })
            case "keys": return .list(try keys(of: dict))
            case "values":
                try count(values: dict.entries.count)
                return .list(dict.entries.map(\.value))
            default:
                guard let key = JinjaDict.key(arguments.first) else { throw JinjaError("'get' takes a text") }
                return dict[key] ?? arguments[1, "default"] ?? .none
            }
        default: throw JinjaError("there is no method \(quoted(name))")
        }
    }

    private mutating func method(
        _ text: JinjaText, _ name: String, _ arguments: JinjaArguments
    ) throws(JinjaError) -> JinjaValue {
        try count(text.units.count)
        func optional(_ index: Int) throws(JinjaError) -> JinjaText? {
            switch arguments[index, ["sep", "maxsplit"][min(index, 1)]] {
            case .text(let text)?: return text
            case nil, .none?: return nil
            default: throw JinjaError("\(quoted(name)) takes a text")
            }
        }
        func required(_ index: Int) throws(JinjaError) -> JinjaText {
            guard let text = try optional(index) else { throw JinjaError("\(quoted(name)) takes a text") }
            return text
        }
        switch name {
        case "strip": return .text(text.stripped(try optional(0)))
        case "lstrip": return .text(text.stripped(try optional(0), right: false))
        case "rstrip": return .text(text.stripped(try optional(0), left: false))
        case "split":
            var most = Int.max
            if case .int(let number)? = arguments[1, "maxsplit"], number >= 0 { most = number }
            let separator = try optional(0)
            if let separator { try countSearch(of: separator, in: text) }
            let pieces = text.split(separator, most: min(most, Self.mostPieces))
            guard pieces.count <= Self.mostPieces else { throw JinjaError("it splits a text into too many pieces") }
            try count(objects: pieces.count)
            return .list(pieces.map { .text($0) })
        case "startswith": return .bool(try starts(text, arguments.first, atEnd: false))
        case "endswith": return .bool(try starts(text, arguments.first, atEnd: true))
        case "removeprefix":
            let prefix = try required(0)
            return .text(text.has(prefix, at: 0) ? JinjaText(text.units.dropFirst(prefix.units.count)) : text)
        case "removesuffix":
            let suffix = try required(0)
            let isThere = text.has(suffix, at: text.units.count - suffix.units.count)
            return .text(isThere ? JinjaText(text.units.dropLast(suffix.units.count)) : text)
        case "find": return .int(try position(of: try required(0), in: text) ?? -1)
        case "replace": return try replace(text, try required(0), try required(1))
        case "join": return try join(elements(of: arguments.first), text)
        default: return try made(changed(text, name))
        }
    }

    private mutating func starts(
        _ text: JinjaText, _ with: JinjaValue, atEnd: Bool
    ) throws(JinjaError) -> Bool {
        // Lists that hold the same list twice, level by level, are walked in exponential time.
        try step()
        switch with {
        case .text(let part):
            try count(part.units.count)
            return text.has(part, at: atEnd ? text.units.count - part.units.count : 0)
        case .list(let parts):
            for part in parts.items { if try starts(text, part, atEnd: atEnd) { return true } }
            return false
        default: throw JinjaError("a text is to begin with what is none")
        }
    }

    /// `upper`, `lower`, `title`, `capitalize`.
    private func changed(_ text: JinjaText, _ name: String) -> JinjaText {
        var isInside = false
        return text.mapped { scalar in
            defer { isInside = name == "title" ? scalar.properties.isAlphabetic : true }
            switch name {
            case "upper": return scalar.properties.uppercaseMapping
            case "lower": return scalar.properties.lowercaseMapping
            default: return isInside ? scalar.properties.lowercaseMapping : scalar.properties.titlecaseMapping
            }
        }
    }

    private mutating func replace(
        _ text: JinjaText, _ old: JinjaText, _ new: JinjaText
    ) throws(JinjaError) -> JinjaValue {
        guard !old.units.isEmpty else { throw JinjaError("'replace' looks for nothing") }
        try countSearch(of: old, in: text)
        var units: [UInt32] = []
        var start = 0
        while let end = text.position(of: old, from: start) {
            try count(end - start + new.units.count)
            units += text.units[start..<end]
            units += new.units
            start = end + old.units.count
        }
        units += text.units[start...]
        return try made(JinjaText(units))
    }

    private mutating func join(_ parts: [JinjaValue], _ separator: JinjaText) throws(JinjaError) -> JinjaValue {
        var units: [UInt32] = []
        for (index, part) in parts.enumerated() {
            let text = try text(of: part)
            try count(text.units.count + separator.units.count)
            if index > 0 { units += separator.units }
            units += text.units
        }
        return .text(JinjaText(units))
    }

    // MARK: Filters

    mutating func filter(
        _ value: JinjaValue, _ name: String, _ arguments: JinjaArguments
    ) throws(JinjaError) -> JinjaValue {
        switch name {
        case "trim", "strip": return .text(try text(of: value).stripped())
        case "upper", "lower", "title", "capitalize": return try made(changed(try text(of: value), name))
        case "length", "count": return .int(try length(value))
        case "string": return .text(try text(of: value))
        case "safe": return value
        case "default", "d":
            if case .undefined = value { return arguments.positional.first ?? .text("") }
            let isStrict = arguments[1, "boolean"]?.isTrue ?? false
            return isStrict && !value.isTrue ? arguments.first : value
        case "tojson": return try made(JinjaText(json(value, 0)))
        case "join":
            let separator = arguments[0, "d"] ?? .text("")
            return try join(elements(of: value), try text(of: separator))
        case "replace":
            guard case .text(let old) = arguments.first, case .text(let new)? = arguments[1, "new"] else {
                throw JinjaError("'replace' takes two texts")
            }
            return try replace(try text(of: value), old, new)
        case "int":
            if let number = value.number, abs(number) < 1e15 { return .int(Int(number)) }
            return .int(Int(try text(of: value).stripped().string) ?? 0)
        case "items": return try method(value, "items", arguments)
        case "dictsort":
            guard case .dict(let dict) = value else { throw JinjaError("'dictsort' sorts what is none") }
            return try method(
                .dict(JinjaDict(dict.entries.sorted { Self.precedes($0.key, $1.key) })), "items", arguments)
        case "list", "first", "last", "reverse", "unique", "select", "reject", "selectattr", "rejectattr", "map":
            // Nothing is as good as an empty list to them.
            if case .none = value { return try listFilter([], name, arguments) }
            return try listFilter(elements(of: value), name, arguments)
        default: throw JinjaError("it uses the filter \(quoted(name))")
        }
    }

    private static func precedes(_ left: String, _ right: String) -> Bool {
        if case .int(let left) = JinjaDict.value(left), case .int(let right) = JinjaDict.value(right) {
            return left < right
        }
        return left < right
    }

    private mutating func listFilter(
        _ items: [JinjaValue], _ name: String, _ arguments: JinjaArguments
    ) throws(JinjaError) -> JinjaValue {
        try count(values: items.count)
        switch name {
        case "list": return .list(items)
        case "first": return items.first ?? .undefined
        case "last": return items.last ?? .undefined
        case "reverse": return .list(items.reversed())
        case "unique":
            var kept: [JinjaValue] = []
            for item in items { if try !binary("in", item, .list(kept)).isTrue { kept.append(item) } }
            return .list(kept)
        default: break
        }
        var kept: [JinjaValue] = []
        for item in items {
            if name == "map" {
                kept.append(try mapped(item, arguments))
                continue
            }
            let isAttribute = name.hasSuffix("attr")
            var rest = arguments.positional[...]
            var subject = item
            if isAttribute { subject = try element(item, rest.popFirst() ?? .undefined) }
            var passes = subject.isTrue
            if let test = rest.popFirst() {
                passes = try self.test(subject, try text(of: test).string, JinjaArguments(positional: Array(rest)))
            }
            if passes == name.hasPrefix("select") { kept.append(item) }
        }
        return .list(kept)
    }

    private mutating func mapped(_ item: JinjaValue, _ arguments: JinjaArguments) throws(JinjaError) -> JinjaValue {
        if let name = arguments.named["attribute"] {
            let value = try element(item, name)
            if case .undefined = value, let standard = arguments.named["default"] { return standard }
            return value
        }
        // `map('map', 'map', …)` goes one deeper with each, and a character has itself as its only element.
        try descend()
        defer { depth -= 1 }
        let rest = JinjaArguments(positional: Array(arguments.positional.dropFirst()))
        return try filter(item, try text(of: arguments.first).string, rest)
    }

    private mutating func length(_ value: JinjaValue) throws(JinjaError) -> Int {
        switch value {
        case .text(let text): text.units.count
        case .list(let list): list.items.count
        case .dict(let dict): dict.entries.count
        case .undefined: 0
        default: throw JinjaError("'length' is asked of what has none")
        }
    }

    /// JSON as Python's json.dumps spaces it.
    private mutating func json(_ value: JinjaValue, _ depth: Int) throws(JinjaError) -> [UInt32] {
        guard depth < 20 else { throw JinjaError("a value nests too deep") }
        try count(1)
        var units: [UInt32] = []
        func literal(_ text: String) { units += text.unicodeScalars.map(\.value) }
        switch value {
        case .undefined, .none, .function: literal("null")
        case .bool(let value): literal(value ? "true" : "false")
        case .int(let number): literal(String(number))
        case .float(let number): literal(String(number))
        case .text(let text):
            try count(text.units.count)
            units = Self.jsonText(text)
        case .list(let list):
            literal("[")
            for (index, item) in list.items.enumerated() {
                if index > 0 { literal(", ") }
                units += try json(item, depth + 1)
            }
            literal("]")
        case .dict(let dict):
            literal("{")
            for (index, entry) in dict.entries.enumerated() {
                if index > 0 { literal(", ") }
                units += Self.jsonText(JinjaText(entry.key))
                literal(": ")
                units += try json(entry.value, depth + 1)
            }
            literal("}")
        }
        return units
    }

    private static func jsonText(_ text: JinjaText) -> [UInt32] {
        let inside = text.mapped { scalar in
            switch scalar {
            case "\"": return "\\\""
            case "\\": return "\\\\"
            case "\n": return "\\n"
            case "\r": return "\\r"
            case "\t": return "\\t"
            default:
                guard scalar.value < 0x20 else { return String(Character(scalar)) }
                return "\\u00" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
            }
        }
        return [0x22] + inside.units + [0x22]
    }

    // MARK: Tests

    mutating func test(_ value: JinjaValue, _ name: String, _ arguments: JinjaArguments) throws(JinjaError) -> Bool {
        switch (name, value) {
        case ("defined", .undefined): return false
        case ("defined", _): return true
        case ("undefined", .undefined): return true
        case ("none", .none): return true
        case ("string", .text), ("mapping", .dict), ("boolean", .bool), ("integer", .int), ("float", .float):
            return true
        case ("number", _): return value.number != nil
        case ("iterable", .text), ("iterable", .list), ("iterable", .dict): return true
        case ("sequence", .text), ("sequence", .list), ("sequence", .dict): return true
        case ("callable", .function): return true
        case ("true", .bool(let value)): return value
        case ("false", .bool(let value)): return !value
        case ("equalto", _), ("eq", _), ("==", _), ("sameas", _): return try isEqual(value, arguments.first)
        case ("ne", _), ("!=", _): return try !isEqual(value, arguments.first)
        case ("in", _): return try binary("in", value, arguments.first).isTrue
        case ("odd", .int(let number)): return number % 2 != 0
        case ("even", .int(let number)): return number % 2 == 0
        case ("divisibleby", .int(let number)):
            guard case .int(let by) = arguments.first, by > 0 else { throw JinjaError("a number cannot divide") }
            return number % by == 0
        case ("undefined", _), ("none", _), ("string", _), ("mapping", _), ("boolean", _), ("integer", _), ("float", _),
            ("iterable", _), ("sequence", _), ("callable", _), ("true", _), ("false", _):
            return false
        default: throw JinjaError("it uses the test \(quoted(name))")
        }
    }
}
