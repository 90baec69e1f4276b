import Kernels
import QuantBlocks

// A gated convolution over the last few tokens, in the place of attention (LFM2).
//
// What is convolved is kept for every cell like a value, not as a running state: so prefixes are kept, cells cut back
// and trees branched as with attention.
extension Session {
    func convolution(_ weights: ConvolutionWeights, _ layer: LayerWeights, _ pass: inout Pass, _ thread: Int) {
        let width = model.config.embeddingLength
        let input = prepare(layer.attnNorm, weights.inProj.reads, &pass)
        projectConvolution(weights, input, &pass)
        meet(after: .project, pass)
        let counter = pass.next()
        while let t = counter.next(below: pass.batch.tokens) { convolve(weights, t, pass) }
        meet(after: .attend, pass)
        keepOutputs(&pass, thread)
        let mixed = prepare(state.attention, width, for: weights.outProj, .mixerOutput, &pass)
        addProduct(weights.outProj, mixed, norm: layer.postAttentionNorm, .attnOutput, &pass)
    }

    /// The thirds of the input's projection: the product of the first and last to the cache, the second to
    /// `RunState.query`.
    private func projectConvolution(_ weights: ConvolutionWeights, _ input: Activations, _ pass: inout Pass) {
        let width = model.config.embeddingLength
        let counter = pass.next()
        let (tokens, scratch) = (pass.batch.tokens, pass.scratch)
        let (a, b) = (scratch.products, scratch.otherProducts)
        let values = cache.values(pass.layer, 0).assumingMemoryBound(to: UInt16.self)
        let stride = KVCache.padded(width)
        while let tile = counter.next(below: (width &+ tileRows &- 1) / tileRows) {
            let row = tile &* tileRows
            let rows = min(tileRows, width &- row)
            multiplyTile(weights.inProj, row, rows, input, tokens, scratch, a)
            multiplyTile(weights.inProj, 2 &* width &+ row, rows, input, tokens, scratch, b)
            for t in 0..<tokens {
                let (x, y) = (a + t &* tileRows, b + t &* tileRows)
                for r in 0..<rows { x[r] *= y[r] }
                model.table.toHalf(x, values + (Int(state.cells[t]) &* stride &+ row), rows)
            }
            multiplyTile(weights.inProj, width &+ row, rows, input, tokens, scratch, a)
            for t in 0..<tokens {
                (state.query + (t &* width &+ row)).update(from: a + t &* tileRows, count: rows)
            }
        }
    }

    /// attention[t] = gate · Σ taps · what its ancestors and itself have.
    private func convolve(_ weights: ConvolutionWeights, _ t: Int, _ pass: borrowing Pass) {
        let width = model.config.embeddingLength
        let taps = model.config.convolutionLength
        let stride = KVCache.padded(width)
        let values = cache.values(pass.layer, 0).assumingMemoryBound(to: UInt16.self)
        let to = state.attention + t &* width
        to.update(repeating: 0, count: width)
        var token = t
        var cell = Int(state.cells[t])
        var back = 0
        while cell >= 0, back < taps {
            let from = values + cell &* stride
            let tap = weights.conv.floats + (taps &- 1 &- back)
            for j in 0..<width { to[j] += Float(Float16(bitPattern: from[j])) * tap[j &* taps] }
            back &+= 1
            if token < 0 {
                cell &-= 1
            } else {
                token = Int(state.parents[token])
                cell = token >= 0 ? Int(state.cells[token]) : pass.batch.prefix &- 1
            }
        }
        let gate = state.query + t &* width
        for j in 0..<width { to[j] *= gate[j] }
    }
}
