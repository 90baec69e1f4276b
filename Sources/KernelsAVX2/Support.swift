#if arch(x86_64)
import CIntrinsics
import QuantBlocks

// Short names for the vectors of this tier: 256-bit integers, eight floats.
typealias I256 = SIMD4<Int64>
typealias F256 = SIMD8<Float>

@inline(__always)  // a load instruction
func load256(_ address: UnsafeRawPointer) -> I256 { address.loadUnaligned(as: I256.self) }

@inline(__always)  // a load instruction
func loadFloats(_ address: UnsafePointer<Float>) -> F256 { UnsafeRawPointer(address).loadUnaligned(as: F256.self) }

@inline(__always)  // a store instruction
func storeFloats(_ value: F256, _ address: UnsafeMutablePointer<Float>) {
    UnsafeMutableRawPointer(address).storeBytes(of: value, as: F256.self)
}

/// Four bytes in all eight lanes.
@inline(__always)  // one broadcast load
func broadcastBytes(_ address: UnsafePointer<Int8>) -> I256 {
    _mm256_set1_epi32(UnsafeRawPointer(address).loadUnaligned(as: Int32.self))
}

/// Sixteen bytes of packed nibbles as 32 bytes: the low nibbles, then the high ones.
@inline(__always)  // four instructions in every block
func nibbles(_ address: UnsafeRawPointer) -> I256 {
    let bits = address.loadUnaligned(as: SIMD2<Int64>.self)
    return _mm256_and_si256(martlet_join128(bits, _mm_srli_epi16(bits, 4)), _mm256_set1_epi8(0x0F))
}

/// Thirty-two bits at `address` as bytes: 16 where a bit is set, else 0.
@inline(__always)  // five instructions in every block of a five-bit format
func fifthBits(_ address: UnsafeRawPointer) -> I256 {
    let bits = _mm256_set1_epi32(address.loadUnaligned(as: Int32.self))
    let spread = _mm256_setr_epi64x(
        0x0000_0000_0000_0000, 0x0101_0101_0101_0101, 0x0202_0202_0202_0202, 0x0303_0303_0303_0303)
    // Byte i keeps bit i mod 8.
    let each = _mm256_set1_epi64x(Int64(bitPattern: 0x8040_2010_0804_0201))
    let kept = _mm256_and_si256(_mm256_shuffle_epi8(bits, spread), each)
    return _mm256_and_si256(_mm256_cmpeq_epi8(kept, each), _mm256_set1_epi8(16))
}

/// Dot products of unsigned and signed bytes, four neighbours a lane, as floats.
///
/// Exact while two neighbouring products fit 16 bits: the unsigned byte must be at most 128.
@inline(__always)  // three instructions in every block
func dot(_ unsigned: I256, _ signed: I256) -> F256 {
    _mm256_cvtepi32_ps(_mm256_madd_epi16(_mm256_maddubs_epi16(unsigned, signed), _mm256_set1_epi16(1)))
}

/// The same of two signed operands: the sign moves to `b`, so `a` may be −128 but `b` may not.
@inline(__always)
func dotSigned(_ a: I256, _ b: I256) -> F256 { dot(_mm256_abs_epi8(a), _mm256_sign_epi8(b, a)) }

@inline(__always)  // once a row
func sum(_ a: F256) -> Float {
    let four = _mm256_castps256_ps128(a) + martlet_high128_ps(a)
    return (four[0] + four[2]) + (four[1] + four[3])
}
#endif
