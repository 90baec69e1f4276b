import GGUF

/// Runs a template on a conversation.
///
/// A template comes from a file and may be hostile: steps, characters handled and depth are bounded, and whatever goes
/// wrong is an error, never a trap.
struct JinjaRenderer {
    /// The text written so far.
    private(set) var output: [UInt32] = []
    /// Variables, those of the innermost block last.
    var scopes: [[String: JinjaValue]]
    private var steps = 0
    private var handled = 0
    var depth = 0
    /// What `strftime_now` writes.
    let now: (String) -> String

    /// Published templates take some hundred steps a message.
    private static let mostSteps = 200_000
    /// Characters made by all operations together; 4 bytes each, so that no text takes more than 16 MB: a board has half
    /// a gigabyte. The longest prompts have some ten thousand, which templates copy a few times.
    private static let mostHandled = 1 << 22
    private static let deepest = 250
    /// Lists inside each other; a namespace inside may double it. Comparing and releasing them is recursive.
    private static let deepestValue = 100

    init(_ variables: [String: JinjaValue], now: @escaping (String) -> String) {
        scopes = [variables]
        self.now = now
    }

    private enum Flow { case next, breakLoop, continueLoop }

    mutating func run(_ nodes: [JinjaNode]) throws(JinjaError) {
        _ = try render(nodes)
    }

    // MARK: Bounds

    mutating func step() throws(JinjaError) {
        steps += 1
        guard steps <= Self.mostSteps else { throw JinjaError("it takes too many steps") }
    }

    /// Goes one deeper into the recursion; who calls it comes back with `depth -= 1`.
    mutating func descend() throws(JinjaError) {
        guard depth < Self.deepest else { throw JinjaError("it calls itself too often") }
        depth += 1
    }

    /// Counts what an operation made.
    mutating func made(_ text: JinjaText) throws(JinjaError) -> JinjaValue {
        try count(text.units.count)
        return .text(text)
    }

    mutating func isEqual(_ left: JinjaValue, _ right: JinjaValue) throws(JinjaError) -> Bool {
        let most = 1 << 22
        var budget = most
        let result = left.isEqual(right, &budget)
        try count(most - budget)
        guard budget > 0 else { throw JinjaError("it compares too much") }
        return result
    }

    /// The first place of a part in a text.
    mutating func position(of part: JinjaText, in text: JinjaText) throws(JinjaError) -> Int? {
        try countSearch(of: part, in: text)
        return text.position(of: part)
    }

    /// Looking for a part takes the product of the lengths at worst; for words it takes the length of the text.
    mutating func countSearch(of part: JinjaText, in text: JinjaText) throws(JinjaError) {
        try count(text.units.count + text.units.count / 16 * min(part.units.count, 1 << 20))
    }

    /// Counts a copied list: a value takes as much as some characters.
    mutating func count(values: Int) throws(JinjaError) { try count(4 * values) }

    /// Counts values that are objects of their own.
    mutating func count(objects: Int) throws(JinjaError) { try count(16 * objects) }

    mutating func count(_ units: Int) throws(JinjaError) {
        handled += units + 1
        guard handled <= Self.mostHandled else { throw JinjaError("it makes too much text") }
    }

    // MARK: Nodes

    private mutating func render(_ nodes: [JinjaNode]) throws(JinjaError) -> Flow {
        try descend()
        defer { depth -= 1 }
        for node in nodes {
            try step()
            switch node {
            case .text(let text):
                try write(JinjaText(text))
            case .output(let expression):
                try write(text(of: evaluate(expression)))
            case .branch(let condition, let then, let otherwise):
                let flow = try render(evaluate(condition).isTrue ? then : otherwise)
                if flow != .next { return flow }
            case .loop(let names, let over, let condition, let body, let otherwise):
                let flow = try loop(names, over, condition, body, otherwise)
                if flow != .next { return flow }
            case .set(let object, let name, let expression):
                try set(object, name, evaluate(expression))
            case .capture(let name, let body):
                try set(nil, name, .text(capture(body)))
            case .macro(let name, let macro):
                try set(nil, name, .function(.macro(macro)))
            case .breakLoop: return .breakLoop
            case .continueLoop: return .continueLoop
            }
        }
        return .next
    }

    private mutating func write(_ text: JinjaText) throws(JinjaError) {
        try count(text.units.count)
        output += text.units
    }

    /// What nodes write, instead of writing it.
    mutating func capture(_ nodes: [JinjaNode]) throws(JinjaError) -> JinjaText {
        let before = output
        output = []
        defer { output = before }
        _ = try render(nodes)
        return JinjaText(output)
    }

    private mutating func set(_ object: String?, _ name: String, _ value: JinjaValue) throws(JinjaError) {
        guard let object else {
            scopes[scopes.count - 1][name] = value
            return
        }
        guard case .dict(let namespace) = variable(object) else {
            throw JinjaError("\(quoted(object)) is no namespace")
        }
        guard !value.holdsNamespace else { throw JinjaError("a namespace is to hold another") }
        namespace.set(name, value)
    }

    private func variable(_ name: String) -> JinjaValue {
        for scope in scopes.reversed() { if let value = scope[name] { return value } }
        return Self.globals.contains(name) ? .function(.global(name)) : .undefined
    }

