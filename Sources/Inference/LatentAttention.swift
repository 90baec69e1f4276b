import Kernels
import QuantBlocks

/// Scratch of models whose keys and values go through a latent.
struct LatentState {
    /// The queries' latent (batch, queryRank).
    let query: UnsafeMutablePointer<Float>
    /// The latent and the rotated part of keys (batch, rank + ropeLength).
    let key: UnsafeMutablePointer<Float>
    /// What attention yields once it is widened (batch, headCount · valueLength).
    let mixed: UnsafeMutablePointer<Float>

    init(_ latent: LatentConfig, _ config: ModelConfig, batch: Int) {
        query = .allocate(capacity: batch * max(1, latent.queryRank))
        key = .allocate(capacity: batch * (latent.rank + latent.ropeLength))
        mixed = .allocate(capacity: batch * config.headCount * latent.valueLength)
    }

    func deallocate() {
        for buffer in [query, key, mixed] { buffer.deallocate() }
    }
}

// Attention through a narrow latent (DeepSeek's multi-head latent attention), in its absorbed form: a query head is
// mapped into the space of the latent, so that all heads share one key, the latent with the rotated part behind it,
// and one value, the latent itself. The cache holds 576 elements a token instead of 5,120.
extension Session {
    func latentAttention(_ weights: LatentWeights, _ layer: LayerWeights, _ pass: inout Pass, _ thread: Int) {
        let config = model.config
        guard let latent = config.latent, let state = state.latent else { return }
        let input = prepare(layer.attnNorm, weights.inputForms, &pass)
        narrow(weights, input, latent, state, &pass)
        meet(after: .project, pass)
        keepLatent(weights, layer.config, latent, state, &pass)
        meet(after: .project, pass)
        let queryInput =
            weights.attnQA == nil
            ? input : prepare(state.query, latent.queryRank, for: weights.attnQB, .mixer, &pass)
        projectQueries(weights, queryInput, layer.config, latent, &pass)
        meet(after: .project, pass)
        attend(layer.config, &pass)
        meet(after: .attend, pass)
        keepOutputs(&pass, thread)
        widen(weights, latent, state, &pass)
        meet(after: .attend, pass)
        let mixed = prepare(state.mixed, weights.attnOutput.columns, for: weights.attnOutput, .mixerOutput, &pass)
        addProduct(weights.attnOutput, mixed, norm: layer.postAttentionNorm, .attnOutput, &pass)
    }

    /// The latents of queries and keys, a band of rows a piece.
    private func narrow(
        _ weights: LatentWeights, _ input: Activations, _ latent: LatentConfig, _ state: LatentState,
        _ pass: inout Pass
    ) {
        let counter = pass.next()
        let (keys, queries) = (weights.attnKVA.rows, weights.attnQA?.rows ?? 0)
        let keyPieces = (keys &+ tileRows &- 1) / tileRows
        while let piece = counter.next(below: keyPieces &+ (queries &+ tileRows &- 1) / tileRows) {
            if piece < keyPieces {
                let row = piece &* tileRows
                multiply(
                    weights.attnKVA, row, min(tileRows, keys &- row), input, pass.batch.tokens, pass.scratch,
                    to: state.key + row, keys)
            } else if let matrix = weights.attnQA {
                let row = (piece &- keyPieces) &* tileRows
                multiply(
                    matrix, row, min(tileRows, queries &- row), input, pass.batch.tokens, pass.scratch,
                    to: state.query + row, queries)
            }
        }
    }

    /// Normalises the latents, rotates what is to be rotated, and keeps key and value; a token a piece.
    private func keepLatent(
        _ weights: LatentWeights, _ layer: LayerConfig, _ latent: LatentConfig, _ state: LatentState,
        _ pass: inout Pass
    ) {
        let counter = pass.next()
        let length = latent.rank &+ latent.ropeLength
        while let t = counter.next(below: pass.batch.tokens) {
            if let norm = weights.attnQANorm {
                let query = state.query + t &* latent.queryRank
                normalize(query, Norm(weight: norm, bias: nil), query)
            }
            let key = state.key + t &* length
            normalize(key, Norm(weight: weights.attnKVANorm, bias: nil), key)
            storeValue(key, latent.rank, t, pass, 0)
            rotate(key + latent.rank, t, layer.rotation)
            storeKey(key, length, t, pass, 0)
        }
    }

    /// Query heads, mapped into the space of the latent, with their rotated part behind; a head a piece.
    private func projectQueries(
        _ weights: LatentWeights, _ input: Activations, _ layer: LayerConfig, _ latent: LatentConfig,
        _ pass: inout Pass
    ) {
        let counter = pass.next()
        let (tokens, scratch) = (pass.batch.tokens, pass.scratch)
        let length = model.config.headLength
        let width = model.config.headCount &* length
        let quantizes = weights.attnKB.format.usesQuantizedActivations
        while let head = counter.next(below: model.config.headCount) {
            let from = scratch.head
            multiply(
                weights.attnQB, head &* latent.keyLength, latent.keyLength, input, tokens, scratch, to: from,
                latent.keyLength)
            for t in 0..<tokens {
                let query = from + t &* latent.keyLength
                let to = state.query + (t &* width &+ head &* length)
                let rotated = to + latent.rank
                rotated.update(from: query + latent.plainLength, count: latent.ropeLength)
                rotate(rotated, t, layer.rotation)
                widen(weights.attnKB, head, latent.rank, query, quantizes, scratch, to: to)
            }
        }
    }

    /// What attention yields of the latent, as the values of each head; a head a piece.
    private func widen(
        _ weights: LatentWeights, _ latent: LatentConfig, _ state: LatentState, _ pass: inout Pass
    ) {
        let counter = pass.next()
        let heads = model.config.headCount
        let quantizes = weights.attnVB.format.usesQuantizedActivations
        while let head = counter.next(below: heads) {
            for t in 0..<pass.batch.tokens {
                let from = self.state.attention + (t &* heads &+ head) &* latent.rank
                let to = state.mixed + (t &* heads &+ head) &* latent.valueLength
                widen(weights.attnVB, head, latent.valueLength, from, quantizes, pass.scratch, to: to)
            }
        }
    }

    /// One head's `rows` of a stacked matrix × one vector.
    private func widen(
        _ matrix: Matrix, _ head: Int, _ rows: Int, _ x: UnsafeMutablePointer<Float>, _ quantizes: Bool,
        _ scratch: ThreadScratch, to y: UnsafeMutablePointer<Float>
    ) {
        var input = Activations(x: x, xStride: 0, q: scratch.vector.q, ds: scratch.vector.ds)
        // Vectors by vectors: a head's matrix is small, and tiles would have to gather what lies apart.
        if quantizes { model.table.quantize(x, matrix.columns, input.q, input.ds) }
        input.xStride = matrix.columns
        matrix.part(head &* rows, rows).multiply(0, rows, input, to: y)
    }
}
