#if arch(x86_64)
import CIntrinsics
import QuantBlocks

// Prefill of weights that are floats: tiles (k, tileRows) of floats times float activations, twelve tokens at a time,
// more than enough to hide the latency of the multiply-add and as many as there are registers for addresses.
//
// Rejected: sixteen tokens (addresses spill, 1.4x slower); columns in runs that fit the first-level cache (no faster).
// The multiply-add takes 16 weights where the integer dot product takes 64: floats stay slower than any other format.

/// Sixteen rows' results for four tokens.
private struct Four {
    var (a, b, c, d) = (F512.zero, F512.zero, F512.zero, F512.zero)
    private let (xa, xb): (UnsafePointer<Float>, UnsafePointer<Float>)
    private let (xc, xd): (UnsafePointer<Float>, UnsafePointer<Float>)

    /// Tokens `t` … `t` + 3 of x (`last` + 1, stride); missing ones repeat the last.
    @inline(__always)  // once for all k
    init(_ x: UnsafePointer<Float>, _ stride: Int, _ t: Int, last: Int) {
        (xa, xb) = (x + min(t, last) &* stride, x + min(t &+ 1, last) &* stride)
        (xc, xd) = (x + min(t &+ 2, last) &* stride, x + min(t &+ 3, last) &* stride)
    }

    @inline(__always)  // the inner loop
    mutating func add(_ weights: F512, _ j: Int) {
        a = _mm512_fmadd_ps(weights, F512(repeating: xa[j]), a)
        b = _mm512_fmadd_ps(weights, F512(repeating: xb[j]), b)
        c = _mm512_fmadd_ps(weights, F512(repeating: xc[j]), c)
        d = _mm512_fmadd_ps(weights, F512(repeating: xd[j]), d)
    }

    @inline(__always)
    func store(_ y: UnsafeMutablePointer<Float>) {
        _mm512_storeu_ps(y, a)
        _mm512_storeu_ps(y + 16, b)
        _mm512_storeu_ps(y + 32, c)
        _mm512_storeu_ps(y + 48, d)
    }
}

/// Float tiles times float activations; y is (token, tileRows), written by whole panels.
@inline(never)  // entry of a tier
public func avx512GemmFloat(
    _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int,
    _ y: UnsafeMutablePointer<Float>
) {
    let weights = tile.assumingMemoryBound(to: Float.self)
    var t = 0
    while t < tokens {
        var first = Four(x, xStride, t, last: tokens &- 1)
        var second = Four(x, xStride, t &+ 4, last: tokens &- 1)
        var third = Four(x, xStride, t &+ 8, last: tokens &- 1)
        for j in 0..<k {
            let row = loadFloats(weights + j &* tileRows)
            first.add(row, j)
            second.add(row, j)
            third.add(row, j)
        }
        first.store(y + t &* tileRows)
        if t &+ 4 < tokens { second.store(y + (t &+ 4) &* tileRows) }
        if t &+ 8 < tokens { third.store(y + (t &+ 8) &* tileRows) }
        t &+= 12
    }
}
#endif
