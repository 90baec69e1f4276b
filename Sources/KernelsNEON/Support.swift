#if arch(arm64)
import CIntrinsics
import QuantBlocks

/// Eight floats in two registers; LLVM splits every operation on them into a pair, which also hides latency.
typealias F8 = SIMD8<Float>

@inline(__always)  // two load instructions
func loadFloats(_ address: UnsafePointer<Float>) -> F8 { UnsafeRawPointer(address).loadUnaligned(as: F8.self) }

@inline(__always)  // two store instructions
func storeFloats(_ value: F8, _ address: UnsafeMutablePointer<Float>) {
    UnsafeMutableRawPointer(address).storeBytes(of: value, as: F8.self)
}

@inline(__always)  // a load instruction
func loadBytes(_ address: UnsafeRawPointer) -> int8x16_t { address.loadUnaligned(as: int8x16_t.self) }

/// The low and the high nibbles of sixteen bytes, 0…15.
@inline(__always)  // three instructions in every block
func nibbles(_ address: UnsafeRawPointer) -> (low: int8x16_t, high: int8x16_t) {
    let bits = address.loadUnaligned(as: uint8x16_t.self)
    let low = vandq_u8(bits, vdupq_n_u8(15))
    return (vreinterpretq_s8_u8(low), vreinterpretq_s8_u8(martlet_high_nibbles(bits)))
}

/// Sums of products of 32 signed bytes with 32 others: four neighbours' products a 16-bit lane, then pairs.
///
/// 16 bits hold four products while |a| ≤ 64: 64 · 127 · 4 = 32,512. Every 4-bit and 6-bit format keeps to that.
@inline(__always)  // six instructions in every block
func dot32(_ a: (low: int8x16_t, high: int8x16_t), _ b0: int8x16_t, _ b1: int8x16_t) -> int32x4_t {
    var sum = vmull_s8(vget_low_s8(a.low), vget_low_s8(b0))
    sum = vmlal_high_s8(sum, a.low, b0)
    sum = vmlal_s8(sum, vget_low_s8(a.high), vget_low_s8(b1))
    sum = vmlal_high_s8(sum, a.high, b1)
    return vpaddlq_s16(sum)
}

/// The same for any signed bytes: two products a 16-bit lane at most, 128 · 127 · 2 = 32,512.
@inline(__always)  // four instructions for half a block
func dot16(_ a: int8x16_t, _ b: int8x16_t) -> int32x4_t {
    vpaddlq_s16(vmlal_high_s8(vmull_s8(vget_low_s8(a), vget_low_s8(b)), a, b))
}

@inline(__always)  // one conversion
func float(_ a: int32x4_t) -> float32x4_t { vcvtq_f32_s32(a) }
#endif
