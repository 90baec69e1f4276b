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

/// A name from a file made safe for one line of an error message.
func shown(_ text: String) -> String {
    let safe = text.unicodeScalars.prefix(80).map { scalar -> Unicode.Scalar in
        scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value) ? "\u{FFFD}" : scalar
    }
    var result = "'"
    result.unicodeScalars.append(contentsOf: safe)
    return result + (text.unicodeScalars.count > 80 ? "…'" : "'")
}
