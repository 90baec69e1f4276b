/// What `tojson` writes.
extension JinjaRenderer {
    /// JSON as Python's json.dumps spaces it.
    mutating func json(_ value: JinjaValue, _ depth: Int) throws(JinjaError) -> [UInt32] {
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
}
