import Glibc
import Linux

/// A folder of files that only save time, open for writing: packed models, or states behind prefixes.
///
/// One process at a time: two daemons of one user start at once after a power failure. Ownership: the writer, who gives
/// the lock back with `leave`.
struct CacheFolder {
    let path: String
    private let lock: CInt

    /// Makes the folder and takes its lock; nil when another process holds it. Throws `SystemError` when the folder cannot
    /// be made or written.
    init?(_ path: String) throws(SystemError) {
        try makeFolders(path)
        lock = open(path + "/.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else { throw SystemError("create", path + "/.lock") }
        self.path = path
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            close(lock)
            return nil
        }
        // Parts of writers that were killed: nobody else writes here while we hold the lock.
        for name in FileTree.machine.names(in: path) where name.hasSuffix(".part") { unlink("\(path)/\(name)") }
    }

    /// Gives the lock back. Not in a deinit: that may run behind the last use, which need not be the last byte written.
    func leave() {
        // Closing alone would leave it to a child that is being started and holds a copy.
        flock(lock, LOCK_UN)
        close(lock)
    }

    /// Throws unless `bytes` more leave a tenth of the disk free, which the spool may need.
    func checkRoom(for bytes: Int, keeping what: String) throws(SystemError) {
        var status = statvfs()
        guard statvfs(path, &status) == 0 else { throw SystemError("look at the disk of", path) }
        let left = Double(status.f_bavail) * Double(status.f_frsize) - Double(bytes)
        guard left > Double(status.f_blocks) * Double(status.f_frsize) / 10 else {
            throw SystemError("keep \(what) in", path, code: ENOSPC)
        }
    }
}
