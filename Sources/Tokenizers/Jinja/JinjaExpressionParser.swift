/// Reads the tokens of a tag into an expression, by Jinja's precedence.
struct JinjaExpressionParser {
    private var cursor: JinjaTokenCursor
    private var depth = 0
    /// Of all chains of this expression.
    private var links = 0

    /// Real expressions nest up to 6 deep; bounds the recursion here and while rendering.
    private static let deepest = 30
    /// Terms of one chain such as `a + b + …`, which the tree nests to the left.
    private static let longestChain = 100
    /// Links of all chains of an expression: chains nest in parentheses and in each other, and the tree they make is
    /// released recursively.
    private static let mostLinks = 2000

    static func parse(_ tokens: [JinjaToken]) throws(JinjaError) -> JinjaExpression {
        var parser = JinjaExpressionParser(tokens: tokens)
        let expression = try parser.expression()
        try parser.cursor.expectEnd()
        return expression
    }

    /// What a loop goes over, and its condition.
    static func parseLoop(_ tokens: [JinjaToken]) throws(JinjaError) -> (JinjaExpression, JinjaExpression?) {
        var parser = JinjaExpressionParser(tokens: tokens)
        let over = try parser.or()
        let condition = parser.cursor.take(.name("if")) ? try parser.expression() : nil
        try parser.cursor.expectEnd()
        return (over, condition)
    }

    /// A macro's parameters; the value of one without default is `none` without a key.
    static func parseParameters(_ tokens: [JinjaToken]) throws(JinjaError) -> [JinjaArgument] {
        var parser = JinjaExpressionParser(tokens: tokens)
        guard parser.cursor.take(.sign("(")) else { throw JinjaError("a macro has no parameters") }
        var parameters: [JinjaArgument] = []
        while !parser.cursor.take(.sign(")")) {
            guard case .name(let name)? = parser.cursor.next() else {
                throw JinjaError("a macro's parameter is no name")
            }
            let value = parser.cursor.take(.sign("=")) ? try parser.expression() : nil
            parameters.append(JinjaArgument(name: name, key: value, value: .none))
            if !parser.cursor.take(.sign(",")), parser.cursor.peek != .sign(")") {
                throw JinjaError("a macro is not closed")
            }
        }
        try parser.cursor.expectEnd()
        return parameters
    }

    private init(tokens: [JinjaToken]) { cursor = JinjaTokenCursor(tokens) }

    // MARK: By precedence, loosest first

    private mutating func expression() throws(JinjaError) -> JinjaExpression {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.deepest else { throw JinjaError("an expression nests too deep") }
        let value = try or()
        guard cursor.take(.name("if")) else { return value }
        let condition = try or()
        return .conditional(condition, value, cursor.take(.name("else")) ? try expression() : nil)
    }

    private mutating func or() throws(JinjaError) -> JinjaExpression {
        var left = try and()
        var count = 0
        while cursor.take(.name("or")) { left = .binary("or", left, try and()); try checkChain(&count) }
        return left
    }

    private mutating func and() throws(JinjaError) -> JinjaExpression {
        var left = try not()
        var count = 0
        while cursor.take(.name("and")) { left = .binary("and", left, try not()); try checkChain(&count) }
        return left
    }

    private mutating func not() throws(JinjaError) -> JinjaExpression {
        guard cursor.take(.name("not")) else { return try comparison() }
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.deepest else { throw JinjaError("an expression nests too deep") }
        return .unary("not", try not())
    }

    private mutating func comparison() throws(JinjaError) -> JinjaExpression {
        var left = try sum()
        var count = 0
        while true {
            try checkChain(&count)
            if case .sign(let sign)? = cursor.peek, ["==", "!=", "<", ">", "<=", ">="].contains(sign) {
                cursor.skip(1)
                left = .binary(sign, left, try sum())
            } else if cursor.take(.name("in")) {
                left = .binary("in", left, try sum())
            } else if cursor.peek == .name("not"), cursor.second == .name("in") {
                cursor.skip(2)
                left = .unary("not", .binary("in", left, try sum()))
            } else {
                return left
            }
        }
    }

    private mutating func sum() throws(JinjaError) -> JinjaExpression {
        var left = try concatenation()
        var count = 0
        while case .sign(let sign)? = cursor.peek, sign == "+" || sign == "-" {
            cursor.skip(1)
            left = .binary(sign, left, try concatenation())
            try checkChain(&count)
        }
        return left
    }

    private mutating func concatenation() throws(JinjaError) -> JinjaExpression {
        var left = try product()
        var count = 0
        while cursor.take(.sign("~")) { left = .binary("~", left, try product()); try checkChain(&count) }
        return left
    }

    private mutating func product() throws(JinjaError) -> JinjaExpression {
        var left = try unary()
        var count = 0
        while case .sign(let sign)? = cursor.peek, ["*", "/", "//", "%"].contains(sign) {
            cursor.skip(1)
            left = .binary(sign, left, try unary())
            try checkChain(&count)
        }
        return left
    }

    private mutating func checkChain(_ count: inout Int) throws(JinjaError) {
        count += 1
        // Most chains are no chain but one value.
        if count > 1 { links += 1 }
        guard count <= Self.longestChain, links <= Self.mostLinks else {
            throw JinjaError("an expression is too long")
        }
    }

