import Linux

/// Why a model cannot be had, as one sentence that ends with what to do.
public struct CatalogueError: Error, Equatable, CustomStringConvertible {
    public enum Kind: Sendable {
        /// Asked for in a way that cannot be: an unknown name, terms not accepted.
        case usage
        /// The bytes are not the model's.
        case data
        /// Not fetched yet.
        case notFound
        /// The network, a server or a program that fetches.
        case unavailable
        /// The disk.
        case unwritable
    }
    public let kind: Kind
    /// What is wrong.
    public let reason: String
    /// What to do, a sentence without its stop.
    public let advice: String
    public var description: String { "\(reason). \(advice)" }

    init(_ kind: Kind, _ what: String, _ advice: String) {
        (self.kind, reason, self.advice) = (kind, what, advice)
    }

    init(unwritable error: SystemError) {
        self.init(
            .unwritable, "\(error)",
            "Check the folder, its rights and free space, or set MARTLET_CACHE to another folder")
    }
}
