import GGUF
import Glibc
import Linux

/// States behind prefixes, kept on disk: what a slow board computed once is mapped after every start.
///
/// A file is the state of one model, tier, kind of cache, adapters and tokens, named by a digest of all of them. It has a
/// header of a page, then the cells. One that does not fit or is damaged is as if it were not there.
public struct PrefixStore: Sendable {
    public let folder: String

    /// Files that are kept; beyond them the one that was written longest ago goes.
    static let mostFiles = 32
    /// Prefixes that are shorter are computed sooner than a card is asked.
    static let leastTokens = 16
    private static let headerBytes = 4096
    private static let version = "martlet prefix 1"

    /// The store below a cache folder.
    public init(cache: String) { folder = cache + "/prefixes" }

    /// The state behind `tokens`, mapped; nil when it is not there.
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
        return PrefixState(count: tokens.count, cells: .mapped(file, from: Self.headerBytes))
    }

    /// Keeps a state that was computed. Throws `SystemError` when the folder cannot be written.
    public func save(_ state: PrefixState, _ tokens: [Int32], for session: Session) throws(SystemError) {
        guard tokens.count >= Self.leastTokens, state.count == tokens.count else { return }
        try makeFolders(folder)
        let key = key(tokens, session)
        let digest = state.withCells { SHA256.hexadecimal(of: $0) }
        let file = try ReplacedFile(path: path(key))
        let header = Self.header(key, digest: digest)
        try file.append(header)
        try file.append([UInt8](repeating: 0, count: Self.headerBytes - header.count))
        try state.append(to: file)
        try file.commit()
        removeOldest()
    }

    private func path(_ key: String) -> String { "\(folder)/\(key.prefix(32)).kv" }

    private static func header(_ key: String, digest: String) -> [UInt8] {
        Array("\(version)\n\(key)\n\(digest)\n".utf8)
    }

    /// A digest of everything that a state depends on.
    private func key(_ tokens: [Int32], _ session: Session) -> String {
        let model = session.model
        var text = "\(Self.version)\n\(PackedModel.fingerprint(model.file))\n\(model.tier.rawValue) \(model.isPacked)\n"
        text += "\(session.kvCache.rawValue) \(session.context > model.config.rope.originalContextLength) "
        text += "\(model.config.rope.scaling.fingerprint)\n"
        for scaled in session.scaledAdapters {
            text += "\(PackedModel.fingerprint(scaled.adapter.file)) \(scaled.scale.bitPattern)\n"
        }
        text += tokens.map(String.init).joined(separator: " ")
        return Array(text.utf8).withUnsafeBytes { SHA256.hexadecimal(of: $0) }
    }

    /// Keeps the folder bounded: prompts change, and their states are of no use then.
    private func removeOldest() {
        guard let list = opendir(folder) else { return }
        defer { closedir(list) }
        var files: [(path: String, written: Int)] = []
        while let entry = readdir(list) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            var status = stat()
            let path = "\(folder)/\(name)"
            guard name.hasSuffix(".kv"), stat(path, &status) == 0 else { continue }
            files.append((path, status.st_mtim.tv_sec))
        }
        let surplus = files.count - Self.mostFiles
        guard surplus > 0 else { return }
        for file in files.sorted(by: { $0.written < $1.written }).prefix(surplus) { unlink(file.path) }
    }
}
