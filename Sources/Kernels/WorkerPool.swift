import CLinux
import Glibc
import Linux

/// A fixed team of threads that run one function together, meet at barriers and share out work by a counter.
///
/// The calling thread is member 0, so a pool of one starts no thread at all. Members spin for a bounded time and
/// then sleep on a futex: a decode step is shorter than a wake-up, an idle daemon must not burn a core, and on a board
/// that has other work too, a member that sleeps leaves its core to the one it waits for.
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
        case generation = 0, sleepers = 1, arrived = 16, phase = 32, phaseSleepers = 33
        case finished = 48, finishedSleepers = 49, stop = 64, active = 80, parking = 96, patience = 112
    }
    private static let wordCount = 128

    /// Nanoseconds of spinning before a sleep. At most longer than a barrier of a small model, or than what a caller
    /// does between two tokens. It shrinks when spinning was in vain and grows when not: beside other processes two
    /// members may share a core, where one spins away the time that the other needs.
    static let patience: ClosedRange<UInt32> = 500...100_000

    private let words: UnsafeMutablePointer<UInt32>
    private var threads: [pthread_t] = []
    private var body: Body = { _, _ in }
    private var context: UnsafeMutableRawPointer

    /// Starts `count` − 1 threads.
    ///
    /// - Parameters:
    ///   - cpus: where they may run; empty leaves that to the system.
    ///   - bindsCaller: likewise the calling thread, which must be this pool's own.
    public init(count: Int, cpus: [Int] = [], bindsCaller: Bool = false) {
        words = .allocate(capacity: Self.wordCount)
        words.initialize(repeating: 0, count: Self.wordCount)
        context = UnsafeMutableRawPointer(words)
        store(.patience, Self.patience.upperBound)
        let wanted = max(1, min(count, Self.mostMembers))
        store(.active, UInt32(truncatingIfNeeded: wanted))
        let cpus = cpus.map { Int32(truncatingIfNeeded: $0) }
        while self.count < wanted, start(self.count, cpus) { self.count &+= 1 }
        if bindsCaller { Self.bind(cpus) }
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
        let cpus: [Int32]
    }

    /// A failure is slower, not wrong: a CPU may just have gone offline.
    private static func bind(_ cpus: [Int32]) {
        if !cpus.isEmpty { _ = martlet_bind_to_cpus(cpus, cpus.count) }
    }

    /// False when the system has no thread left.
    private func start(_ member: Int, _ cpus: [Int32]) -> Bool {
        let start = UnsafeMutablePointer<Start>.allocate(capacity: 1)
        // Unretained: deinit joins the thread before the pool goes.
        start.initialize(to: Start(pool: .passUnretained(self), member: member, cpus: cpus))
        var thread = pthread_t()
        let failed = pthread_create(
            &thread, nil,
            { raw in
                guard let raw else { return nil }
                let start = raw.assumingMemoryBound(to: Start.self)
                let (pool, member, cpus) = (start.pointee.pool, start.pointee.member, start.pointee.cpus)
                start.deinitialize(count: 1)
                start.deallocate()
                martlet_name_thread("martlet-worker")
                WorkerPool.bind(cpus)
                pool._withUnsafeGuaranteedRef { $0.serve(member) }
                return nil
            }, start)
        guard failed == 0 else {
            start.deinitialize(count: 1)
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
        advance(.generation, by: new &- old, .sleepers)
        body(0, context)
        while true {
            let finished = load(.finished)
            if finished == active &- 1 { return }
            wait(.finished, while: finished, .finishedSleepers)
        }
    }

    /// Waits until every active member has come here. Everything written before is visible after.
    public func barrier() {
        let active = load(.active)
        guard active > 1 else { return }
        let phase = load(.phase)
        if martlet_fetch_add(words + Word.arrived.rawValue, 1) == active &- 1 {
            store(.arrived, 0)
            advance(.phase, by: 1, .phaseSleepers)
        } else {
            while load(.phase) == phase { wait(.phase, while: phase, .phaseSleepers) }
        }
    }

    /// Adds to `word` and wakes those who sleep on it.
    ///
    /// All of it is sequentially consistent: a member counts itself a sleeper before the kernel compares the word, so
    /// either it sees the new value or we see it asleep.
    private func advance(_ word: Word, by value: UInt32, _ sleepers: Word) {
        _ = martlet_fetch_add(words + word.rawValue, value)
        if martlet_load_ordered(words + sleepers.rawValue) != 0 {
            martlet_futex_wake(words + word.rawValue, Int32.max)
        }
    }

    /// Waits for `word` to change, or shorter: spinning at first, then asleep.
    private func wait(_ word: Word, while value: UInt32, _ sleepers: Word) {
        let patience = load(.patience)
        if spin(word, while: value, patience) {
            // Written when it changes only, so that the line stays in every core's cache.
            if patience < Self.patience.upperBound { store(.patience, min(patience &* 2, Self.patience.upperBound)) }
            return
        }
        if patience > Self.patience.lowerBound { store(.patience, max(patience / 4 &* 3, Self.patience.lowerBound)) }
        _ = martlet_fetch_add(words + sleepers.rawValue, 1)
        martlet_futex_wait(words + word.rawValue, value)
        _ = martlet_fetch_add(words + sleepers.rawValue, UInt32.max)
    }

    /// False when `word` has not changed within `patience` nanoseconds.
    private func spin(_ word: Word, while value: UInt32, _ patience: UInt32) -> Bool {
        var begun: UInt64?
        while true {
            // A barrier is mostly over before the clock is read for the first time.
            for _ in 0..<16 {
                if load(word) != value { return true }
                martlet_spin_hint()
            }
            let now = monotonicNanoseconds()
            if now &- (begun ?? now) >= UInt64(patience) { return false }
            begun = begun ?? now
        }
    }

    private func serve(_ member: Int) {
        var seen: UInt32 = 0
        while true {
            let word = nextGeneration(after: seen, member)
            seen = word
            if load(.stop) != 0 { return }
            guard member < Int(word & 0xFF) else { continue }
            body(member, context)
            advance(.finished, by: 1, .finishedSleepers)
        }
    }

    /// Waits for another generation than `seen`: spinning at first, or asleep at once when not active.
    private func nextGeneration(after seen: UInt32, _ member: Int) -> UInt32 {
        while true {
            let word = load(.generation)
            if word != seen { return word }
            let parking = load(.parking)
            if member >= Int(load(.active)) {
                // `parking` was read first: who makes us active changes it, and then this does not sleep.
                martlet_futex_wait(words + Word.parking.rawValue, parking)
            } else {
                wait(.generation, while: seen, .sleepers)
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
