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

    /// Members, the calling thread included.
    public let count: Int

    /// A line of cache each, so that members do not fight over neighbours.
    private enum Word: Int { case generation = 0, arrived = 16, phase = 32, finished = 48, stop = 64, sleepers = 80 }
    private static let wordCount = 96

    /// About 20–50 µs of spinning on the cores here: longer than a barrier of a small model, shorter than an eyeblink.
    static let spins = 4000

    private let words: UnsafeMutablePointer<UInt32>
    private var threads: [pthread_t] = []
    private var body: Body = { _, _ in }
    private var context: UnsafeMutableRawPointer

    /// Starts `count` − 1 threads, bound to `cpus` where given (entry i is member i's CPU).
    public init(count: Int, cpus: [Int] = []) {
        self.count = max(1, count)
        words = .allocate(capacity: Self.wordCount)
        words.initialize(repeating: 0, count: Self.wordCount)
        context = UnsafeMutableRawPointer(words)
        for member in 1..<max(2, self.count) where member < self.count {
            start(member, cpu: member < cpus.count ? cpus[member] : nil)
        }
    }

    deinit {
        store(.stop, 1)
        store(.generation, load(.generation) &+ 1)
        martlet_futex_wake(words + Word.generation.rawValue, Int32.max)
        for thread in threads { pthread_join(thread, nil) }
        words.deallocate()
    }

    private struct Start {
        let pool: Unmanaged<WorkerPool>
        let member: Int
        let cpu: Int?
    }

    private func start(_ member: Int, cpu: Int?) {
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
            // Fewer threads are slower, not wrong: member's share is taken by the others, but barriers count members.
            start.deallocate()
            missing &+= 1
            return
        }
        threads.append(thread)
    }

    /// Members whose thread could not be started; barriers do not wait for them.
    private var missing = 0

    /// The members that really run.
    private var members: Int { count &- missing }

    /// Runs `body` on all members and returns when all have finished.
    public func run(_ context: UnsafeMutableRawPointer, _ body: Body) {
        guard !threads.isEmpty else { return body(0, context) }
        self.body = body
        self.context = context
        store(.finished, 0)
        // Both sequentially consistent: a member counts itself a sleeper before it looks at the generation, so either
        // it sees this one or we see it asleep.
        _ = martlet_fetch_add(words + Word.generation.rawValue, 1)
        if martlet_fetch_add(words + Word.sleepers.rawValue, 0) != 0 {
            martlet_futex_wake(words + Word.generation.rawValue, Int32.max)
        }
        body(0, context)
        var spins = 0
        while load(.finished) != UInt32(truncatingIfNeeded: threads.count) { pause(&spins) }
    }

    /// Waits until every member has come here. Everything written before is visible after.
    public func barrier() {
        guard !threads.isEmpty else { return }
        let phase = load(.phase)
        if martlet_fetch_add(words + Word.arrived.rawValue, 1) == UInt32(truncatingIfNeeded: members &- 1) {
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
            var spins = 0
            while load(.generation) == seen {
                spins &+= 1
                if spins < Self.spins {
                    martlet_spin_hint()
                } else {
                    _ = martlet_fetch_add(words + Word.sleepers.rawValue, 1)
                    martlet_futex_wait(words + Word.generation.rawValue, seen)
                    _ = martlet_fetch_add(words + Word.sleepers.rawValue, UInt32.max)
                }
            }
            seen = load(.generation)
            if load(.stop) != 0 { return }
            body(member, context)
            _ = martlet_fetch_add(words + Word.finished.rawValue, 1)
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
