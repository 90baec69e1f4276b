import Kernels
import QuantBlocks

// The feed-forward block of a dense layer.
extension Session {
    func feedForward(_ weights: FeedForwardWeights, _ layer: LayerWeights, _ pass: inout Pass) {
        if !model.config.plan.isParallel {
            let input = prepare(layer.ffnNorm, weights.inputForms, for: .feedForward, &pass)
            gate(weights, input, &pass)
            meet(after: .gate, pass)
        }
        let hidden = prepare(state.hidden, weights.ffnDown.columns, for: weights.ffnDown, .feedForwardDown, &pass)
        addProduct(weights.ffnDown, hidden, norm: layer.postFfwNorm, .ffnDown, &pass)
    }

    /// hidden = act(gate × input) · (up × input), the same rows of both matrices a piece; act(up × input) without a gate.
    func gate(_ weights: FeedForwardWeights, _ input: Activations, _ pass: inout Pass) {
        let counter = pass.next()
        gate(weights, input, pass.batch.tokens, to: state.hidden, counter, pass.scratch)
    }

    /// The same for some tokens, to (tokens, rows of `ffnUp`).
    func gate(
        _ weights: FeedForwardWeights, _ input: Activations, _ tokens: Int, to hidden: UnsafeMutablePointer<Float>,
        _ counter: WorkCounter, _ scratch: ThreadScratch
    ) {
        let count = weights.ffnUp.rows
        let band = bandRows(count)
        while let piece = counter.next(below: (count &+ band &- 1) / band) {
            let first = piece &* band
            gate(weights, first, min(first &+ band, count), input, tokens, to: hidden, scratch)
        }
    }

    /// Rows `first ..< end` of it.
    func gate(
        _ weights: FeedForwardWeights, _ first: Int, _ end: Int, _ input: Activations, _ tokens: Int,
        to hidden: UnsafeMutablePointer<Float>, _ scratch: ThreadScratch
    ) {
        let count = weights.ffnUp.rows
        let (g, u) = (scratch.products, scratch.otherProducts)
        var row = first
        while row < end {
            let rows = min(tileRows, end &- row)
            multiplyTile(weights.ffnUp, row, rows, input, tokens, scratch, u)
            // Eight at once also where a tile has fewer rows: its other lanes are zeros.
            if let matrix = weights.ffnGate {
                multiplyTile(matrix, row, rows, input, tokens, scratch, g)
                let activate = model.config.plan.activation == .silu ? model.table.swiGLU : model.table.geGLU
                activate(g, u, g, tokens &* tileRows)
            } else {
                let activate = model.config.plan.activation == .geluErf ? model.table.geluErf : model.table.gelu
                activate(u, g, tokens &* tileRows)
            }
            store(g, rows, tokens, to: hidden + row, count)
            row &+= rows
        }
    }
}
