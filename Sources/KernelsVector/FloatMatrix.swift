#if arch(x86_64) || arch(arm64)
import QuantBlocks

// Matrices of halves, bfloat16 and floats, times float activations.

/// How rows of floats of one size are read.
private protocol FloatRow {
    /// Bytes of a weight.
    static var bytes: Int { get }
    static func load(_ address: UnsafeRawPointer) -> Float
    static func loadEight(_ address: UnsafeRawPointer) -> F8
}

private enum RowF16: FloatRow {
    static var bytes: Int { 2 }
    @inline(__always)  // the body of loops over k, as below
    static func load(_ address: UnsafeRawPointer) -> Float { half(address) }
    @inline(__always)
    static func loadEight(_ address: UnsafeRawPointer) -> F8 {
        loadHalves(address.assumingMemoryBound(to: UInt16.self))
    }
}

private enum RowBF16: FloatRow {
    static var bytes: Int { 2 }
    @inline(__always)
    static func load(_ address: UnsafeRawPointer) -> Float { brain(address) }
    @inline(__always)
    static func loadEight(_ address: UnsafeRawPointer) -> F8 { loadBrains(address) }
}

private enum RowF32: FloatRow {
    static var bytes: Int { 4 }
    @inline(__always)
    static func load(_ address: UnsafeRawPointer) -> Float { address.loadUnaligned(as: Float.self) }
    @inline(__always)
    static func loadEight(_ address: UnsafeRawPointer) -> F8 {
        loadFloats(address.assumingMemoryBound(to: Float.self))
    }
}

/// Rows × one float vector. Four sums hide the latency of a multiply-add.
@inline(__always)  // specialised by each entry below
private func gemv<Row: FloatRow>(
    _: Row.Type, _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ x: UnsafePointer<Float>,
    _ y: UnsafeMutablePointer<Float>
) {
    for r in 0..<rows {
        let row = w + r &* rowBytes
        var (s0, s1, s2, s3) = (F8.zero, F8.zero, F8.zero, F8.zero)
        var j = 0
        while j &+ 32 <= k {
            let at = row + j &* Row.bytes
            s0 = fma(Row.loadEight(at), loadFloats(x + j), s0)
            s1 = fma(Row.loadEight(at + 8 &* Row.bytes), loadFloats(x + (j &+ 8)), s1)
            s2 = fma(Row.loadEight(at + 16 &* Row.bytes), loadFloats(x + (j &+ 16)), s2)
            s3 = fma(Row.loadEight(at + 24 &* Row.bytes), loadFloats(x + (j &+ 24)), s3)
            j &+= 32
        }
        var total = sum(sum(sum(s0, s1), sum(s2, s3)))
        while j < k {
            total += Row.load(row + j &* Row.bytes) * x[j]
            j &+= 1
        }
        y[r] = total
    }
}

/// Widens up to `tileRows` rows to a float tile (k, tileRows); the missing ones become zeros.
@inline(__always)  // specialised by each entry below
private func unpack<Row: FloatRow>(
    _: Row.Type, _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer
) {
    for r in stride(from: 0, to: tileRows, by: 4) {
        let to = tile + r &* 4
        var j = 0
        if r &+ 4 <= rows {
            let (a, b) = (w + r &* rowBytes, w + (r &+ 1) &* rowBytes)
            let (c, d) = (w + (r &+ 2) &* rowBytes, w + (r &+ 3) &* rowBytes)
            while j &+ 8 <= k {
                let at = j &* Row.bytes
                storeColumns(
                    Row.loadEight(a + at), Row.loadEight(b + at), Row.loadEight(c + at), Row.loadEight(d + at),
                    to + j &* tileRows &* 4)
                j &+= 8
            }
        }
        while j < k {
            let column = (to + j &* tileRows &* 4).assumingMemoryBound(to: Float.self)
            for i in 0..<4 {
                column[i] = r &+ i < rows ? Row.load(w + ((r &+ i) &* rowBytes &+ j &* Row.bytes)) : 0
            }
            j &+= 1
        }
    }
}

