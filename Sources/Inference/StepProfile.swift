import Linux

/// Where the time of a session's passes went, by kind of step. The kinds add up to the whole.
public struct StepProfile: Sendable {
    /// What a thread is busy with.
    public enum Kind: Int, Sendable, CaseIterable {
        /// Embedding, rotation angles, what the caller does between passes, and the waking of threads.
        case rest
        /// RMS norms and the quantisation of activations.
        case prepare
        /// Queries, keys and values, with their rotation and the way into the cache.
        case project
        case attend
        case attnOutput
        /// Gate, up and SwiGLU.
        case gate
        case ffnDown
        case head
        /// Waiting for other threads at a barrier.
        case wait
    }

    /// Threads it is the mean of.
    public let threads: Int
    /// Nanoseconds from the start of the profile to its end.
    public let nanoseconds: Double
    private let kinds: [Double]
    /// Bytes of weights that the steps of a kind have read.
    private let bytes: [Int]

    init(threads: Int, nanoseconds: Double, kinds: [Double], bytes: [Int]) {
        self.threads = threads
        self.nanoseconds = nanoseconds
        self.kinds = kinds
        self.bytes = bytes
    }

    /// Nanoseconds that went into `kind`: the mean of the threads, so a share of the whole.
    public func nanoseconds(_ kind: Kind) -> Double { kinds[kind.rawValue] }

    /// Bytes of weights read a second by all threads together; nil for a kind that reads none.
    public func bytesPerSecond(_ kind: Kind) -> Double? {
        guard bytes[kind.rawValue] > 0, nanoseconds(kind) > 0 else { return nil }
        return Double(bytes[kind.rawValue]) / nanoseconds(kind) * 1e9
    }

    /// Two profiles one after the other, of the same threads.
    public static func + (left: StepProfile, right: StepProfile) -> StepProfile {
        StepProfile(
            threads: left.threads, nanoseconds: left.nanoseconds + right.nanoseconds,
            kinds: zip(left.kinds, right.kinds).map(+), bytes: zip(left.bytes, right.bytes).map(+))
    }
}

/// A stopwatch of each thread: a lap ends where the next begins, so that no time is lost or counted twice.
struct StepTimes {
    /// Nil until a profile is wanted: then a lap is a test of a pointer.
    private(set) var slots: UnsafeMutablePointer<UInt64>?
    private(set) var begun: UInt64 = 0
    /// Passes over the layers and over the head.
    var passes = 0
    var headPasses = 0

    /// UInt64s a thread, so that no two share a cache line: when its lap began, then the sum of each kind.
    static let stride = 16

    mutating func start(threads: Int) {
        let slots = slots ?? .allocate(capacity: threads * Self.stride)
        begun = monotonicNanoseconds()
        slots.initialize(repeating: 0, count: threads * Self.stride)
        for thread in 0..<threads { slots[thread * Self.stride] = begun }
        self.slots = slots
        passes = 0
        headPasses = 0
    }

    mutating func stop() {
        slots?.deallocate()
        slots = nil
    }

    func clock(_ thread: Int) -> StepClock { StepClock(slots: slots.map { $0 + thread &* Self.stride }) }
}

/// One thread's stopwatch.
struct StepClock {
    fileprivate let slots: UnsafeMutablePointer<UInt64>?

    /// The time since the last lap went into `kind`.
    func lap(_ kind: StepProfile.Kind) {
        guard let slots else { return }
        let now = monotonicNanoseconds()
        slots[1 &+ kind.rawValue] &+= now &- slots[0]
        slots[0] = now
    }
}

extension Session {
    /// Times the steps of every pass from now on, until `endProfile`. Call it between two passes.
    public func startProfile() { state.times.start(threads: state.threads.count) }

    /// The profile since `startProfile`; nil without one. The steps are no longer timed then.
    public func endProfile() -> StepProfile? {
        guard let slots = state.times.slots else { return nil }
        defer { state.times.stop() }
        let now = monotonicNanoseconds()
        let threads = pool.active
        var kinds = [Double](repeating: 0, count: StepProfile.Kind.allCases.count)
        for thread in 0..<threads {
            state.times.clock(thread).lap(.rest)
            for kind in kinds.indices {
                kinds[kind] += Double(slots[thread * StepTimes.stride + 1 + kind]) / Double(threads)
            }
        }
        let weights = model.weights
        var bytes = [Int](repeating: 0, count: kinds.count)
        for layer in weights.layers {
            let read = layer.bytes(model.config)
            bytes[StepProfile.Kind.project.rawValue] += read.project
            bytes[StepProfile.Kind.attnOutput.rawValue] += read.output
            bytes[StepProfile.Kind.gate.rawValue] += read.gate
            bytes[StepProfile.Kind.ffnDown.rawValue] += read.down
        }
        bytes = bytes.map { $0 * state.times.passes }
        bytes[StepProfile.Kind.head.rawValue] = weights.output.byteCount * state.times.headPasses
        return StepProfile(
            threads: threads, nanoseconds: Double(now - state.times.begun), kinds: kinds, bytes: bytes)
    }
}
