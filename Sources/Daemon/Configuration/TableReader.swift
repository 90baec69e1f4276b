/// A configuration value together with the line it stands on.
struct Located<Value> {
    let value: Value
    let line: Int
}

extension Located: Sendable where Value: Sendable {}

/// Reads the keys of one table, remembers which were asked for, and reports the rest as unknown.
///
/// A wrong value is reported and read as nil, so that the caller's default stands in and reading goes on.
final class TableReader {
    /// As it stands in the file, for messages: `[broker]`, `[[task]]`.
    let name: String
    let line: Int
    let problems: ProblemList
    private let entries: [TOMLEntry]
    private var known: [String] = []

    init(name: String, entries: [TOMLEntry], line: Int, problems: ProblemList) {
        self.name = name
        self.entries = entries
        self.line = line
        self.problems = problems
    }

    /// The value of `key`, if there is one; from now on the key is known.
    func value(_ key: String) -> TOMLValue? {
        known.append(key)
        return entries.first { $0.key == key }?.value
    }

    func has(_ key: String) -> Bool { entries.contains { $0.key == key } }

    func line(of key: String) -> Int { entries.first { $0.key == key }?.line ?? line }

    func error(_ key: String, _ message: String, _ suggestion: String) {
        problems.error(line(of: key), message, suggestion)
    }

    private func wrongType(_ key: String, _ value: TOMLValue, expected: String, example: String) {
        problems.error(value.line, "\(key) must be \(expected), not \(value.kindName)", "Write \(key) = \(example)")
    }

    func string(_ key: String, example: String = "\"…\"") -> Located<String>? {
        guard let value = value(key) else { return nil }
        guard case .string(let text) = value.kind else {
            wrongType(key, value, expected: "a string", example: example)
            return nil
        }
        return Located(value: text, line: value.line)
    }

    func bool(_ key: String) -> Bool? {
        guard let value = value(key) else { return nil }
        guard case .boolean(let flag) = value.kind else {
            wrongType(key, value, expected: "true or false", example: "true")
            return nil
        }
        return flag
    }

    func integer(_ key: String, in range: ClosedRange<Int>) -> Int? {
        guard let value = value(key) else { return nil }
        guard case .integer(let number) = value.kind else {
            wrongType(key, value, expected: "a whole number", example: "\(range.lowerBound)")
            return nil
        }
        guard range.contains(Int(number)) else {
            problems.error(
                value.line, "\(key) is \(number), outside \(range.lowerBound)…\(range.upperBound)",
                "Write a number in that range")
            return nil
        }
        return Int(number)
    }

    func number(_ key: String, in range: ClosedRange<Double>) -> Double? {
        guard let value = value(key) else { return nil }
        let number: Double
        switch value.kind {
        case .integer(let integer): number = Double(integer)
        case .float(let float): number = float
        default:
            wrongType(key, value, expected: "a number", example: "\(range.lowerBound)")
            return nil
        }
        guard range.contains(number) else {
            problems.error(
                value.line, "\(key) is \(number), outside \(range.lowerBound)…\(range.upperBound)",
                "Write a number in that range")
            return nil
        }
        return number
    }

    /// A list of strings; one string alone is accepted as a list of one when `orOne`.
    func strings(_ key: String, example: String, orOne: Bool = false) -> [Located<String>]? {
        guard let value = value(key) else { return nil }
        if orOne, case .string(let text) = value.kind { return [Located(value: text, line: value.line)] }
        guard case .array(let elements) = value.kind else {
            wrongType(key, value, expected: "a list of strings", example: example)
            return nil
        }
        var strings: [Located<String>] = []
        for element in elements {
            // One mistake, and no conclusions from what is left of the list.
            guard case .string(let text) = element.kind else {
                problems.error(
                    element.line, "\(key) must hold strings only, not \(element.kindName)", "Write \(key) = \(example)")
                return nil
            }
            strings.append(Located(value: text, line: element.line))
        }
        return strings
    }

