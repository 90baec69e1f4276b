/// The database's settings, tables and versions.
enum SpoolSchema {
    /// What this code writes. Raise it with a step in `migrate`.
    static let version = 2
    /// A higher one was not written by any Martlet.
    static let lastPlausibleVersion = 1000
    /// SQLite's smallest sensible page. Every transaction writes whole pages to the log: a short event that is accepted,
    /// answered and acknowledged writes 8 KiB with pages of 1 KiB and 24 KiB with the default of 4 (measured), and cards
    /// wear. The speed is the same.
    static let pageSize = 1024

    /// Before anything else is asked: the log's index is then in memory, and no other process comes between.
    static let alone = "PRAGMA locking_mode = EXCLUSIVE"

    /// How a new file is laid out. Not for one that is there: SQLite writes `auto_vacuum` into the header each time it
    /// is set, and on a full disk the spool could then not be opened.
    static let layout = "PRAGMA page_size = \(pageSize); PRAGMA auto_vacuum = INCREMENTAL"

    /// How the file is kept. `synchronous` is raised for transactions that shall survive a loss of power.
    static func settings(limitBytes: Int) -> String {
        """
        PRAGMA journal_mode = WAL;
        PRAGMA synchronous = NORMAL;
        PRAGMA cache_size = -256;
        PRAGMA mmap_size = 0;
        PRAGMA temp_store = MEMORY;
        PRAGMA cell_size_check = ON;
        PRAGMA trusted_schema = OFF;
        PRAGMA wal_autocheckpoint = \((1 << 20) / pageSize);
        PRAGMA journal_size_limit = 1048576;
        PRAGMA max_page_count = \(limitBytes / pageSize);
        """
    }

    /// Brings the tables to `version`; refuses what a newer martlet wrote.
    static func migrate(_ database: SQLiteConnection, path: String) throws(SpoolError) {
        let found = Int(clamping: try database.integer("PRAGMA user_version"))
        guard found <= version else { throw .newerSchema(path: path, found: found, known: version) }
        if found < 1 { try database.run(first) }
        if found < 2 { try database.run(second) }
    }

    // No index on priority: making room is rare, and every index is one more page written per event.
    // Columns that are searched stand before the payload, which spills into overflow pages.
    private static let first = """
        BEGIN IMMEDIATE;
        CREATE TABLE event (
            sequence INTEGER PRIMARY KEY, id TEXT NOT NULL, task TEXT NOT NULL, priority INTEGER NOT NULL,
            received INTEGER NOT NULL, deadline INTEGER, qos INTEGER NOT NULL, packet INTEGER NOT NULL,
            size INTEGER NOT NULL, topic TEXT NOT NULL, content_type TEXT, response_topic TEXT, correlation BLOB, payload BLOB NOT NULL
        );
        CREATE UNIQUE INDEX event_key ON event (id, task);
        CREATE TABLE message (
            id INTEGER PRIMARY KEY, created INTEGER NOT NULL, qos INTEGER NOT NULL, retain INTEGER NOT NULL,
            expiry INTEGER, topic TEXT NOT NULL, content_type TEXT, response_topic TEXT, correlation BLOB,
            payload BLOB NOT NULL
        );
        PRAGMA user_version = 1;
        COMMIT;
        """

    // A ring: the place of a delivery is its number modulo the ring's size, so that one page is written and none freed.
    private static let second = """
        BEGIN IMMEDIATE;
        CREATE TABLE delivery (
            place INTEGER PRIMARY KEY, number INTEGER NOT NULL, packet INTEGER NOT NULL, digest INTEGER NOT NULL
        );
        PRAGMA user_version = 2;
        COMMIT;
        """
}
