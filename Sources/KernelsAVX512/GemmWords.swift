#if arch(x86_64)
import CIntrinsics
import QuantBlocks

// Prefill of weights that are floats: tiles of words times wide panels (see Words.swift), sixteen rows and twelve tokens
// at a time. The instructions load an operand each, so weights shared by twelve of them are what keeps the load ports
// from being the bound.
//
// Rejected: float tiles times float activations, twelve tokens at a time: 16 weights an instruction where this takes 32,
// and twice the bytes.

/// A pair of words in all sixteen lanes: an operand of the instruction that uses it.
@inline(__always)
private func broadcast(_ address: UnsafePointer<Int8>) -> I512 {
    _mm512_set1_epi32(UnsafeRawPointer(address).loadUnaligned(as: Int32.self))
}

/// The sums and products of four tokens, a panel.
private struct Panel {
    var (a, b, c, d) = (I512.zero, I512.zero, I512.zero, I512.zero)
    var (ya, yb, yc, yd) = (F512.zero, F512.zero, F512.zero, F512.zero)

    @inline(__always)  // the inner loop
    mutating func add(_ weights: I512, _ values: UnsafePointer<Int8>) {
        a = _mm512_dpwssd_epi32(a, weights, broadcast(values))
        b = _mm512_dpwssd_epi32(b, weights, broadcast(values + 4))
        c = _mm512_dpwssd_epi32(c, weights, broadcast(values + 8))
        d = _mm512_dpwssd_epi32(d, weights, broadcast(values + 12))
    }

    /// Adds the sums, scaled, to the products, and begins again.
    @inline(__always)  // once a block
    mutating func scale(_ scale: F512, _ ds: UnsafePointer<Float>) {
        ya = _mm512_fmadd_ps(_mm512_cvtepi32_ps(a), scale * F512(repeating: ds[0]), ya)
        yb = _mm512_fmadd_ps(_mm512_cvtepi32_ps(b), scale * F512(repeating: ds[1]), yb)
        yc = _mm512_fmadd_ps(_mm512_cvtepi32_ps(c), scale * F512(repeating: ds[2]), yc)
        yd = _mm512_fmadd_ps(_mm512_cvtepi32_ps(d), scale * F512(repeating: ds[3]), yd)
        (a, b, c, d) = (.zero, .zero, .zero, .zero)
    }

    @inline(__always)  // once a tile
    func store(_ y: UnsafeMutablePointer<Float>) {
        _mm512_storeu_ps(y, ya)
        _mm512_storeu_ps(y + 16, yb)
        _mm512_storeu_ps(y + 32, yc)
        _mm512_storeu_ps(y + 48, yd)
    }
}

/// One tile times `count` (one to three) panels of `blocks` blocks.
@inline(__always)  // specialised below
private func multiply(
    _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ blocks: Int, _ q: UnsafePointer<Int8>,
    _ scales: UnsafePointer<Float>, count: Int, _ y: UnsafeMutablePointer<Float>
) {
    let (words, panel) = (blocks &* wideBlock &* panelTokens &* 2, blocks &* panelTokens)
    var (first, second, third) = (Panel(), Panel(), Panel())
    for g in 0..<blocks {
        let (weights, values) = (tile + g &* 2048, q + g &* 512)
        for j in 0..<(wideBlock / 2) {
            let pairs = _mm512_loadu_si512(weights + j &* 64)
            first.add(pairs, values + j &* 16)
            if count > 1 { second.add(pairs, values + (words &+ j &* 16)) }
            if count > 2 { third.add(pairs, values + (2 &* words &+ j &* 16)) }
        }
        let rows = _mm512_loadu_ps(meta + g &* tileRows)
        let ds = scales + g &* panelTokens
        first.scale(rows, ds)
        if count > 1 { second.scale(rows, ds + panel) }
        if count > 2 { third.scale(rows, ds + 2 &* panel) }
    }
    first.store(y)
    if count > 1 { second.store(y + 64) }
    if count > 2 { third.store(y + 128) }
}

/// Tiles of words times wide panels; y is (token, tileRows), written by whole panels.
@inline(never)  // entry of a tier
public func avx512GemmWords(
    _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int, _ q: UnsafePointer<Int8>,
    _ scales: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int,
    _ y: UnsafeMutablePointer<Float>
) {
    let blocks = (k &+ wideBlock &- 1) / wideBlock
    let panels = (tokens &+ panelTokens &- 1) / panelTokens
    var panel = 0
    while panel < panels {
        let (values, ds) = (q + panel &* blocks &* 512, scales + panel &* blocks &* panelTokens)
        let to = y + panel &* 64
        switch panels &- panel {
        case 1: multiply(tile, meta, blocks, values, ds, count: 1, to)
        case 2: multiply(tile, meta, blocks, values, ds, count: 2, to)
        default: multiply(tile, meta, blocks, values, ds, count: 3, to)
        }
        panel &+= 3
    }
}
#endif
