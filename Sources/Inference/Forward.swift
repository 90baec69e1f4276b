import Kernels
import QuantBlocks

/// What one pass computes: tokens, each with a cell of its own, behind the cells in use.
///
/// Either a chain that the cells in use go on with, or trees that lie side by side behind them.
struct Batch {
    /// Tokens in this pass. `RunState.cells` says where each is kept.
    var tokens = 0
    /// Cells in use before the pass; every token sees all of them.
    var prefix = 0
    /// Pieces that attention is computed in, in `RunState.blocks`.
    var blocks = 0
    /// Tokens whose logits are asked for, in `RunState.outputs`: behind attention the last layer computes only these.
    var outputs = 0
    /// For trees, which tokens of its own tree a token sees: a (tokens, tokens) of each tree. Nil for a chain.
    var visible: UnsafePointer<Bool>?
}

// The layers. All threads run this together: a step's work is shared out piece by piece, and one barrier stands
// between a step and the step that reads what it wrote. Five barriers a layer for a single token, seven for a batch.
//
// A decode step normalises its input on every thread instead of sharing the work: 576 numbers cost less than the
// barrier they would need.
extension Session {
    func runLayers(_ thread: Int) {
        let state = state
        let config = model.config
        var batch = pending
        let scratch = state.threads[thread]
        let clock = state.times.clock(thread)
        clock.lap(.rest)
        let width = config.embeddingLength
        let attentionWidth = config.headCount &* config.headLength
        for index in 0..<config.blockCount {
            let layer = model.weights.layers[index]
            var step = Steps(state, index, clock)

            var input = prepare(norm: layer.attnNorm, quantized: layer.quantizesAttnInput, batch, scratch, &step)
            project(layer, index, input, batch, scratch, step.next())
            meet(after: .project, clock)

            attend(index, batch, scratch, step.next())
            meet(after: .attend, clock)
            if index == config.blockCount &- 1, batch.outputs < batch.tokens {
                if thread == 0 { moveUpOutputs(batch) }
                meet(after: .rest, clock)
                batch.tokens = batch.outputs
            }

            input = prepare(state.attention, attentionWidth, for: layer.attnOutput, batch, scratch, &step)
            addProduct(layer.attnOutput, input, batch, scratch, step.next(), to: state.x, width)
            meet(after: .attnOutput, clock)

            input = prepare(norm: layer.ffnNorm, quantized: layer.quantizesFfnInput, batch, scratch, &step)
            gate(layer, input, batch, scratch, step.next())
            meet(after: .gate, clock)

            input = prepare(state.hidden, config.feedForwardLength, for: layer.ffnDown, batch, scratch, &step)
            addProduct(layer.ffnDown, input, batch, scratch, step.next(), to: state.x, width)
            meet(after: .ffnDown, clock)
        }
    }

    /// A step of `kind` ends: the barrier behind it.
    private func meet(after kind: StepProfile.Kind, _ clock: StepClock) {
        clock.lap(kind)
        pool.barrier()
        clock.lap(.wait)
    }

    /// Moves what the rest of the last layer reads of the asked tokens to the first rows.
    private func moveUpOutputs(_ batch: Batch) {
        let width = model.config.embeddingLength
        let attentionWidth = model.config.headCount &* model.config.headLength
        for row in 0..<batch.outputs {
            let token = Int(state.outputs[row])  // never before `row`: they are in order
            (state.x + row &* width).update(from: state.x + token &* width, count: width)
            (state.attention + row &* attentionWidth).update(
                from: state.attention + token &* attentionWidth, count: attentionWidth)
        }
    }

    /// The work counters of a layer's steps, in order.
    struct Steps {
        let clock: StepClock
        private var word: UnsafeMutablePointer<UInt32>
        init(_ state: RunState, _ layer: Int, _ clock: StepClock) {
            self.clock = clock
            word = state.counters + layer &* RunState.stepsPerLayer &* RunState.counterStride
        }
        mutating func next() -> WorkCounter {
            defer { word += RunState.counterStride }
            return WorkCounter(word)
        }
    }

