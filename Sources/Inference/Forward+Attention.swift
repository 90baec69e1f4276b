import Kernels
import QuantBlocks

// Ordinary attention: what stands before and behind the attention over the cache.
extension Session {
    func attention(_ weights: AttentionWeights, _ layer: LayerWeights, _ pass: inout Pass, _ thread: Int) {
        let config = model.config
        var forms = weights.inputForms
        // Parallel blocks share the norm: the feed-forward block's products are computed while it is at hand.
        let parallel = config.plan.isParallel ? layer.feedForward : nil
        if let parallel { forms.formUnion(parallel.inputForms) }
        let input = prepare(layer.attnNorm, forms, &pass)
        project(weights, layer, input, &pass)
        if let parallel { gate(parallel, input, &pass) }
        meet(after: .project, pass)
        if weights.normsWholeWidth(config) {
            normalizeHeads(weights, layer, &pass)
            meet(after: .project, pass)
        }
        attend(layer.config, &pass)
        meet(after: .attend, pass)
        keepOutputs(&pass, thread)
        let mixed = prepare(state.attention, config.valueWidth, for: weights.attnOutput, .mixerOutput, &pass)
        addProduct(weights.attnOutput, mixed, norm: layer.postAttentionNorm, .attnOutput, &pass)
    }

    /// Queries, keys and values, one head a piece; rotated, and the latter two narrowed into the cache.
    ///
    /// Where norms reach over all heads, queries and keys are left as they are: keys in `RunState.attention`.
    private func project(
        _ weights: AttentionWeights, _ layer: LayerWeights, _ input: Activations, _ pass: inout Pass
    ) {
        let (heads, headsKV) = (model.config.headCount, model.config.headCountKV)
        let (length, valueLength) = (model.config.headLength, model.config.valueLength)
        let isRaw = weights.normsWholeWidth(model.config)
        let counter = pass.next()
        let (tokens, scratch) = (pass.batch.tokens, pass.scratch)
        while let piece = counter.next(below: heads &+ 2 &* headsKV) {
            if piece < heads {
                let to = state.query + piece &* length
                multiply(weights.attnQ, piece &* length, length, input, tokens, scratch, to: to, heads &* length)
                guard !isRaw else { continue }
                for t in 0..<tokens { finish(to + t &* heads &* length, weights.attnQNorm, layer.config, t) }
            } else if piece < heads &+ headsKV {
                let head = piece &- heads
                let (to, stride) =
                    isRaw ? (state.attention + head &* length, headsKV &* length) : (scratch.head, length)
                multiply(weights.attnK, head &* length, length, input, tokens, scratch, to: to, stride)
                guard !isRaw else { continue }
                for t in 0..<tokens {
                    finish(to + t &* stride, weights.attnKNorm, layer.config, t)
                    storeKey(to + t &* stride, length, t, pass, head)
                }
            } else {
                let head = piece &- heads &- headsKV
                let to = scratch.head
                multiply(
                    weights.attnV, head &* valueLength, valueLength, input, tokens, scratch, to: to, valueLength)
                for t in 0..<tokens { storeValue(to + t &* valueLength, valueLength, t, pass, head) }
            }
        }
    }

    /// Norms that reach over all heads, then what `project` does to each; a token a piece.
    private func normalizeHeads(_ weights: AttentionWeights, _ layer: LayerWeights, _ pass: inout Pass) {
        let (heads, headsKV, length) = (model.config.headCount, model.config.headCountKV, model.config.headLength)
        let counter = pass.next()
        while let t = counter.next(below: pass.batch.tokens) {
            let query = state.query + t &* heads &* length
            let key = state.attention + t &* headsKV &* length
            if let norm = weights.attnQNorm { normalize(query, Norm(weight: norm, bias: nil), query) }
            if let norm = weights.attnKNorm { normalize(key, Norm(weight: norm, bias: nil), key) }
            for head in 0..<heads { finish(query + head &* length, nil, layer.config, t) }
            for head in 0..<headsKV {
                finish(key + head &* length, nil, layer.config, t)
                storeKey(key + head &* length, length, t, pass, head)
            }
        }
    }

    /// Normalises and rotates one head of token `t`, in place.
    private func finish(_ head: UnsafeMutablePointer<Float>, _ norm: Vector?, _ layer: LayerConfig, _ t: Int) {
        if let norm { normalize(head, Norm(weight: norm, bias: nil), head) }
        rotate(head, t, layer.rotation)
    }

    /// Rotates the first elements of token `t`'s `head` in place.
    func rotate(_ head: UnsafeMutablePointer<Float>, _ t: Int, _ index: Int) {
        guard index >= 0 else { return }
        let pairs = model.config.ropeDimensionCount / 2
        let cosines = state.rotation + (index &* state.batch &+ t) &* 2 &* pairs
        switch model.config.plan.ropeStyle {
        case .none: break
        case .neighbours: model.table.rotateNeighbours(head, cosines, cosines + pairs, pairs)
        case .halves: model.table.rotateHalves(head, cosines, cosines + pairs, pairs)
        }
    }
}
