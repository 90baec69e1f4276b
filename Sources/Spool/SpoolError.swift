/// Why the spool could not do what was asked.
public enum SpoolError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Over the configured limit, or the disk is full. The caller sheds or refuses.
    case full(reason: String)
    /// Another process holds the file.
    case inUse(path: String)
    /// A newer Martlet wrote the file.
    case newerSchema(path: String, found: Int, known: Int)
    /// The file or its folder cannot be opened or written.
    case unusable(path: String, reason: String)
    /// SQLite failed otherwise: its code and sentence.
    case database(code: Int32, reason: String)

    public var description: String {
        switch self {
        case .full(let reason):
            "the spool is full: \(reason). Raise [limits] spool, free disk space or send fewer events"
        case .inUse(let path):
            "the spool \(path) is in use: another martlet has it open. Stop that one or give this one its own folder"
        case .newerSchema(let path, let found, let known):
            "the spool \(path) cannot be read: its format is \(found) and this martlet knows up to \(known). "
                + "Update martlet or move the file away"
        case .unusable(let path, let reason):
            "the spool \(path) cannot be used: \(reason). Check that the folder exists and martlet may write to it"
        case .database(let code, let reason): "the spool failed: SQLite error \(code), \(reason). Check the disk"
        }
    }
}
