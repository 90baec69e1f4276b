import Glibc
import Linux

/// States behind prefixes, kept on disk: what a slow board computed once is mapped after every start.
///
/// A file is the state of one program, model, tier, kind of cache, adapters and tokens, named by a digest of all of them.
/// It has a header of a page, then the cells. One that does not fit or is damaged is as if it were not there.
public struct PrefixStore: Sendable {
    public let folder: String
    /// What computes the states.
    private let program: String
    private let mostBytes: Int

    /// Files that are kept; beyond them the one that was used longest ago goes.
    static let mostFiles = 32
    /// Prefixes that are shorter are computed sooner than a card is asked.
    static let leastTokens = 16
    /// Seconds after which a file that is used is marked as used: a day, so that a restart does not wear the card.
    private static let useInterval = 86_400
    private static let headerBytes = 4096
    private static let version = "martlet prefix 1"

    /// The store below a cache folder.
    ///
    /// - Parameters:
    ///   - program: version and commit. The states of another one may be rounded otherwise, or laid out otherwise.
    ///   - mostBytes: of all files together; 256 MiB are 11,000 tokens of SmolLM2-135M.
    public init(cache: String, program: String, mostBytes: Int = 256 << 20) {
        folder = cache + "/prefixes"
        // Builds of changed files have one commit.
        self.program = program + Self.executable
        self.mostBytes = mostBytes
    }

    /// The size of this program's file and when it was written.
    private static let executable: String = {
        var status = stat()
        guard stat("/proc/self/exe", &status) == 0 else { return "" }
        return " \(status.st_size) \(status.st_mtim.tv_sec).\(status.st_mtim.tv_nsec)"
    }()

    /// The state behind `tokens`, mapped; nil when it is not there or does not fit the session.
    public func find(_ tokens: [Int32], for session: Session) -> PrefixState? {
        guard tokens.count >= Self.leastTokens, tokens.count <= session.context else { return nil }
        let key = key(tokens, session)
        // The size first: reading a file that could not be restored would only cost time.
        guard access(path(key), R_OK) == 0, let file = try? MappedFile(path: path(key)),
            file.bytes.count == Self.headerBytes + session.cache.byteCount(of: tokens.count)
        else { return nil }
        let cells = UnsafeRawBufferPointer(rebasing: file.bytes[Self.headerBytes...])
        let header = Self.header(key, digest: SHA256.hexadecimal(of: cells))
        guard file.bytes.starts(with: header) else { return nil }
        if time(nil) - file.modified / 1_000_000_000 > Self.useInterval { utimensat(AT_FDCWD, file.path, nil, 0) }
        return PrefixState(count: tokens.count, cells: .mapped(file, from: Self.headerBytes))
    }

    /// Keeps a state that was computed; those that were used longest ago make room for it.
    ///
    /// - Returns: the same state, mapped; nil when it is too short or too large to be kept, or another process writes.
    /// - Throws: `SystemError` when the folder cannot be written or its disk is nearly full.
    public func save(
        _ state: PrefixState, _ tokens: [Int32], for session: Session
    ) throws(SystemError) -> PrefixState? {
        let bytes = Self.headerBytes + state.withCells(\.count)
        guard tokens.count >= Self.leastTokens, state.count == tokens.count, bytes <= mostBytes else { return nil }
        guard let folder = try CacheFolder(folder) else { return nil }
        defer { folder.leave() }
        let key = key(tokens, session)
        makeRoom(for: bytes)
        try folder.checkRoom(for: bytes, keeping: "states behind prompts")
        let digest = state.withCells { SHA256.hexadecimal(of: $0) }
        let file = try ReplacedFile(path: path(key))
        let header = Self.header(key, digest: digest)
        try file.append(header)
        try file.append([UInt8](repeating: 0, count: Self.headerBytes - header.count))
        try state.append(to: file)
        try file.commit()
        return PrefixState(count: tokens.count, cells: .mapped(try MappedFile(path: path(key)), from: Self.headerBytes))
    }

    private func path(_ key: String) -> String { "\(folder)/\(key.prefix(32)).kv" }

    private static func header(_ key: String, digest: String) -> [UInt8] {
        Array("\(version)\n\(key)\n\(digest)\n".utf8)
    }

    /// A digest of everything that a state depends on.
    private func key(_ tokens: [Int32], _ session: Session) -> String {
        let model = session.model
        var text = "\(Self.version)\n\(program)\n\(model.fingerprint)\n\(model.tier.rawValue) \(model.isPacked)\n"
        text += "\(session.kvCache.rawValue) \(session.context > model.config.rope.originalContextLength) "
        text += "\(model.config.rope.scaling.fingerprint)\n"
        for scaled in session.scaledAdapters {
            text += "\(scaled.adapter.fingerprint) \(scaled.scale.bitPattern)\n"
        }
        text += tokens.map(String.init).joined(separator: " ")
        return Array(text.utf8).withUnsafeBytes { SHA256.hexadecimal(of: $0) }
    }

    /// Keeps the folder bounded with one more file: prompts change, and their states are of no use then.
    ///
    /// Before the file is written, so that it is never the one that goes.
    private func makeRoom(for bytes: Int) {
        var files: [(path: String, bytes: Int, used: Int)] = []
        for name in FileTree.machine.names(in: folder) where name.hasSuffix(".kv") {
            var status = stat()
            let path = "\(folder)/\(name)"
            guard stat(path, &status) == 0 else { continue }
            let used = status.st_mtim.tv_sec &* 1_000_000_000 &+ status.st_mtim.tv_nsec
            files.append((path, Int(status.st_size), used))
        }
        files.sort { $0.used > $1.used }
        var all = files.reduce(0) { $0 &+ $1.bytes }
        while let oldest = files.last, files.count >= Self.mostFiles || all > mostBytes - bytes {
            unlink(oldest.path)
            files.removeLast()
            all &-= oldest.bytes
        }
    }
}
