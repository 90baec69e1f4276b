#if arch(x86_64)
import CIntrinsics

/// Eight floats in one register.
typealias F8 = SIMD8<Float>

/// Four floats of which each will be repeated: here an operand of the instruction that uses it.
typealias Four = UnsafePointer<Float>

@inline(__always)  // nothing yet
func four(_ address: UnsafePointer<Float>) -> Four { address }

// Arithmetic by intrinsics: LLVM takes Swift's operators on eight floats apart in longer expressions.
@inline(__always)  // one instruction each, as the next
func fma(_ a: F8, _ b: F8, _ c: F8) -> F8 { _mm256_fmadd_ps(a, b, c) }

@inline(__always)
func sum(_ a: F8, _ b: F8) -> F8 { _mm256_add_ps(a, b) }

@inline(__always)
func difference(_ a: F8, _ b: F8) -> F8 { _mm256_sub_ps(a, b) }

@inline(__always)
func product(_ a: F8, _ b: F8) -> F8 { _mm256_mul_ps(a, b) }

@inline(__always)
func quotient(_ a: F8, _ b: F8) -> F8 { _mm256_div_ps(a, b) }

/// a · 2^n, with n in the low bits of `exponent`.
@inline(__always)  // two instructions
func raised(_ a: F8, _ exponent: F8) -> F8 {
    let shifted = _mm256_slli_epi32(_mm256_castps_si256(exponent), 23)
    return _mm256_castsi256_ps(_mm256_add_epi32(shifted, _mm256_castps_si256(a)))
}

@inline(__always)  // once a row
func sum(_ a: F8) -> Float {
    let four = _mm256_castps256_ps128(a) + martlet_high128_ps(a)
    return (four[0] + four[2]) + (four[1] + four[3])
}

@inline(__always)  // a store instruction
func storeFloats(_ value: F8, _ address: UnsafeMutablePointer<Float>) {
    UnsafeMutableRawPointer(address).storeBytes(of: value, as: F8.self)
}

@inline(__always)  // a load instruction
func loadFloats(_ address: UnsafePointer<Float>) -> F8 { UnsafeRawPointer(address).loadUnaligned(as: F8.self) }

/// Eight halves widened.
@inline(__always)  // one conversion
func loadHalves(_ address: UnsafePointer<UInt16>) -> F8 {
    _mm256_cvtph_ps(UnsafeRawPointer(address).loadUnaligned(as: SIMD2<Int64>.self))
}

/// Eight bytes as floats.
@inline(__always)  // two conversions
func loadBytes(_ address: UnsafePointer<Int8>) -> F8 {
    let bytes = UnsafeRawPointer(address).loadUnaligned(as: Int64.self)
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(SIMD2(bytes, 0)))
}

/// Eight numbers of bfloat16 widened.
@inline(__always)  // two instructions
func loadBrains(_ address: UnsafeRawPointer) -> F8 {
    let words = _mm256_cvtepu16_epi32(address.loadUnaligned(as: SIMD2<Int64>.self))
    return _mm256_castsi256_ps(_mm256_slli_epi32(words, 16))
}

@inline(__always)  // one instruction; Swift's own pointwise functions compile to compares and selects
func pointwiseMax(_ a: F8, _ b: F8) -> F8 { _mm256_max_ps(a, b) }

@inline(__always)  // as above
func pointwiseMin(_ a: F8, _ b: F8) -> F8 { _mm256_min_ps(a, b) }

@inline(__always)  // one conversion
func widened(_ a: SIMD4<Float>) -> SIMD4<Double> { _mm256_cvtps_pd(a) }

/// Narrows eight floats to halves, to the nearest even.
@inline(__always)  // one conversion and a store
func storeHalves(_ value: F8, _ address: UnsafeMutablePointer<UInt16>) {
    UnsafeMutableRawPointer(address).storeBytes(of: martlet_to_half(value), as: SIMD2<Int64>.self)
}
#endif
