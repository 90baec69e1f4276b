import CLinux
import Glibc

/// A fixed team of threads that run one function together, meet at barriers and share out work by a counter.
///
/// The calling thread is member 0, so a pool of one starts no thread at all. Members spin for a bounded time and
/// then sleep on a futex: a decode step is shorter than a wake-up, an idle daemon must not burn a core.
/// Not Swift's cooperative pool: a 60 s prefill there would starve every task of the daemon.
///
/// Ownership: `run` is called by one thread at a time, the owner of the session.
// @unchecked because members touch only `words`, through atomics, and what `run` publishes by its release store.
public final class WorkerPool: @unchecked Sendable {
    /// What every member runs: the member's index and the caller's context.
    public typealias Body = @convention(c) (Int, UnsafeMutableRawPointer) -> Void

    /// Members, the calling thread included. Fewer than asked for where the system has no more threads: that is
    /// slower, not wrong, because the others take their share.
    public private(set) var count = 1

    /// Members that take part in a run: 1…count. The others sleep, on a word of their own so that no run wakes them.
    ///
    /// Set it between two runs, on the thread that calls `run`.
    public var active: Int {
        get { Int(load(.active)) }
        set {
            store(.active, UInt32(truncatingIfNeeded: max(1, min(newValue, count))))
            _ = martlet_fetch_add(words + Word.parking.rawValue, 1)
            martlet_futex_wake(words + Word.parking.rawValue, Int32.max)
        }
    }

    /// The most members a pool may have: their number shares a word with the count of runs.
    public static let mostMembers = 255

    /// A line of cache each, so that members do not fight over neighbours.
    ///
    /// `generation` counts runs in its upper 24 bits and says in the lower 8 how many members take part, so that a
    /// member that wakes late can tell whether it was meant.
    private enum Word: Int {
        case generation = 0, arrived = 16, phase = 32, finished = 48
        case stop = 64, sleepers = 80, active = 96, parking = 112
    }
    private static let wordCount = 128

    /// About 20–50 µs of spinning on the cores here: longer than a barrier of a small model, shorter than an eyeblink.
    static let spins = 4000

    private let words: UnsafeMutablePointer<UInt32>
    private var threads: [pthread_t] = []
    private var body: Body = { _, _ in }
    private var context: UnsafeMutableRawPointer

    /// Starts `count` − 1 threads, bound to `cpus` where given (entry i is member i's CPU).
    public init(count: Int, cpus: [Int] = []) {
        words = .allocate(capacity: Self.wordCount)
        words.initialize(repeating: 0, count: Self.wordCount)
        context = UnsafeMutableRawPointer(words)
        let wanted = max(1, min(count, Self.mostMembers))
        store(.active, UInt32(truncatingIfNeeded: wanted))
        while self.count < wanted, start(self.count, cpu: self.count < cpus.count ? cpus[self.count] : nil) {
            self.count &+= 1
        }
        active = self.count
    }

    deinit {
        store(.stop, 1)
        store(.generation, load(.generation) &+ 0x100)
        martlet_futex_wake(words + Word.generation.rawValue, Int32.max)
        _ = martlet_fetch_add(words + Word.parking.rawValue, 1)
        martlet_futex_wake(words + Word.parking.rawValue, Int32.max)
        for thread in threads { pthread_join(thread, nil) }
        words.deallocate()
    }

    private struct Start {
        let pool: Unmanaged<WorkerPool>
        let member: Int
        let cpu: Int?
    }

    /// False when the system has no thread left.
    private func start(_ member: Int, cpu: Int?) -> Bool {
        let start = UnsafeMutablePointer<Start>.allocate(capacity: 1)
        // Unretained: deinit joins the thread before the pool goes.
        start.initialize(to: Start(pool: .passUnretained(self), member: member, cpu: cpu))
        var thread = pthread_t()
        let failed = pthread_create(
            &thread, nil,
            { raw in
                guard let raw else { return nil }
                let start = raw.assumingMemoryBound(to: Start.self)
                let (pool, member, cpu) = (start.pointee.pool, start.pointee.member, start.pointee.cpu)
                start.deinitialize(count: 1)
                start.deallocate()
                martlet_name_thread("martlet-worker")
                if let cpu { _ = martlet_bind_to_cpu(Int32(cpu)) }
                pool._withUnsafeGuaranteedRef { $0.serve(member) }
                return nil
            }, start)
        guard failed == 0 else {
            start.deallocate()
            return false
        }
        threads.append(thread)
        return true
    }

