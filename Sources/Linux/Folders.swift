import Glibc

/// Makes the folder at `path` and those above it that are missing, readable by this user only.
public func makeFolders(_ path: String) throws(SystemError) {
    var made = path.hasPrefix("/") ? "" : "."
    for part in path.split(separator: "/") {
        made += "/\(part)"
        guard mkdir(made, 0o700) != 0, errno != EEXIST else { continue }
        let error = SystemError("make the folder", made)
        // A parent that cannot be made but exists, as on a read-only root, is no failure.
        if access(made, F_OK) != 0 { throw error }
    }
}