    private mutating func loop(
        _ names: [String], _ over: JinjaExpression, _ condition: JinjaExpression?, _ body: [JinjaNode],
        _ otherwise: [JinjaNode]
    ) throws(JinjaError) -> Flow {
        var items: [JinjaValue] = []
        scopes.append([:])
        defer { scopes.removeLast() }
        for item in try elements(of: evaluate(over)) {
            try step()
            try bind(names, item)
            if let condition, try !evaluate(condition).isTrue { continue }
            items.append(item)
        }
        if items.isEmpty { return try render(otherwise) }
        for (index, item) in items.enumerated() {
            scopes[scopes.count - 1] = [:]
            try bind(names, item)
            scopes[scopes.count - 1]["loop"] = .dict(Self.position(index, items))
            if try render(body) == .breakLoop { break }
        }
        return .next
    }

    private mutating func bind(_ names: [String], _ item: JinjaValue) throws(JinjaError) {
        if names.count == 1 {
            scopes[scopes.count - 1][names[0]] = item
            return
        }
        guard case .list(let list) = item, list.items.count == names.count else {
            throw JinjaError("a loop takes apart what has not as many parts")
        }
        for (name, part) in zip(names, list.items) { scopes[scopes.count - 1][name] = part }
    }

    private static func position(_ index: Int, _ items: [JinjaValue]) -> JinjaDict {
        JinjaDict([
            ("index", .int(index + 1)), ("index0", .int(index)), ("first", .bool(index == 0)),
            ("last", .bool(index + 1 == items.count)), ("length", .int(items.count)),
            ("revindex", .int(items.count - index)), ("revindex0", .int(items.count - index - 1)),
            ("previtem", index > 0 ? items[index - 1] : .undefined),
            ("nextitem", index + 1 < items.count ? items[index + 1] : .undefined),
        ])
    }

    // MARK: Expressions

    /// The value of an expression, of bounded depth; whatever a template sets or hands on came from here.
    mutating func evaluate(_ expression: JinjaExpression) throws(JinjaError) -> JinjaValue {
        try step()
        try descend()
        defer { depth -= 1 }
        let value = try result(expression)
        guard value.depth <= Self.deepestValue else { throw JinjaError("a value nests too deep") }
        return value
    }

    private mutating func result(_ expression: JinjaExpression) throws(JinjaError) -> JinjaValue {
        switch expression {
        case .none: return .none
        case .bool(let value): return .bool(value)
        case .int(let value): return .int(value)
        case .float(let value): return .float(value)
        case .text(let text): return try made(JinjaText(text))
        case .name(let name): return variable(name)
        case .list(let items):
            var values: [JinjaValue] = []
            for item in items { values.append(try evaluate(item)) }
            return .list(values)
        case .dict(let entries):
            let dict = JinjaDict()
            for entry in entries {
                let key = try entry.key.map { (key) throws(JinjaError) in try evaluate(key) } ?? .undefined
                // Keys are strings without marks: from one, content would come back as markup.
                if case .text(let text) = key, text.holdsContent {
                    throw JinjaError("a dictionary's key comes from a message")
                }
                guard let name = JinjaDict.key(key) else { throw JinjaError("a dictionary's key is no text") }
                dict.set(name, try evaluate(entry.value))
            }
            return .dict(dict)
        case .attribute(let value, let name): return try attribute(evaluate(value), name)
        case .index(let value, let index): return try element(evaluate(value), evaluate(index))
        case .slice(let value, let from, let to, let step):
            return try slice(evaluate(value), bound(from), bound(to), bound(step) ?? 1)
        case .call(let function, let arguments): return try call(evaluate(function), evaluate(arguments))
        case .filter(let value, let name, let arguments):
            return try filter(evaluate(value), name, evaluate(arguments))
        case .test(let value, let name, let arguments, let negated):
            return .bool(try test(evaluate(value), name, evaluate(arguments)) != negated)
        case .unary(let sign, let value): return try unary(sign, evaluate(value))
        case .binary("and", let left, let right):
            let value = try evaluate(left)
            return value.isTrue ? try evaluate(right) : value
        case .binary("or", let left, let right):
            let value = try evaluate(left)
            return value.isTrue ? value : try evaluate(right)
        case .binary(let sign, let left, let right): return try binary(sign, evaluate(left), evaluate(right))
        case .conditional(let condition, let then, let otherwise):
            if try evaluate(condition).isTrue { return try evaluate(then) }
            guard let otherwise else { return .undefined }
            return try evaluate(otherwise)
        }
    }

    private mutating func evaluate(_ arguments: [JinjaArgument]) throws(JinjaError) -> JinjaArguments {
        var values = JinjaArguments()
        for argument in arguments {
            let value = try evaluate(argument.value)
            if let name = argument.name { values.named[name] = value } else { values.positional.append(value) }
        }
        return values
    }

    private mutating func bound(_ expression: JinjaExpression?) throws(JinjaError) -> Int? {
        guard let expression else { return nil }
        switch try evaluate(expression) {
        case .int(let value): return value
        case .none: return nil
        default: throw JinjaError("a bound of a slice is no number")
        }
    }
}

/// What a function, filter or test was handed.
struct JinjaArguments {
    var positional: [JinjaValue] = []
    var named: [String: JinjaValue] = [:]

    var first: JinjaValue { positional.first ?? .undefined }

    /// The argument at a place or of a name.
    subscript(index: Int, name: String) -> JinjaValue? {
        index < positional.count ? positional[index] : named[name]
    }
}
