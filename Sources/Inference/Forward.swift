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

/// Where one thread is in a pass.
struct Pass {
    var batch: Batch
    let scratch: ThreadScratch
    let clock: StepClock
    /// The layer it is in.
    var layer = 0
    /// The work counters of the layer's steps, in order; no step is counted twice.
    private var word: UnsafeMutablePointer<UInt32>

    init(_ state: RunState, _ batch: Batch, thread: Int) {
        self.batch = batch
        scratch = state.threads[thread]
        clock = state.times.clock(thread)
        word = state.counters
    }

    mutating func enter(_ layer: Int, _ state: RunState) {
        self.layer = layer
        word = state.counters + layer &* RunState.stepsPerLayer &* RunState.counterStride
    }

    /// The counter of the next step that shares out work.
    mutating func next() -> WorkCounter {
        defer { word += RunState.counterStride }
        return WorkCounter(word)
    }
}

// The layers. All threads run this together: a step's work is shared out piece by piece, and one barrier stands
// between a step and the step that reads what it wrote. Five barriers a layer for a single token, seven for a batch;
// what only some architectures have adds its own.
//
// A decode step normalises its input on every thread instead of sharing the work: 576 numbers cost less than the
// barrier they would need.
extension Session {
    func runLayers(_ thread: Int) {
        var pass = Pass(state, pending, thread: thread)
        pass.clock.lap(.rest)
        for index in 0..<model.config.blockCount {
            let layer = model.weights.layers[index]
            pass.enter(index, state)
            switch layer.mixer {
            case .attention(let weights): attention(weights, layer, &pass, thread)
            case .latent(let weights): latentAttention(weights, layer, &pass, thread)
            case .convolution(let weights): convolution(weights, layer, &pass, thread)
            }
            if let experts = layer.experts {
                mixExperts(experts, layer, &pass, thread)
            } else if let weights = layer.feedForward {
                feedForward(weights, layer, &pass)
            }
        }
    }

    /// A step of `kind` ends: the barrier behind it.
    func meet(after kind: StepProfile.Kind, _ pass: borrowing Pass) {
        pass.clock.lap(kind)
        pool.barrier()
        pass.clock.lap(.wait)
    }

    /// In the last layer goes on with the asked tokens only, whose rows are moved to the front.
    func keepOutputs(_ pass: inout Pass, _ thread: Int) {
        guard pass.layer == model.config.blockCount &- 1, pass.batch.outputs < pass.batch.tokens else { return }
        if thread == 0 {
            moveUp(state.x, model.config.embeddingLength, pass.batch)
            moveUp(state.attention, attentionWidth(pass.layer), pass.batch)
            if model.config.plan.isParallel { moveUp(state.hidden, model.config.feedForwardLength, pass.batch) }
        }
        meet(after: .rest, pass)
        pass.batch.tokens = pass.batch.outputs
    }

    /// Elements a token has of what mixes tokens.
    private func attentionWidth(_ layer: Int) -> Int {
        model.config.layers[layer].isConvolution ? model.config.embeddingLength : model.config.valueWidth
    }

    private func moveUp(_ rows: UnsafeMutablePointer<Float>, _ width: Int, _ batch: Batch) {
        for row in 0..<batch.outputs {
            let token = Int(state.outputs[row])  // never before `row`: they are in order
            (rows + row &* width).update(from: rows + token &* width, count: width)
        }
    }

    // MARK: Inputs

    /// y = the norm of x, a token's state (embedding, or the norm's length).
    func normalize(_ x: UnsafePointer<Float>, _ norm: Norm, _ y: UnsafeMutablePointer<Float>) {
        let weight = norm.weight
        if model.config.plan.norm == .rms {
            model.table.rmsNorm(x, weight.floats, y, weight.count, model.config.normEpsilon)
        } else {
            model.table.layerNorm(x, weight.floats, norm.bias?.floats, y, weight.count, model.config.normEpsilon)
        }
    }

    /// The residual stream, normalised if there is a norm, and quantised where a matrix that reads it wants it so.
    func prepare(_ norm: Norm?, quantized: Bool, _ pass: inout Pass) -> Activations {
        let state = state
        let width = model.config.embeddingLength
        let counter = pass.next()
        let tokens = pass.batch.tokens
        if tokens == 1 {
            var input = pass.scratch.single
            if let norm { normalize(state.x, norm, input.x) } else { input.x = state.x }
            if quantized { model.table.quantize(input.x, width, input.q, input.ds) }
            pass.clock.lap(.prepare)
            return input
        }
        let shared = Activations(
            x: norm == nil ? state.x : state.normed, xStride: width, q: state.q, ds: state.ds)
        guard norm != nil || quantized else { return shared }
        while let panel = counter.next(below: panels(tokens)) {
            let first = panel &* panelTokens
            let some = min(panelTokens, tokens &- first)
            let to = shared.x + first &* width
            if let norm {
                for t in 0..<some { normalize(state.x + (first &+ t) &* width, norm, to + t &* width) }
            }
            if quantized { quantize(to, width, some, panel, state.q, state.ds) }
        }
        meet(after: .prepare, pass)
        return shared
    }

