#if arch(x86_64)
import CIntrinsics
import QuantBlocks

// Decode of Q8_0: two blocks a vector. The weights are signed, which the instruction does not take: they are moved up
// by 128, and the sums begin with what that adds, computed once for all rows.

@inline(__always)  // once for four rows
private func bias(_ values: I512) -> I512 {
    _mm512_sub_epi32(.zero, _mm512_dpbusd_epi32(.zero, _mm512_set1_epi8(-128), values))
}

/// Two blocks of one row, added to `sum`.
@inline(__always)  // the inner loop
private func add(_ sum: F512, _ block: UnsafeRawPointer, _ values: I512, _ start: I512, _ ds: SIMD4<Float>) -> F512 {
    let stored = martlet_pair256(block + BlockQ8_0.qs, block + (BlockQ8_0.bytes &+ BlockQ8_0.qs))
    let weights = _mm512_xor_si512(stored, _mm512_set1_epi8(-128))
    let products = _mm512_cvtepi32_ps(_mm512_dpbusd_epi32(start, weights, values))
    // d of the first block in the lower half of the lanes, of the second in the upper.
    let first = UInt32(block.loadUnaligned(as: UInt16.self))
    let second = UInt32((block + BlockQ8_0.bytes).loadUnaligned(as: UInt16.self))
    let scales = _mm_cvtph_ps(_mm_cvtsi32_si128(Int32(bitPattern: first | second << 16))) * ds
    let each = unsafeBitCast(SIMD16<Int32>(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1), to: I512.self)
    return _mm512_fmadd_ps(products, _mm512_permutexvar_ps(each, _mm512_castps128_ps512(scales)), sum)
}

/// y (rows) = rows of Q8_0 blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func avx512GemvQ8_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) {
    let groups = k / 32
    prefetchStart(w, bytes: rows &* rowBytes)
    var r = 0
    while r < rows {
        let at = w + r &* rowBytes
        let last = rows &- 1 &- r
        let (at1, at2) = (at + min(1, last) &* rowBytes, at + min(2, last) &* rowBytes)
        let at3 = at + min(3, last) &* rowBytes
        var (s0, s1, s2, s3) = (F512.zero, F512.zero, F512.zero, F512.zero)
        for pair in 0..<(groups / 2) {
            let values = load512(q + pair &* 64)
            let start = bias(values)
            let from = ds + pair &* 4
            let scales = SIMD4(from[0], from[2], 0, 0)
            let offset = pair &* 2 &* BlockQ8_0.bytes
            prefetchStep(at, pair, bytes: 8 &* BlockQ8_0.bytes)
            s0 = add(s0, at + offset, values, start, scales)
            s1 = add(s1, at1 + offset, values, start, scales)
            s2 = add(s2, at2 + offset, values, start, scales)
            s3 = add(s3, at3 + offset, values, start, scales)
        }
        if groups & 1 == 1 {
            let g = groups &- 1
            let values = UnsafeRawPointer(q + g &* 32).loadUnaligned(as: I256.self)
            let start = martlet_low256(bias(_mm512_castsi256_si512(values)))
            @inline(__always) func one(_ row: UnsafeRawPointer) -> F512 {
                let block = row + g &* BlockQ8_0.bytes
                let stored = (block + BlockQ8_0.qs).loadUnaligned(as: I256.self)
                let weights = _mm256_xor_si256(stored, _mm256_set1_epi8(-128))
                let products = _mm256_cvtepi32_ps(martlet_dot256(start, weights, values))
                return _mm512_zextps256_ps512(products * F256(repeating: half(block) * ds[2 &* g]))
            }
            s0 += one(at)
            s1 += one(at1)
            s2 += one(at2)
            s3 += one(at3)
        }
        y[r] = _mm512_reduce_add_ps(s0)
        if last > 0 { y[r &+ 1] = _mm512_reduce_add_ps(s1) }
        if last > 1 { y[r &+ 2] = _mm512_reduce_add_ps(s2) }
        if last > 2 { y[r &+ 3] = _mm512_reduce_add_ps(s3) }
        r &+= 4
    }
}
#endif