    /// The normalised residual stream, also quantised where a matrix that reads it wants it so.
    private func prepare(
        norm: Vector, quantized: Bool, _ batch: Batch, _ scratch: ThreadScratch, _ step: inout Steps
    ) -> Activations {
        let state = state
        let width = model.config.embeddingLength
        let counter = step.next()
        if batch.tokens == 1 {
            model.table.rmsNorm(state.x, norm.floats, scratch.single.x, width, model.config.rmsEpsilon)
            if quantized { model.table.quantize(scratch.single.x, width, scratch.single.q, scratch.single.ds) }
            step.clock.lap(.prepare)
            return scratch.single
        }
        let shared = Activations(x: state.normed, xStride: width, q: state.q, ds: state.ds)
        let epsilon = model.config.rmsEpsilon
        while let panel = counter.next(below: panels(batch)) {
            let first = panel &* panelTokens
            let tokens = min(panelTokens, batch.tokens &- first)
            let to = shared.x + first &* width
            for t in 0..<tokens {
                model.table.rmsNorm(state.x + (first &+ t) &* width, norm.floats, to + t &* width, width, epsilon)
            }
            if quantized { quantize(to, width, tokens, panel) }
        }
        meet(after: .prepare, step.clock)
        return shared
    }

    private func panels(_ batch: Batch) -> Int { (batch.tokens &+ panelTokens &- 1) / panelTokens }

    /// Quantises the tokens of one panel of the batch.
    private func quantize(_ x: UnsafePointer<Float>, _ width: Int, _ tokens: Int, _ panel: Int) {
        model.table.quantizePanel(
            x, width, tokens, width, state.q + panel &* panelTokens &* width,
            state.ds + panel &* panelScales &* (width / 32))
    }

    /// A buffer (tokens, width) as input of `matrix`, quantised if it wants it so.
    private func prepare(
        _ x: UnsafeMutablePointer<Float>, _ width: Int, for matrix: Matrix, _ batch: Batch, _ scratch: ThreadScratch,
        _ step: inout Steps
    ) -> Activations {
        let state = state
        let quantized = matrix.format.usesQuantizedActivations
        let counter = step.next()
        var input = Activations(x: x, xStride: width, q: state.q, ds: state.ds)
        guard quantized else { return input }
        if batch.tokens == 1 {
            model.table.quantize(x, width, scratch.single.q, scratch.single.ds)
            input.q = scratch.single.q
            input.ds = scratch.single.ds
            step.clock.lap(.prepare)
            return input
        }
        while let panel = counter.next(below: panels(batch)) {
            let first = panel &* panelTokens
            quantize(x + first &* width, width, min(panelTokens, batch.tokens &- first), panel)
        }
        meet(after: .prepare, step.clock)
        return input
    }

    /// Queries, keys and values, one head a piece; rotated, and the latter two narrowed into the cache.
    private func project(
        _ layer: LayerWeights, _ index: Int, _ input: Activations, _ batch: Batch, _ scratch: ThreadScratch,
        _ counter: WorkCounter
    ) {
        let config = model.config
        let length = config.headLength
        let attentionWidth = config.headCount &* length
        while let piece = counter.next(below: config.headCount &+ 2 &* config.headCountKV) {
            if piece < config.headCount {
                let to = state.query + piece &* length
                multiply(layer.attnQ, piece &* length, length, input, batch.tokens, scratch, to: to, attentionWidth)
                for t in 0..<batch.tokens { rotate(to + t &* attentionWidth, t) }
            } else if piece < config.headCount &+ config.headCountKV {
                let head = piece &- config.headCount
                multiply(layer.attnK, head &* length, length, input, batch.tokens, scratch, to: scratch.head, length)
                for t in 0..<batch.tokens { rotate(scratch.head + t &* length, t) }
                storeKeys(scratch.head, batch, index, head)
            } else {
                let head = piece &- config.headCount &- config.headCountKV
                multiply(layer.attnV, head &* length, length, input, batch.tokens, scratch, to: scratch.head, length)
                let values = cache.values(index, head)
                for t in 0..<batch.tokens {
                    let cell = Int(state.cells[t])
                    model.table.toHalf(scratch.head + t &* length, values + cell &* cache.headLength, length)
                }
            }
        }
    }

    private func storeKeys(_ keys: UnsafeMutablePointer<Float>, _ batch: Batch, _ layer: Int, _ head: Int) {
        let to = cache.keys(layer, head)
        let length = model.config.headLength
        for t in 0..<batch.tokens {
            let cell = Int(state.cells[t])
            let column = to + ((cell >> 3) &* cache.headLength &* 8 &+ (cell & 7))
            // Narrowed in place, so that the scattered copies are copies only.
            let halves = UnsafeMutableRawPointer(keys + t &* length).assumingMemoryBound(to: UInt16.self)
            model.table.toHalf(keys + t &* length, halves, length)
            for j in 0..<length { column[j &* 8] = halves[j] }
        }
    }

