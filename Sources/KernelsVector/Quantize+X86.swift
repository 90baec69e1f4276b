#if arch(x86_64)
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
    let absolute = _mm256_castsi256_ps(_mm256_set1_epi32(0x7FFF_FFFF))
    let (a, b, c, d) = (loadFloats(x), loadFloats(x + 8), loadFloats(x + 16), loadFloats(x + 24))
    let ab = _mm256_max_ps(_mm256_and_ps(a, absolute), _mm256_and_ps(b, absolute))
    let cd = _mm256_max_ps(_mm256_and_ps(c, absolute), _mm256_and_ps(d, absolute))
    let eight = _mm256_max_ps(ab, cd)
    let four = _mm_max_ps(_mm256_castps256_ps128(eight), martlet_high128_ps(eight))
    let two = _mm_max_ps(four, _mm_movehl_ps(four, four))
    let largest = max(two[0], two[1])
    let inverse = F8(repeating: largest > 0 ? 127 / largest : 0)
    let (qa, qb) = (_mm256_cvtps_epi32(a * inverse), _mm256_cvtps_epi32(b * inverse))
    let (qc, qd) = (_mm256_cvtps_epi32(c * inverse), _mm256_cvtps_epi32(d * inverse))
    // The packs work within 128-bit halves; the permutation puts the eight groups of four back in order.
    let bytes = _mm256_packs_epi16(_mm256_packs_epi32(qa, qb), _mm256_packs_epi32(qc, qd))
    let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)
    return QuantizedBlock(
        bytes: unsafeBitCast(_mm256_permutevar8x32_epi32(bytes, order), to: SIMD8<Int32>.self),
        d: roundedToHalfPrecision(largest / 127),
        low: Int32(sum(_mm256_cvtepi32_ps(_mm256_add_epi32(qa, qb)))),
        high: Int32(sum(_mm256_cvtepi32_ps(_mm256_add_epi32(qc, qd)))))
}

/// Eight words of each of four rows, transposed: words j and j + 4 stand in the halves of a register.
@inline(__always)  // eight instructions, once a group
private func transposed(_ a: SIMD4<Int64>, _ b: SIMD4<Int64>, _ c: SIMD4<Int64>, _ d: SIMD4<Int64>) -> Columns {
    let (ab0, ab1) = (_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b))
    let (cd0, cd1) = (_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d))
    return (
        _mm256_unpacklo_epi64(ab0, cd0), _mm256_unpackhi_epi64(ab0, cd0), _mm256_unpacklo_epi64(ab1, cd1),
        _mm256_unpackhi_epi64(ab1, cd1)
    )
}

private typealias Columns = (SIMD4<Int64>, SIMD4<Int64>, SIMD4<Int64>, SIMD4<Int64>)

/// Writes eight words of each of four tokens, a token's word after the other's.
@inline(__always)  // once a group
func storeFour(
    _ a: SIMD8<Int32>, _ b: SIMD8<Int32>, _ c: SIMD8<Int32>, _ d: SIMD8<Int32>, _ to: UnsafeMutableRawPointer
) {
    @inline(__always) func vector(_ words: SIMD8<Int32>) -> SIMD4<Int64> { unsafeBitCast(words, to: SIMD4<Int64>.self) }
    let (zero, one, two, three) = transposed(vector(a), vector(b), vector(c), vector(d))
    to.storeBytes(of: martlet_low_halves(zero, one), as: SIMD4<Int64>.self)
    (to + 32).storeBytes(of: martlet_low_halves(two, three), as: SIMD4<Int64>.self)
    (to + 64).storeBytes(of: martlet_high_halves(zero, one), as: SIMD4<Int64>.self)
    (to + 96).storeBytes(of: martlet_high_halves(two, three), as: SIMD4<Int64>.self)
}

/// Writes eight columns of four rows of a float tile (k, tileRows).
@inline(__always)  // the body of the loop that unpacks
func storeColumns(_ a: F8, _ b: F8, _ c: F8, _ d: F8, _ to: UnsafeMutableRawPointer) {
    let (zero, one, two, three) = transposed(
        _mm256_castps_si256(a), _mm256_castps_si256(b), _mm256_castps_si256(c), _mm256_castps_si256(d))
    @inline(__always) func store(_ columns: SIMD4<Int64>, _ at: UnsafeMutableRawPointer) {
        at.storeBytes(of: columns.lowHalf, as: SIMD2<Int64>.self)
        (at + 16 &* tileRows).storeBytes(of: columns.highHalf, as: SIMD2<Int64>.self)
    }
    store(zero, to)
    store(one, to + 4 &* tileRows)
    store(two, to + 8 &* tileRows)
    store(three, to + 12 &* tileRows)
}
#endif
