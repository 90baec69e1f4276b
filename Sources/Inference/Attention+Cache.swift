import Kernels
import QuantBlocks

// The way into the cache and out of it, as halves or as bytes.
extension Session {
    /// Keeps a key of token `t`; `key` is overwritten.
    func storeKey(_ key: UnsafeMutablePointer<Float>, _ length: Int, _ t: Int, _ pass: borrowing Pass, _ head: Int) {
        let cell = Int(state.cells[t])
        let padded = KVCache.padded(length)
        let column = (cell >> 3) &* padded &* 8 &+ (cell & 7)
        let keys = cache.keys(pass.layer, head)
        guard cache.type == .f16 else {
            let narrow = quantize(key, length, pass.scratch)
            let to = keys.assumingMemoryBound(to: Int8.self) + column
            for j in 0..<length { to[j &* 8] = narrow.q[j] }
            let groups = (padded &+ 31) / 32
            let scales = cache.keyScales(pass.layer, head) + ((cell >> 3) &* groups &* 8 &+ (cell & 7))
            for g in 0..<groups { scales[g &* 8] = Float16(narrow.ds[2 &* g]).bitPattern }
            return
        }
        // Narrowed in place, so that the scattered copies are copies only.
        let halves = UnsafeMutableRawPointer(key).assumingMemoryBound(to: UInt16.self)
        model.table.toHalf(key, halves, length)
        let to = keys.assumingMemoryBound(to: UInt16.self) + column
        for j in 0..<length { to[j &* 8] = halves[j] }
    }

    /// Keeps a value of token `t`.
    func storeValue(_ value: UnsafePointer<Float>, _ length: Int, _ t: Int, _ pass: borrowing Pass, _ head: Int) {
        let cell = Int(state.cells[t])
        let padded = KVCache.padded(length)
        let values = cache.values(pass.layer, head)
        guard cache.type == .f16 else {
            let narrow = quantize(value, length, pass.scratch)
            (values.assumingMemoryBound(to: Int8.self) + cell &* padded).update(from: narrow.q, count: length)
            let groups = (padded &+ 31) / 32
            let scales = cache.valueScales(pass.layer, head) + cell &* groups
            for g in 0..<groups { scales[g] = Float16(narrow.ds[2 &* g]).bitPattern }
            return
        }
        model.table.toHalf(value, values.assumingMemoryBound(to: UInt16.self) + cell &* padded, length)
    }

    /// A key or value as bytes, with what fills it up to whole groups.
    private func quantize(_ x: UnsafePointer<Float>, _ length: Int, _ scratch: ThreadScratch) -> Activations {
        let whole = (length &+ 31) / 32 &* 32
        scratch.narrow.x.update(from: x, count: length)
        for j in length..<whole { scratch.narrow.x[j] = 0 }
        model.table.quantize(scratch.narrow.x, whole, scratch.narrow.q, scratch.narrow.ds)
        return scratch.narrow
    }

    /// The scores of `rows` queries for `blocks` blocks of eight cells, beginning with cell `first`.
    func score(
        _ layer: Int, _ head: Int, _ rows: Int, from first: Int, _ blocks: Int, _ scratch: ThreadScratch,
        to scores: UnsafeMutablePointer<Float>, _ stride: Int
    ) {
        let kernel = model.table.attentionScores
        let padded = KVCache.padded(model.config.headLength)
        guard cache.type == .q8_0 else {
            let keys = cache.keys(layer, head).assumingMemoryBound(to: UInt16.self) + first &* padded
            return kernel(scratch.attentionQuery, rows, padded, keys, blocks, scores, stride)
        }
        let keys = cache.keys(layer, head).assumingMemoryBound(to: Int8.self) + first &* padded
        let groups = (padded &+ 31) / 32
        let scales = cache.keyScales(layer, head) + first &* groups
        var block = 0
        while block < blocks {
            let some = min(ThreadScratch.wideCells / 8, blocks &- block)
            model.table.widenKeys(
                keys + block &* 8 &* padded, scales + block &* 8 &* groups, padded, some, scratch.wideKeys)
            kernel(scratch.attentionQuery, rows, padded, scratch.wideKeys, some, scores + block &* 8, stride)
            block &+= some
        }
    }

    /// The values of `count` cells, beginning with cell `first`, as halves.
    func copyValues(
        _ layer: Int, _ head: Int, from first: Int, _ count: Int, to y: UnsafeMutablePointer<UInt16>
    ) {
        let padded = KVCache.padded(model.config.valueLength)
        let values = cache.values(layer, head)
        if cache.type == .f16 {
            y.update(from: values.assumingMemoryBound(to: UInt16.self) + first &* padded, count: count &* padded)
            return
        }
        model.table.widenValues(
            values.assumingMemoryBound(to: Int8.self) + first &* padded,
            cache.valueScales(layer, head) + first &* ((padded &+ 31) / 32), padded, count, y)
    }
}
