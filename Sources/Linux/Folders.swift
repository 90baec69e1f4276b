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

/// Makes a folder of a new name in `parent`, readable by this user only, and returns its path; the caller removes it.
///
/// - Parameter prefix: what the name begins with.
public func makeTemporaryFolder(prefix: String, in parent: String) throws(SystemError) -> String {
    // mkdtemp(3) replaces six X's at the end.
    var template = Array("\(parent)/\(prefix)\(String(repeating: "X", count: 6))".utf8CString)
    guard mkdtemp(&template) != nil else { throw SystemError("make a folder in", parent) }
    return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
