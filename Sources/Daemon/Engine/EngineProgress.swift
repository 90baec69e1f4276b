import Glibc
import Linux
import Synchronization

/// Tells a long computation from a dead engine.
///
/// The engine cannot say "I am alive" from inside a 60 s matrix product, so its signs of life are taken from outside:
/// the processor time of its thread, and page faults from disk, which is what a board short of memory waits for. A
/// deadlocked thread gains neither. A thread that spins for ever gains time, so one job also has a longest duration.
final class EngineProgress: Sendable {
    /// One reading of the engine thread.
    struct Signs: Sendable, Equatable {
        var processorNanoseconds: UInt64
        var majorFaults: UInt64
    }

    /// Longer than any answer of the slowest board: 4,096 tokens at one a second.
    static let longestJob: Duration = .seconds(4096)
    /// A second of waiting for the thread's share of a busy processor is not death; this much without a sign is.
    static let patience: Duration = .seconds(20)

    private struct State {
        /// When the running job began; nil while idle.
        var began: UInt64?
        /// It sleeps because it shall: the governor says so, or models are loaded.
        var rests = false
        var last: Signs?
        var lastChange: UInt64 = 0
    }

    private let state = Mutex(State())
    private let time: TimeSource

    init(time: TimeSource) { self.time = time }

    func begin() {
        let now = time.monotonic()
        state.withLock { $0 = State(began: now, last: nil, lastChange: now) }
    }

    func end() { state.withLock { $0 = State() } }

    /// Until `begin` or `end` it does nothing, and that is as it should be.
    func rest() { state.withLock { $0 = State(rests: true) } }

    /// Whether the engine is idle, or has moved lately.
    ///
    /// - Parameter hasWork: whether jobs wait. An idle engine that does not take them is dead too: a hang between two
    ///   jobs would otherwise last for ever.
    func isAlive(_ signs: Signs, hasWork: Bool = false) -> Bool {
        let now = time.monotonic()
        return state.withLock { state in
            guard !state.rests, state.began != nil || hasWork else {
                state.last = nil
                return true
            }
            let began = state.began ?? now
            // A millisecond: the clock of a sleeping thread does not move, but reading it may round.
            if let last = state.last, signs.processorNanoseconds < last.processorNanoseconds + 1_000_000,
                signs.majorFaults == last.majorFaults
            {
                return now < state.lastChange + Self.patience.nanoseconds
            }
            state.last = signs
            state.lastChange = now
            return now < began + Self.longestJob.nanoseconds
        }
    }
}
