#if arch(x86_64)
import CIntrinsics
import QuantBlocks

// Prefill: the AVX2 tier's tiles times the panels of the batch, sixteen rows and eight tokens at a time.
//
// A dot-product instruction takes four neighbouring weights of sixteen rows and four bytes of one token, broadcast
// from memory. Eight tokens keep eight of them in flight, which hides their latency. It wants unsigned weights: signed
// ones are moved up by 128, and their sums begin with what that adds, which the panel holds.

typealias I512 = SIMD8<Int64>
typealias F512 = SIMD16<Float>

// Loads and stores through intrinsics: Swift 6.3 calls a function for `loadUnaligned` of 64 bytes.
@inline(__always)  // a load instruction
func load512(_ address: UnsafeRawPointer) -> I512 { _mm512_loadu_si512(address) }

@inline(__always)  // a load instruction
func loadFloats(_ address: UnsafePointer<Float>) -> F512 { _mm512_loadu_ps(address) }

/// Four bytes in all sixteen lanes: an operand of the instruction that uses it.
@inline(__always)
private func broadcast(_ address: UnsafePointer<Int8>) -> I512 {
    _mm512_set1_epi32(UnsafeRawPointer(address).loadUnaligned(as: Int32.self))
}

@inline(__always)
private func broadcast(_ address: UnsafePointer<Float>) -> I512 {
    _mm512_set1_epi32(UnsafeRawPointer(address).loadUnaligned(as: Int32.self))
}

/// How a tile's weights are multiplied.
private struct Kind {
    /// Signed weights with no minimum, instead of unsigned ones with one.
    var isSigned = false
    /// Scales per 16 weights instead of per 32.
    var hasHalves = false
    /// Unsigned weights that are 8 too large instead of a minimum.
    var isCentred = false
    /// A minimum per 16 weights instead of per 32.
    var hasHalfMinima = false
}

/// The sums and products of four tokens, a panel.
private struct Panel {
    var (a, b, c, d) = (I512.zero, I512.zero, I512.zero, I512.zero)
    var (ya, yb, yc, yd) = (F512.zero, F512.zero, F512.zero, F512.zero)

    /// Begins sums with the four integers at `bias`.
    @inline(__always)  // once a group, as the rest
    mutating func begin(_ bias: UnsafePointer<Float>) {
        (a, b) = (broadcast(bias), broadcast(bias + 1))
        (c, d) = (broadcast(bias + 2), broadcast(bias + 3))
    }

    @inline(__always)
    mutating func begin() { (a, b, c, d) = (.zero, .zero, .zero, .zero) }

    @inline(__always)  // the inner loop
    mutating func add(_ weights: I512, _ values: UnsafePointer<Int8>) {
        a = _mm512_dpbusd_epi32(a, weights, broadcast(values))
        b = _mm512_dpbusd_epi32(b, weights, broadcast(values + 4))
        c = _mm512_dpbusd_epi32(c, weights, broadcast(values + 8))
        d = _mm512_dpbusd_epi32(d, weights, broadcast(values + 12))
    }

    @inline(__always)
    mutating func scale(_ scale: F512, _ ds: UnsafePointer<Float>) {
        ya = _mm512_fmadd_ps(_mm512_cvtepi32_ps(a), scale * F512(repeating: ds[0]), ya)
        yb = _mm512_fmadd_ps(_mm512_cvtepi32_ps(b), scale * F512(repeating: ds[1]), yb)
        yc = _mm512_fmadd_ps(_mm512_cvtepi32_ps(c), scale * F512(repeating: ds[2]), yc)
        yd = _mm512_fmadd_ps(_mm512_cvtepi32_ps(d), scale * F512(repeating: ds[3]), yd)
    }

    @inline(__always)
    mutating func addMinima(_ minimum: F512, _ s: UnsafePointer<Float>) {
        ya = _mm512_fmadd_ps(minimum, F512(repeating: s[0]), ya)
        yb = _mm512_fmadd_ps(minimum, F512(repeating: s[1]), yb)
        yc = _mm512_fmadd_ps(minimum, F512(repeating: s[2]), yc)
        yd = _mm512_fmadd_ps(minimum, F512(repeating: s[3]), yd)
    }

    /// Minima of the first and of the last sixteen weights.
    @inline(__always)
    mutating func addMinima(_ first: F512, _ last: F512, _ scales: UnsafePointer<Float>) {
        // −128 Σ q of each half to d Σ q.
        let d = UnsafeRawPointer(scales).loadUnaligned(as: SIMD4<Float>.self) * (-1 / 128)
        let s = _mm_cvtepi32_ps(UnsafeRawPointer(scales + 8).loadUnaligned(as: SIMD2<Int64>.self)) * d
        let t = _mm_cvtepi32_ps(UnsafeRawPointer(scales + 12).loadUnaligned(as: SIMD2<Int64>.self)) * d
        ya = _mm512_fmadd_ps(last, F512(repeating: t[0]), _mm512_fmadd_ps(first, F512(repeating: s[0]), ya))
        yb = _mm512_fmadd_ps(last, F512(repeating: t[1]), _mm512_fmadd_ps(first, F512(repeating: s[1]), yb))
        yc = _mm512_fmadd_ps(last, F512(repeating: t[2]), _mm512_fmadd_ps(first, F512(repeating: s[2]), yc))
        yd = _mm512_fmadd_ps(last, F512(repeating: t[3]), _mm512_fmadd_ps(first, F512(repeating: s[3]), yd))
    }

