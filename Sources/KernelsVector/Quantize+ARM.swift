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
#endif
