import Linux
import Spool
import Synchronization

/// A window whose events are to be summarised.
public struct ClosedWindow: Sendable {
    var task: TaskSection
    /// The id of its first event, so that a window summarised again after a crash has the same.
    var id: String
    var start: Timestamp
    var end: Timestamp
    /// All events that fell into it; `events` may hold a sample of them.
    var count: Int
    var events: [WindowEvent]
    /// Those of its events that wait in the spool for the summary.
    var keys: [SpooledEvent.Key]

    var bytes: Int { events.reduce(keys.count * 96) { $0 + $1.text.utf8.count + $1.topic.utf8.count + 64 } }

    /// The topic of its events, or what the task subscribes to when there are several.
    var topic: String {
        guard let first = events.first?.topic, events.allSatisfy({ $0.topic == first }) else {
            return task.subscribe.joined(separator: " ")
        }
        return first
    }
}

/// The open window of one summarising task.
///
/// Memory is bounded: beyond `mostEvents` or `mostBytes` every second kept event is forgotten and from then on only
/// every 2nd, 4th, 8th… is kept, so that what the model reads still covers the whole window evenly.
struct OpenWindow {
    static let mostEvents = 1000
    static let mostBytes = 128 << 10
    /// Keys of spooled events weigh about 100 bytes; at this count the window closes early.
    static let mostCounted = 10_000
    /// Bytes of one event's text; a summary cannot dwell on one event.
    static let longestText = 1 << 10

    let task: TaskSection
    let id: String
    let start: Timestamp
    /// Monotonic nanoseconds at which a window of time closes.
    let closes: UInt64?
    private(set) var end: Timestamp
    private(set) var count = 0
    private(set) var events: [WindowEvent] = []
    private(set) var keys: [SpooledEvent.Key] = []
    private var bytes = 0
    private var stride = 1

    init(task: TaskSection, id: String, start: Timestamp, closes: UInt64?) {
        self.task = task
        self.id = id
        self.start = start
        self.closes = closes
        end = start
    }

    mutating func add(_ event: WindowEvent, key: SpooledEvent.Key?) {
        if count % stride == 0 {
            events.append(event)
            bytes += event.text.utf8.count
        }
        count += 1
        end = max(end, event.received)
        if let key { keys.append(key) }
        while events.count > 1, events.count > Self.mostEvents || bytes > Self.mostBytes { thin() }
    }

    private mutating func thin() {
        events = events.enumerated().filter { $0.offset % 2 == 0 }.map(\.element)
        bytes = events.reduce(0) { $0 + $1.text.utf8.count }
        stride *= 2
    }

    var isFull: Bool {
        if case .count(let limit) = task.window { return count >= min(limit, Self.mostCounted) }
        return count >= Self.mostCounted
    }

    func closed(at end: Timestamp) -> ClosedWindow {
        ClosedWindow(
            task: task, id: id, start: start, end: max(end, self.end), count: count, events: events, keys: keys)
    }
}

/// The open windows of all summarising tasks.
final class Windows: Sendable {
    private let open = Mutex<[String: OpenWindow]>([:])
    private let time: TimeSource

    init(time: TimeSource) { self.time = time }

    /// Adds an event to its task's window, which opens with it; the window when that filled it.
    func add(_ event: WindowEvent, id: String, task: TaskSection, key: SpooledEvent.Key?) -> ClosedWindow? {
        open.withLock { open in
            var window = open[task.name] ?? opened(by: event, id: id, task: task)
            window.add(event, key: key)
            open[task.name] = window.isFull ? nil : window
            return window.isFull ? window.closed(at: event.received) : nil
        }
    }

    private func opened(by event: WindowEvent, id: String, task: TaskSection) -> OpenWindow {
        var closes: UInt64?
        if case .time(let length) = task.window {
            // An event read back from the spool came earlier; its window closes when it would have.
            let age = max(0, time.wall().milliseconds - event.received.milliseconds)
            let left = max(0, length.milliseconds - age)
            closes = time.monotonic() &+ Duration.milliseconds(left).nanoseconds  // cannot wrap for centuries
        }
        return OpenWindow(task: task, id: id, start: event.received, closes: closes)
    }

    /// Closes a task's window before its time; nil when it has no events.
    func close(_ task: String) -> ClosedWindow? {
        open.withLock { $0.removeValue(forKey: task) }?.closed(at: time.wall())
    }

    /// Closes the windows whose time has come.
    func due() -> [ClosedWindow] {
        let now = time.monotonic()
        return open.withLock { open in
            let due = open.filter { $0.value.closes.map { $0 <= now } ?? false }
            for name in due.keys { open[name] = nil }
            return due.values.sorted { $0.id < $1.id }
        }.map { $0.closed(at: time.wall()) }
    }

    /// Takes all windows out: at the end, and for tasks a reload has removed.
    func removeAll(where isGone: (String) -> Bool = { _ in true }) -> [ClosedWindow] {
        open.withLock { open in
            let gone = open.filter { isGone($0.key) }
            for name in gone.keys { open[name] = nil }
            return gone.values.sorted { $0.id < $1.id }
        }.map { $0.closed(at: time.wall()) }
    }
}
