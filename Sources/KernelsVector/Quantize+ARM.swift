#if arch(arm64)
import CIntrinsics
import QuantBlocks

/// Quantises `count` (a multiple of 32) floats to signed bytes with one scale per 32.
@inline(never)  // entry of a tier
public func vectorQuantize(
    _ x: UnsafePointer<Float>, _ count: Int, _ q: UnsafeMutablePointer<Int8>, _ ds: UnsafeMutablePointer<Float>
) {
    @inline(__always) func absolute(_ a: F8) -> F8 {
        F8(lowHalf: vabsq_f32(a.lowHalf), highHalf: vabsq_f32(a.highHalf))
    }
    @inline(__always) func narrow(_ a: F8, _ scale: Float) -> (int8x8_t, int32x4_t) {
        let low = vcvtnq_s32_f32(a.lowHalf * scale)
        let high = vcvtnq_s32_f32(a.highHalf * scale)
        return (vmovn_s16(vcombine_s16(vmovn_s32(low), vmovn_s32(high))), vaddq_s32(low, high))
    }
    for block in 0..<(count / 32) {
        let from = x + block &* 32
        let (a, b, c, d) = (loadFloats(from), loadFloats(from + 8), loadFloats(from + 16), loadFloats(from + 24))
        let peaks = pointwiseMax(
            pointwiseMax(absolute(a), absolute(b)), pointwiseMax(absolute(c), absolute(d)))
        let largest = vmaxvq_f32(vmaxq_f32(peaks.lowHalf, peaks.highHalf))
        let scale = largest / 127
        let inverse = largest > 0 ? 127 / largest : 0
        let (qa, sa) = narrow(a, inverse)
        let (qb, sb) = narrow(b, inverse)
        let (qc, sc) = narrow(c, inverse)
        let (qd, sd) = narrow(d, inverse)
        let to = UnsafeMutableRawPointer(q + block &* 32)
        to.storeBytes(of: vcombine_s8(qa, qb), as: int8x16_t.self)
        (to + 16).storeBytes(of: vcombine_s8(qc, qd), as: int8x16_t.self)
        ds[2 &* block] = roundedToHalfPrecision(scale)
        let total = vaddvq_s32(vaddq_s32(vaddq_s32(sa, sb), vaddq_s32(sc, sd)))
        ds[2 &* block &+ 1] = ds[2 &* block] * Float(total)
    }
}
#endif
