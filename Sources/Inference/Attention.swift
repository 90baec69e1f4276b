import Kernels

/// What attention computes at once: a few tokens that stand side by side in a chain or a tree, for one key head.
struct AttentionBlock {
    /// The tokens, counted within the pass.
    var first = 0
    var count = 0
    /// Cells that are read: those in use before the pass, and those of the chain or tree up to the block's last token.
    var cells = 0
    /// Where the chain's or tree's own cells begin; only of the first tree this is right behind those in use.
    var own = 0
    /// Where the first token's row of `Batch.visible` begins, and the stride of those rows.
    var mask = 0
    var maskStride = 0
}

// Attention over the cache: a key head and a few tokens a piece, so that each key and value that is widened serves
// every query head of the group and every token of the piece.
//
// A tree's token sees two ranges of cells: those in use before the pass and those of its own tree. Scores and values of
// the second are moved up to the first, so that trees cost no more side by side than alone, and every sum has the same
// order wherever a tree lies.
extension Session {
    /// Cuts a chain of `tokens` behind the cells in use into blocks; their number.
    func layOutChain(_ tokens: Int) -> Int { layOut(0, tokens, at: count, mask: 0, behind: 0) }

    /// Cuts a chain or tree, whose tokens and cells begin at `first` and `own`, into blocks behind `blocks` others; their
    /// number with those. `mask` is where a tree's rows of `Batch.visible` begin.
    func layOut(_ first: Int, _ tokens: Int, at own: Int, mask: Int, behind blocks: Int) -> Int {
        let most = ThreadScratch.attentionTokens(model.config)
        for t in 0..<tokens { state.cells[first + t] = Int32(truncatingIfNeeded: own + t) }
        var blocks = blocks
        for start in stride(from: 0, to: tokens, by: most) {
            let end = min(start + most, tokens)
            state.blocks[blocks] = AttentionBlock(
                first: first + start, count: end - start, cells: count + end, own: own, mask: mask + start * tokens,
                maskStride: tokens)
            blocks += 1
        }
        return blocks
    }

    func attend(_ layer: Int, _ batch: Batch, _ scratch: ThreadScratch, _ counter: WorkCounter) {
        let config = model.config
        let splits = batch.tokens == 1 && !groupsGoTogether(config) ? config.groupSize : 1
        let groups = config.groupSize / splits
        let perHead = batch.blocks &* splits
        while let piece = counter.next(below: config.headCountKV &* perHead) {
            let within = piece % perHead
            attend(layer, piece / perHead, within % splits, groups, state.blocks[within / splits], batch, scratch)
        }
    }

    /// Whether a single token's query heads that share a key head are one piece. They share what is widened and cost
    /// about half as much as apart, but there may be too few such pieces for all threads.
    private func groupsGoTogether(_ config: ModelConfig) -> Bool {
        func rounds(_ pieces: Int) -> Int { (pieces &+ pool.active &- 1) / pool.active }
        return rounds(config.headCountKV) &* (config.groupSize &+ 1)
            <= rounds(config.headCountKV &* config.groupSize) &* 2
    }

    /// Query heads `group ..< group + groups` of key head `head`, for the tokens of `block`.
    private func attend(
        _ layer: Int, _ head: Int, _ group: Int, _ groups: Int, _ block: AttentionBlock,
        _ batch: Batch, _ scratch: ThreadScratch
    ) {
        let config = model.config
        let table = model.table
        let length = config.headLength
        let padded = cache.headLength
        let width = config.headCount &* length
        let column = (head &* config.groupSize &+ group) &* length
        let rows = block.count &* groups
        let scale = 1 / Float(length).squareRoot()
        for t in 0..<block.count {
            for g in 0..<groups {
                let from = state.query + ((block.first &+ t) &* width &+ column &+ g &* length)
                let to = scratch.attentionQuery + (t &* groups &+ g) &* padded
                for j in 0..<length { to[j] = from[j] * scale }
            }
        }
        let stride = score(layer, head, rows, block, batch.prefix, scratch)
        for t in 0..<block.count {
            for g in 0..<groups {
                let scores = scratch.scores + (t &* groups &+ g) &* stride
                mask(scores, t, block, batch)
                table.softmax(scores, block.cells)
            }
        }
        table.attentionValues(
            scratch.scores, stride, rows, values(layer, head, block, batch.prefix, scratch), block.cells, padded,
            scratch.attentionOut)
        for t in 0..<block.count {
            for g in 0..<groups {
                let from = scratch.attentionOut + (t &* groups &+ g) &* padded
                let to = state.attention + ((block.first &+ t) &* width &+ column &+ g &* length)
                to.update(from: from, count: length)
            }
        }
    }

    /// The scores of `rows` queries for the cells of a block, side by side; the stride of a row.
    private func score(
        _ layer: Int, _ head: Int, _ rows: Int, _ block: AttentionBlock, _ prefix: Int, _ scratch: ThreadScratch
    ) -> Int {
        let scores = model.table.attentionScores
        let keys = cache.keys(layer, head)
        let padded = cache.headLength
        if block.own == prefix {
            let blocks = (block.cells &+ 7) / 8
            scores(scratch.attentionQuery, rows, padded, keys, blocks, scratch.scores, blocks &* 8)
            return blocks &* 8
        }
        let far = (prefix &+ 7) / 8
        let near = (block.cells &- prefix &+ 7) / 8
        let stride = (far &+ near) &* 8
        scores(scratch.attentionQuery, rows, padded, keys, far, scratch.scores, stride)
        let own = scratch.scores + far &* 8
        scores(scratch.attentionQuery, rows, padded, keys + block.own &* padded, near, own, stride)
        guard prefix & 7 != 0 else { return stride }
        for row in 0..<rows {
            let to = scratch.scores + (row &* stride &+ prefix)
            to.update(from: own + row &* stride, count: block.cells &- prefix)
        }
        return stride
    }

    /// The values of a block's cells, one behind the other.
    private func values(
        _ layer: Int, _ head: Int, _ block: AttentionBlock, _ prefix: Int, _ scratch: ThreadScratch
    ) -> UnsafePointer<UInt16> {
        let values = cache.values(layer, head)
        guard block.own != prefix else { return UnsafePointer(values) }
        let padded = cache.headLength
        let own = scratch.gathered + prefix &* padded
        scratch.gathered.update(from: values, count: prefix &* padded)
        own.update(from: values + block.own &* padded, count: (block.cells &- prefix) &* padded)
        return UnsafePointer(scratch.gathered)
    }

    /// Hides the cells that token `t` of a block may not see: later ones of a chain, in a tree all but its ancestors.
    private func mask(_ scores: UnsafeMutablePointer<Float>, _ t: Int, _ block: AttentionBlock, _ batch: Batch) {
        guard let visible = batch.visible else {
            for cell in (block.cells &- block.count &+ t &+ 1)..<block.cells { scores[cell] = -.infinity }
            return
        }
        let row = visible + (block.mask &+ t &* block.maskStride)
        for j in 0..<(block.cells &- batch.prefix) where !row[j] { scores[batch.prefix &+ j] = -.infinity }
    }
}
