#if arch(x86_64)
import CIntrinsics
import QuantBlocks

// Decode of Q2_K, Q3_K and IQ4_XS: two groups a vector, whose activations follow each other. A row at a time: a block
// of 256 weights is work enough to hide latency.

/// A word for the lower and another for the upper half of a vector.
@inline(__always)  // a constant
private func halves(_ low: Int16, _ high: Int16) -> I512 {
    I512(lowHalf: _mm256_set1_epi16(low), highHalf: _mm256_set1_epi16(high))
}

/// Two bits of the weights of groups 2 `pair` and 2 `pair` + 1, from the 64 bytes of a block.
@inline(__always)  // the inner loop, as the rest
private func twoBits(_ qs: UnsafeRawPointer, _ pair: Int) -> I512 {
    let bytes = _mm512_broadcast_i64x4((qs + (pair >> 1) &* 32).loadUnaligned(as: I256.self))
    let shifts = pair & 1 == 0 ? halves(0, 2) : halves(4, 6)
    return _mm512_and_si512(_mm512_srlv_epi16(bytes, shifts), _mm512_set1_epi8(3))
}

/// Eight signed bytes as words, in every quarter.
@inline(__always)
private func words(_ bytes: UInt64) -> I512 {
    _mm512_broadcast_i32x4(_mm_cvtepi8_epi16(_mm_cvtsi64_si128(Int64(bitPattern: bytes))))
}

/// Four neighbouring words of the eight in every quarter of `scales`, each in a quarter: of pair 0 or 1 of four groups.
@inline(__always)
private func pick(_ scales: I512, _ pair: Int) -> I512 {
    let first = I512(
        0x0100_0100_0100_0100, 0x0100_0100_0100_0100, 0x0302_0302_0302_0302, 0x0302_0302_0302_0302,
        0x0504_0504_0504_0504, 0x0504_0504_0504_0504, 0x0706_0706_0706_0706, 0x0706_0706_0706_0706)
    return _mm512_shuffle_epi8(scales, _mm512_or_si512(first, _mm512_set1_epi8(pair & 1 == 0 ? 0 : 8)))
}

/// Lanes `2 pair` and `2 pair + 1` of eight, each in half a vector.
@inline(__always)
private func spread(_ values: F256, _ pair: Int) -> F512 {
    let (low, high) = (Int32(truncatingIfNeeded: 2 &* pair), Int32(truncatingIfNeeded: 2 &* pair &+ 1))
    let each = SIMD16(lowHalf: SIMD8(repeating: low), highHalf: SIMD8(repeating: high))
    return _mm512_permutexvar_ps(unsafeBitCast(each, to: I512.self), _mm512_castps256_ps512(values))
}

/// The scales d of eight groups' activations.
@inline(__always)
private func scales8(_ ds: UnsafePointer<Float>) -> F256 {
    let even = SIMD16<Int32>(0, 2, 4, 6, 8, 10, 12, 14, 0, 2, 4, 6, 8, 10, 12, 14)
    return _mm512_castps512_ps256(_mm512_permutexvar_ps(unsafeBitCast(even, to: I512.self), loadFloats(ds)))
}

/// Sums of pairs of 64 activations.
@inline(__always)
private func pairSums(_ values: I512) -> I512 { _mm512_maddubs_epi16(_mm512_set1_epi8(1), values) }

/// A format of blocks of 256 weights: what a block's product is, but for its own scale.
private protocol Block256 {
    static var bytes: Int { get }
    static func product(_ block: UnsafeRawPointer, _ q: UnsafePointer<Int8>, _ d: F256) -> F512
}

private enum RowQ2_K: Block256 {
    static var bytes: Int { BlockQ2_K.bytes }
    @inline(__always)
    static func product(_ block: UnsafeRawPointer, _ q: UnsafePointer<Int8>, _ d: F256) -> F512 {
        let nibble = UInt64(0x0F0F_0F0F_0F0F_0F0F)
        let (low, high) = (block.loadUnaligned(as: UInt64.self), (block + 8).loadUnaligned(as: UInt64.self))
        let (first, last) = (words(low & nibble), words(high & nibble))
        let (firstMinima, lastMinima) = (words(low >> 4 & nibble), words(high >> 4 & nibble))
        var (sum, minima) = (F512.zero, F512.zero)
        for pair in 0..<4 {
            let (values, d) = (load512(q + pair &* 64), spread(d, pair))
            let pairs = _mm512_maddubs_epi16(twoBits(block + BlockQ2_K.qs, pair), values)
            let scaled = _mm512_madd_epi16(pairs, pick(pair < 2 ? first : last, pair))
            let least = _mm512_madd_epi16(pairSums(values), pick(pair < 2 ? firstMinima : lastMinima, pair))
            sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(scaled), d, sum)
            minima = _mm512_fmadd_ps(_mm512_cvtepi32_ps(least), d, minima)
        }
        let dmin = F512(repeating: half(block + BlockQ2_K.dmin))
        return _mm512_fmsub_ps(sum, F512(repeating: half(block + BlockQ2_K.d)), _mm512_mul_ps(minima, dmin))
    }
}

