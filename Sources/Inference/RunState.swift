import Kernels
import QuantBlocks

/// The input of a matrix product: float vectors, one a token, and the same quantised.
struct Activations {
    /// (tokens, xStride)
    var x: UnsafeMutablePointer<Float>
    var xStride: Int
    /// A single token: (columns) and a pair (d, s) per 32. Several: panels of `panelTokens`, one behind the other.
    var q: UnsafeMutablePointer<Int8>
    var ds: UnsafeMutablePointer<Float>
    /// Several tokens: wide panels, for matrices that read words.
    let words: UnsafeMutablePointer<Int8>
    let wordScales: UnsafeMutablePointer<Float>

    /// A single token's: words are not read.
    init(
        x: UnsafeMutablePointer<Float>, xStride: Int, q: UnsafeMutablePointer<Int8>, ds: UnsafeMutablePointer<Float>
    ) {
        self.x = x
        self.xStride = xStride
        (self.q, self.ds) = (q, ds)
        (words, wordScales) = (q, ds)
    }

    /// Of several tokens.
    init(x: UnsafeMutablePointer<Float>, xStride: Int, _ panels: Panels) {
        self.x = x
        self.xStride = xStride
        (q, ds) = (panels.q, panels.ds)
        (words, wordScales) = (panels.words, panels.wordScales)
    }
}

/// Buffers for the quantised activations of a batch: panels, and wide ones where a matrix reads words.
struct Panels {
    let q: UnsafeMutablePointer<Int8>
    let ds: UnsafeMutablePointer<Float>
    let words: UnsafeMutablePointer<Int8>
    let wordScales: UnsafeMutablePointer<Float>

    /// For `tokens` vectors of up to `width`, a multiple of 32. The caller gives them back.
    init(tokens: Int, width: Int, isWide: Bool) {
        let panels = (tokens + panelTokens - 1) / panelTokens
        let (bytes, scales) = (panels * panelTokens * width, panels * panelScales * width / 32)
        q = .allocate(capacity: bytes)
        ds = .allocate(capacity: scales)
        // The last panel of a batch is multiplied whole: its unused columns must be numbers, whatever they are. Wide
        // panels are written whole.
        q.initialize(repeating: 0, count: bytes)
        ds.initialize(repeating: 0, count: scales)
        words = .allocate(capacity: isWide ? panels * wideBytes(width) : 0)
        wordScales = .allocate(capacity: isWide ? panels * wideScales(width) : 0)
    }

    private init(_ all: Panels, _ panel: Int, _ width: Int) {
        q = all.q + panel &* panelTokens &* width
        ds = all.ds + panel &* panelScales &* (width / 32)
        words = all.words + panel &* wideBytes(width)
        wordScales = all.wordScales + panel &* wideScales(width)
    }

    /// Those of vectors of `width` from panel `panel` on. Borrows them.
    func from(_ panel: Int, width: Int) -> Panels { Panels(self, panel, width) }

    func deallocate() {
        for buffer in [q, words] { buffer.deallocate() }
        for buffer in [ds, wordScales] { buffer.deallocate() }
    }
}

