import Constraints
import Glibc

/// Chooses tokens from logits.
///
/// Steps in the order of llama.cpp's default chain: constraint, repeat penalty, `topK`, `topP`, `minP`, temperature, draw.
/// `topP` and `minP` therefore see probabilities at temperature 1, of the tokens that `topK` left.
///
/// Deterministic: equal logits are ordered by token, and all chance comes from the seed. After the first token nothing is
/// allocated. Tokens are not sorted: a heap gives them up one by one until enough are known.
public struct Sampler: Sendable {
    public let options: SamplerOptions
    private var random: SplitMix64
    /// Candidates: a heap with the most likely on top, and behind it those taken out so far.
    private var heap: [Candidate] = []
    /// For each token whether the penalty applies; empty without one.
    private var isPenalized: [Bool] = []

    private struct Candidate {
        var logit: Float
        var token: Int32

        /// Whether it is more likely, the smaller token among equals.
        func precedes(_ other: Candidate) -> Bool {
            logit == other.logit ? token < other.token : logit > other.logit
        }
    }

    public init(_ options: SamplerOptions = SamplerOptions()) {
        self.options = options
        random = SplitMix64(seed: options.seed)
    }

    /// The next token; 0 when there is no logit to choose by.
    ///
    /// - Parameters:
    ///   - logits: one for each token of the vocabulary; what is not a number is never chosen.
    ///   - recent: the last tokens, for the repeat penalty.
    ///   - allowed: the tokens to choose from; nil for all.
    public mutating func sample(
        _ logits: UnsafeBufferPointer<Float>, recent: ArraySlice<Int32> = [], allowed: TokenMask? = nil
    ) -> Int32 {
        let penalizes = options.repeatPenalty != 1 && !recent.isEmpty
        if penalizes { mark(recent, true, logits.count) }
        defer { if penalizes { mark(recent, false, logits.count) } }
        guard let best = mostLikely(logits, allowed) else { return 0 }
        guard options.temperature > 0, options.topK != 1 else { return best.token }
        collect(logits, allowed)
        return draw(best.logit)
    }

    // MARK: Penalty

    private mutating func mark(_ tokens: ArraySlice<Int32>, _ flag: Bool, _ count: Int) {
        if isPenalized.count != count { isPenalized = [Bool](repeating: false, count: count) }
        for token in tokens where token >= 0 && Int(token) < count { isPenalized[Int(token)] = flag }
    }

    /// The logit the choice is made by; penalised as llama.cpp does it, towards less likely whatever the sign.
    private func logit(_ logits: UnsafeBufferPointer<Float>, _ token: Int) -> Float {
        let logit = logits[token]
        guard token < isPenalized.count, isPenalized[token] else { return logit }
        return logit <= 0 ? logit * options.repeatPenalty : logit / options.repeatPenalty
    }

    /// Calls `body` with each token that may be chosen.
    @inline(__always)  // The body is a comparison; a call for each token would cost more than all the rest.
    private static func forEach(_ count: Int, _ allowed: TokenMask?, _ body: (Int) -> Void) {
        if let allowed { return allowed.forEach(below: count, body) }
        for token in 0..<count { body(token) }
    }

    private func mostLikely(_ logits: UnsafeBufferPointer<Float>, _ allowed: TokenMask?) -> Candidate? {
        var best: Candidate?
        var floor = -Float.infinity
        Self.forEach(logits.count, allowed) { token in
            let logit = logit(logits, token)
            // False for NaN, which therefore never wins.
            if logit > floor {
                floor = logit
                best = Candidate(logit: logit, token: Int32(truncatingIfNeeded: token))
            }
        }
        return best
    }

    // MARK: Choice

    /// Puts the `topK` most likely tokens into the heap, the most likely on top.
    ///
    /// While more come, the heap holds only that many with the least likely on top: most tokens cost one comparison.
    private mutating func collect(_ logits: UnsafeBufferPointer<Float>, _ allowed: TokenMask?) {
        heap.removeAll(keepingCapacity: true)
        let limit = options.topK > 0 ? min(options.topK, logits.count) : logits.count
        heap.reserveCapacity(limit)
        Self.forEach(logits.count, allowed) { token in
            let logit = logit(logits, token)
            guard logit > -.infinity else { return }
            let candidate = Candidate(logit: logit, token: Int32(truncatingIfNeeded: token))
            if heap.count < limit {
                heap.append(candidate)
                if heap.count == limit, limit < logits.count { arrange { $1.precedes($0) } }
            } else if candidate.precedes(heap[0]) {
                heap[0] = candidate
                sink(0, heap.count) { $1.precedes($0) }
            }
        }
        arrange { $0.precedes($1) }
    }

    /// Takes candidates out in order of likelihood until `topP` or `minP` ends it, then draws one of them.
    private mutating func draw(_ best: Float) -> Int32 {
        var total = 0.0
        for candidate in heap { total += exp(Double(candidate.logit - best)) }
        let enough = Double(options.topP) * total
        var end = heap.count  // heap[end...] has been taken out, the most likely last
        var taken = 0.0
        while end > 0 {
            let weight = exp(Double(heap[0].logit - best))
            if end < heap.count, taken >= enough || weight < Double(options.minP) { break }
            taken += weight
            end -= 1
            heap.swapAt(0, end)
            sink(0, end) { $0.precedes($1) }
        }
        let temperature = Double(options.temperature)
        var sum = 0.0
        for candidate in heap[end...] { sum += exp(Double(candidate.logit - best) / temperature) }
        var target = random.uniform() * sum
        for candidate in heap[end...].reversed() {
            target -= exp(Double(candidate.logit - best) / temperature)
            if target < 0 { return candidate.token }
        }
        return heap[end...].last?.token ?? 0
    }

    // MARK: Heap

    private mutating func arrange(_ above: (Candidate, Candidate) -> Bool) {
        for index in stride(from: heap.count / 2 - 1, through: 0, by: -1) { sink(index, heap.count, above) }
    }

    /// Lets the candidate at `index` down to its place among the first `count`.
    private mutating func sink(_ index: Int, _ count: Int, _ above: (Candidate, Candidate) -> Bool) {
        var index = index
        while true {
            var child = 2 * index + 1
            guard child < count else { return }
            if child + 1 < count, above(heap[child + 1], heap[child]) { child += 1 }
            guard above(heap[child], heap[index]) else { return }
            heap.swapAt(index, child)
            index = child
        }
    }
}
