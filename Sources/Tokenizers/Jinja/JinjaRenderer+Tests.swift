import GGUF

/// What `is` asks, as far as published chat templates use it.
extension JinjaRenderer {
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
