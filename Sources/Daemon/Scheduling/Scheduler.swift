import Dispatch
import Linux
import Synchronization

/// Hands jobs from the network to the engine thread: a guarded `PriorityQueue` that the engine can sleep on.
final class Scheduler: Sendable {
    /// Totals since start.
    struct Counters: Sendable, Equatable {
        var dropped = 0
        var expired = 0
    }

    /// Text that may wait; the queue's share of the daemon's 24 MB.
    static let byteCapacity = 4 << 20

    private struct State {
        var queue: PriorityQueue<Job>
        var counters = Counters()
        var isStopped = false
        var isInterrupted = false
        var isBusy = false
    }

    private let state: Mutex<State>
    private let time: TimeSource
    /// Counts wake-ups, not jobs: a shed job leaves a spare one, and the engine then finds nothing and sleeps again.
    private let wake = DispatchSemaphore(value: 0)
    /// What to do with a job that will not be computed; called on any thread, never under the lock.
    private let onDropped: @Sendable (Job, EventFailure) -> Void

    init(capacity: Int, time: TimeSource, onDropped: @escaping @Sendable (Job, EventFailure) -> Void) {
        state = Mutex(State(queue: PriorityQueue(capacity: capacity, byteCapacity: Self.byteCapacity)))
        self.time = time
        self.onDropped = onDropped
    }

    var count: Int { state.withLock { $0.queue.count } }
    var counters: Counters { state.withLock { $0.counters } }

    /// Whether nothing waits and nothing is being computed.
    var isIdle: Bool { state.withLock { $0.queue.count == 0 && !$0.isBusy } }

    func setCapacity(_ capacity: Int) { state.withLock { $0.queue.capacity = capacity } }

    /// Queues a job; what is shed for it goes to `onDropped`. False after `stop`: the caller still owns the job.
    @discardableResult
    func offer(_ job: Job) -> Bool {
        let shed = state.withLock { state -> [Job]? in
            guard !state.isStopped else { return nil }
            let shed = state.queue.offer(job, priority: job.priority, deadline: job.deadline, bytes: job.bytes)
            state.counters.dropped += shed.count
            return shed
        }
        guard let shed else { return false }
        wake.signal()
        for job in shed { onDropped(job, .shed) }
        return true
    }

    /// Counts an event that was shed before it became a job.
    func noteDropped() { state.withLock { $0.counters.dropped += 1 } }

    /// Sheds one job of a lower priority, the oldest of the lowest; false when there is none.
    func shedLowest(below priority: Int) -> Bool {
        let victim = state.withLock { state in
            let victim = state.queue.removeLowest(below: priority)
            state.counters.dropped += victim == nil ? 0 : 1
            return victim
        }
        if let victim { onDropped(victim, .shed) }
        return victim != nil
    }

    enum Turn: Sendable {
        /// What is to be computed together; never empty.
        case jobs([Job])
        /// Somebody called `interrupt`: there is something else to do than jobs.
        case interrupted
        case stopped
    }

    /// Jobs that are computed together at most: the weights are unpacked once for all of them. More would gain little,
    /// and what comes in with a higher priority waits for them.
    static let mostTogether = 8
    /// Bytes of their texts together at most, about one pass of the model: that wait is bounded in time too.
    static let mostBytesTogether = 768

    /// The next job, waiting for one, and what can be computed with it. For the engine thread only, which calls
    /// `finish` after each turn.
    ///
    /// - Parameter together: jobs of a turn at most, never more than `mostTogether`.
    func take(together: Int = mostTogether) -> Turn {
        let most = min(together, Self.mostTogether)
        while true {
            let (turn, expired) = state.withLock { state -> (Turn?, [Job]) in
                if state.isStopped { return (.stopped, []) }
                if state.isInterrupted {
                    state.isInterrupted = false
                    return (.interrupted, [])
                }
                let now = time.monotonic()
                let (job, expired) = state.queue.take(now: now)
                state.counters.expired += expired.count
                state.isBusy = job != nil
                let turn = job.map { Turn.jobs([$0] + Self.companions(of: $0, most - 1, in: &state.queue, now: now)) }
                return (turn, expired)
            }
            for job in expired { onDropped(job, .expired) }
            if let turn { return turn }
            wake.wait()
        }
    }

    /// Waiting jobs of the same priority and the same classifier, in order. Nobody waits for more to come.
    ///
    /// They go before other jobs of their priority, which wait for one batch at a time instead of one event; but not
    /// before one that has used up half of its time. One that has expired is left for `take` to find.
    private static func companions(
        of job: Job, _ most: Int, in queue: inout PriorityQueue<Job>, now: UInt64
    ) -> [Job] {
        guard most > 0, !job.isSuspect, case .classify(let text, let spec) = job.work else { return [] }
        var bytes = text.utf8.count
        return queue.takeMore(priority: job.priority, limit: most) { entry in
            let other = entry.element
            if let deadline = entry.deadline, deadline < now { return .stays }
            if case .classify(let text, spec) = other.work, !other.isSuspect {
                bytes += text.utf8.count
                return bytes <= mostBytesTogether ? .joins : .bars
            }
            guard let deadline = entry.deadline else { return .stays }
            return now - min(other.ready, now) < (deadline - min(other.ready, deadline)) / 2 ? .stays : .bars
        }
    }

    /// Makes `take` return before the next job.
    func interrupt() {
        state.withLock { $0.isInterrupted = true }
        wake.signal()
    }

    /// The jobs last taken are answered.
    func finish() { state.withLock { $0.isBusy = false } }

    /// Lets go of jobs whose deadline passed while the engine was busy with others.
    func sweep() {
        let expired = state.withLock { state in
            let expired = state.queue.removeExpired(now: time.monotonic())
            state.counters.expired += expired.count
            return expired
        }
        for job in expired { onDropped(job, .expired) }
    }

    /// Ends `take` and returns what was still waiting, most important first.
    func stop() -> [Job] {
        let left = state.withLock { state in
            state.isStopped = true
            return state.queue.removeAll()
        }
        wake.signal()
        return left
    }
}