    func duration(_ key: String, in range: ClosedRange<Duration>, example: String) -> Duration? {
        guard let value = value(key) else { return nil }
        let written: String
        switch value.kind {
        case .string(let text): written = text
        case .integer(let number):
            problems.error(
                value.line, "\(key) = \(number) has no unit",
                "Write \(key) = \"\(number)s\" for seconds (ms, s, m, h, d)")
            return nil
        default:
            wrongType(key, value, expected: "a duration", example: "\"\(example)\"")
            return nil
        }
        guard let duration = Units.duration(written) else {
            let unitless = !written.isEmpty && written.utf8.allSatisfy { $0 &- 0x30 < 10 }
            problems.error(
                value.line, "\(key) = \"\(written)\" is not a duration",
                "Write \(key) = \"\(unitless ? written + "s" : example)\" (units ms, s, m, h, d)")
            return nil
        }
        guard range.contains(duration) else {
            problems.error(
                value.line,
                "\(key) = \"\(written)\" is outside \(Units.text(range.lowerBound))…\(Units.text(range.upperBound))",
                "Write a duration in that range")
            return nil
        }
        return duration
    }

    /// Bytes.
    func size(_ key: String, in range: ClosedRange<Int>, example: String) -> Int? {
        guard let value = value(key) else { return nil }
        let written: String
        switch value.kind {
        case .string(let text): written = text
        case .integer(let number):
            problems.error(
                value.line, "\(key) = \(number) has no unit", "Write \(key) = \"\(number)MiB\" (B, KiB, MiB, GiB)")
            return nil
        default:
            wrongType(key, value, expected: "a size", example: "\"\(example)\"")
            return nil
        }
        guard let bytes = Units.size(written) else {
            problems.error(
                value.line, "\(key) = \"\(written)\" is not a size",
                "Write \(key) = \"\(example)\" (units B, KiB, MiB, GiB)")
            return nil
        }
        guard range.contains(bytes) else {
            let limits = "\(Units.text(bytes: range.lowerBound))…\(Units.text(bytes: range.upperBound))"
            problems.error(
                value.line, "\(key) = \"\(written)\" is outside \(limits)", "Write a size in that range")
            return nil
        }
        return bytes
    }

    /// A sub-table; absent ones read as empty, so that defaults apply.
    func table(_ key: String) -> TableReader {
        guard let value = value(key) else {
            return TableReader(name: "[\(key)]", entries: [], line: 0, problems: problems)
        }
        var inner: [TOMLEntry] = []
        switch value.kind {
        case .table(let entries): inner = entries
        case .array:
            problems.error(value.line, "[[\(key)]] can stand only once", "Write [\(key)] with single brackets")
        default:
            problems.error(
                value.line, "\(key) must be a table, not \(value.kindName)", "Write [\(key)] on its own line")
        }
        return TableReader(name: "[\(key)]", entries: inner, line: value.line, problems: problems)
    }

    /// A list of tables, `[[key]]`.
    func tables(_ key: String) -> [TableReader] {
        guard let value = value(key) else { return [] }
        let hint = "Write [[\(key)]] with double brackets before each"
        guard case .array(let elements) = value.kind else {
            problems.error(value.line, "\(key) must be a list of tables, not \(value.kindName)", hint)
            // Read on inside a lone table, so that its own mistakes are reported in the same run.
            guard case .table(let entries) = value.kind else { return [] }
            return [TableReader(name: "[[\(key)]]", entries: entries, line: value.line, problems: problems)]
        }
        return elements.compactMap { element in
            guard case .table(let entries) = element.kind else {
                problems.error(element.line, "\(key) must hold tables, not \(element.kindName)", hint)
                return nil
            }
            return TableReader(name: "[[\(key)]]", entries: entries, line: element.line, problems: problems)
        }
    }

    /// Reports every key nobody asked for. Call last.
    ///
    /// - Parameter hints: what to do about keys that people write by habit from other programs.
    func finish(hints: [String: String] = [:]) {
        for entry in entries where !known.contains(entry.key) {
            let suggestion: String
            if let hint = hints[entry.key] {
                suggestion = hint
            } else if let near = Suggestion.nearest(to: entry.key, in: known) {
                suggestion = "Did you mean \(near)?"
            } else {
                suggestion = "Known here: \(known.sorted().joined(separator: ", "))"
            }
            problems.error(entry.line, "unknown key \(entry.key) in \(name)", suggestion)
        }
    }
}
