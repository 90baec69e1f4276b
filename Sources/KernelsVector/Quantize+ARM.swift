#if arch(arm64)
import CIntrinsics
import QuantBlocks

/// 32 floats as signed bytes.
struct QuantizedBlock {
    var bytes: SIMD8<Int32>
    /// The scale.
    var d: Float
    /// Σ q of the first and of the last sixteen.
    var low: Int32
    var high: Int32
}

@inline(__always)  // the body of both quantising loops
func quantizeBlock(_ x: UnsafePointer<Float>) -> QuantizedBlock {
    @inline(__always) func absolute(_ a: F8) -> F8 {
        F8(lowHalf: vabsq_f32(a.lowHalf), highHalf: vabsq_f32(a.highHalf))
    }
    @inline(__always) func narrow(_ a: F8, _ scale: Float) -> (int8x8_t, int32x4_t) {
        let low = vcvtnq_s32_f32(a.lowHalf * scale)
        let high = vcvtnq_s32_f32(a.highHalf * scale)
        return (vmovn_s16(vcombine_s16(vmovn_s32(low), vmovn_s32(high))), vaddq_s32(low, high))
    }
    let (a, b, c, d) = (loadFloats(x), loadFloats(x + 8), loadFloats(x + 16), loadFloats(x + 24))
    let peaks = pointwiseMax(pointwiseMax(absolute(a), absolute(b)), pointwiseMax(absolute(c), absolute(d)))
    let largest = vmaxvq_f32(vmaxq_f32(peaks.lowHalf, peaks.highHalf))
    let inverse = largest > 0 ? 127 / largest : 0
    let (qa, sa) = narrow(a, inverse)
    let (qb, sb) = narrow(b, inverse)
    let (qc, sc) = narrow(c, inverse)
    let (qd, sd) = narrow(d, inverse)
    let bytes = (vcombine_s8(qa, qb), vcombine_s8(qc, qd))
    return QuantizedBlock(
        bytes: unsafeBitCast(bytes, to: SIMD8<Int32>.self), d: roundedToHalfPrecision(largest / 127),
        low: vaddvq_s32(vaddq_s32(sa, sb)), high: vaddvq_s32(vaddq_s32(sc, sd)))
}

/// Writes four words of each of four rows, `stride` bytes a word: a 4 × 4 transposition.
@inline(__always)  // twice a group
private func storeTransposed(
    _ a: int32x4_t, _ b: int32x4_t, _ c: int32x4_t, _ d: int32x4_t, _ to: UnsafeMutableRawPointer, stride: Int
) {
    let (ab0, ab1) = (vreinterpretq_s64_s32(vtrn1q_s32(a, b)), vreinterpretq_s64_s32(vtrn2q_s32(a, b)))
    let (cd0, cd1) = (vreinterpretq_s64_s32(vtrn1q_s32(c, d)), vreinterpretq_s64_s32(vtrn2q_s32(c, d)))
    to.storeBytes(of: vtrn1q_s64(ab0, cd0), as: int64x2_t.self)
    (to + stride).storeBytes(of: vtrn1q_s64(ab1, cd1), as: int64x2_t.self)
    (to + 2 &* stride).storeBytes(of: vtrn2q_s64(ab0, cd0), as: int64x2_t.self)
    (to + 3 &* stride).storeBytes(of: vtrn2q_s64(ab1, cd1), as: int64x2_t.self)
}

/// Writes eight words of each of four tokens, a token's word after the other's.
@inline(__always)  // once a group
func storeFour(
    _ a: SIMD8<Int32>, _ b: SIMD8<Int32>, _ c: SIMD8<Int32>, _ d: SIMD8<Int32>, _ to: UnsafeMutableRawPointer
) {
    storeTransposed(a.lowHalf, b.lowHalf, c.lowHalf, d.lowHalf, to, stride: 16)
    storeTransposed(a.highHalf, b.highHalf, c.highHalf, d.highHalf, to + 64, stride: 16)
}

/// Writes eight columns of four rows of a float tile (k, tileRows).
@inline(__always)  // the body of the loop that unpacks
func storeColumns(_ a: F8, _ b: F8, _ c: F8, _ d: F8, _ to: UnsafeMutableRawPointer) {
    @inline(__always) func words(_ a: float32x4_t) -> int32x4_t { vreinterpretq_s32_f32(a) }
    storeTransposed(
        words(a.lowHalf), words(b.lowHalf), words(c.lowHalf), words(d.lowHalf), to, stride: 4 &* tileRows)
    storeTransposed(
        words(a.highHalf), words(b.highHalf), words(c.highHalf), words(d.highHalf), to + 16 &* tileRows,
        stride: 4 &* tileRows)
}
#endif
