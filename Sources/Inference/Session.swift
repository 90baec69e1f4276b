import Glibc
import Kernels
import Linux

/// The state behind a prefix, copied out of the cache: put back, it saves computing the prefix again.
public struct PrefixState: Sendable {
    public let count: Int
    let cells: [UInt16]
}

/// One running context of a model: its cache, its scratch and its threads.
///
/// Not thread-safe and deliberately not Sendable: one engine thread owns it. Cells are filled in order by `evaluate`,
/// and cut back by `truncate`.
public final class Session {
    public let model: Model
    /// Cells, that is tokens, that fit.
    public let context: Int
    /// Cells in use.
    public private(set) var count = 0
    /// Tokens computed since the session began, trees included.
    public private(set) var evaluated = 0

    let pool: WorkerPool
    let cache: KVCache
    let state: RunState
    /// What `runLayers` works on; written before the threads start, only read while they run.
    private(set) var pending = Batch()
    /// Rotation frequency of each pair of elements.
    private let frequencies: [Float]
    /// Which token of the last pass `logits()` belongs to.
    private var lastToken = 0
    /// Which nodes of its tree each token of the last trees sees; and which token each tree begins with.
    var visible: [Bool] = []
    var treeStarts: [Int] = []
    private var single: [Int32] = [0]
    private var batchLimit: Int
    private var contextLimit: Int

    /// The context nobody needs more of; a cap so that sizes stay far from overflow.
    public static let largestContext = 1 << 20

    /// Allocates what `context` tokens need at most; cache pages are taken only when they are used.
    ///
    /// - Parameters:
    ///   - context: cells; at most what the model was trained for.
    ///   - threads: members of the pool, the calling thread included; 0 means one per performance core.
    ///   - batch: tokens computed together; more reuse each weight oftener and take more scratch.
    ///   - ownsThread: the calling thread is this session's own, to be kept on the performance cores like the others.
    public init(
        model: Model, context: Int, threads: Int = 0, batch: Int = 256, ownsThread: Bool = false
    ) throws(InferenceError) {
        guard context >= 1, context <= min(model.config.contextLength, Self.largestContext) else {
            throw InferenceError(
                "a context of \(context) is outside 1…\(min(model.config.contextLength, Self.largestContext)), "
                    + "what the model was trained for. Choose a smaller context.")
        }
        let topology = CPUTopology.machine
        let members = threads > 0 ? min(threads, 64) : topology.threads
        self.model = model
        self.context = context
        cache = try KVCache(model.config, context: context)
        state = RunState(model, context: context, batch: max(1, min(batch, context, 1024)), threads: members)
        pool = WorkerPool(count: members, cpus: topology.cpus(for: members), bindsCaller: ownsThread)
        batchLimit = state.batch
        contextLimit = context
        let config = model.config
        let half = config.ropeDimensionCount / 2
        let factors = model.weights.ropeFreqs
        frequencies = (0..<half).map { i in
            let exponent = -2 * Float(i) / Float(config.ropeDimensionCount)
            return powf(config.ropeFrequencyBase, exponent) / (factors?.floats[i] ?? 1) / config.ropeScale
        }
    }

    /// Threads that compute: 1 to what the session was made with. Set it between two calls.
    public var threads: Int {
        get { pool.active }
        set { pool.active = newValue }
    }

    /// Tokens of a prompt computed together: 1 to `batch`, which trees may always use.
    public var promptBatch: Int {
        get { batchLimit }
        set { batchLimit = max(1, min(newValue, state.batch)) }
    }

    /// Cells that may be used, for when memory is short: 1 to `context`. Cells in use beyond it stay.
    public var usableContext: Int {
        get { contextLimit }
        set { contextLimit = max(1, min(newValue, context)) }
    }

    /// Forgets all cells from `count` on.
    public func truncate(to count: Int) { self.count = max(0, min(count, self.count)) }

    /// Computes `tokens` behind the cells in use, in causal order, and keeps them.
    ///
    /// Throws when they do not fit or an id is not in the vocabulary; nothing is changed then.
    public func evaluate(_ tokens: [Int32]) throws(InferenceError) {
        try evaluate(tokens, eachToken: nil)
    }

    /// The same of one token. Allocates nothing, whatever an optimiser makes of an array of one at the caller.
    public func evaluate(_ token: Int32) throws(InferenceError) {
        single[0] = token
        try evaluate(single, eachToken: nil)
    }

