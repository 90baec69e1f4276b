import Glibc
import Kernels
import Linux

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
    /// Rotation frequency of each pair of elements, for each base.
    private let frequencies: [[Float]]
    /// Which token of the last pass `logits()` belongs to.
    private(set) var lastToken = 0
    /// Which nodes of its tree each token of the last trees sees; and which token each tree begins with.
    var visible: [Bool] = []
    var treeStarts: [Int] = []
    private var single: [Int32] = [0]
    private(set) var adapters: AdapterTable?
    /// The adapters that act now.
    public private(set) var scaledAdapters: [ScaledAdapter] = []
    private var batchLimit: Int
    private var contextLimit: Int

    /// The context nobody needs more of; a cap so that sizes stay far from overflow.
    public static let largestContext = 1 << 20
    /// Tokens an encoder reads at most.
    public static let largestEncoderContext = 8192

    /// Allocates what `context` tokens need at most; cache pages are taken only when they are used.
    ///
    /// - Parameters:
    ///   - context: cells; at most what the model was trained for, or stretched to.
    ///   - threads: members of the pool, the calling thread included; 0 means one per performance core.
    ///   - batch: tokens computed together; more reuse each weight oftener and take more scratch.
    ///   - kvCache: what keys and values are kept as.
    ///   - ownsThread: the calling thread is this session's own, to be kept on the performance cores like the others.
    public init(
        model: Model, context: Int, threads: Int = 0, batch: Int = 256, kvCache: KVCacheType = .f16,
        ownsThread: Bool = false
    ) throws(InferenceError) {
        let largest = min(
            model.config.contextLength,
            model.config.plan.isCausal ? Self.largestContext : Self.largestEncoderContext)
        guard context >= 1, context <= largest else {
            throw InferenceError(
                context > model.config.contextLength
                    ? RopeStretch.refusal(of: context, model.config)
                    : "a context of \(context) is outside 1…\(largest), what can be run. Choose another context.")
        }
        let topology = CPUTopology.machine
        let members = threads > 0 ? min(threads, 64) : topology.threads
        self.model = model
        self.context = context
        cache = try KVCache(model.config, context: context, type: kvCache)
        // An encoder's tokens see each other, so they are computed in one pass.
        let most = model.config.plan.isCausal ? min(batch, 1024) : context
        state = RunState(model, context: context, batch: max(1, min(most, context)), threads: members)
        pool = WorkerPool(count: members, cpus: topology.cpus(for: members), bindsCaller: ownsThread)
        batchLimit = state.batch
        contextLimit = context
        let config = model.config
        let weights = model.weights
        let isLong = context > config.rope.originalContextLength
        let factors = (isLong ? weights.ropeFactorsLong : weights.ropeFactorsShort) ?? weights.ropeFreqs
        frequencies = config.rope.bases.indices.map { config.rope.frequencies($0, factors: factors) }
    }

    /// Lets adapters of this session's model act from now on, several at once; none for the model as it is.
    ///
    /// The cells in use are forgotten where they change: they were computed with the others.
    public func use(_ adapters: [ScaledAdapter]) {
        guard adapters != scaledAdapters else { return }
        truncate(to: 0)
        scaledAdapters = adapters
        self.adapters =
            adapters.isEmpty
            ? nil : AdapterTable(adapters, model, batch: state.batch, threads: state.threads.count)
    }

    /// What keys and values are kept as.
    public var kvCache: KVCacheType { cache.type }

    /// Tokens that one pass computes at most, and nodes that a tree may have.
    public var batch: Int { state.batch }

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
        guard model.config.plan.isCausal else {
            throw InferenceError(
                "\(model.config.architecture) is an encoder, which predicts no tokens. Use it with `martlet embed`.")
        }
        try check(tokens)
        var done = 0
        while done < tokens.count {
            let some = min(batchLimit, tokens.count - done)
            let asked = eachToken == nil ? max(0, some - 2)..<some : 0..<some
            compute(tokens[done..<done + some], asking: asked)
            if let eachToken {
                for t in 0..<some {
                    lastToken = t
                    eachToken(done + t, logits())
                }
            }
            done += some
        }
    }

    /// Computes a batch behind the cells in use, keeps all its states at hand.
    func advance(_ tokens: [Int32]) throws(InferenceError) {
        try check(tokens)
        compute(tokens[...], asking: 0..<tokens.count)
    }

    private func compute(_ tokens: ArraySlice<Int32>, asking asked: Range<Int>) {
        for t in 0..<tokens.count { setPosition(t, count + t, parent: t - 1) }
        embed(tokens)
        run(Batch(tokens: tokens.count, prefix: count, blocks: layOutChain(tokens.count), outputs: ask(asked)))
        count += tokens.count
    }

    /// Copies the cells in use out.
    public func snapshot() -> PrefixState {
        PrefixState(count: count, cells: .memory(cache.copy(count)))
    }

    /// Replaces the cells in use by a snapshot of this session's model.
    ///
    /// - Returns: false when it does not fit the context or is of another kind of cache; nothing is changed then.
    public func restore(_ prefix: PrefixState) -> Bool {
        guard prefix.count <= context, prefix.withCells({ cache.restore($0, prefix.count) }) else { return false }
        count = prefix.count
        return true
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

    /// The embeddings of the tokens of a pass, whose positions are set.
    func embed(_ tokens: ArraySlice<Int32>) {
        let weights = model.weights
        let width = model.config.embeddingLength
        let scale = model.config.embeddingScale
        for (t, token) in tokens.enumerated() {
            let x = state.x + t * width
            weights.tokenEmbd.row(Int(token), to: x)
            if scale != 1 { for j in 0..<width { x[j] *= scale } }
            if let positions = weights.positionEmbd { add(positions, Int(state.positions[t]), to: x) }
            if let types = weights.tokenTypes { add(types, 0, to: x) }
            if let norm = weights.tokenEmbdNorm { normalize(x, norm, x) }
        }
    }

    private func add(_ table: Matrix, _ row: Int, to x: UnsafeMutablePointer<Float>) {
        let width = table.columns
        withUnsafeTemporaryAllocation(of: Float.self, capacity: width) { buffer in
            guard let base = buffer.baseAddress else { return }
            table.row(row, to: base)
            for j in 0..<width { x[j] += base[j] }
        }
    }

    /// Where token `t` stands, and which token of the pass it follows (−1: the last cell in use).
    func setPosition(_ t: Int, _ position: Int, parent: Int) {
        state.positions[t] = Int32(truncatingIfNeeded: position)
        state.parents[t] = Int32(truncatingIfNeeded: parent)
        guard model.config.plan.ropeStyle != .none else { return }
        let magnitude = model.config.rope.magnitude
        var to = state.rotation + t * model.config.ropeDimensionCount
        for frequencies in frequencies {
            for (i, frequency) in frequencies.enumerated() {
                let angle = Float(position) * frequency
                to[i] = cosf(angle) * magnitude
                to[frequencies.count + i] = sinf(angle) * magnitude
            }
            to += state.batch * 2 * frequencies.count
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
