import Kernels

extension Session {
    /// The embedding of `tokens`: the states behind the last layer, pooled as the model wants it, of length one.
    ///
    /// The cells in use are forgotten. Shape: (embedding). Throws when they do not fit; an encoder's do not see more
    /// than `context`, which is never cut silently.
    public func embedding(of tokens: [Int32]) throws(InferenceError) -> [Float] {
        truncate(to: 0)
        try check(tokens)
        let width = model.config.embeddingLength
        var sum = [Float](repeating: 0, count: width)
        var done = 0
        while done < tokens.count {
            let some = min(model.config.plan.isCausal ? promptBatch : batch, tokens.count - done)
            try advance(Array(tokens[done..<done + some]))
            add(some, isFirst: done == 0, isLast: done + some == tokens.count, to: &sum)
            done += some
        }
        truncate(to: 0)
        let length = sum.reduce(0) { $0 + $1 * $1 }.squareRoot()
        guard length.isFinite, length > 0 else {
            throw InferenceError("the states of this text have no length. Fetch the model again; it may be damaged.")
        }
        return sum.map { $0 / length }
    }

    /// Adds the states of a pass's tokens that the pooling takes.
    private func add(_ tokens: Int, isFirst: Bool, isLast: Bool, to sum: inout [Float]) {
        let taken: Range<Int> =
            switch model.config.pooling {
            case .mean: 0..<tokens
            case .cls: isFirst ? 0..<1 : 0..<0
            case .last: isLast ? tokens - 1..<tokens : 0..<0
            }
        withUnsafeTemporaryAllocation(of: Float.self, capacity: sum.count) { buffer in
            guard let state = buffer.baseAddress else { return }
            for row in taken {
                outputState(row, to: state)
                for j in sum.indices { sum[j] += state[j] }
            }
        }
    }
}
