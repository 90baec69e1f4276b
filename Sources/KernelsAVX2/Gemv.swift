#if arch(x86_64)
import CIntrinsics
import QuantBlocks

// Decode: one activation vector against rows of blocks as they stand in the file.
//
// Four rows go side by side: they share the loads of the activations, and their four accumulators hide the latency
// of the fused multiply-add.

/// Bytes ahead of a row that are asked for: the four rows in work are too short for the hardware to see a stream.
/// Without this decode was 1.9x slower (SmolLM2-135M Q4_1, one thread).
@inline(__always)  // a constant
private var prefetchDistance: Int { 4096 }

/// What a row has gathered: products in eight lanes, and in lane 1 the minima (lane 0 is thrown away).
private struct RowSum {
    var products = F256.zero
    var minima = SIMD4<Float>.zero

    @inline(__always)  // the inner loop
    mutating func add<Format: Block32>(
        _: Format.Type, _ block: UnsafeRawPointer, _ values: I256, _ ds: UnsafePointer<Float>
    ) {
        martlet_prefetch(block + prefetchDistance)
        let pair = UnsafeRawPointer(ds).loadUnaligned(as: SIMD2<Float>.self)
        let scaled = Format.scales(block) * SIMD4(pair[0], pair[1], 0, 0)
        let weights = Format.weights(block)
        let lanes = Format.isSigned ? dotSigned(weights, values) : dot(weights, values)
        products = _mm256_fmadd_ps(lanes, F256(repeating: scaled[0]), products)
        if Format.offset != 0 { minima += scaled }
    }

    @inline(__always)  // once a row
    func total(offset: Float) -> Float { offset == 0 ? sum(products) : sum(products) + offset * minima[1] }
}

@inline(__always)  // specialised by each entry below; a weak generic here could replace the baseline's
private func gemv<Format: Block32>(
    _: Format.Type, _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) {
    var r = 0
    while r &+ 4 <= rows {
        var at = w + r &* rowBytes
        var (s0, s1, s2, s3) = (RowSum(), RowSum(), RowSum(), RowSum())
        for g in 0..<(k / 32) {
            let values = load256(q + g &* 32)
            s0.add(Format.self, at, values, ds + 2 &* g)
            s1.add(Format.self, at + rowBytes, values, ds + 2 &* g)
            s2.add(Format.self, at + 2 &* rowBytes, values, ds + 2 &* g)
            s3.add(Format.self, at + 3 &* rowBytes, values, ds + 2 &* g)
            at += Format.bytes
        }
        y[r] = s0.total(offset: Format.offset)
        y[r &+ 1] = s1.total(offset: Format.offset)
        y[r &+ 2] = s2.total(offset: Format.offset)
        y[r &+ 3] = s3.total(offset: Format.offset)
        r &+= 4
    }
    while r < rows {
        var at = w + r &* rowBytes
        var sum = RowSum()
        for g in 0..<(k / 32) {
            sum.add(Format.self, at, load256(q + g &* 32), ds + 2 &* g)
            at += Format.bytes
        }
        y[r] = sum.total(offset: Format.offset)
        r &+= 1
    }
}

/// Rows of Q4_K or Q5_K blocks: eight groups of 32 with a 6-bit scale and minimum each.
@inline(__always)  // specialised by the two entries below
private func gemvOfScaled(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, blockBytes: Int,
    weights: (UnsafeRawPointer, Int) -> I256
) {
    for r in 0..<rows {
        var (even, odd) = (F256.zero, F256.zero)
        var minima: Float = 0
        for b in 0..<(k / 256) {
            let block = w + (r &* rowBytes &+ b &* blockBytes)
            let d = half(block)
            let dmin = half(block + 2)
            for i in 0..<4 {
                let g = b &* 8 &+ 2 &* i
                // Q4_K and Q5_K begin alike.
                let (scale0, minimum0) = scaleAndMinimum(block + BlockQ4_K.scales, 2 &* i)
                let (scale1, minimum1) = scaleAndMinimum(block + BlockQ4_K.scales, 2 &* i &+ 1)
                let first = dot(weights(block, 2 &* i), load256(q + g &* 32))
                let second = dot(weights(block, 2 &* i &+ 1), load256(q + (g &+ 1) &* 32))
                even = _mm256_fmadd_ps(first, F256(repeating: d * Float(scale0) * ds[2 &* g]), even)
                odd = _mm256_fmadd_ps(second, F256(repeating: d * Float(scale1) * ds[2 &* g &+ 2]), odd)
                minima += dmin * (Float(minimum0) * ds[2 &* g &+ 1] + Float(minimum1) * ds[2 &* g &+ 3])
            }
        }
        y[r] = sum(even + odd) - minima
    }
}

/// y (rows) = rows of Q4_0 blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func avx2GemvQ4_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(RowQ4_0.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = rows of Q4_1 blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func avx2GemvQ4_1(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(RowQ4_1.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = rows of Q5_0 blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func avx2GemvQ5_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(RowQ5_0.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = rows of Q5_1 blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func avx2GemvQ5_1(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(RowQ5_1.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = rows of Q8_0 blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func avx2GemvQ8_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(RowQ8_0.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = rows of IQ4_NL blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func avx2GemvIQ4_NL(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(RowIQ4_NL.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = rows of MXFP4 blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func avx2GemvMXFP4(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(RowMXFP4.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = rows of Q4_K blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func avx2GemvQ4_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemvOfScaled(w, rowBytes, rows, k, q, ds, y, blockBytes: BlockQ4_K.bytes) { weightsQ4_K($0, $1) } }

/// y (rows) = rows of Q5_K blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func avx2GemvQ5_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemvOfScaled(w, rowBytes, rows, k, q, ds, y, blockBytes: BlockQ5_K.bytes) { weightsQ5_K($0, $1) } }
#endif
