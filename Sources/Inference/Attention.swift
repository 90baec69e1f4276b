import Kernels

// Attention over the cache: a key head and a few tokens a piece, so that each key and value that is widened serves
// every query head of the group and every token of the piece.
extension Session {
    func attend(_ layer: Int, _ batch: Batch, _ scratch: ThreadScratch, _ counter: WorkCounter) {
        let config = model.config
        // A single token has too few pieces for several threads if whole groups go together: split by query head.
        let heads = batch.tokens == 1 ? config.groupSize : 1
        let tokens = scratch.attentionTokens
        let blocks = (batch.tokens &+ tokens &- 1) / tokens
        let pieces = config.headCountKV &* blocks &* heads
        while let piece = counter.next(below: pieces) {
            let head = piece / (blocks &* heads)
            let within = piece % (blocks &* heads)
            if batch.tokens == 1 {
                attend(layer, head, within, 1, 0, 1, batch, scratch)
            } else {
                let first = within &* tokens
                let count = min(tokens, batch.tokens &- first)
                attend(layer, head, 0, config.groupSize, first, count, batch, scratch)
            }
        }
    }

    /// Query heads `group ..< group + groups` of key head `head`, for tokens `first ..< first + count`.
    private func attend(
        _ layer: Int, _ head: Int, _ group: Int, _ groups: Int, _ first: Int, _ count: Int, _ batch: Batch,
        _ scratch: ThreadScratch
    ) {
        let config = model.config
        let table = model.table
        let length = config.headLength
        let padded = cache.headLength
        let width = config.headCount &* length
        let column = (head &* config.groupSize &+ group) &* length
        let rows = count &* groups
        let scale = 1 / Float(length).squareRoot()
        for t in 0..<count {
            for g in 0..<groups {
                let from = state.query + ((first &+ t) &* width &+ column &+ g &* length)
                let to = scratch.attentionQuery + (t &* groups &+ g) &* padded
                for j in 0..<length { to[j] = from[j] * scale }
            }
        }
        // In causal order the last token of the piece sees the most.
        let cells = batch.visible == nil ? batch.firstCell &+ first &+ count : batch.cellCount
        let cellBlocks = (cells &+ 7) / 8
        let stride = cellBlocks &* 8
        table.attentionScores(
            scratch.attentionQuery, rows, padded, cache.keys(layer, head), cellBlocks, scratch.scores, stride)
        for t in 0..<count {
            for g in 0..<groups {
                let scores = scratch.scores + (t &* groups &+ g) &* stride
                mask(scores, first &+ t, cells, batch)
                table.softmax(scores, cells)
            }
        }
        table.attentionValues(
            scratch.scores, stride, rows, cache.values(layer, head), cells, padded, scratch.attentionOut)
        for t in 0..<count {
            for g in 0..<groups {
                let from = scratch.attentionOut + (t &* groups &+ g) &* padded
                let to = state.attention + ((first &+ t) &* width &+ column &+ g &* length)
                to.update(from: from, count: length)
            }
        }
    }

    /// Hides the cells that token `t` may not see.
    private func mask(_ scores: UnsafeMutablePointer<Float>, _ t: Int, _ cells: Int, _ batch: Batch) {
        if let visible = batch.visible {
            for j in 0..<batch.tokens where !visible[t &* batch.tokens &+ j] {
                scores[batch.firstCell &+ j] = -.infinity
            }
        } else {
            for cell in (batch.firstCell &+ t &+ 1)..<max(cells, batch.firstCell &+ t &+ 1) {
                scores[cell] = -.infinity
            }
        }
    }
}