    /// Rotates one head of token `t` in place.
    private func rotate(_ head: UnsafeMutablePointer<Float>, _ t: Int) {
        let half = model.config.ropeDimensionCount / 2
        let rotation = state.rotation + t &* half
        switch model.config.plan.ropeStyle {
        case .neighbours:
            for i in 0..<half {
                let (a, b) = (head[2 &* i], head[2 &* i &+ 1])
                let (cosine, sine) = (rotation[i].x, rotation[i].y)
                head[2 &* i] = a * cosine - b * sine
                head[2 &* i &+ 1] = a * sine + b * cosine
            }
        case .halves:
            for i in 0..<half {
                let (a, b) = (head[i], head[i &+ half])
                let (cosine, sine) = (rotation[i].x, rotation[i].y)
                head[i] = a * cosine - b * sine
                head[i &+ half] = a * sine + b * cosine
            }
        }
    }

    /// x += matrix × input, a band of rows a piece.
    private func addProduct(
        _ matrix: Matrix, _ input: Activations, _ batch: Batch, _ scratch: ThreadScratch, _ counter: WorkCounter,
        to x: UnsafeMutablePointer<Float>, _ stride: Int
    ) {
        let band = bandRows(matrix.rows)
        while let piece = counter.next(below: (matrix.rows &+ band &- 1) / band) {
            var row = piece &* band
            let end = min(row &+ band, matrix.rows)
            while row < end {
                let rows = min(tileRows, end &- row)
                let products = scratch.products
                multiplyTile(matrix, row, rows, input, batch.tokens, scratch, products)
                for t in 0..<batch.tokens {
                    for r in 0..<rows { x[t &* stride &+ row &+ r] += products[t &* tileRows &+ r] }
                }
                row &+= rows
            }
        }
    }

    /// hidden = silu(gate × input) · (up × input), the same rows of both matrices a piece.
    private func gate(
        _ layer: LayerWeights, _ input: Activations, _ batch: Batch, _ scratch: ThreadScratch, _ counter: WorkCounter
    ) {
        let count = model.config.feedForwardLength
        let band = bandRows(count)
        while let piece = counter.next(below: (count &+ band &- 1) / band) {
            var row = piece &* band
            let end = min(row &+ band, count)
            while row < end {
                let rows = min(tileRows, end &- row)
                let (g, u) = (scratch.products, scratch.otherProducts)
                multiplyTile(layer.ffnGate, row, rows, input, batch.tokens, scratch, g)
                multiplyTile(layer.ffnUp, row, rows, input, batch.tokens, scratch, u)
                // Eight at once also where a tile has fewer rows: its other lanes are zeros.
                model.table.swiGLU(g, u, g, batch.tokens &* tileRows)
                for t in 0..<batch.tokens {
                    let to = state.hidden + (t &* count &+ row)
                    for r in 0..<rows { to[r] = g[t &* tileRows &+ r] }
                }
                row &+= rows
            }
        }
    }

    /// Rows a thread takes at once: about eight pieces a thread, in whole tiles.
    private func bandRows(_ rows: Int) -> Int {
        let even = rows / (pool.active &* 8)
        return max(tileRows, (even &+ tileRows &- 1) / tileRows &* tileRows)
    }

    /// Rows `first ..< first + rows` of `matrix` × every token, written to (tokens, stride).
    func multiply(
        _ matrix: Matrix, _ first: Int, _ rows: Int, _ input: Activations, _ tokens: Int, _ scratch: ThreadScratch,
        to: UnsafeMutablePointer<Float>, _ stride: Int
    ) {
        if tokens == 1 {
            matrix.multiply(first, rows, input, to: to)
            return
        }
        var row = 0
        while row < rows {
            let some = min(tileRows, rows &- row)
            multiplyTile(matrix, first &+ row, some, input, tokens, scratch, scratch.products)
            for t in 0..<tokens {
                for r in 0..<some { to[t &* stride &+ row &+ r] = scratch.products[t &* tileRows &+ r] }
            }
            row &+= some
        }
    }

    /// At most `tileRows` rows of `matrix` × every token, written to (tokens, tileRows).
    private func multiplyTile(
        _ matrix: Matrix, _ first: Int, _ rows: Int, _ input: Activations, _ tokens: Int, _ scratch: ThreadScratch,
        _ to: UnsafeMutablePointer<Float>
    ) {
        let from = matrix.bytes + first &* matrix.rowByteCount
        if tokens == 1 {
            for r in rows..<tileRows { to[r] = 0 }
            matrix.kernels.gemv(from, matrix.rowByteCount, rows, matrix.columns, input.q, input.ds, input.x, to)
            return
        }
        matrix.kernels.unpack(from, matrix.rowByteCount, rows, matrix.columns, scratch.tile, scratch.meta)
        matrix.kernels.gemm(
            scratch.tile, scratch.meta, matrix.columns, input.q, input.ds, input.x, input.xStride, tokens, to)
    }
}
