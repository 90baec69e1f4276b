import GGUF

/// Operators, attributes and elements.
extension JinjaRenderer {
    mutating func unary(_ sign: String, _ value: JinjaValue) throws(JinjaError) -> JinjaValue {
        switch (sign, value) {
        case ("not", _): return .bool(!value.isTrue)
        case ("-", .int(let number)) where number != .min: return .int(-number)
        case ("-", .float(let number)): return .float(-number)
        case ("+", .int), ("+", .float): return value
        default: throw JinjaError("'\(sign)' is applied to what is no number")
        }
    }

    mutating func binary(_ sign: String, _ left: JinjaValue, _ right: JinjaValue) throws(JinjaError) -> JinjaValue {
        switch sign {
        case "==": return .bool(try isEqual(left, right))
        case "!=": return .bool(try !isEqual(left, right))
        case "in": return .bool(try contains(right, left))
        case "~": return try joined(try text(of: left), try text(of: right))
        case "<", ">", "<=", ">=": return .bool(try isOrdered(sign, left, right))
        default: return try arithmetic(sign, left, right)
        }
    }

    private func isOrdered(_ sign: String, _ left: JinjaValue, _ right: JinjaValue) throws(JinjaError) -> Bool {
        let isLess: Bool
        let isEqual: Bool
        if case .text(let first) = left, case .text(let second) = right {
            (isLess, isEqual) = (first < second, first == second)
        } else if let first = left.number, let second = right.number {
            (isLess, isEqual) = (first < second, first == second)
        } else {
            throw JinjaError("'\(sign)' compares what has no order")
        }
        switch sign {
        case "<": return isLess
        case "<=": return isLess || isEqual
        case ">": return !isLess && !isEqual
        default: return !isLess
        }
    }

    private mutating func contains(_ all: JinjaValue, _ one: JinjaValue) throws(JinjaError) -> Bool {
        switch all {
        case .text(let text):
            guard case .text(let part) = one else { throw JinjaError("'in' looks in a text for what is none") }
            return try position(of: part, in: text) != nil
        case .list(let list):
            for item in list.items { if try isEqual(item, one) { return true } }
            return false
        case .dict(let dict):
            return JinjaDict.key(one).flatMap { dict[$0] } != nil
        case .undefined: return false
        default: throw JinjaError("'in' looks in what holds nothing")
        }
    }

    /// Counted before it is made: a text that doubles goes over the limit by all that it is.
    private mutating func joined(_ first: JinjaText, _ second: JinjaText) throws(JinjaError) -> JinjaValue {
        try count(first.units.count + second.units.count)
        return .text(JinjaText(first.units + second.units))
    }

    private mutating func arithmetic(
        _ sign: String, _ left: JinjaValue, _ right: JinjaValue
    ) throws(JinjaError) -> JinjaValue {
        switch (left, right) {
        case (.text(let first), .text(let second)) where sign == "+":
            return try joined(first, second)
        case (.list(let first), .list(let second)) where sign == "+":
            try count(values: first.items.count + second.items.count)
            return .list(first.items + second.items)
        case (.text(let text), .int(let times)) where sign == "*":
            guard times < 10_000 else { throw JinjaError("it makes too much text") }
            try count(text.units.count * max(0, times))
            return .text(JinjaText((0..<max(0, times)).flatMap { _ in text.units }))
        case (.int(let first), .int(let second)):
            return try whole(sign, first, second)
        default:
            guard let first = left.number, let second = right.number else {
                throw JinjaError("'\(sign)' is applied to what does not fit it")
            }
            switch sign {
            case "+": return .float(first + second)
            case "-": return .float(first - second)
            case "*": return .float(first * second)
            case "/" where second != 0: return .float(first / second)
            case "//" where second != 0: return .float((first / second).rounded(.down))
            default: throw JinjaError("'\(sign)' cannot be computed")
            }
        }
    }

    /// Whole numbers, rounded down as Python does.
    private func whole(_ sign: String, _ left: Int, _ right: Int) throws(JinjaError) -> JinjaValue {
        let result: (partialValue: Int, overflow: Bool)
        switch sign {
        case "+": result = left.addingReportingOverflow(right)
        case "-": result = left.subtractingReportingOverflow(right)
        case "*": result = left.multipliedReportingOverflow(by: right)
        case "/" where right != 0: return .float(Double(left) / Double(right))
        case "//" where right != 0:
            let (quotient, overflow) = left.dividedReportingOverflow(by: right)
            let isInexact = !overflow && quotient &* right != left
            result = (isInexact && (left < 0) != (right < 0) ? quotient - 1 : quotient, overflow)
        case "%" where right != 0:
            let (rest, overflow) = left.remainderReportingOverflow(dividingBy: right)
            result = (rest != 0 && (rest < 0) != (right < 0) ? rest + right : rest, overflow)
        default: throw JinjaError("'\(sign)' cannot be computed")
        }
        guard !result.overflow else { throw JinjaError("a number is too large") }
        return .int(result.partialValue)
    }