    private mutating func unary() throws(JinjaError) -> JinjaExpression {
        guard case .sign(let sign)? = cursor.peek, sign == "-" || sign == "+" else {
            return try filtered(postfixed(primary()))
        }
        cursor.skip(1)
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.deepest else { throw JinjaError("an expression nests too deep") }
        return .unary(sign, try unary())
    }

    // MARK: Operands

    private mutating func primary() throws(JinjaError) -> JinjaExpression {
        switch cursor.next() {
        case .name("true"), .name("True"): return .bool(true)
        case .name("false"), .name("False"): return .bool(false)
        case .name("none"), .name("None"): return .none
        case .name(let name): return .name(name)
        case .int(let value): return .int(value)
        case .float(let value): return .float(value)
        case .text(var text):
            while case .text(let more)? = cursor.peek {
                cursor.skip(1)
                text += more
            }
            return .text(text)
        case .sign("("): return try parenthesised()
        case .sign("["): return .list(try elements("]"))
        case .sign("{"): return try dictionary()
        default: throw JinjaError("an expression lacks a value")
        }
    }

    private mutating func parenthesised() throws(JinjaError) -> JinjaExpression {
        if cursor.take(.sign(")")) { return .list([]) }
        let first = try expression()
        if cursor.take(.sign(")")) { return first }
        try cursor.expect(",")
        return .list([first] + (try elements(")")))
    }

    private mutating func elements(_ close: String) throws(JinjaError) -> [JinjaExpression] {
        var elements: [JinjaExpression] = []
        while !cursor.take(.sign(close)) {
            elements.append(try expression())
            if !cursor.take(.sign(",")), cursor.peek != .sign(close) { throw JinjaError("a list is not closed") }
        }
        return elements
    }

    private mutating func dictionary() throws(JinjaError) -> JinjaExpression {
        var entries: [JinjaArgument] = []
        while !cursor.take(.sign("}")) {
            let key = try expression()
            try cursor.expect(":")
            entries.append(JinjaArgument(key: key, value: try expression()))
            if !cursor.take(.sign(",")), cursor.peek != .sign("}") { throw JinjaError("a dictionary is not closed") }
        }
        return .dict(entries)
    }

    private mutating func postfixed(_ value: JinjaExpression) throws(JinjaError) -> JinjaExpression {
        var value = value
        var count = 0
        while true {
            try checkChain(&count)
            if cursor.take(.sign(".")) {
                switch cursor.next() {
                case .name(let name): value = .attribute(value, name)
                case .int(let index): value = .index(value, .int(index))
                default: throw JinjaError("an attribute is no name")
                }
            } else if cursor.take(.sign("[")) {
                value = try subscripted(value)
            } else if cursor.take(.sign("(")) {
                value = .call(value, try arguments())
            } else {
                return value
            }
        }
    }

    private mutating func subscripted(_ value: JinjaExpression) throws(JinjaError) -> JinjaExpression {
        var parts: [JinjaExpression?] = [nil]
        while !cursor.take(.sign("]")) {
            if cursor.take(.sign(":")) {
                parts.append(nil)
            } else {
                parts[parts.count - 1] = try expression()
            }
        }
        if parts.count == 1, let index = parts[0] { return .index(value, index) }
        guard parts.count == 2 || parts.count == 3 else { throw JinjaError("a subscript is empty") }
        return .slice(value, parts[0], parts[1], parts.count == 3 ? parts[2] : nil)
    }

    private mutating func arguments() throws(JinjaError) -> [JinjaArgument] {
        var arguments: [JinjaArgument] = []
        while !cursor.take(.sign(")")) {
            var name: String?
            if case .name(let word)? = cursor.peek, cursor.second == .sign("=") {
                name = word
                cursor.skip(2)
            }
            arguments.append(JinjaArgument(name: name, value: try expression()))
            if !cursor.take(.sign(",")), cursor.peek != .sign(")") { throw JinjaError("a call is not closed") }
        }
        return arguments
    }

    /// Filters and tests, which bind tighter than any operator.
    private mutating func filtered(_ value: JinjaExpression) throws(JinjaError) -> JinjaExpression {
        var value = value
        var count = 0
        while true {
            try checkChain(&count)
            if cursor.take(.sign("|")) {
                guard case .name(let name)? = cursor.next() else { throw JinjaError("a filter has no name") }
                value = try postfixed(.filter(value, name, cursor.take(.sign("(")) ? arguments() : []))
            } else if cursor.take(.name("is")) {
                let negated = cursor.take(.name("not"))
                guard case .name(let name)? = cursor.next() else { throw JinjaError("a test has no name") }
                value = .test(value, name, try testArguments(), negated: negated)
            } else {
                return value
            }
        }
    }

    /// `is divisibleby(3)`, and `is equalto x` without parentheses.
    private mutating func testArguments() throws(JinjaError) -> [JinjaArgument] {
        if cursor.take(.sign("(")) { return try arguments() }
        switch cursor.peek {
        case .text, .int, .float: return [JinjaArgument(value: try postfixed(primary()))]
        case .name(let name) where !["and", "or", "not", "if", "else", "is", "in"].contains(name):
            return [JinjaArgument(value: try postfixed(primary()))]
        default: return []
        }
    }
}