    /// The same, and hands the logits of every token to `eachToken` (index, vocabulary floats valid during the call).
    public func evaluate(
        _ tokens: [Int32], eachToken: ((Int, UnsafeBufferPointer<Float>) -> Void)?
    ) throws(InferenceError) {
        try check(tokens)
        var done = 0
        while done < tokens.count {
            let some = min(batchLimit, tokens.count - done)
            embed(tokens[done..<done + some])
            for t in 0..<some { setRotation(t, position: count + t) }
            let asked = eachToken == nil ? max(0, some - 2)..<some : 0..<some
            run(Batch(tokens: some, prefix: count, blocks: layOutChain(some), outputs: ask(asked)))
            count += some
            if let eachToken {
                for t in 0..<some {
                    lastToken = t
                    eachToken(done + t, logits())
                }
            }
            done += some
        }
    }

    /// Copies the cells in use out.
    public func snapshot() -> PrefixState {
        PrefixState(count: count, cells: cache.copy(count, layers: model.config.blockCount))
    }

    /// Replaces the cells in use by a snapshot of this session's model.
    public func restore(_ prefix: PrefixState) {
        guard prefix.count <= context else { return }
        cache.restore(prefix.cells, prefix.count, layers: model.config.blockCount)
        count = prefix.count
    }

    // MARK: Logits

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
        let band = 256
        let counter = WorkCounter(state.counters)
        while let piece = counter.next(below: (output.rows + band - 1) / band) {
            let first = piece * band
            multiply(
                output, first, min(band, output.rows - first), input, 1, state.threads[thread],
                to: state.logits + first, 0)
        }
        clock.lap(.head)
    }

    func logits(of rows: [Int32], at token: Int) -> [Float] {
        let output = model.weights.output
        guard let input = normalizeOutput(token) else { return [] }
        return rows.map { row in
            guard row >= 0, row < output.rows else { return -.infinity }
            var result: Float = 0
            multiply(output, Int(row), 1, input, 1, state.threads[0], to: &result, 0)
            return result
        }
    }

    /// The final norm of one token of the last pass, quantised if the head wants it so; nil when it was not asked for.
    private func normalizeOutput(_ token: Int) -> Activations? {
        guard let row = (0..<pending.outputs).first(where: { state.outputs[$0] == Int32(clamping: token) }) else {
            return nil
        }
        let config = model.config
        let input = state.threads[0].single
        let from = state.x + row * config.embeddingLength
        state.times.clock(0).lap(.rest)
        model.table.rmsNorm(
            from, model.weights.outputNorm.floats, input.x, config.embeddingLength, config.rmsEpsilon)
        if model.weights.output.format.usesQuantizedActivations {
            model.table.quantize(input.x, config.embeddingLength, input.q, input.ds)
        }
        state.times.clock(0).lap(.prepare)
        return input
    }

    // MARK: A pass

    func check(_ tokens: [Int32]) throws(InferenceError) {
        guard !tokens.isEmpty else { throw InferenceError("there are no tokens to compute. Give some text.") }
        guard tokens.count <= context - count else {
            throw InferenceError(
                "\(count + tokens.count) tokens do not fit a context of \(context). Shorten the input or raise `context`."
            )
        }
        guard tokens.count <= contextLimit - count else {
            throw InferenceError(
                "\(count + tokens.count) tokens do not fit the \(contextLimit) that memory allows now. Shorten the input, "
                    + "or try again when the board has memory to spare.")
        }
        if let stranger = tokens.first(where: { $0 < 0 || Int($0) >= model.vocabularyCount }) {
            throw InferenceError(
                "token \(stranger) is not in the vocabulary of \(model.vocabularyCount). Use this model's tokenizer.")
        }
    }

    /// Notes tokens of the next pass whose logits will be asked for, in order and at least two of a batch: one alone
    /// would take the vector kernels, whose rounding is another. Their number.
    func ask(_ tokens: some Sequence<Int>) -> Int {
        var count = 0
        for token in tokens {
            state.outputs[count] = Int32(truncatingIfNeeded: token)
            count += 1
        }
        return count
    }

    func embed(_ tokens: ArraySlice<Int32>) {
        let table = model.weights.tokenEmbd
        for (t, token) in tokens.enumerated() {
            table.format.dequantize(table.layout)(
                table.bytes, table.rowByteCount, Int(token), table.columns, state.x + t * table.columns)
        }
    }

    func setRotation(_ t: Int, position: Int) {
        let to = state.rotation + t * frequencies.count
        for (i, frequency) in frequencies.enumerated() {
            let angle = Float(position) * frequency
            to[i] = SIMD2(cosf(angle), sinf(angle))
        }
    }

    func run(_ batch: Batch) {
        pending = batch
        state.counters.update(repeating: 0, count: state.counterCount)
        pool.run(Unmanaged.passUnretained(self).toOpaque()) { thread, raw in
            Unmanaged<Session>.fromOpaque(raw)._withUnsafeGuaranteedRef { $0.runLayers(thread) }
        }
        state.times.passes += 1
        state.times.clock(0).lap(.wait)
        lastToken = batch.tokens - 1
        evaluated += batch.tokens
    }
}