    /// Runs `body` on the active members and returns when all of them have finished.
    public func run(_ context: UnsafeMutableRawPointer, _ body: Body) {
        let active = load(.active)
        guard active > 1 else { return body(0, context) }
        self.body = body
        self.context = context
        store(.finished, 0)
        let old = load(.generation)
        let new = (old & ~0xFF &+ 0x100) | active
        // Both sequentially consistent: a member counts itself a sleeper before it looks at the generation, so either
        // it sees this one or we see it asleep.
        _ = martlet_fetch_add(words + Word.generation.rawValue, new &- old)
        if martlet_fetch_add(words + Word.sleepers.rawValue, 0) != 0 {
            martlet_futex_wake(words + Word.generation.rawValue, Int32.max)
        }
        body(0, context)
        var spins = 0
        while load(.finished) != active &- 1 { pause(&spins) }
    }

    /// Waits until every active member has come here. Everything written before is visible after.
    public func barrier() {
        let active = load(.active)
        guard active > 1 else { return }
        let phase = load(.phase)
        if martlet_fetch_add(words + Word.arrived.rawValue, 1) == active &- 1 {
            store(.arrived, 0)
            store(.phase, phase &+ 1)
        } else {
            var spins = 0
            while load(.phase) == phase { pause(&spins) }
        }
    }

    /// After a bounded spin gives the core away: another process may hold the one the last member needs.
    private func pause(_ spins: inout Int) {
        spins &+= 1
        if spins < Self.spins { martlet_spin_hint() } else { sched_yield() }
    }

    private func serve(_ member: Int) {
        var seen: UInt32 = 0
        while true {
            let word = nextGeneration(after: seen, member)
            seen = word
            if load(.stop) != 0 { return }
            guard member < Int(word & 0xFF) else { continue }
            body(member, context)
            _ = martlet_fetch_add(words + Word.finished.rawValue, 1)
        }
    }

    /// Waits for another generation than `seen`: spinning at first, or asleep at once when not active.
    private func nextGeneration(after seen: UInt32, _ member: Int) -> UInt32 {
        var spins = 0
        while true {
            let word = load(.generation)
            if word != seen { return word }
            let parking = load(.parking)
            if member >= Int(load(.active)) {
                // `parking` was read first: who makes us active changes it, and then this does not sleep.
                martlet_futex_wait(words + Word.parking.rawValue, parking)
            } else if spins < Self.spins {
                spins &+= 1
                martlet_spin_hint()
            } else {
                _ = martlet_fetch_add(words + Word.sleepers.rawValue, 1)
                martlet_futex_wait(words + Word.generation.rawValue, seen)
                _ = martlet_fetch_add(words + Word.sleepers.rawValue, UInt32.max)
            }
        }
    }

    private func load(_ word: Word) -> UInt32 { martlet_load_acquire(words + word.rawValue) }
    private func store(_ word: Word, _ value: UInt32) { martlet_store_release(words + word.rawValue, value) }
}

/// A counter from which members of a pool take the next piece of a step's work.
///
/// Slow cores take fewer pieces instead of holding the fast ones (big.LITTLE).
public struct WorkCounter {
    let word: UnsafeMutablePointer<UInt32>

    /// `word` must stay valid while the counter is used and be zero at the start of the step.
    public init(_ word: UnsafeMutablePointer<UInt32>) { self.word = word }

    /// The next piece, or nil when `count` pieces have been taken.
    @inline(__always)  // one atomic add
    public func next(below count: Int) -> Int? {
        let piece = Int(martlet_fetch_add(word, 1))
        return piece < count ? piece : nil
    }
}
