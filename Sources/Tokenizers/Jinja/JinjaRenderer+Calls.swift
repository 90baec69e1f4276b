import GGUF

/// Functions and macros.
extension JinjaRenderer {
    static let globals: Set<String> = ["raise_exception", "strftime_now", "namespace", "range", "dict"]

    mutating func call(_ function: JinjaValue, _ arguments: JinjaArguments) throws(JinjaError) -> JinjaValue {
        switch function {
        case .function(.global(let name)): return try global(name, arguments)
        case .function(.method(let receiver, let name)): return try method(receiver, name, arguments)
        case .function(.macro(let macro)): return try call(macro, arguments)
        default: throw JinjaError("what is called is no function")
        }
    }

    private mutating func call(_ macro: JinjaMacro, _ arguments: JinjaArguments) throws(JinjaError) -> JinjaValue {
        var scope: [String: JinjaValue] = [:]
        for (index, parameter) in macro.parameters.enumerated() {
            let name = parameter.name ?? ""
            if index < arguments.positional.count {
                scope[name] = arguments.positional[index]
            } else if let value = arguments.named[name] {
                scope[name] = value
            } else if let standard = parameter.key {
                scope[name] = try evaluate(standard)
            } else {
                scope[name] = .undefined
            }
        }
        // A macro sees the template's variables, not its caller's.
        let callers = scopes
        scopes = [callers[0], scope]
        defer { scopes = callers }
        return .text(try capture(macro.body))
    }

    private mutating func global(_ name: String, _ arguments: JinjaArguments) throws(JinjaError) -> JinjaValue {
        switch name {
        case "raise_exception":
            throw JinjaError("it says \(quoted(try text(of: arguments.first).string))")
        case "strftime_now":
            let format = try text(of: arguments.first)
            // What is written here has no mark.
            guard !format.holdsContent else { throw JinjaError("a format of the time comes from a message") }
            return try made(JinjaText(now(format.string)))
        case "range":
            return try range(arguments.positional)
        default:  // namespace, dict
            return .dict(JinjaDict(arguments.named.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }))
        }
    }

    private mutating func range(_ bounds: [JinjaValue]) throws(JinjaError) -> JinjaValue {
        var numbers: [Int] = []
        for bound in bounds {
            guard case .int(let number) = bound else { throw JinjaError("'range' takes numbers") }
            numbers.append(number)
        }
        guard (1...3).contains(numbers.count), numbers.count < 3 || numbers[2] != 0 else {
            throw JinjaError("'range' takes one to three numbers")
        }
        let from = numbers.count > 1 ? numbers[0] : 0
        let to = numbers.count > 1 ? numbers[1] : numbers[0]
        var items: [JinjaValue] = []
        for number in stride(from: from, to: to, by: numbers.count > 2 ? numbers[2] : 1) {
            try step()
            items.append(.int(number))
        }
        return .list(items)
    }
}
