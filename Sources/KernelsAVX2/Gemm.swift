#if arch(x86_64)
import CIntrinsics
import QuantBlocks

// Prefill, second half: an unpacked tile of eight rows times every token of the batch.
//
// Four tokens share each load of the weights. The left-over tokens run one at a time over the same tile, which is
// in the first-level cache, so no batch size costs another pass over the model.

/// Thirty-two products a lane stay in 16 bits: 15 · 127 · 2 · 8 = 30,480.
@inline(__always)  // the inner loop
private func accumulate(_ sum: I256, _ weights: I256, _ values: UnsafePointer<Int8>) -> I256 {
    _mm256_add_epi16(sum, _mm256_maddubs_epi16(weights, broadcastBytes(values)))
}

@inline(__always)
private func widen(_ sum: I256) -> F256 { _mm256_cvtepi32_ps(_mm256_madd_epi16(sum, _mm256_set1_epi16(1))) }

/// Nibble formats: y (token, 8) from unsigned weights 0…15 with a scale and a minimum per 32.
@inline(never)  // entry of a tier
public func avx2GemmNibble(
    _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int,
    _ q: UnsafePointer<Int8>, _ qStride: Int, _ ds: UnsafePointer<Float>, _ dsStride: Int,
    _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int, _ y: UnsafeMutablePointer<Float>
) {
    let groups = k / 32
    var t = 0
    while t &+ 4 <= tokens {
        let (q0, q1) = (q + t &* qStride, q + (t &+ 1) &* qStride)
        let (q2, q3) = (q + (t &+ 2) &* qStride, q + (t &+ 3) &* qStride)
        let (d0, d1) = (ds + t &* dsStride, ds + (t &+ 1) &* dsStride)
        let (d2, d3) = (ds + (t &+ 2) &* dsStride, ds + (t &+ 3) &* dsStride)
        var (y0, y1, y2, y3) = (F256.zero, F256.zero, F256.zero, F256.zero)
        for g in 0..<groups {
            var (s0, s1, s2, s3) = (I256.zero, I256.zero, I256.zero, I256.zero)
            for j in 0..<8 {
                let weights = load256(tile + (g &* 256 &+ j &* 32))
                let at = g &* 32 &+ j &* 4
                s0 = accumulate(s0, weights, q0 + at)
                s1 = accumulate(s1, weights, q1 + at)
                s2 = accumulate(s2, weights, q2 + at)
                s3 = accumulate(s3, weights, q3 + at)
            }
            let scale = loadFloats(meta + g &* 16)
            let minimum = loadFloats(meta + (g &* 16 &+ 8))
            @inline(__always) func add(_ y: F256, _ s: I256, _ ds: UnsafePointer<Float>) -> F256 {
                let scaled = _mm256_fmadd_ps(widen(s), scale * F256(repeating: ds[2 &* g]), y)
                return _mm256_fmadd_ps(minimum, F256(repeating: ds[2 &* g &+ 1]), scaled)
            }
            y0 = add(y0, s0, d0)
            y1 = add(y1, s1, d1)
            y2 = add(y2, s2, d2)
            y3 = add(y3, s3, d3)
        }
        storeFloats(y0, y + t &* 8)
        storeFloats(y1, y + (t &+ 1) &* 8)
        storeFloats(y2, y + (t &+ 2) &* 8)
        storeFloats(y3, y + (t &+ 3) &* 8)
        t &+= 4
    }
    while t < tokens {
        let values = q + t &* qStride
        let pairs = ds + t &* dsStride
        var total = F256.zero
        for g in 0..<groups {
            var sum = I256.zero
            for j in 0..<8 {
                sum = accumulate(sum, load256(tile + (g &* 256 &+ j &* 32)), values + (g &* 32 &+ j &* 4))
            }
            let scale = loadFloats(meta + g &* 16) * F256(repeating: pairs[2 &* g])
            total = _mm256_fmadd_ps(widen(sum), scale, total)
            total = _mm256_fmadd_ps(loadFloats(meta + (g &* 16 &+ 8)), F256(repeating: pairs[2 &* g &+ 1]), total)
        }
        storeFloats(total, y + t &* 8)
        t &+= 1
    }
}

/// Q8_0: signed weights with a scale per 32. Two products fill 16 bits, so each step widens to 32 at once.
@inline(never)  // entry of a tier
public func avx2GemmQ8_0(
    _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int,
    _ q: UnsafePointer<Int8>, _ qStride: Int, _ ds: UnsafePointer<Float>, _ dsStride: Int,
    _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int, _ y: UnsafeMutablePointer<Float>
) {
    let ones = _mm256_set1_epi16(1)
    for t in 0..<tokens {
        let values = q + t &* qStride
        let pairs = ds + t &* dsStride
        var total = F256.zero
        for g in 0..<(k / 32) {
            var sum = I256.zero
            for j in 0..<8 {
                let weights = load256(tile + (g &* 256 &+ j &* 32))
                let signed = _mm256_sign_epi8(broadcastBytes(values + (g &* 32 &+ j &* 4)), weights)
                let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(weights), signed)
                sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, ones))
            }
            let scale = loadFloats(meta + g &* 8) * F256(repeating: pairs[2 &* g])
            total = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), scale, total)
        }
        storeFloats(total, y + t &* 8)
    }
}

/// Q6_K: signed weights −32…31 with a scale per 16. Sixteen products stay in 16 bits: 32 · 127 · 2 · 4 = 32,512.
@inline(never)  // entry of a tier
public func avx2GemmQ6_K(
    _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int,
    _ q: UnsafePointer<Int8>, _ qStride: Int, _ ds: UnsafePointer<Float>, _ dsStride: Int,
    _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int, _ y: UnsafeMutablePointer<Float>
) {
    for t in 0..<tokens {
        let values = q + t &* qStride
        let pairs = ds + t &* dsStride
        var total = F256.zero
        for g in 0..<(k / 32) {
            var (low, high) = (I256.zero, I256.zero)
            for j in 0..<4 {
                let first = load256(tile + (g &* 256 &+ j &* 32))
                let second = load256(tile + (g &* 256 &+ 128 &+ j &* 32))
                let a = _mm256_sign_epi8(broadcastBytes(values + (g &* 32 &+ j &* 4)), first)
                let b = _mm256_sign_epi8(broadcastBytes(values + (g &* 32 &+ 16 &+ j &* 4)), second)
                low = _mm256_add_epi16(low, _mm256_maddubs_epi16(_mm256_abs_epi8(first), a))
                high = _mm256_add_epi16(high, _mm256_maddubs_epi16(_mm256_abs_epi8(second), b))
            }
            let d = F256(repeating: pairs[2 &* g])
            total = _mm256_fmadd_ps(widen(low), loadFloats(meta + g &* 16) * d, total)
            total = _mm256_fmadd_ps(widen(high), loadFloats(meta + (g &* 16 &+ 8)) * d, total)
        }
        storeFloats(total, y + t &* 8)
    }
}
#endif
