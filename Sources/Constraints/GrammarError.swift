/// Why a schema or a pattern cannot be followed: one sentence, then what to do.
public struct GrammarError: Error, CustomStringConvertible, Sendable, Equatable {
    public let description: String

    init(_ description: String) { self.description = description }

    /// A keyword of a schema that cannot be kept.
    ///
    /// - Parameters:
    ///   - pointer: JSON Pointer of the keyword.
    ///   - advice: what to write instead.
    init(_ pointer: String, _ why: String, _ advice: String) {
        description = "the schema's \(pointer.isEmpty ? "root" : pointer) cannot be followed: \(why). \(advice)."
    }
}
