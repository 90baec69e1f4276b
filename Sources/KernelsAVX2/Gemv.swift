#if arch(x86_64)
import CIntrinsics
import QuantBlocks

// Decode: one activation vector against rows of blocks as they stand in the file.
//
// Four rows go side by side: they share the loads of the activations, and their four accumulators hide the latency
// of the fused multiply-add.

/// Bytes ahead of a row that are asked for: the four rows in work are too short for the hardware to see a stream.
/// Without this decode was 1.9x slower (SmolLM2-135M Q4_1, one thread).
@inline(__always)  // a constant
private var prefetchDistance: Int { 4096 }

/// y (rows) = rows of Q4_0 blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func avx2GemvQ4_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) {
    @inline(__always) func block(_ at: UnsafeRawPointer, _ a: I256, _ ds: UnsafePointer<Float>, _ acc: inout F256) {
        let weights = _mm256_sub_epi8(nibbles(at + BlockQ4_0.qs), _mm256_set1_epi8(8))
        martlet_prefetch(at + prefetchDistance)
        acc = _mm256_fmadd_ps(dotSigned(weights, a), F256(repeating: half(at) * ds[0]), acc)
    }
    var r = 0
    while r &+ 4 <= rows {
        var at = w + r &* rowBytes
        var (s0, s1, s2, s3) = (F256.zero, F256.zero, F256.zero, F256.zero)
        for g in 0..<(k / 32) {
            let a = load256(q + g &* 32)
            block(at, a, ds + 2 &* g, &s0)
            block(at + rowBytes, a, ds + 2 &* g, &s1)
            block(at + 2 &* rowBytes, a, ds + 2 &* g, &s2)
            block(at + 3 &* rowBytes, a, ds + 2 &* g, &s3)
            at += BlockQ4_0.bytes
        }
        y[r] = sum(s0)
        y[r &+ 1] = sum(s1)
        y[r &+ 2] = sum(s2)
        y[r &+ 3] = sum(s3)
        r &+= 4
    }
    while r < rows {
        var acc = F256.zero
        for g in 0..<(k / 32) {
            block(w + (r &* rowBytes &+ g &* BlockQ4_0.bytes), load256(q + g &* 32), ds + 2 &* g, &acc)
        }
        y[r] = sum(acc)
        r &+= 1
    }
}

/// y (rows) = rows of Q4_1 blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func avx2GemvQ4_1(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) {
    // `minima` gathers m * s in lane 1; lane 0 holds d * d and is thrown away.
    @inline(__always) func block(
        _ at: UnsafeRawPointer, _ a: I256, _ ds: UnsafePointer<Float>, _ acc: inout F256, _ minima: inout SIMD4<Float>
    ) {
        martlet_prefetch(at + prefetchDistance)
        let pair = scaledPair(at, ds)
        acc = _mm256_fmadd_ps(dot(nibbles(at + BlockQ4_1.qs), a), F256(repeating: pair[0]), acc)
        minima += pair
    }
    var r = 0
    while r &+ 4 <= rows {
        var at = w + r &* rowBytes
        var (s0, s1, s2, s3) = (F256.zero, F256.zero, F256.zero, F256.zero)
        var (m0, m1, m2, m3) = (SIMD4<Float>.zero, SIMD4<Float>.zero, SIMD4<Float>.zero, SIMD4<Float>.zero)
        for g in 0..<(k / 32) {
            let a = load256(q + g &* 32)
            block(at, a, ds + 2 &* g, &s0, &m0)
            block(at + rowBytes, a, ds + 2 &* g, &s1, &m1)
            block(at + 2 &* rowBytes, a, ds + 2 &* g, &s2, &m2)
            block(at + 3 &* rowBytes, a, ds + 2 &* g, &s3, &m3)
            at += BlockQ4_1.bytes
        }
        y[r] = sum(s0) + m0[1]
        y[r &+ 1] = sum(s1) + m1[1]
        y[r &+ 2] = sum(s2) + m2[1]
        y[r &+ 3] = sum(s3) + m3[1]
        r &+= 4
    }
    while r < rows {
        var acc = F256.zero
        var minima = SIMD4<Float>.zero
        for g in 0..<(k / 32) {
            block(w + (r &* rowBytes &+ g &* BlockQ4_1.bytes), load256(q + g &* 32), ds + 2 &* g, &acc, &minima)
        }
        y[r] = sum(acc) + minima[1]
        r &+= 1
    }
}