    // MARK: Parts

    func attribute(_ value: JinjaValue, _ name: String) throws(JinjaError) -> JinjaValue {
        switch value {
        case .dict(let dict):
            return dict[name] ?? (Self.dictMethods.contains(name) ? .function(.method(value, name)) : .undefined)
        case .text where Self.textMethods.contains(name): return .function(.method(value, name))
        case .undefined: throw JinjaError("\(quoted(name)) is asked of what is not there")
        default: return .undefined
        }
    }

    func element(_ value: JinjaValue, _ index: JinjaValue) throws(JinjaError) -> JinjaValue {
        switch (value, index) {
        case (.dict(let dict), _): return JinjaDict.key(index).flatMap { dict[$0] } ?? .undefined
        case (.list(let list), .int(let index)):
            let place = index < 0 ? index &+ list.items.count : index
            return list.items.indices.contains(place) ? list.items[place] : .undefined
        case (.text(let text), .int(let index)):
            let place = index < 0 ? index &+ text.units.count : index
            return text.units.indices.contains(place) ? .text(JinjaText([text.units[place]])) : .undefined
        case (.undefined, _): throw JinjaError("an element is asked of what is not there")
        case (_, .text(let name)): return try attribute(value, name.string)
        default: return .undefined
        }
    }

    mutating func slice(_ value: JinjaValue, _ from: Int?, _ to: Int?, _ step: Int) throws(JinjaError) -> JinjaValue {
        switch value {
        case .text(let text):
            let places = try places(text.units.count, from, to, step)
            return try made(JinjaText(places.map { text.units[$0] }))
        case .list(let list):
            let places = try places(list.items.count, from, to, step)
            try count(values: places.count)
            return .list(places.map { list.items[$0] })
        default: throw JinjaError("a slice is cut from what is no list")
        }
    }

    /// The indices that Python's slice takes of `count`.
    private func places(_ count: Int, _ from: Int?, _ to: Int?, _ step: Int) throws(JinjaError) -> [Int] {
        guard step != 0, abs(max(step, -Int.max)) <= 1 << 30 else { throw JinjaError("a slice's step cannot be") }
        func clamped(_ bound: Int, _ low: Int, _ high: Int) -> Int {
            min(max(bound < 0 ? bound &+ count : bound, low), high)
        }
        if step > 0 {
            return Array(
                stride(
                    from: clamped(from ?? 0, 0, count), to: clamped(to ?? count, 0, count), by: step))
        }
        let first = from.map { clamped($0, -1, count - 1) } ?? count - 1
        let last = to.map { clamped($0, -1, count - 1) } ?? -1
        return Array(stride(from: first, to: last, by: step))
    }

    /// What a loop or a filter goes over.
    mutating func elements(of value: JinjaValue) throws(JinjaError) -> [JinjaValue] {
        switch value {
        case .list(let list): return list.items
        case .dict(let dict): return try keys(of: dict)
        case .text(let text):
            try count(objects: text.units.count)
            return text.units.map { .text(JinjaText([$0])) }
        case .undefined: return []
        default: throw JinjaError("a loop goes over what is no list")
        }
    }

    mutating func keys(of dict: JinjaDict) throws(JinjaError) -> [JinjaValue] {
        for entry in dict.entries { try count(objects: 1 + entry.key.utf8.count / 16) }
        return dict.entries.map { JinjaDict.value($0.key) }
    }

    /// A value as it is written.
    mutating func text(of value: JinjaValue) throws(JinjaError) -> JinjaText {
        switch value {
        case .undefined: return JinjaText("")
        case .none: return JinjaText("None")
        case .bool(let value): return JinjaText(value ? "True" : "False")
        case .int(let number): return JinjaText(String(number))
        case .float(let number): return JinjaText(String(number))
        case .text(let text): return text
        case .list, .dict, .function: throw JinjaError("a list is written as text")
        }
    }
}
