import CSQLite
import Glibc

/// One SQLite connection: the only door to its C interface, and not thread-safe by itself.
///
/// Ownership: `close` must be called; statements made by it end with it.
final class SQLiteConnection {
    private let connection: OpaquePointer
    private var statements: [SQLiteStatement] = []
    private var isClosed = false

    /// Opens or creates `path`; `:memory:` for none. Takes no lock yet.
    init(path: String) throws(SpoolError) {
        var opened: OpaquePointer?
        // No mutex: `Spool` serialises all access.
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
        let code = sqlite3_open_v2(path, &opened, flags, nil)
        guard code == SQLITE_OK, let opened else {
            let reason = opened.map { String(cString: sqlite3_errmsg($0)) } ?? "out of memory"
            sqlite3_close(opened)
            throw .unusable(path: path, reason: reason)
        }
        connection = opened
        // A martlet that is just ending may still hold the lock.
        sqlite3_busy_timeout(opened, 2000)
    }

    deinit { close() }

    /// Finalises all statements and closes; with the last one the write-ahead log goes into the database.
    func close() {
        guard !isClosed else { return }
        isClosed = true
        for statement in statements { statement.finalize() }
        sqlite3_close(connection)
    }

    func prepare(_ sql: String) throws(SpoolError) -> SQLiteStatement {
        var pointer: OpaquePointer?
        let flags = UInt32(SQLITE_PREPARE_PERSISTENT)
        guard sqlite3_prepare_v3(connection, sql, -1, flags, &pointer, nil) == SQLITE_OK, let pointer else {
            throw failure()
        }
        let statement = SQLiteStatement(pointer, of: self)
        statements.append(statement)
        return statement
    }

    /// Runs statements that return nothing of interest.
    func run(_ sql: String) throws(SpoolError) {
        guard sqlite3_exec(connection, sql, nil, nil, nil) == SQLITE_OK else { throw failure() }
    }

    /// The first column of the first row.
    func integer(_ sql: String) throws(SpoolError) -> Int64 {
        let statement = try prepare(sql)
        defer { release(statement) }
        return try statement.step() ? statement.integer(0) : 0
    }

    func text(_ sql: String) throws(SpoolError) -> String {
        let statement = try prepare(sql)
        defer { release(statement) }
        return try statement.step() ? statement.text(0) ?? "" : ""
    }

    private func release(_ statement: SQLiteStatement) {
        statement.finalize()
        statements.removeAll { $0 === statement }
    }

    var isInTransaction: Bool { sqlite3_get_autocommit(connection) == 0 }

    /// The last failure as an error. 13 is a full disk or database, 5 another process.
    func failure() -> SpoolError {
        let code = sqlite3_extended_errcode(connection)
        switch code & 0xFF {
        case SQLITE_FULL: return .full(reason: "no more room on the disk or within the limit")
        case SQLITE_BUSY, SQLITE_LOCKED: return .inUse(path: path)
        case SQLITE_READONLY, SQLITE_CANTOPEN, SQLITE_PERM, SQLITE_AUTH:
            return .unusable(path: path, reason: message)
        default: return .database(code: code, reason: message)
        }
    }

    private var message: String { String(cString: sqlite3_errmsg(connection)) }

    private var path: String { sqlite3_db_filename(connection, "main").map { String(cString: $0) } ?? "" }
}

/// A prepared statement; `reset` it after use, so that it holds no row and no lock.
final class SQLiteStatement {
    private let pointer: OpaquePointer
    private unowned let connection: SQLiteConnection
    private var isFinal = false

    fileprivate init(_ pointer: OpaquePointer, of connection: SQLiteConnection) {
        self.pointer = pointer
        self.connection = connection
    }

    fileprivate func finalize() {
        guard !isFinal else { return }
        isFinal = true
        sqlite3_finalize(pointer)
    }

    /// Whether there is a row. SQLite reports what went wrong; the statement is reset then.
    func step() throws(SpoolError) -> Bool {
        switch sqlite3_step(pointer) {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        default:
            let error = connection.failure()
            reset()
            throw error
        }
    }

    /// Runs to the end and resets.
    func run() throws(SpoolError) {
        while try step() {}
        reset()
    }

    func reset() {
        sqlite3_reset(pointer)
        // Bound payloads are copies; do not keep the last one.
        sqlite3_clear_bindings(pointer)
    }

    func bind(_ index: Int32, _ value: Int64) { sqlite3_bind_int64(pointer, index, value) }
    func bind(_ index: Int32, _ value: Int) { bind(index, Int64(value)) }

    func bind(_ index: Int32, _ value: Int64?) {
        if let value { bind(index, value) } else { sqlite3_bind_null(pointer, index) }
    }

    /// SQLite copies the bytes (SQLITE_TRANSIENT): they need not outlive the call.
    func bind(_ index: Int32, _ value: String?) {
        guard var value else {
            _ = sqlite3_bind_null(pointer, index)
            return
        }
        value.withUTF8 { bytes in
            _ = bytes.withMemoryRebound(to: CChar.self) {
                sqlite3_bind_text(pointer, index, $0.baseAddress, Int32(clamping: $0.count), martlet_sqlite_transient())
            }
        }
    }

    func bind(_ index: Int32, _ value: [UInt8]?) {
        guard let value else {
            _ = sqlite3_bind_null(pointer, index)
            return
        }
        // A blob from a null pointer would be NULL.
        guard !value.isEmpty else {
            _ = sqlite3_bind_zeroblob(pointer, index, 0)
            return
        }
        sqlite3_bind_blob64(pointer, index, value, UInt64(value.count), martlet_sqlite_transient())
    }

    func isNull(_ column: Int32) -> Bool { sqlite3_column_type(pointer, column) == SQLITE_NULL }
    func integer(_ column: Int32) -> Int64 { sqlite3_column_int64(pointer, column) }

    func text(_ column: Int32) -> String? {
        guard let bytes = sqlite3_column_text(pointer, column) else { return nil }
        let count = Int(sqlite3_column_bytes(pointer, column))
        return String(decoding: UnsafeBufferPointer(start: bytes, count: count), as: UTF8.self)
    }

    func bytes(_ column: Int32) -> [UInt8]? {
        guard !isNull(column) else { return nil }
        let bytes = sqlite3_column_blob(pointer, column)
        return [UInt8](
            UnsafeRawBufferPointer(start: bytes, count: bytes == nil ? 0 : Int(sqlite3_column_bytes(pointer, column))))
    }
}
