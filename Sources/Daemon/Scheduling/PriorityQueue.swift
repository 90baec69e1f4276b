import DequeModule

/// A bounded queue: higher priority first, first in first out within one, the least important shed when full.
///
/// Ten levels of deques instead of a heap: every operation touches at most ten of them whatever the count, and order
/// within a level costs nothing. Not thread-safe; `Scheduler` guards it.
struct PriorityQueue<Element> {
    struct Entry {
        let element: Element
        /// Monotonic nanoseconds after which it is not worth computing.
        let deadline: UInt64?
        let bytes: Int
    }

    static var levels: Int { 10 }
    /// Entries that are passed over at most when companions are looked for: that is done under a lock.
    static var mostPassed: Int { 64 }

    /// Entries that may wait.
    var capacity: Int
    /// Bytes that may wait, so that a thousand long events cannot take the memory a thousand short ones need.
    let byteCapacity: Int
    private var queues = [Deque<Entry>](repeating: Deque(), count: Self.levels)
    private(set) var count = 0
    private(set) var bytes = 0
    /// Entries with a deadline; most queues have none and are then not searched.
    private var mortal = 0

    init(capacity: Int, byteCapacity: Int) {
        self.capacity = capacity
        self.byteCapacity = byteCapacity
    }

    /// Adds an element and returns what had to go for it: the oldest of the lowest priority, or the element itself
    /// when everything waiting is more important.
    ///
    /// The oldest and not the newest, because the newest says more about the present.
    mutating func offer(_ element: Element, priority: Int, deadline: UInt64?, bytes: Int) -> [Element] {
        let level = min(max(priority, 0), Self.levels - 1)
        var shed: [Element] = []
        while count >= capacity || (self.bytes + bytes > byteCapacity && count > 0) {
            guard let lowest = queues.firstIndex(where: { !$0.isEmpty }), lowest <= level else {
                return shed + [element]
            }
            guard let oldest = removeFirst(of: lowest) else { break }
            shed.append(oldest.element)
        }
        queues[level].append(Entry(element: element, deadline: deadline, bytes: bytes))
        count += 1
        self.bytes += bytes
        mortal += deadline == nil ? 0 : 1
        return shed
    }

    /// The next element to compute, and those before it whose deadline has passed.
    mutating func take(now: UInt64) -> (element: Element?, expired: [Element]) {
        var expired: [Element] = []
        for level in queues.indices.reversed() {
            while let entry = removeFirst(of: level) {
                if let deadline = entry.deadline, deadline < now {
                    expired.append(entry.element)
                } else {
                    return (entry.element, expired)
                }
            }
        }
        return (nil, expired)
    }

    /// Whether an element is taken together with the one before.
    enum Companionship {
        case joins
        /// Stays where it is; those behind it may join.
        case stays
        /// Stays, and none behind it may be computed before it.
        case bars
    }

    /// Takes elements of one level that are to be computed with the one just taken from it: `limit` at most, in order.
    mutating func takeMore(
        priority: Int, limit: Int, _ choose: (Entry) -> Companionship
    ) -> [Element] {
        let level = min(max(priority, 0), Self.levels - 1)
        var joining: [Element] = []
        var staying: [Entry] = []
        search: while joining.count < limit, staying.count < Self.mostPassed, let entry = queues[level].first {
            switch choose(entry) {
            case .joins:
                joining.append(entry.element)
                _ = removeFirst(of: level)
            case .stays:
                staying.append(entry)
                queues[level].removeFirst()
            case .bars: break search
            }
        }
        for entry in staying.reversed() { queues[level].prepend(entry) }
        return joining
    }

    /// Removes every element whose deadline has passed, also behind more important ones.
    mutating func removeExpired(now: UInt64) -> [Element] {
        guard mortal > 0 else { return [] }
        var expired: [Element] = []
        for level in queues.indices where queues[level].contains(where: { Self.hasExpired($0, now) }) {
            let entries = queues[level]
            queues[level].removeAll { Self.hasExpired($0, now) }
            for entry in entries where Self.hasExpired(entry, now) {
                forget(entry)
                expired.append(entry.element)
            }
        }
        return expired
    }

    /// Removes the oldest element of the lowest priority, if that is below `priority`.
    mutating func removeLowest(below priority: Int) -> Element? {
        guard let lowest = queues.firstIndex(where: { !$0.isEmpty }), lowest < priority else { return nil }
        return removeFirst(of: lowest)?.element
    }

    /// Everything that waits, in the order it would have been taken.
    mutating func removeAll() -> [Element] {
        let all = queues.reversed().flatMap { $0.map(\.element) }
        self = PriorityQueue(capacity: capacity, byteCapacity: byteCapacity)
        return all
    }

    private static func hasExpired(_ entry: Entry, _ now: UInt64) -> Bool { entry.deadline.map { $0 < now } ?? false }

    private mutating func removeFirst(of level: Int) -> Entry? {
        guard let entry = queues[level].popFirst() else { return nil }
        forget(entry)
        return entry
    }

    private mutating func forget(_ entry: Entry) {
        count -= 1
        bytes -= entry.bytes
        mortal -= entry.deadline == nil ? 0 : 1
    }
}