/// All scratch of a session, allocated once: a forward pass allocates nothing.
///
/// Ownership: the session. Buffers of the whole batch are shared by all threads, `ThreadScratch` is one thread's own.
final class RunState {
    /// Tokens that one pass computes at most.
    let batch: Int
    /// Residual stream (batch, embedding).
    let x: UnsafeMutablePointer<Float>
    /// Normalised residual stream (batch, embedding).
    let normed: UnsafeMutablePointer<Float>
    /// Rotated queries (batch, headCount · headLength); a convolution's gates (batch, embedding).
    let query: UnsafeMutablePointer<Float>
    /// What mixes tokens yields (batch, `ModelConfig.mixedWidth`); before that keys that are not normalised yet.
    let attention: UnsafeMutablePointer<Float>
    /// act(gate) · up (batch, feedForward).
    let hidden: UnsafeMutablePointer<Float>
    /// Of models with a latent or experts only.
    let latent: LatentState?
    let experts: ExpertState?
    /// Quantised form of whatever is multiplied next (batch, widest row).
    let panels: Panels
    /// The longest row of any matrix, rounded up to 32.
    let widest: Int
    /// Rotation of each token: (bases, batch, 2, ropeDimensionCount / 2), the cosines of all pairs, then the sines.
    let rotation: UnsafeMutablePointer<Float>
    /// Where each token's key and value are kept (batch).
    let cells: UnsafeMutablePointer<Int32>
    /// The position of each token (batch).
    let positions: UnsafeMutablePointer<Int32>
    /// The token of the pass each one follows, or −1 for the last cell in use (batch).
    let parents: UnsafeMutablePointer<Int32>
    /// The tokens whose logits are asked for, in order (batch).
    let outputs: UnsafeMutablePointer<Int32>
    /// The pieces of attention; each has a token at least (batch).
    let blocks: UnsafeMutablePointer<AttentionBlock>
    /// One work counter per step of a pass, each on its own cache line.
    let counters: UnsafeMutablePointer<UInt32>
    let counterCount: Int
    let threads: [ThreadScratch]
    /// Logits of one token (vocabulary).
    let logits: UnsafeMutablePointer<Float>
    /// Changed between passes only.
    var times = StepTimes()

    /// Steps of one layer that share out work: 10 of attention through a latent and 10 of experts, their norms counted.
    static let stepsPerLayer = 20
    /// UInt32s between two counters: 64 bytes.
    static let counterStride = 16

    init(_ model: Model, context: Int, batch: Int, threads threadCount: Int) {
        let config = model.config
        let width = config.embeddingLength
        let queryWidth = max(config.headCount * config.headLength, config.convolutionLength > 0 ? width : 0)
        self.batch = batch
        widest = config.widestRow
        x = .allocate(capacity: batch * width)
        normed = .allocate(capacity: batch * width)
        query = .allocate(capacity: batch * queryWidth)
        attention = .allocate(capacity: batch * config.mixedWidth)
        hidden = .allocate(capacity: batch * config.hiddenWidth)
        latent = config.latent.map { LatentState($0, config, batch: batch) }
        let isWide = model.weights.readsWords
        experts = config.experts.map { ExpertState($0, config, batch: batch, isWide: isWide) }
        panels = Panels(tokens: batch, width: widest, isWide: isWide)
        rotation = .allocate(capacity: config.rope.bases.count * batch * config.ropeDimensionCount)
        cells = .allocate(capacity: batch)
        positions = .allocate(capacity: batch)
        parents = .allocate(capacity: batch)
        outputs = .allocate(capacity: batch)
        blocks = .allocate(capacity: batch)
        counterCount = (config.blockCount * Self.stepsPerLayer + 1) * Self.counterStride
        counters = .allocate(capacity: counterCount)
        logits = .allocate(capacity: model.vocabularyCount)
        let widest = widest
        threads = (0..<threadCount).map { thread in
            ThreadScratch(config, thread: thread, widest: widest, context: context, batch: batch)
        }
    }

    deinit {
        for buffer in [x, normed, query, attention, hidden, rotation, logits] { buffer.deallocate() }
        panels.deallocate()
        for buffer in [cells, positions, parents, outputs] { buffer.deallocate() }
        latent?.deallocate()
        experts?.deallocate()
        blocks.deallocate()
        counters.deallocate()
        for scratch in threads { scratch.deallocate() }
        times.stop()
    }
}

/// Lengths that scratch must have.
extension ModelConfig {
    /// Elements a token has of what mixes tokens, or of raw keys.
    var mixedWidth: Int {
        max(valueWidth, headCountKV * headLength, convolutionLength > 0 ? embeddingLength : 0)
    }

    /// Elements inside a dense block, or inside the experts every token goes through.
    var hiddenWidth: Int { max(feedForwardLength, experts.map { $0.feedForwardLength * max(1, $0.sharedCount) } ?? 0) }

    /// The longest row of any matrix, rounded up to 32.
    var widestRow: Int {
        let narrow = latent.map { max($0.queryRank, $0.valueLength * headCount, $0.keyLength) } ?? 0
        return (max(embeddingLength, mixedWidth, hiddenWidth, narrow) + 31) / 32 * 32
    }
}

