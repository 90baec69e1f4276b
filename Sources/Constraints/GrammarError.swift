import Linux

/// Why a schema or a pattern cannot be followed: one sentence, then what to do.
public struct GrammarError: Error, CustomStringConvertible, Sendable, Equatable {
    public let description: String

    init(_ description: String) { self.description = oneLine(description) }

    /// A keyword of a schema that cannot be kept.
    ///
    /// - Parameters:
    ///   - pointer: JSON Pointer of the keyword.
    ///   - advice: what to write instead.
    init(_ pointer: String, _ why: String, _ advice: String) {
        self.init("the schema's \(Self.shown(pointer)) cannot be followed: \(why). \(advice).")
    }

    /// Names in a pointer may have any length.
    static func shown(_ pointer: String) -> String { pointer.isEmpty ? "root" : oneLine(pointer, most: 200) }
}
