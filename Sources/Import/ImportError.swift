import Linux

/// Why a model cannot be imported, as one sentence that ends with what to do.
public struct ImportError: Error, Equatable, CustomStringConvertible {
    public enum Kind: Sendable {
        case data, notFound, unwritable
    }
    public let kind: Kind
    public let description: String

    init(_ subject: String, _ reason: String, _ advice: String, kind: Kind = .data) {
        self.kind = kind
        description = "cannot import \(subject): \(reason). \(advice)"
    }

    init(unreachable path: String, _ error: SystemError) {
        kind = error.isNotFound ? .notFound : .data
        description = "cannot \(error.operation) \(path): \(error.reason). Check the path and its rights"
    }
}
