#if arch(x86_64)
import CIntrinsics
import QuantBlocks

// Prefill, second half: an unpacked tile of sixteen rows times the panels of the batch, eight rows and four tokens at
// a time: four accumulators and four sums stay in registers, and each load of the weights serves four tokens.
// The last panel is computed whole whatever it holds; its surplus columns are never read.

/// Four tokens' sums for eight rows.
private struct Four {
    var (a, b, c, d) = (I256.zero, I256.zero, I256.zero, I256.zero)
}

/// Adds the products of `steps` times four columns, first in 16 bits, then widened to 32.
///
/// The caller chooses `steps` so that 16 bits hold the sum of 2 · `steps` products.
@inline(__always)  // the inner loop
private func add(
    _ total: inout Four, _ tile: UnsafeRawPointer, _ values: UnsafePointer<Int8>, steps: Int, isSigned: Bool
) {
    var sums = Four()
    @inline(__always) func product(_ weights: I256, _ magnitude: I256, _ token: Int, _ j: Int) -> I256 {
        let a = broadcastBytes(values + (j &* 16 &+ token &* 4))
        return _mm256_maddubs_epi16(magnitude, isSigned ? _mm256_sign_epi8(a, weights) : a)
    }
    for j in 0..<steps {
        let weights = load256(tile + j &* 64)
        let magnitude = isSigned ? _mm256_abs_epi8(weights) : weights
        sums.a = _mm256_add_epi16(sums.a, product(weights, magnitude, 0, j))
        sums.b = _mm256_add_epi16(sums.b, product(weights, magnitude, 1, j))
        sums.c = _mm256_add_epi16(sums.c, product(weights, magnitude, 2, j))
        sums.d = _mm256_add_epi16(sums.d, product(weights, magnitude, 3, j))
    }
    let ones = _mm256_set1_epi16(1)
    total.a = _mm256_add_epi32(total.a, _mm256_madd_epi16(sums.a, ones))
    total.b = _mm256_add_epi32(total.b, _mm256_madd_epi16(sums.b, ones))
    total.c = _mm256_add_epi32(total.c, _mm256_madd_epi16(sums.c, ones))
    total.d = _mm256_add_epi32(total.d, _mm256_madd_epi16(sums.d, ones))
}

/// How a tile's weights are multiplied.
private struct Kind {
    /// Steps of four columns whose products fit 16 bits.
    var steps: Int
    var isSigned = false
    /// Scales per 16 weights instead of a scale and a minimum per 32.
    var hasHalves = false
    /// A minimum per 16 weights instead of per 32.
    var hasHalfMinima = false
}

/// d Σ q over half a group for four tokens, from −128 Σ q at `offset` of the panel's scales.
@inline(__always)  // twice a group
private func halfSum(_ scales: UnsafePointer<Float>, _ offset: Int) -> SIMD4<Float> {
    let sums = UnsafeRawPointer(scales + offset).loadUnaligned(as: SIMD2<Int64>.self)
    return _mm_cvtepi32_ps(sums) * UnsafeRawPointer(scales).loadUnaligned(as: SIMD4<Float>.self) * (-1 / 128)
}

@inline(__always)  // two instructions a group and token
private func addMinima(_ y: F256, _ first: F256, _ s: Float, _ last: F256, _ t: Float) -> F256 {
    _mm256_fmadd_ps(last, F256(repeating: t), _mm256_fmadd_ps(first, F256(repeating: s), y))
}

