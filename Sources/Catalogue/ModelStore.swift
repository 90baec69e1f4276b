import Glibc
import Linux

/// The folder where models known by name are kept.
public struct ModelStore: Sendable {
    /// `models` in the cache folder.
    public let folder: String

    /// - Parameter cache: the cache folder, as packed models have it.
    public init(cache: String) { folder = cache + "/models" }

    public func path(_ entry: CatalogueEntry) -> String { "\(folder)/\(entry.file)" }

    /// Where what has been fetched of it so far is.
    func part(_ entry: CatalogueEntry) -> String { "\(folder)/.\(entry.file).part" }

    /// Whether it is there; a file gets its name only when it is whole.
    public func has(_ entry: CatalogueEntry) -> Bool { access(path(entry), R_OK) == 0 }

    /// The SHA-256 that an entry's file must have: the catalogue's, else the one recorded beside it when it was fetched
    /// or made; nil when there is neither.
    public func expectedDigest(_ entry: CatalogueEntry) -> String? {
        if !entry.isImported, let digest = entry.sha256 { return digest }
        let recorded = FileTree.machine.text(path(entry) + ".sha256")?.prefix { $0 != " " && $0 != "\n" } ?? ""
        return recorded.utf8.count == 64 && recorded.allSatisfy(\.isHexDigit) ? recorded.lowercased() : nil
    }

    /// Bytes of a file; nil when it is not there.
    static func size(_ path: String) -> Int? {
        var status = stat()
        return stat(path, &status) == 0 ? Int(status.st_size) : nil
    }

    /// The path that a command's argument means: itself when there is such a file or it looks like a path, else that of
    /// the model of this name.
    ///
    /// - Parameter suggest: the nearest of some words to a mistyped one.
    public func resolve(
        _ argument: String, suggest: (String, [String]) -> String?
    ) throws(CatalogueError) -> String {
        if argument.contains("/") || argument.hasSuffix(".gguf") || access(argument, F_OK) == 0 { return argument }
        guard let entry = Catalogue.entry(named: argument) else {
            guard let near = suggest(argument, Catalogue.entries.map(\.name)) else { return argument }
            throw CatalogueError(
                .notFound, "there is no file \(argument) and no model of that name", "Did you mean \(near)?")
        }
        guard has(entry) else {
            throw CatalogueError(
                .notFound, "the model \(entry.name) is not here yet", "Pull it first: martlet model pull \(entry.name)")
        }
        return path(entry)
    }

    /// Gives a lock back. Closing would not be enough: a child that is being started may still hold a copy.
    func unlock(_ lock: Int32) {
        flock(lock, LOCK_UN)
        close(lock)
    }

    /// Holds the folder for one process until `unlock`; nil when another is pulling.
    func lock() throws(CatalogueError) -> Int32? {
        do {
            try makeFolders(folder)
        } catch {
            throw CatalogueError(unwritable: error)
        }
        let lock = open(folder + "/.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else { throw CatalogueError(unwritable: SystemError("create", folder + "/.lock")) }
        if flock(lock, LOCK_EX | LOCK_NB) == 0 { return lock }
        close(lock)
        return nil
    }

    /// Free bytes on the disk of the folder.
    var free: Int? {
        var status = statvfs()
        guard statvfs(folder, &status) == 0 else { return nil }
        return Int(
            clamping: UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize)).partialValue)
    }
}
