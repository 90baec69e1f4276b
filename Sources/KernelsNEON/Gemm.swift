#if arch(arm64)
import CIntrinsics
import QuantBlocks

/// Adds 16 columns (k) of a tile times 16 activations to eight 16-bit sums. Two columns a weight register.
@inline(__always)  // the inner loop: eight loads, sixteen dup, sixteen smlal
private func columns(_ tile: UnsafeRawPointer, _ a: int8x16_t, _ start: int16x8_t) -> int16x8_t {
    @inline(__always) func pair(_ at: Int, _ first: int8x16_t, _ second: int8x16_t, _ sum: int16x8_t) -> int16x8_t {
        let weights = loadBytes(tile + at &* 16)
        return vmlal_high_s8(vmlal_s8(sum, vget_low_s8(weights), vget_low_s8(first)), weights, second)
    }
    var sum = pair(0, martlet_dup0(a), martlet_dup1(a), start)
    sum = pair(1, martlet_dup2(a), martlet_dup3(a), sum)
    sum = pair(2, martlet_dup4(a), martlet_dup5(a), sum)
    sum = pair(3, martlet_dup6(a), martlet_dup7(a), sum)
    sum = pair(4, martlet_dup8(a), martlet_dup9(a), sum)
    sum = pair(5, martlet_dup10(a), martlet_dup11(a), sum)
    sum = pair(6, martlet_dup12(a), martlet_dup13(a), sum)
    return pair(7, martlet_dup14(a), martlet_dup15(a), sum)
}

@inline(__always)  // once a group and token
private func widen(_ a: int16x8_t) -> F8 {
    F8(
        lowHalf: vcvtq_f32_s32(vmovl_s16(vget_low_s16(a))),
        highHalf: vcvtq_f32_s32(vmovl_high_s16(a)))
}

/// Nibble formats: y (token, 8) from weights −8…7 with a scale and a minimum per 32.
///
/// Four tokens share each load of the weights; the left-over ones run over the same tile one at a time.
@inline(never)  // entry of a tier
public func neonGemmNibble(
    _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int,
    _ q: UnsafePointer<Int8>, _ qStride: Int, _ ds: UnsafePointer<Float>, _ dsStride: Int,
    _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int, _ y: UnsafeMutablePointer<Float>
) {
    let groups = k / 32
    @inline(__always) func add(
        _ y: F8, _ sum: int16x8_t, _ scale: F8, _ minimum: F8, _ ds: UnsafePointer<Float>
    ) -> F8 {
        y.addingProduct(widen(sum), scale * ds[0]).addingProduct(minimum, F8(repeating: ds[1]))
    }
    @inline(__always) func group(_ q: UnsafePointer<Int8>, _ weights: UnsafeRawPointer) -> int16x8_t {
        columns(weights + 128, loadBytes(q + 16), columns(weights, loadBytes(q), int16x8_t.zero))
    }
    var t = 0
    while t &+ 4 <= tokens {
        let (q0, q1) = (q + t &* qStride, q + (t &+ 1) &* qStride)
        let (q2, q3) = (q + (t &+ 2) &* qStride, q + (t &+ 3) &* qStride)
        let (d0, d1) = (ds + t &* dsStride, ds + (t &+ 1) &* dsStride)
        let (d2, d3) = (ds + (t &+ 2) &* dsStride, ds + (t &+ 3) &* dsStride)
        var (y0, y1, y2, y3) = (F8.zero, F8.zero, F8.zero, F8.zero)
        for g in 0..<groups {
            let weights = tile + g &* 256
            let (scale, minimum) = (loadFloats(meta + g &* 16), loadFloats(meta + (g &* 16 &+ 8)))
            let at = g &* 32
            y0 = add(y0, group(q0 + at, weights), scale, minimum, d0 + 2 &* g)
            y1 = add(y1, group(q1 + at, weights), scale, minimum, d1 + 2 &* g)
            y2 = add(y2, group(q2 + at, weights), scale, minimum, d2 + 2 &* g)
            y3 = add(y3, group(q3 + at, weights), scale, minimum, d3 + 2 &* g)
        }
        storeFloats(y0, y + t &* 8)
        storeFloats(y1, y + (t &+ 1) &* 8)
        storeFloats(y2, y + (t &+ 2) &* 8)
        storeFloats(y3, y + (t &+ 3) &* 8)
        t &+= 4
    }
    while t < tokens {
        let (values, pairs) = (q + t &* qStride, ds + t &* dsStride)
        var total = F8.zero
        for g in 0..<groups {
            let (scale, minimum) = (loadFloats(meta + g &* 16), loadFloats(meta + (g &* 16 &+ 8)))
            total = add(total, group(values + g &* 32, tile + g &* 256), scale, minimum, pairs + 2 &* g)
        }
        storeFloats(total, y + t &* 8)
        t &+= 1
    }
}

/// Q8_0 and Q6_K: y (token, 8) from signed bytes (8 rows, k) with a scale per 16.
@inline(never)  // entry of a tier
public func neonGemmSigned(
    _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int,
    _ q: UnsafePointer<Int8>, _ qStride: Int, _ ds: UnsafePointer<Float>, _ dsStride: Int,
    _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int, _ y: UnsafeMutablePointer<Float>
) {
    for t in 0..<tokens {
        let (values, pairs) = (q + t &* qStride, ds + t &* dsStride)
        for r in 0..<8 {
            let row = tile + r &* k
            var sum = float32x4_t.zero
            for g in 0..<(k / 32) {
                let low = float(dot16(loadBytes(row + g &* 32), loadBytes(values + g &* 32)))
                let high = float(dot16(loadBytes(row + (g &* 32 &+ 16)), loadBytes(values + (g &* 32 &+ 16))))
                let d = pairs[2 &* g]
                sum = sum.addingProduct(low, float32x4_t(repeating: meta[g &* 16 &+ r] * d))
                sum = sum.addingProduct(high, float32x4_t(repeating: meta[g &* 16 &+ 8 &+ r] * d))
            }
            y[t &* 8 &+ r] = vaddvq_f32(sum)
        }
    }
}
#endif