@inline(__always)  // specialised by each entry below
private func gemm(
    _ kind: Kind, _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ tokens: Int, _ y: UnsafeMutablePointer<Float>
) {
    let groups = k / 32
    for half in 0..<2 {
        for panel in 0..<((tokens &+ 3) / 4) {
            let values = q + panel &* k &* 4
            let scales = ds + panel &* groups &* panelScales
            var (y0, y1, y2, y3) = (F256.zero, F256.zero, F256.zero, F256.zero)
            for g in 0..<groups {
                let weights = tile + (g &* 512 &+ half &* 32)
                let rows = meta + (g &* (kind.hasHalfMinima ? 48 : 32) &+ half &* 8)
                let (first, second) = (loadFloats(rows), loadFloats(rows + 16))
                let pairs = scales + g &* panelScales
                var sums = Four()
                @inline(__always) func finish(_ scale: F256) {
                    y0 = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums.a), scale * F256(repeating: pairs[0]), y0)
                    y1 = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums.b), scale * F256(repeating: pairs[1]), y1)
                    y2 = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums.c), scale * F256(repeating: pairs[2]), y2)
                    y3 = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums.d), scale * F256(repeating: pairs[3]), y3)
                }
                for j in stride(from: 0, to: 8, by: kind.steps) {
                    let at = values + (g &* 128 &+ j &* 16)
                    add(&sums, weights + j &* 64, at, steps: kind.steps, isSigned: kind.isSigned)
                    if kind.hasHalves, j == 0 {
                        finish(first)
                        sums = Four()
                    }
                }
                finish(kind.hasHalves ? second : first)
                if kind.hasHalfMinima {
                    let (third, s, t) = (loadFloats(rows + 32), halfSum(pairs, 8), halfSum(pairs, 12))
                    y0 = addMinima(y0, second, s[0], third, t[0])
                    y1 = addMinima(y1, second, s[1], third, t[1])
                    y2 = addMinima(y2, second, s[2], third, t[2])
                    y3 = addMinima(y3, second, s[3], third, t[3])
                } else if !kind.hasHalves, !kind.isSigned {
                    y0 = _mm256_fmadd_ps(second, F256(repeating: pairs[4]), y0)
                    y1 = _mm256_fmadd_ps(second, F256(repeating: pairs[5]), y1)
                    y2 = _mm256_fmadd_ps(second, F256(repeating: pairs[6]), y2)
                    y3 = _mm256_fmadd_ps(second, F256(repeating: pairs[7]), y3)
                }
            }
            let to = y + (panel &* 64 &+ half &* 8)
            storeFloats(y0, to)
            storeFloats(y1, to + 16)
            storeFloats(y2, to + 32)
            storeFloats(y3, to + 48)
        }
    }
}

/// Weights 0…15 with a scale and a minimum per 32: 15 · 127 · 16 = 30,480 in 16 bits.
@inline(never)  // entry of a tier
public func avx2GemmNibble(
    _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int,
    _ y: UnsafeMutablePointer<Float>
) { gemm(Kind(steps: 8), tile, meta, k, q, ds, tokens, y) }

/// Weights 0…31 with a scale and a minimum per 32: 31 · 127 · 8 = 31,496 in 16 bits.
@inline(never)  // entry of a tier
public func avx2GemmFive(
    _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int,
    _ y: UnsafeMutablePointer<Float>
) { gemm(Kind(steps: 4), tile, meta, k, q, ds, tokens, y) }

/// Weights −128…127 with a scale per 32: 128 · 127 · 2 = 32,512 in 16 bits.
@inline(never)  // entry of a tier
public func avx2GemmSigned(
    _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int,
    _ y: UnsafeMutablePointer<Float>
) { gemm(Kind(steps: 1, isSigned: true), tile, meta, k, q, ds, tokens, y) }

/// Weights −12…12 with a scale per 32: 12 · 127 · 16 = 24,384 in 16 bits.
@inline(never)  // entry of a tier
public func avx2GemmSignedNibble(
    _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int,
    _ y: UnsafeMutablePointer<Float>
) { gemm(Kind(steps: 8, isSigned: true), tile, meta, k, q, ds, tokens, y) }

/// Weights 0…45 with a scale per 32 and a minimum per 16: 45 · 127 · 4 = 22,860 in 16 bits.
@inline(never)  // entry of a tier
public func avx2GemmHalfMinima(
    _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int,
    _ y: UnsafeMutablePointer<Float>
) { gemm(Kind(steps: 2, hasHalfMinima: true), tile, meta, k, q, ds, tokens, y) }

/// Weights −32…31 with a scale per 16: 32 · 127 · 8 = 32,512 in 16 bits.
@inline(never)  // entry of a tier
public func avx2GemmHalves(
    _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int,
    _ y: UnsafeMutablePointer<Float>
) { gemm(Kind(steps: 4, isSigned: true, hasHalves: true), tile, meta, k, q, ds, tokens, y) }
#endif