private enum RowQ3_K: Block256 {
    static var bytes: Int { BlockQ3_K.bytes }
    @inline(__always)
    static func product(_ block: UnsafeRawPointer, _ q: UnsafePointer<Int8>, _ d: F256) -> F512 {
        let (low, high) = scalesQ3_K(block)
        let (first, last) = (words(low), words(high))
        let thirds = _mm512_broadcast_i64x4(block.loadUnaligned(as: I256.self))
        var sum = F512.zero
        for pair in 0..<4 {
            let bits = halves(0x0101 &<< Int16(2 &* pair), 0x0101 &<< Int16(2 &* pair &+ 1))
            let weights = martlet_or_where(
                twoBits(block + BlockQ3_K.qs, pair), _mm512_test_epi8_mask(thirds, bits), _mm512_set1_epi8(4))
            let values = load512(q + pair &* 64)
            // Weights are 4 too large.
            let pairs = _mm512_sub_epi16(
                _mm512_maddubs_epi16(weights, values), _mm512_slli_epi16(pairSums(values), 2))
            let scaled = _mm512_madd_epi16(pairs, pick(pair < 2 ? first : last, pair))
            sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(scaled), spread(d, pair), sum)
        }
        return sum * F512(repeating: half(block + BlockQ3_K.d))
    }
}

private enum RowIQ4_XS: Block256 {
    static var bytes: Int { BlockIQ4_XS.bytes }
    @inline(__always)
    static func product(_ block: UnsafeRawPointer, _ q: UnsafePointer<Int8>, _ d: F256) -> F512 {
        let bytes = _mm_cvtsi64_si128(Int64(bitPattern: scalesIQ4_XS(block)))
        let scales = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes))
        let up = _mm512_set1_epi8(-128)
        let steps = _mm512_broadcast_i32x4(unsafeBitCast(nonlinearSteps, to: SIMD2<Int64>.self))
        var sum = F512.zero
        for pair in 0..<4 {
            let packed = (block + (BlockIQ4_XS.qs &+ pair &* 32)).loadUnaligned(as: I256.self)
            // The nibbles of a group: low ones in a quarter, high ones in the next.
            let twice = _mm512_permutexvar_epi64(I512(0, 1, 0, 1, 2, 3, 2, 3), _mm512_castsi256_si512(packed))
            let moved = _mm512_srlv_epi64(twice, I512(0, 0, 4, 4, 0, 0, 4, 4))
            let nibbles = _mm512_and_si512(moved, _mm512_set1_epi8(0x0F))
            let weights = _mm512_shuffle_epi8(_mm512_xor_si512(steps, up), nibbles)
            let values = load512(q + pair &* 64)
            let start = _mm512_sub_epi32(.zero, _mm512_dpbusd_epi32(.zero, up, values))
            let sums = _mm512_cvtepi32_ps(_mm512_dpbusd_epi32(start, weights, values))
            // Both spread before they are multiplied: LLVM takes eight products apart.
            sum = _mm512_fmadd_ps(sums, _mm512_mul_ps(spread(scales, pair), spread(d, pair)), sum)
        }
        return sum * F512(repeating: half(block))
    }
}

@inline(__always)  // specialised by each entry below
private func gemv<Format: Block256>(
    _: Format.Type, _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) {
    prefetchStart(w, bytes: rows &* rowBytes)
    for r in 0..<rows {
        var total = F512.zero
        for b in 0..<(k / 256) {
            let block = w + (r &* rowBytes &+ b &* Format.bytes)
            prefetchStep(block, 0, bytes: Format.bytes)
            total = _mm512_add_ps(total, Format.product(block, q + b &* 256, scales8(ds + b &* 16)))
        }
        y[r] = _mm512_reduce_add_ps(total)
    }
}

/// y (rows) = rows of Q2_K blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func avx512GemvQ2_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(RowQ2_K.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = rows of Q3_K blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func avx512GemvQ3_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(RowQ3_K.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = rows of IQ4_XS blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func avx512GemvIQ4_XS(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(RowIQ4_XS.self, w, rowBytes, rows, k, q, ds, y) }
#endif
