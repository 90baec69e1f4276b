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
    public let description: String

    init(_ kind: Kind, _ what: String, _ advice: String) {
        self.kind = kind
        description = "\(what). \(advice)"
    }

    init(unwritable error: SystemError) {
        kind = .unwritable
        description = "\(error). Check the folder, its rights and free space, or set MARTLET_CACHE to another folder"
    }
}
