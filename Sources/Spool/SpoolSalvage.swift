/// Reads what can still be read of a damaged spool.
///
/// SQLite's own recovery extension is not in the library; this walks the two tables by row number from both ends, and
/// tries the rows between the damaged pages one by one. What a row says is not proved: a payload may have changed.
struct SpoolSalvage {
    /// What was found and stored again.
    struct Finding: Equatable {
        var events = 0
        var messages = 0
    }

    /// Rows that are tried one by one at most, so that a start takes seconds.
    private static let mostProbes: Int64 = 100_000

    private let database: SQLiteConnection

    /// Opens a file that was moved aside, with its log; nil when that is not possible at all.
    init?(path: String) {
        guard let database = try? SQLiteConnection(path: path) else { return nil }
        self.database = database
    }

    /// Stores again what is readable, in one transaction, as far as there is room.
    func move(into store: SpoolStore) -> Finding {
        defer { database.close() }
        var finding = Finding()
        do throws(SpoolError) {
            try store.transaction { () throws(SpoolError) in
                // A transaction that is tried again begins anew.
                finding = Finding()
                walk("event", SpoolStore.eventColumns, key: "sequence") { row in
                    let event = SpoolStore.event(row)
                    guard Self.isPlausible(event), (try? store.insert(event)) == true else { return }
                    finding.events += 1
                }
                walk("message", SpoolStore.messageColumns, key: "id") { row in
                    let message = SpoolStore.message(row)
                    guard Self.isPlausible(message), (try? store.insert(message, id: message.id)) != nil else { return }
                    finding.messages += 1
                }
            }
        } catch {
            return Finding()
        }
        return finding
    }

    private static func isPlausible(_ event: SpooledEvent) -> Bool {
        event.id.utf8.count == 26 && !event.task.isEmpty && !event.topic.isEmpty && (0...9).contains(event.priority)
    }

    private static func isPlausible(_ message: SpooledMessage) -> Bool {
        !message.topic.isEmpty && message.id > 0 && (0...1).contains(message.qos)
    }

    /// Hands over the rows of a table in order, without those that cannot be read.
    private func walk(_ table: String, _ columns: String, key: String, _ take: (SQLiteStatement) -> Void) {
        let select = "SELECT \(columns), \(key) FROM \(table) WHERE \(key)"
        let index = Int32(columns.split(separator: ",").count)
        guard let up = try? database.prepare("\(select) > ? ORDER BY \(key)"),
            let down = try? database.prepare("SELECT \(key) FROM \(table) WHERE \(key) > ? ORDER BY \(key) DESC"),
            let one = try? database.prepare("\(select) = ?")
        else { return }
        /// The last row before the end or the damage, and whether it was the end.
        func climb(from start: Int64) -> (last: Int64, isEnd: Bool) {
            var last = start
            defer { up.reset() }
            up.bind(1, start)
            do throws(SpoolError) {
                while try up.step() {
                    last = up.integer(index)
                    take(up)
                }
                return (last, true)
            } catch {
                return (last, false)
            }
        }
        let (last, isEnd) = climb(from: 0)
        guard !isEnd else { return }
        // From above down to the damage; the rows themselves are taken in order afterwards.
        var first: Int64?
        down.bind(1, last)
        while (try? down.step()) == true { first = down.integer(0) }
        down.reset()
        let end = first ?? last &+ Self.mostProbes
        var number = last
        while number < Int64.max - 1, number + 1 < end, number - last < Self.mostProbes {
            number += 1
            one.bind(1, number)
            if (try? one.step()) == true { take(one) }
            one.reset()
        }
        if let first { _ = climb(from: first - 1) }
    }
}
