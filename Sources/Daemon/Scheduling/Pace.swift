/// How many classifications fit into a turn: what comes with a higher priority, and a stop, wait for its end.
///
/// A board that takes a second for an event gains little from company, because its time goes into products and not
/// into unpacking weights; eight events at once would only make the first seven late.
struct Pace {
    /// How long a turn may take when it is up to us.
    static let turn: UInt64 = 500_000_000

    /// Nanoseconds of an event; nil before the first.
    private var event: UInt64?

    /// Events that may go together now: one until there is something to go by.
    var together: Int {
        guard let event else { return 1 }
        return Int(clamping: min(max(1, Self.turn / max(1, event)), UInt64(Scheduler.mostTogether)))
    }

    /// `count` events took `nanoseconds` together.
    mutating func note(_ count: Int, _ nanoseconds: UInt64) {
        let now = nanoseconds / UInt64(max(1, count))
        // Half of each: heat and company change the pace within minutes, one long text does not.
        event = event.map { $0 / 2 + now / 2 } ?? now
    }
}
