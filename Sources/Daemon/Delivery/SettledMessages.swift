import DequeModule

/// Messages that the broker has: removed from the spool, or about to be.
///
/// Whoever looked at the spool before a removal may hold such a message in its hands after it, and would send it once
/// more. So an id is forgotten only when every look that began before its removal has ended. Not thread-safe;
/// `Outbox` guards it.
struct SettledMessages {
    private var ids: Set<UInt64> = []
    /// Ids no longer in the spool, with the number of the first look that cannot have seen them.
    private var gone: Deque<(look: UInt64, id: UInt64)> = []
    /// Looks that have not ended: as many as there are threads, at most.
    private var open: Set<UInt64> = []
    private var nextLook: UInt64 = 1

    func contains(_ id: UInt64) -> Bool { ids.contains(id) }

    /// The broker has it.
    mutating func insert(_ id: UInt64) { ids.insert(id) }

    /// A look at the spool begins; `end` it once it is known what is sent. Ending it twice is no error.
    mutating func begin() -> UInt64 {
        defer { nextLook += 1 }
        open.insert(nextLook)
        return nextLook
    }

    mutating func end(_ look: UInt64) {
        guard open.remove(look) != nil else { return }
        forget()
    }

    /// The spool holds them no longer.
    mutating func removed(_ removed: [UInt64]) {
        for id in removed { gone.append((nextLook, id)) }
        forget()
    }

    private mutating func forget() {
        let oldest = open.min() ?? .max
        while let first = gone.first, first.look <= oldest {
            gone.removeFirst()
            ids.remove(first.id)
        }
    }
}
