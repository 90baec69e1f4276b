/// An expression of a template.
indirect enum JinjaExpression: Equatable, Sendable {
    case none
    case bool(Bool)
    case int(Int)
    case float(Double)
    case text(String)
    case name(String)
    case list([JinjaExpression])
    case dict([JinjaArgument])
    case attribute(JinjaExpression, String)
    case index(JinjaExpression, JinjaExpression)
    case slice(JinjaExpression, JinjaExpression?, JinjaExpression?, JinjaExpression?)
    case call(JinjaExpression, [JinjaArgument])
    case filter(JinjaExpression, String, [JinjaArgument])
    case test(JinjaExpression, String, [JinjaArgument], negated: Bool)
    case unary(String, JinjaExpression)
    case binary(String, JinjaExpression, JinjaExpression)
    case conditional(JinjaExpression, JinjaExpression, JinjaExpression?)
}

/// A value handed to a function or filter, with a name or without. In a dictionary, `key` is its key; of a macro's
/// parameter, its default.
struct JinjaArgument: Equatable, Sendable {
    var name: String?
    var key: JinjaExpression?
    var value: JinjaExpression
}

/// A part of a template.
indirect enum JinjaNode: Equatable, Sendable {
    case text(String)
    case output(JinjaExpression)
    case branch(JinjaExpression, then: [JinjaNode], otherwise: [JinjaNode])
    case loop(
        names: [String], over: JinjaExpression, where: JinjaExpression?, body: [JinjaNode], otherwise: [JinjaNode])
    /// `{% set name = … %}` or `{% set object.name = … %}`.
    case set(object: String?, name: String, JinjaExpression)
    /// `{% set name %}…{% endset %}`
    case capture(name: String, [JinjaNode])
    case macro(name: String, JinjaMacro)
    case breakLoop
    case continueLoop
}

struct JinjaMacro: Equatable, Sendable {
    var parameters: [JinjaArgument]
    var body: [JinjaNode]
}
