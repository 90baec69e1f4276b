/// A place in the tokens of a tag; past the end there is always nothing.
struct JinjaTokenCursor {
    private let tokens: [JinjaToken]
    private var at = 0

    init(_ tokens: [JinjaToken]) { self.tokens = tokens }

    var peek: JinjaToken? { at < tokens.count ? tokens[at] : nil }

    /// The token behind the next.
    var second: JinjaToken? { at + 1 < tokens.count ? tokens[at + 1] : nil }

    mutating func skip(_ count: Int) { at += count }

    mutating func next() -> JinjaToken? {
        defer { at += 1 }
        return peek
    }

    mutating func take(_ token: JinjaToken) -> Bool {
        guard peek == token else { return false }
        at += 1
        return true
    }

    mutating func expect(_ sign: String) throws(JinjaError) {
        guard take(.sign(sign)) else { throw JinjaError("an expression lacks '\(sign)'") }
    }

    func expectEnd() throws(JinjaError) {
        guard at >= tokens.count else { throw JinjaError("an expression goes on where it should end") }
    }
}