/// y (rows) = rows of Q8_0 blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func avx2GemvQ8_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) {
    @inline(__always) func block(_ at: UnsafeRawPointer, _ a: I256, _ ds: UnsafePointer<Float>, _ acc: inout F256) {
        let weights = load256(at + BlockQ8_0.qs)
        martlet_prefetch(at + prefetchDistance)
        acc = _mm256_fmadd_ps(dotSigned(weights, a), F256(repeating: half(at) * ds[0]), acc)
    }
    var r = 0
    while r &+ 4 <= rows {
        var at = w + r &* rowBytes
        var (s0, s1, s2, s3) = (F256.zero, F256.zero, F256.zero, F256.zero)
        for g in 0..<(k / 32) {
            let a = load256(q + g &* 32)
            block(at, a, ds + 2 &* g, &s0)
            block(at + rowBytes, a, ds + 2 &* g, &s1)
            block(at + 2 &* rowBytes, a, ds + 2 &* g, &s2)
            block(at + 3 &* rowBytes, a, ds + 2 &* g, &s3)
            at += BlockQ8_0.bytes
        }
        y[r] = sum(s0)
        y[r &+ 1] = sum(s1)
        y[r &+ 2] = sum(s2)
        y[r &+ 3] = sum(s3)
        r &+= 4
    }
    while r < rows {
        var acc = F256.zero
        for g in 0..<(k / 32) {
            block(w + (r &* rowBytes &+ g &* BlockQ8_0.bytes), load256(q + g &* 32), ds + 2 &* g, &acc)
        }
        y[r] = sum(acc)
        r &+= 1
    }
}

/// y (rows) = rows of Q4_K blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func avx2GemvQ4_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) {
    let low = _mm256_set1_epi8(0x0F)
    for r in 0..<rows {
        var (even, odd) = (F256.zero, F256.zero)
        var minima: Float = 0
        for b in 0..<(k / BlockQ4_K.weights) {
            let block = w + (r &* rowBytes &+ b &* BlockQ4_K.bytes)
            let d = half(block)
            let dmin = half(block + BlockQ4_K.dmin)
            for i in 0..<4 {
                let g = b &* 8 &+ 2 &* i
                let bits = load256(block + BlockQ4_K.qs + i &* 32)
                let (scale0, minimum0) = scaleAndMinimum(block + BlockQ4_K.scales, 2 &* i)
                let (scale1, minimum1) = scaleAndMinimum(block + BlockQ4_K.scales, 2 &* i &+ 1)
                let first = dot(_mm256_and_si256(bits, low), load256(q + g &* 32))
                let second = dot(_mm256_and_si256(_mm256_srli_epi16(bits, 4), low), load256(q + (g &+ 1) &* 32))
                even = _mm256_fmadd_ps(first, F256(repeating: d * Float(scale0) * ds[2 &* g]), even)
                odd = _mm256_fmadd_ps(second, F256(repeating: d * Float(scale1) * ds[2 &* g &+ 2]), odd)
                minima += dmin * (Float(minimum0) * ds[2 &* g &+ 1] + Float(minimum1) * ds[2 &* g &+ 3])
            }
        }
        y[r] = sum(even + odd) - minima
    }
}

/// The 32 weights of group `sub` (0…7) of a Q6_K block, as signed bytes −32…31.
@inline(__always)  // shared by decode and the tile
func sixBits(_ block: UnsafeRawPointer, _ sub: Int) -> I256 {
    let within = sub & 3
    let ql = load256(block + ((sub >> 2) &* 64 &+ (within & 1) &* 32))
    let qh = load256(block + (BlockQ6_K.qh &+ (sub >> 2) &* 32))
    let low = _mm256_and_si256(within < 2 ? ql : _mm256_srli_epi16(ql, 4), _mm256_set1_epi8(0x0F))
    let shift = _mm_cvtsi32_si128(Int32(truncatingIfNeeded: 2 &* within))
    let high = _mm256_and_si256(_mm256_srl_epi16(qh, shift), _mm256_set1_epi8(3))
    return _mm256_sub_epi8(_mm256_or_si256(low, _mm256_slli_epi16(high, 4)), _mm256_set1_epi8(32))
}

/// y (rows) = rows of Q6_K blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func avx2GemvQ6_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) {
    for r in 0..<rows {
        var acc = F256.zero
        for b in 0..<(k / BlockQ6_K.weights) {
            let block = w + (r &* rowBytes &+ b &* BlockQ6_K.bytes)
            let d = half(block + BlockQ6_K.d)
            for sub in 0..<8 {
                let g = b &* 8 &+ sub
                let weights = sixBits(block, sub)
                let a = load256(q + g &* 32)
                let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(weights), _mm256_sign_epi8(a, weights))
                // One signed scale per 16 weights, that is per half vector of pairs.
                let scales = block + (BlockQ6_K.scales &+ 2 &* sub)
                let s0 = _mm_set1_epi16(Int16(scales.load(as: Int8.self)))
                let s1 = _mm_set1_epi16(Int16(scales.load(fromByteOffset: 1, as: Int8.self)))
                let products = _mm256_madd_epi16(pairs, martlet_join128(s0, s1))
                acc = _mm256_fmadd_ps(_mm256_cvtepi32_ps(products), F256(repeating: d * ds[2 &* g]), acc)
            }
        }
        y[r] = sum(acc)
    }
}
#endif
