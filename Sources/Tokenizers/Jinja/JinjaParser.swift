import GGUF

/// Reads a template's blocks into a tree. Source: Jinja's "Template Designer Documentation"; the subset that published
/// chat templates use: no inheritance, imports or calls of blocks.
struct JinjaParser {
    private let pieces: [JinjaPiece]
    private var at = 0
    private var depth = 0

    /// Real templates nest up to 10 deep; bounds the recursion here and while rendering.
    private static let deepest = 40

    static func parse(_ source: String) throws(JinjaError) -> [JinjaNode] {
        var parser = JinjaParser(pieces: try JinjaLexer.pieces(source))
        let nodes = try parser.nodes(until: [])
        guard parser.at == parser.pieces.count else { throw JinjaError("a block ends that did not begin") }
        return nodes
    }

    private init(pieces: [JinjaPiece]) { self.pieces = pieces }

    /// The nodes up to a block that begins with one of `ends`, which is left to be read.
    private mutating func nodes(until ends: Set<String>) throws(JinjaError) -> [JinjaNode] {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.deepest else { throw JinjaError("its blocks nest too deep") }
        var nodes: [JinjaNode] = []
        while at < pieces.count {
            switch pieces[at] {
            case .text(let text):
                at += 1
                nodes.append(.text(text))
            case .output(let tokens):
                at += 1
                nodes.append(.output(try JinjaExpressionParser.parse(tokens)))
            case .block(let tokens):
                guard case .name(let keyword)? = tokens.first else { throw JinjaError("a block has no name") }
                if ends.contains(keyword) { return nodes }
                at += 1
                try block(keyword, Array(tokens.dropFirst()), &nodes)
            }
        }
        guard ends.isEmpty else { throw JinjaError("a block does not end") }
        return nodes
    }

    private mutating func block(
        _ keyword: String, _ tokens: [JinjaToken], _ nodes: inout [JinjaNode]
    ) throws(JinjaError) {
        switch keyword {
        case "if": nodes.append(try branch(tokens))
        case "for": nodes.append(try loop(tokens))
        case "set": nodes.append(try assignment(tokens))
        case "macro": nodes.append(try macro(tokens))
        case "break": nodes.append(.breakLoop)
        case "continue": nodes.append(.continueLoop)
        case "generation":
            // Marks the assistant's words for training; the text is the same.
            nodes += try self.nodes(until: ["endgeneration"])
            try end()
        default: throw JinjaError("it uses \(quoted(keyword))")
        }
    }

    /// Passes over the block that ends another; its tokens behind the keyword.
    @discardableResult
    private mutating func end() throws(JinjaError) -> (keyword: String, tokens: [JinjaToken]) {
        guard at < pieces.count, case .block(let tokens) = pieces[at], case .name(let keyword)? = tokens.first else {
            throw JinjaError("a block does not end")
        }
        at += 1
        return (keyword, Array(tokens.dropFirst()))
    }

    private mutating func branch(_ tokens: [JinjaToken]) throws(JinjaError) -> JinjaNode {
        var arms = [(condition: try JinjaExpressionParser.parse(tokens), body: [JinjaNode]())]
        var otherwise: [JinjaNode] = []
        while true {
            arms[arms.count - 1].body = try nodes(until: ["elif", "else", "endif"])
            let (keyword, tokens) = try end()
            if keyword == "elif" {
                arms.append((try JinjaExpressionParser.parse(tokens), []))
                continue
            }
            if keyword == "else" {
                otherwise = try nodes(until: ["endif"])
                try end()
            }
            break
        }
        // Each `elif` is a branch inside the one before.
        guard arms.count <= 100 else { throw JinjaError("a choice has too many cases") }
        for arm in arms.reversed() { otherwise = [.branch(arm.condition, then: arm.body, otherwise: otherwise)] }
        return otherwise[0]
    }

    private mutating func loop(_ tokens: [JinjaToken]) throws(JinjaError) -> JinjaNode {
        guard let split = tokens.firstIndex(of: .name("in")) else { throw JinjaError("a loop has no 'in'") }
        var names: [String] = []
        for token in tokens[..<split] where token != .sign(",") && token != .sign("(") && token != .sign(")") {
            guard case .name(let name) = token else { throw JinjaError("a loop's variable is no name") }
            names.append(name)
        }
        guard !names.isEmpty else { throw JinjaError("a loop has no variable") }
        let (over, condition) = try JinjaExpressionParser.parseLoop(Array(tokens[(split + 1)...]))
        let body = try nodes(until: ["else", "endfor"])
        var otherwise: [JinjaNode] = []
        if try end().keyword == "else" {
            otherwise = try nodes(until: ["endfor"])
            try end()
        }
        return .loop(names: names, over: over, where: condition, body: body, otherwise: otherwise)
    }

    private mutating func assignment(_ tokens: [JinjaToken]) throws(JinjaError) -> JinjaNode {
        guard case .name(let first)? = tokens.first else { throw JinjaError("'set' has no name") }
        if tokens.count == 1 {
            let body = try nodes(until: ["endset"])
            try end()
            return .capture(name: first, body)
        }
        if tokens[1] == .sign("=") {
            return .set(object: nil, name: first, try JinjaExpressionParser.parse(Array(tokens[2...])))
        }
        guard tokens.count > 4, tokens[1] == .sign("."), case .name(let name) = tokens[2], tokens[3] == .sign("=")
        else { throw JinjaError("'set' sets more than one name") }
        return .set(object: first, name: name, try JinjaExpressionParser.parse(Array(tokens[4...])))
    }

    private mutating func macro(_ tokens: [JinjaToken]) throws(JinjaError) -> JinjaNode {
        guard case .name(let name)? = tokens.first else { throw JinjaError("a macro has no name") }
        let parameters = try JinjaExpressionParser.parseParameters(Array(tokens.dropFirst()))
        let body = try nodes(until: ["endmacro"])
        try end()
        return .macro(name: name, JinjaMacro(parameters: parameters, body: body))
    }
}
