import GGUF

/// Filters, as far as published chat templates use them.
extension JinjaRenderer {
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
}
