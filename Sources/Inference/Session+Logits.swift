import Kernels

// The head: what the asked tokens of the last pass say of the next.
extension Session {
    /// Logits of the last token over the whole vocabulary; valid until the next call.
    public func logits() -> UnsafeBufferPointer<Float> {
        let output = model.weights.output
        guard let input = normalizeOutput(lastToken) else {
            // Before the first pass.
            state.logits.update(repeating: 0, count: output.rows)
            return UnsafeBufferPointer(start: state.logits, count: output.rows)
        }
        withUnsafePointer(to: input) { input in
            var job = LogitsJob(session: Unmanaged.passUnretained(self), input: input)
            state.counters[0] = 0
            pool.run(&job) { thread, raw in
                guard let job = raw.assumingMemoryBound(to: LogitsJob.self).pointee as LogitsJob? else { return }
                job.session._withUnsafeGuaranteedRef { $0.computeLogits(job.input.pointee, thread) }
            }
        }
        state.times.headPasses += 1
        state.times.clock(0).lap(.wait)
        return UnsafeBufferPointer(start: state.logits, count: output.rows)
    }

    /// Logits of the last token at some rows of the head: only those weights are read.
    public func logits(of rows: [Int32]) -> [Float] { logits(of: rows, at: lastToken) }

    private struct LogitsJob {
        let session: Unmanaged<Session>
        let input: UnsafePointer<Activations>
    }

    private func computeLogits(_ input: Activations, _ thread: Int) {
        let output = model.weights.output
        let clock = state.times.clock(thread)
        clock.lap(.rest)
        adaptHead(input, thread)
        let band = 256
        let counter = WorkCounter(state.counters)
        while let piece = counter.next(below: (output.rows + band - 1) / band) {
            let first = piece * band
            let rows = min(band, output.rows - first)
            multiply(output, first, rows, input, 1, state.threads[thread], to: state.logits + first, 0)
            finishLogits(state.logits + first, rows)
        }
        clock.lap(.head)
    }

    func logits(of rows: [Int32], at token: Int) -> [Float] {
        let output = model.weights.output
        guard let input = normalizeOutput(token) else { return [] }
        adaptHead(input, 0)
        return rows.map { row in
            guard row >= 0, row < output.rows else { return -.infinity }
            var result: Float = 0
            multiply(output, Int(row), 1, input, 1, state.threads[0], to: &result, 0)
            finishLogits(&result, 1)
            return result
        }
    }

    /// What adapters make of the head's input.
    private func adaptHead(_ input: Activations, _ thread: Int) {
        guard let adapters else { return }
        adapters.narrow(
            model.config.blockCount * AdaptedInput.perLayer, input.x, state.threads[thread].vector,
            to: adapters.single + thread * adapters.width)
    }

    /// Scales and bends logits where the model wants it so.
    private func finishLogits(_ logits: UnsafeMutablePointer<Float>, _ count: Int) {
        let (scale, cap) = (model.config.logitScale, model.config.finalSoftCap)
        if scale != 1 { for i in 0..<count { logits[i] /= scale } }
        if cap > 0 { model.table.softCap(logits, count, cap) }
    }

    /// The final norm of one token of the last pass, quantised if the head wants it so; nil when it was not asked for.
    private func normalizeOutput(_ token: Int) -> Activations? {
        guard let row = (0..<pending.outputs).first(where: { state.outputs[$0] == Int32(clamping: token) }) else {
            return nil
        }
        let config = model.config
        let input = state.threads[0].single
        state.times.clock(0).lap(.rest)
        outputState(row, to: input.x)
        if model.weights.output.format.usesQuantizedActivations {
            model.table.quantize(input.x, config.embeddingLength, input.q, input.ds)
        }
        state.times.clock(0).lap(.prepare)
        return input
    }

    /// The state of one of the asked tokens behind the last layer, normalised (embedding).
    func outputState(_ row: Int, to y: UnsafeMutablePointer<Float>) {
        let from = state.x + row * model.config.embeddingLength
        guard let norm = model.weights.outputNorm else {
            y.update(from: from, count: model.config.embeddingLength)
            return
        }
        normalize(from, norm, y)
    }
}
