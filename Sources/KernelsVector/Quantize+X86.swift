#if arch(x86_64)
import CIntrinsics
import QuantBlocks

/// Quantises `count` (a multiple of 32) floats to signed bytes with one scale per 32.
@inline(never)  // entry of a tier
public func vectorQuantize(
    _ x: UnsafePointer<Float>, _ count: Int, _ q: UnsafeMutablePointer<Int8>, _ ds: UnsafeMutablePointer<Float>
) {
    let absolute = _mm256_castsi256_ps(_mm256_set1_epi32(0x7FFF_FFFF))
    for block in 0..<(count / 32) {
        let from = x + block &* 32
        let a = loadFloats(from)
        let b = loadFloats(from + 8)
        let c = loadFloats(from + 16)
        let d = loadFloats(from + 24)
        let ab = _mm256_max_ps(_mm256_and_ps(a, absolute), _mm256_and_ps(b, absolute))
        let cd = _mm256_max_ps(_mm256_and_ps(c, absolute), _mm256_and_ps(d, absolute))
        let eight = _mm256_max_ps(ab, cd)
        let four = _mm_max_ps(_mm256_castps256_ps128(eight), martlet_high128_ps(eight))
        let two = _mm_max_ps(four, _mm_movehl_ps(four, four))
        let largest = max(two[0], two[1])
        let scale = largest / 127
        let inverse = F8(repeating: largest > 0 ? 127 / largest : 0)
        let qa = _mm256_cvtps_epi32(a * inverse)
        let qb = _mm256_cvtps_epi32(b * inverse)
        let qc = _mm256_cvtps_epi32(c * inverse)
        let qd = _mm256_cvtps_epi32(d * inverse)
        let total = _mm256_add_epi32(_mm256_add_epi32(qa, qb), _mm256_add_epi32(qc, qd))
        // The packs work within 128-bit halves; the permutation puts the eight groups of four back in order.
        let bytes = _mm256_packs_epi16(_mm256_packs_epi32(qa, qb), _mm256_packs_epi32(qc, qd))
        let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)
        UnsafeMutableRawPointer(q + block &* 32)
            .storeBytes(of: _mm256_permutevar8x32_epi32(bytes, order), as: SIMD4<Int64>.self)
        ds[2 &* block] = roundedToHalfPrecision(scale)
        ds[2 &* block &+ 1] = ds[2 &* block] * sum(_mm256_cvtepi32_ps(total))
    }
}
#endif
