import Kernels
import QuantBlocks

// Matrices times tokens, shared out in bands of rows.
extension Session {
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
            addAdapters(matrix, first, rows, 1, scratch, to: to, 0)
            return
        }
        var row = 0
        while row < rows {
            let some = min(tileRows, rows &- row)
            multiplyTile(matrix, first &+ row, some, input, tokens, scratch, scratch.products)
            store(scratch.products, some, tokens, to: to + row, stride)
            row &+= some
        }
    }

    /// Copies the first `rows` of every token's products (tokens, tileRows) to (tokens, `stride`).
    func store(
        _ products: UnsafePointer<Float>, _ rows: Int, _ tokens: Int, to: UnsafeMutablePointer<Float>, _ stride: Int
    ) {
        for t in 0..<tokens {
            let (from, to) = (products + t &* tileRows, to + t &* stride)
            guard rows == tileRows else {
                for r in 0..<rows { to[r] = from[r] }
                continue
            }
            // A count known in advance: two vectors there and back instead of a loop with its checks.
            for r in Swift.stride(from: 0, to: tileRows, by: 8) {
                let eight = UnsafeRawPointer(from + r).loadUnaligned(as: SIMD8<Float>.self)
                UnsafeMutableRawPointer(to + r).storeBytes(of: eight, as: SIMD8<Float>.self)
            }
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
            let isWide = matrix.kernels.panels == .words
            matrix.kernels.gemm(
                scratch.tile, scratch.meta, matrix.columns, isWide ? input.words : input.q,
                isWide ? input.wordScales : input.ds, input.x, input.xStride, tokens, to)
        }
        if matrix.bias != nil {
            for t in 0..<tokens { matrix.addBias(first, rows, to: to + t &* tileRows) }
        }
        addAdapters(matrix, first, rows, tokens, scratch, to: to, tileRows)
    }

    /// Adds what adapters make of `tokens` tokens to rows `first ..< first + rows` of a product (tokens, stride).
    private func addAdapters(
        _ matrix: Matrix, _ first: Int, _ rows: Int, _ tokens: Int, _ scratch: ThreadScratch,
        to y: UnsafeMutablePointer<Float>, _ stride: Int
    ) {
        guard let adapters, matrix.slot >= 0 else { return }
        let products = tokens == 1 ? adapters.single + scratch.thread &* adapters.width : adapters.products
        for t in 0..<tokens {
            adapters.widen(
                matrix.slot, matrix.firstRow &+ first, rows, products + t &* adapters.width, scratch.vector,
                to: y + t &* stride)
        }
    }
}
