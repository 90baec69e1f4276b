import Glibc
import Linux

// How the file is opened, and replaced where it is damaged.
extension Spool {
    func openOrReplace() throws(SpoolError) -> SpoolStore {
        guard let path else { return try open(":memory:", check: false) }
        // A clean close removes the log, so a log means that the last run died: then look before using it.
        var information = stat()
        let unclean = stat(path + "-wal", &information) == 0 && information.st_size > 0
        do throws(SpoolError) {
            return try open(path, check: unclean)
        } catch {
            guard Self.meansDamage(error) || Self.meansDamageAtOpening(error, path) else {
                // SQLite calls it an I/O error of a lock.
                let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
                guard access(folder, W_OK) != 0 else { throw error }
                throw .unusable(path: path, reason: "its folder is not writable (\(String(cString: strerror(errno))))")
            }
            return try replace(path, because: error)
        }
    }

    /// Errors that have other causes later: our statements do not fit its tables, its version is no version, or its
    /// header says that SQLite of a later age wrote it, which SQLite takes for a file that may not be written.
    private static func meansDamageAtOpening(_ error: SpoolError, _ path: String) -> Bool {
        switch error {
        case .database(let code, _): return code & 0xFF == SpoolStore.misfit
        case .newerSchema(_, let found, _): return found > SpoolSchema.lastPlausibleVersion
        case .unusable:
            // An I/O error has this code too; the file itself decides. Bytes 18 and 19: 1 is a journal, 2 a log.
            let header = FileTree.machine.contents(path) ?? []
            return header.count > 100 && !((1...2).contains(header[18]) && (1...2).contains(header[19]))
        default: return false
        }
    }

    private func open(_ path: String, check: Bool) throws(SpoolError) -> SpoolStore {
        try SpoolStore(path: path, limitBytes: limitBytes, mostRows: mostRows, check: check)
    }

    /// SQLITE_CORRUPT and SQLITE_NOTADB, with their extended codes. An I/O error is not damage: the card may come back.
    static func meansDamage(_ error: SpoolError) -> Bool {
        guard case .database(let code, _) = error else { return false }
        return code & 0xFF == SpoolStore.corrupt || code & 0xFF == 26
    }

    /// Moves the damaged file aside and makes a new one. Only one damaged file is kept: they would fill the card.
    func replace(_ path: String, because error: SpoolError) throws(SpoolError) -> SpoolStore {
        let stamp = Timestamp.now().description.filter { $0 != "-" && $0 != ":" && $0 != "." }
        let aside = "\(path).corrupt-\(stamp)"
        let slash = path.lastIndex(of: "/")
        let folder = slash.map { String(path[...$0]) } ?? "./"
        let prefix = String(slash.map { path[path.index(after: $0)...] } ?? path[...]) + ".corrupt-"
        for name in FileTree.machine.names(in: folder) where name.utf8.starts(with: prefix.utf8) {
            unlink(folder + name)
        }
        guard rename(path, aside) == 0 || errno == ENOENT else {
            throw .unusable(
                path: path, reason: "it is damaged and cannot be moved: \(String(cString: strerror(errno)))")
        }
        // The log belongs to the damaged file; beside a new one it would be applied to it.
        if rename(path + "-wal", aside + "-wal") != 0 { unlink(path + "-wal") }
        unlink(path + "-shm")
        let fresh = try open(path, check: false)
        let kept = SpoolSalvage(path: aside)?.move(into: fresh) ?? SpoolSalvage.Finding()
        onWarning(
            "the spool was damaged (\(error)): \(kept.events) events and \(kept.messages) results could be read and "
                + "are kept, others are lost. It was moved to \(aside) and a new one was made")
        return fresh
    }
}