    /// A buffer (tokens, width) as input of `matrix`, quantised if it wants it so.
    func prepare(
        _ x: UnsafeMutablePointer<Float>, _ width: Int, for matrix: Matrix, _ pass: inout Pass
    ) -> Activations {
        let state = state
        let quantized = matrix.format.usesQuantizedActivations
        let counter = pass.next()
        let tokens = pass.batch.tokens
        var input = Activations(x: x, xStride: width, q: state.q, ds: state.ds)
        guard quantized else { return input }
        if tokens == 1 {
            input.q = pass.scratch.single.q
            input.ds = pass.scratch.single.ds
            model.table.quantize(x, width, input.q, input.ds)
            pass.clock.lap(.prepare)
            return input
        }
        while let panel = counter.next(below: panels(tokens)) {
            let first = panel &* panelTokens
            quantize(x + first &* width, width, min(panelTokens, tokens &- first), panel, state.q, state.ds)
        }
        meet(after: .prepare, pass)
        return input
    }

    func panels(_ tokens: Int) -> Int { (tokens &+ panelTokens &- 1) / panelTokens }

    /// Quantises the tokens of one panel.
    func quantize(
        _ x: UnsafePointer<Float>, _ width: Int, _ tokens: Int, _ panel: Int, _ q: UnsafeMutablePointer<Int8>,
        _ ds: UnsafeMutablePointer<Float>
    ) {
        model.table.quantizePanel(
            x, width, tokens, width, q + panel &* panelTokens &* width, ds + panel &* panelScales &* (width / 32))
    }

    // MARK: Products

    /// x += matrix × input, a band of rows a piece; with a norm behind it, x += norm(matrix × input), or, where norms
    /// stand behind sums, x = norm(x + matrix × input).
    func addProduct(_ matrix: Matrix, _ input: Activations, norm: Norm?, _ kind: StepProfile.Kind, _ pass: inout Pass) {
        let normsSums = model.config.plan.normsSums
        let counter = pass.next()
        let normCounter = pass.next()
        let width = matrix.rows
        let isApart = norm != nil && !normsSums
        addProduct(matrix, input, to: isApart ? state.normed : state.x, isFirst: isApart, counter, pass)
        meet(after: kind, pass)
        guard let norm else { return }
        let scale = model.config.residualScale
        while let token = normCounter.next(below: pass.batch.tokens) {
            let x = state.x + token &* width
            if normsSums {
                normalize(x, norm, x)
                continue
            }
            let y = state.normed + token &* width
            normalize(y, norm, y)
            for j in 0..<width { x[j] += y[j] * scale }
        }
        meet(after: .prepare, pass)
    }

    /// y += scale · matrix × input, or y = matrix × input where it is the first that y gets.
    private func addProduct(
        _ matrix: Matrix, _ input: Activations, to y: UnsafeMutablePointer<Float>, isFirst: Bool,
        _ counter: WorkCounter, _ pass: borrowing Pass
    ) {
        let band = bandRows(matrix.rows)
        let stride = matrix.rows
        let products = pass.scratch.products
        let tokens = pass.batch.tokens
        let scale = model.config.residualScale
        while let piece = counter.next(below: (matrix.rows &+ band &- 1) / band) {
            var row = piece &* band
            let end = min(row &+ band, matrix.rows)
            while row < end {
                let rows = min(tileRows, end &- row)
                multiplyTile(matrix, row, rows, input, tokens, pass.scratch, products)
                for t in 0..<tokens {
                    let (to, from) = (y + (t &* stride &+ row), products + t &* tileRows)
                    if isFirst {
                        for r in 0..<rows { to[r] = from[r] }
                    } else if scale == 1 {
                        for r in 0..<rows { to[r] += from[r] }
                    } else {
                        for r in 0..<rows { to[r] += from[r] * scale }
                    }
                }
                row &+= rows
            }
        }
    }

    /// Rows a thread takes at once: about eight pieces a thread, in whole tiles.
    func bandRows(_ rows: Int) -> Int {
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
    func multiplyTile(
        _ matrix: Matrix, _ first: Int, _ rows: Int, _ input: Activations, _ tokens: Int, _ scratch: ThreadScratch,
        _ to: UnsafeMutablePointer<Float>
    ) {
        let from = matrix.bytes + first &* matrix.rowByteCount
        if tokens == 1 {
            for r in rows..<tileRows { to[r] = 0 }
            matrix.kernels.gemv(from, matrix.rowByteCount, rows, matrix.columns, input.q, input.ds, input.x, to)
        } else {
            matrix.kernels.unpack(from, matrix.rowByteCount, rows, matrix.columns, scratch.tile, scratch.meta)
            matrix.kernels.gemm(
                scratch.tile, scratch.meta, matrix.columns, input.q, input.ds, input.x, input.xStride, tokens, to)
        }
        guard matrix.bias != nil else { return }
        for t in 0..<tokens { matrix.addBias(first, rows, to: to + t &* tileRows) }
    }
}