/// Sixteen rows' results for one token.
private struct Row16 {
    var low = F8.zero
    var high = F8.zero

    @inline(__always)  // the inner loop
    mutating func add(_ low: F8, _ high: F8, _ x: Float) {
        let each = F8(repeating: x)
        self.low = fma(low, each, self.low)
        self.high = fma(high, each, self.high)
    }

    @inline(__always)  // once a token
    func store(_ y: UnsafeMutablePointer<Float>) {
        storeFloats(low, y)
        storeFloats(high, y + 8)
    }
}

/// Sixteen rows' results for four tokens: as many sums as hide the latency of a multiply-add.
private struct Rows16By4 {
    var (a, b) = (Row16(), Row16())
    var (c, d) = (Row16(), Row16())

    @inline(__always)  // the inner loop
    mutating func add(_ weights: UnsafePointer<Float>, _ a: Float, _ b: Float, _ c: Float, _ d: Float) {
        let (low, high) = (loadFloats(weights), loadFloats(weights + 8))
        self.a.add(low, high, a)
        self.b.add(low, high, b)
        self.c.add(low, high, c)
        self.d.add(low, high, d)
    }
}

/// Float tiles (k, tileRows) times float activations. Four tokens share each load of the weights.
@inline(never)  // entry of a tier
public func vectorGemmFloat(
    _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int,
    _ y: UnsafeMutablePointer<Float>
) {
    let weights = tile.assumingMemoryBound(to: Float.self)
    var t = 0
    while t < tokens {
        // Missing tokens repeat the last one; y has room for whole panels.
        let last = tokens &- 1
        let (x0, x1) = (x + t &* xStride, x + min(t &+ 1, last) &* xStride)
        let (x2, x3) = (x + min(t &+ 2, last) &* xStride, x + min(t &+ 3, last) &* xStride)
        var sums = Rows16By4()
        var j = 0
        while j &+ 4 <= k {
            let (a, b, c, d) = (four(x0 + j), four(x1 + j), four(x2 + j), four(x3 + j))
            let row = weights + j &* tileRows
            sums.add(row, a[0], b[0], c[0], d[0])
            sums.add(row + tileRows, a[1], b[1], c[1], d[1])
            sums.add(row + 2 &* tileRows, a[2], b[2], c[2], d[2])
            sums.add(row + 3 &* tileRows, a[3], b[3], c[3], d[3])
            j &+= 4
        }
        while j < k {
            sums.add(weights + j &* tileRows, x0[j], x1[j], x2[j], x3[j])
            j &+= 1
        }
        let to = y + t &* tileRows
        sums.a.store(to)
        sums.b.store(to + tileRows)
        sums.c.store(to + 2 &* tileRows)
        sums.d.store(to + 3 &* tileRows)
        t &+= 4
    }
}

/// y (rows) = rows of halves × one float vector of length k.
@inline(never)  // entry of a tier
public func vectorGemvF16(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(RowF16.self, w, rowBytes, rows, k, x, y) }

/// Unpacks up to `tileRows` rows of halves to a float tile (k, tileRows).
@inline(never)  // entry of a tier
public func vectorUnpackF16(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(RowF16.self, w, rowBytes, rows, k, tile) }

/// y (rows) = rows of bfloat16 × one float vector of length k.
@inline(never)  // entry of a tier
public func vectorGemvBF16(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(RowBF16.self, w, rowBytes, rows, k, x, y) }

/// Unpacks up to `tileRows` rows of bfloat16 to a float tile (k, tileRows).
@inline(never)  // entry of a tier
public func vectorUnpackBF16(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(RowBF16.self, w, rowBytes, rows, k, tile) }

/// y (rows) = rows of floats × one float vector of length k.
@inline(never)  // entry of a tier
public func vectorGemvF32(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(RowF32.self, w, rowBytes, rows, k, x, y) }

/// Unpacks up to `tileRows` rows of floats to a float tile (k, tileRows).
@inline(never)  // entry of a tier
public func vectorUnpackF32(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(RowF32.self, w, rowBytes, rows, k, tile) }
#endif
