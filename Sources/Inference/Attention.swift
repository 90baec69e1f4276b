import Kernels

/// What attention computes at once: a few tokens that stand side by side in a chain or a tree, for one key head.
struct AttentionBlock {
    /// The tokens, counted within the pass.
    var first = 0
    var count = 0
    /// The first token of its chain or tree.
    var root = 0
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
            // An encoder's tokens see those behind them too.
            let seen = model.config.plan.isCausal ? end : tokens
            state.blocks[blocks] = AttentionBlock(
                first: first + start, count: end - start, root: first, cells: count + seen, own: own,
                mask: mask + start * tokens, maskStride: tokens)
            blocks += 1
        }
        return blocks
    }

    func attend(_ layer: LayerConfig, _ pass: inout Pass) {
        let headsKV = model.config.headCountKV
        let groupSize = model.config.headCount / headsKV
        let splits = pass.batch.tokens == 1 && !groupsGoTogether() ? groupSize : 1
        let groups = groupSize / splits
        let perHead = pass.batch.blocks &* splits
        let counter = pass.next()
        while let piece = counter.next(below: headsKV &* perHead) {
            let within = piece % perHead
            let heads = AttentionHeads(key: piece / perHead, group: within % splits, groups: groups)
            attend(layer, heads, state.blocks[within / splits], pass)
        }
    }

    /// Whether a single token's query heads that share a key head are one piece. They share what is widened and cost
    /// about half as much as apart, but there may be too few such pieces for all threads.
    private func groupsGoTogether() -> Bool {
        let (heads, headsKV) = (model.config.headCount, model.config.headCountKV)
        func rounds(_ pieces: Int) -> Int { (pieces &+ pool.active &- 1) / pool.active }
        return rounds(headsKV) &* (heads / headsKV &+ 1) <= rounds(heads) &* 2
    }

    /// The query heads of a piece: `group ..< group + groups` of those that share key head `key`.
    private struct AttentionHeads {
        let key: Int
        let group: Int
        let groups: Int
    }

    private func attend(
        _ layer: LayerConfig, _ heads: AttentionHeads, _ block: AttentionBlock, _ pass: borrowing Pass
    ) {
        let table = model.table
        let scratch = pass.scratch
        let groups = heads.groups
        let rows = block.count &* groups
        copyQueries(heads, block, scratch)
        let seen = range(of: block, layer.window, pass.batch)
        let stride = score(pass.layer, heads.key, rows, seen, scratch)
        for t in 0..<block.count {
            for g in 0..<groups {
                let scores = scratch.scores + (t &* groups &+ g) &* stride
                if model.config.attentionSoftCap > 0 {
                    table.softCap(scores, seen.cells, model.config.attentionSoftCap)
                }
                if model.config.plan.isCausal { mask(scores, t, block, seen, layer.window, pass.batch) }
                table.softmax(scores, seen.cells)
            }
        }
        table.attentionValues(
            scratch.scores, stride, rows, values(pass.layer, heads.key, seen, scratch), seen.cells,
            KVCache.padded(model.config.valueLength), scratch.attentionOut)
        copySums(heads, block, scratch)
    }

    /// The queries of a piece, scaled and padded, a row a token and head.
    private func copyQueries(_ heads: AttentionHeads, _ block: AttentionBlock, _ scratch: ThreadScratch) {
        let length = model.config.headLength
        let padded = KVCache.padded(length)
        let width = model.config.headCount &* length
        let column = (heads.key &* model.config.groupSize &+ heads.group) &* length
        let scale = model.config.attentionScale
        for t in 0..<block.count {
            for g in 0..<heads.groups {
                let from = state.query + ((block.first &+ t) &* width &+ column &+ g &* length)
                let to = scratch.attentionQuery + (t &* heads.groups &+ g) &* padded
                for j in 0..<length { to[j] = from[j] * scale }
            }
        }
    }

    /// What a piece yields to its place among the heads.
    private func copySums(_ heads: AttentionHeads, _ block: AttentionBlock, _ scratch: ThreadScratch) {
        let length = model.config.valueLength
        let padded = KVCache.padded(length)
        let width = model.config.headCount &* length
        let column = (heads.key &* model.config.groupSize &+ heads.group) &* length
        for t in 0..<block.count {
            for g in 0..<heads.groups {
                let from = scratch.attentionOut + (t &* heads.groups &+ g) &* padded
                let to = state.attention + ((block.first &+ t) &* width &+ column &+ g &* length)
                to.update(from: from, count: length)
            }
        }
    }

    /// The cells a block reads, once those no token's window reaches are left out.
    private struct SeenCells {
        /// The first of them, a multiple of eight so that sums keep their order.
        var first: Int
        /// Of those in use before the pass, how many are read.
        var prefix: Int
        /// All that are read.
        var cells: Int
        /// Where the chain's or tree's own begin.
        var own: Int
        /// Whether they stand right behind those in use.
        var isChain: Bool
    }

    private func range(of block: AttentionBlock, _ window: Int, _ batch: Batch) -> SeenCells {
        let isChain = block.own == batch.prefix
        var first = 0
        if window > 0 {
            var position = Int(state.positions[block.first])
            for t in 1..<max(1, block.count) { position = min(position, Int(state.positions[block.first &+ t])) }
            first = max(0, position &- window &+ 1) & ~7
            // Cells of a tree stand apart: all of them are read.
            if batch.visible != nil { first = min(first, batch.prefix & ~7) }
        }
        return SeenCells(
            first: first, prefix: batch.prefix &- first, cells: block.cells &- first, own: block.own, isChain: isChain)
    }

    /// The scores of `rows` queries for the cells of a block, side by side; the stride of a row.
    private func score(_ layer: Int, _ head: Int, _ rows: Int, _ seen: SeenCells, _ scratch: ThreadScratch) -> Int {
        let scores = model.table.attentionScores
        let padded = KVCache.padded(model.config.headLength)
        let all = cache.keys(layer, head)
        let keys = all + seen.first &* padded
        if seen.isChain {
            let blocks = (seen.cells &+ 7) / 8
            scores(scratch.attentionQuery, rows, padded, keys, blocks, scratch.scores, blocks &* 8)
            return blocks &* 8
        }
        let far = (seen.prefix &+ 7) / 8
        let near = (seen.cells &- seen.prefix &+ 7) / 8
        let stride = (far &+ near) &* 8
        scores(scratch.attentionQuery, rows, padded, keys, far, scratch.scores, stride)
        let own = scratch.scores + far &* 8
        scores(scratch.attentionQuery, rows, padded, all + seen.own &* padded, near, own, stride)
        guard seen.prefix & 7 != 0 else { return stride }
        for row in 0..<rows {
            let to = scratch.scores + (row &* stride &+ seen.prefix)
            to.update(from: own + row &* stride, count: seen.cells &- seen.prefix)
        }
        return stride
    }

    /// The values of a block's cells, one behind the other.
    private func values(
        _ layer: Int, _ head: Int, _ seen: SeenCells, _ scratch: ThreadScratch
    ) -> UnsafePointer<UInt16> {
        let values = cache.values(layer, head)
        let padded = KVCache.padded(model.config.valueLength)
        let far = values + seen.first &* padded
        guard !seen.isChain else { return UnsafePointer(far) }
        let own = scratch.gathered + seen.prefix &* padded
        scratch.gathered.update(from: far, count: seen.prefix &* padded)
        own.update(from: values + seen.own &* padded, count: (seen.cells &- seen.prefix) &* padded)
        return UnsafePointer(scratch.gathered)
    }

    /// Hides the cells that token `t` of a block may not see: later ones of a chain, in a tree all but its ancestors, and
    /// those its window does not reach.
    private func mask(
        _ scores: UnsafeMutablePointer<Float>, _ t: Int, _ block: AttentionBlock, _ seen: SeenCells, _ window: Int,
        _ batch: Batch
    ) {
        let visible = batch.visible
        if window > 0 {
            let position = Int(state.positions[block.first &+ t])
            let hidden = position &- window &+ 1 &- seen.first
            for cell in 0..<max(0, visible == nil ? hidden : min(hidden, seen.prefix)) { scores[cell] = -.infinity }
            guard visible != nil else { return hideLater(scores, t, block, seen) }
            for j in 0..<(seen.cells &- seen.prefix) where Int(state.positions[block.root &+ j]) <= position &- window {
                scores[seen.prefix &+ j] = -.infinity
            }
        }
        guard let visible else { return hideLater(scores, t, block, seen) }
        let row = visible + (block.mask &+ t &* block.maskStride)
        for j in 0..<(seen.cells &- seen.prefix) where !row[j] { scores[seen.prefix &+ j] = -.infinity }
    }

    private func hideLater(
        _ scores: UnsafeMutablePointer<Float>, _ t: Int, _ block: AttentionBlock, _ seen: SeenCells
    ) {
        for cell in (seen.cells &- block.count &+ t &+ 1)..<seen.cells { scores[cell] = -.infinity }
    }
}