/// One thread's own buffers.
struct ThreadScratch {
    /// Whose it is.
    let thread: Int
    /// An unpacked tile: up to `tileRows` rows of floats.
    let tile: UnsafeMutableRawPointer
    /// Its scales: at most four vectors of `tileRows` per 32 weights.
    let meta: UnsafeMutablePointer<Float>
    /// Products of a tile (batch, tileRows), twice: gate and up are computed together.
    let products: UnsafeMutablePointer<Float>
    let otherProducts: UnsafeMutablePointer<Float>
    /// One head of every token before rotation (batch, head or value length).
    let head: UnsafeMutablePointer<Float>
    /// A decode step's own normalised and quantised input, so that it needs no barrier.
    let single: Activations
    /// Another quantised vector, for one made while `single` is read.
    let vector: Activations
    /// Queries of an attention block (rows, padded head), their scores (rows, cells) and sums (rows, padded head).
    let attentionQuery: UnsafeMutablePointer<Float>
    let scores: UnsafeMutablePointer<Float>
    let attentionOut: UnsafeMutablePointer<Float>
    /// Values of a tree that does not lie next to the cells in use, moved there, or widened ones (cells, padded head).
    let gathered: UnsafeMutablePointer<UInt16>
    /// Widened keys of a few cells (`wideCells`, padded head).
    let wideKeys: UnsafeMutablePointer<UInt16>
    /// A key or value on its way into a cache of bytes (padded to 32).
    let narrow: Activations

    /// Keys that are widened at once, a multiple of eight: they stay in the first-level cache until they are used.
    static let wideCells = 64

    /// Query rows of one attention block: enough to reuse each key, few enough for the first-level cache.
    private static let attentionRows = 24

    /// Tokens of one attention block.
    static func attentionTokens(_ config: ModelConfig) -> Int { max(1, attentionRows / config.groupSize) }

    init(_ config: ModelConfig, thread: Int, widest: Int, context: Int, batch: Int) {
        self.thread = thread
        let paddedHead = KVCache.padded(max(config.headLength, config.valueLength))
        let rows = Self.attentionTokens(config) * config.groupSize
        // Aligned to a vector, so that a tile's loads do not straddle cache lines.
        tile = .allocate(byteCount: tileRows * widest * 4, alignment: 64)
        meta = .allocate(capacity: widest / 32 * tileRows * 4)
        let padded = (batch + panelTokens - 1) / panelTokens * panelTokens
        products = .allocate(capacity: padded * tileRows)
        otherProducts = .allocate(capacity: padded * tileRows)
        head = .allocate(
            capacity: batch * max(config.headLength, config.valueLength, config.latent?.keyLength ?? 0))
        single = Activations(
            x: .allocate(capacity: widest), xStride: widest, q: .allocate(capacity: widest),
            ds: .allocate(capacity: widest / 16))
        vector = Activations(
            x: single.x, xStride: widest, q: .allocate(capacity: widest), ds: .allocate(capacity: widest / 16))
        attentionQuery = .allocate(capacity: rows * paddedHead)
        attentionQuery.initialize(repeating: 0, count: rows * paddedHead)
        scores = .allocate(capacity: rows * ((context + 7) / 8 * 8))
        attentionOut = .allocate(capacity: rows * paddedHead)
        gathered = .allocate(capacity: (context + 7) / 8 * 8 * paddedHead)
        wideKeys = .allocate(capacity: Self.wideCells * paddedHead)
        let whole = (paddedHead + 31) / 32 * 32
        narrow = Activations(
            x: .allocate(capacity: whole), xStride: whole, q: .allocate(capacity: whole),
            ds: .allocate(capacity: whole / 16))
        narrow.x.initialize(repeating: 0, count: whole)
    }

    func deallocate() {
        tile.deallocate()
        for buffer in [meta, products, otherProducts, head, single.x, single.ds, vector.ds] { buffer.deallocate() }
        for buffer in [attentionQuery, scores, attentionOut] { buffer.deallocate() }
        for buffer in [single.q, vector.q] { buffer.deallocate() }
        gathered.deallocate()
        wideKeys.deallocate()
        narrow.q.deallocate()
        for buffer in [narrow.x, narrow.ds] { buffer.deallocate() }
    }
}