    @inline(__always)
    func store(_ y: UnsafeMutablePointer<Float>) {
        _mm512_storeu_ps(y, ya)
        _mm512_storeu_ps(y + 16, yb)
        _mm512_storeu_ps(y + 32, yc)
        _mm512_storeu_ps(y + 48, yd)
    }
}

/// One tile times `count` (one or two) panels.
@inline(__always)  // specialised by each entry below
private func multiply(
    _ kind: Kind, _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, count: Int, _ y: UnsafeMutablePointer<Float>
) {
    let groups = k / 32
    let (qNext, dsNext) = (q + k &* 4, ds + groups &* panelScales)
    let bias = _mm512_set1_epi8(-128)
    var (first, second) = (Panel(), Panel())
    for g in 0..<groups {
        let (scales, scalesNext) = (ds + g &* panelScales, dsNext + g &* panelScales)
        let rows = meta + g &* (kind.hasHalfMinima ? 48 : 32)
        let (low, high) = (loadFloats(rows), loadFloats(rows + 16))
        if kind.isCentred {
            first.begin(scales + 16)
            if count == 2 { second.begin(scalesNext + 16) }
        } else if kind.isSigned, kind.hasHalves {
            first.begin(scales + 8)
            if count == 2 { second.begin(scalesNext + 8) }
        } else if kind.isSigned {
            first.begin(scales + 8)
            first.a = _mm512_add_epi32(first.a, broadcast(scales + 12))
            first.b = _mm512_add_epi32(first.b, broadcast(scales + 13))
            first.c = _mm512_add_epi32(first.c, broadcast(scales + 14))
            first.d = _mm512_add_epi32(first.d, broadcast(scales + 15))
            if count == 2 {
                second.begin(scalesNext + 8)
                second.a = _mm512_add_epi32(second.a, broadcast(scalesNext + 12))
                second.b = _mm512_add_epi32(second.b, broadcast(scalesNext + 13))
                second.c = _mm512_add_epi32(second.c, broadcast(scalesNext + 14))
                second.d = _mm512_add_epi32(second.d, broadcast(scalesNext + 15))
            }
        } else {
            first.begin()
            if count == 2 { second.begin() }
        }
        for j in 0..<8 {
            if kind.hasHalves, j == 4 {
                first.scale(low, scales)
                first.begin(scales + 12)
                if count == 2 {
                    second.scale(low, scalesNext)
                    second.begin(scalesNext + 12)
                }
            }
            let stored = load512(tile + (g &* 512 &+ j &* 64))
            let weights = kind.isSigned ? _mm512_xor_si512(stored, bias) : stored
            first.add(weights, q + (g &* 128 &+ j &* 16))
            if count == 2 { second.add(weights, qNext + (g &* 128 &+ j &* 16)) }
        }
        first.scale(kind.hasHalves ? high : low, scales)
        if count == 2 { second.scale(kind.hasHalves ? high : low, scalesNext) }
        if kind.hasHalfMinima {
            let last = loadFloats(rows + 32)
            first.addMinima(high, last, scales)
            if count == 2 { second.addMinima(high, last, scalesNext) }
        } else if !kind.isSigned, !kind.isCentred {
            first.addMinima(high, scales + 4)
            if count == 2 { second.addMinima(high, scalesNext + 4) }
        }
    }
    first.store(y)
    if count == 2 { second.store(y + 64) }
}

@inline(__always)  // specialised by each entry below
private func gemm(
    _ kind: Kind, _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ tokens: Int, _ y: UnsafeMutablePointer<Float>
) {
    let panels = (tokens &+ 3) / 4
    var panel = 0
    while panel &+ 2 <= panels {
        multiply(
            kind, tile, meta, k, q + panel &* k &* 4, ds + panel &* (k / 32) &* panelScales, count: 2, y + panel &* 64)
        panel &+= 2
    }
    if panel < panels {
        multiply(
            kind, tile, meta, k, q + panel &* k &* 4, ds + panel &* (k / 32) &* panelScales, count: 1, y + panel &* 64)
    }
}

/// Weights 0…31 with a scale and a minimum per 32.
@inline(never)  // entry of a tier
public func avx512GemmUnsigned(
    _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int,
    _ y: UnsafeMutablePointer<Float>
) { gemm(Kind(), tile, meta, k, q, ds, tokens, y) }

/// Weights 0…255 with a scale per 32 and a minimum per 16.
@inline(never)  // entry of a tier
public func avx512GemmHalfMinima(
    _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int,
    _ y: UnsafeMutablePointer<Float>
) { gemm(Kind(hasHalfMinima: true), tile, meta, k, q, ds, tokens, y) }

/// Weights 0…15 that are 8 too large, with a scale per 32.
@inline(never)  // entry of a tier
public func avx512GemmCentred(
    _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int,
    _ y: UnsafeMutablePointer<Float>
) { gemm(Kind(isCentred: true), tile, meta, k, q, ds, tokens, y) }

/// Weights −128…127 with a scale per 32.
@inline(never)  // entry of a tier
public func avx512GemmSigned(
    _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int,
    _ y: UnsafeMutablePointer<Float>
) { gemm(Kind(isSigned: true), tile, meta, k, q, ds, tokens, y) }

/// Weights −128…127 with a scale per 16.
@inline(never)  // entry of a tier
public func avx512GemmHalves(
    _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int,
    _ y: UnsafeMutablePointer<Float>
) { gemm(Kind(isSigned: true, hasHalves: true), tile, meta, k, q, ds, tokens, y) }
#endif
