import GGUF

/// Methods of texts and dictionaries, as far as published chat templates use them.
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
    func changed(_ text: JinjaText, _ name: String) -> JinjaText {
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

    mutating func replace(
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

    mutating func join(_ parts: [JinjaValue], _ separator: JinjaText) throws(JinjaError) -> JinjaValue {
        var units: [UInt32] = []
        for (index, part) in parts.enumerated() {
            let text = try text(of: part)
            try count(text.units.count + separator.units.count)
            if index > 0 { units += separator.units }
            units += text.units
        }
        return .text(JinjaText(units))
    }
}
