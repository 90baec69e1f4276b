#if arch(x86_64) || arch(arm64)
import QuantBlocks

// Matrices of halves and floats, times float activations.

/// y (rows) = rows of halves × one float vector of length k.
@inline(never)  // entry of a tier
public func vectorGemvF16(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) {
    for r in 0..<rows {
        let row = (w + r &* rowBytes).assumingMemoryBound(to: UInt16.self)
        var (s0, s1) = (F8.zero, F8.zero)
        var j = 0
        while j &+ 16 <= k {
            s0 = fma(loadHalves(row + j), loadFloats(x + j), s0)
            s1 = fma(loadHalves(row + (j &+ 8)), loadFloats(x + (j &+ 8)), s1)
            j &+= 16
        }
        var total = sum(s0 + s1)
        while j < k {
            total += half(row + j) * x[j]
            j &+= 1
        }
        y[r] = total
    }
}

/// y (rows) = rows of floats × one float vector of length k.
@inline(never)  // entry of a tier
public func vectorGemvF32(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) {
    for r in 0..<rows {
        let row = (w + r &* rowBytes).assumingMemoryBound(to: Float.self)
        var (s0, s1) = (F8.zero, F8.zero)
        var j = 0
        while j &+ 16 <= k {
            s0 = fma(loadFloats(row + j), loadFloats(x + j), s0)
            s1 = fma(loadFloats(row + (j &+ 8)), loadFloats(x + (j &+ 8)), s1)
            j &+= 16
        }
        var total = sum(s0 + s1)
        while j < k {
            total += UnsafeRawPointer(row + j).loadUnaligned(as: Float.self) * x[j]
            j &+= 1
        }
        y[r] = total
    }
}

/// Float tiles (k, 8) times float activations. Four tokens share each load of the weights.
@inline(never)  // entry of a tier
public func vectorGemmFloat(
    _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int,
    _ q: UnsafePointer<Int8>, _ qStride: Int, _ ds: UnsafePointer<Float>, _ dsStride: Int,
    _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int, _ y: UnsafeMutablePointer<Float>
) {
    let weights = tile.assumingMemoryBound(to: Float.self)
    var t = 0
    while t &+ 4 <= tokens {
        let (x0, x1) = (x + t &* xStride, x + (t &+ 1) &* xStride)
        let (x2, x3) = (x + (t &+ 2) &* xStride, x + (t &+ 3) &* xStride)
        var (y0, y1, y2, y3) = (F8.zero, F8.zero, F8.zero, F8.zero)
        for j in 0..<k {
            let row = loadFloats(weights + j &* 8)
            y0 = fma(row, F8(repeating: x0[j]), y0)
            y1 = fma(row, F8(repeating: x1[j]), y1)
            y2 = fma(row, F8(repeating: x2[j]), y2)
            y3 = fma(row, F8(repeating: x3[j]), y3)
        }
        storeFloats(y0, y + t &* 8)
        storeFloats(y1, y + (t &+ 1) &* 8)
        storeFloats(y2, y + (t &+ 2) &* 8)
        storeFloats(y3, y + (t &+ 3) &* 8)
        t &+= 4
    }
    while t < tokens {
        var total = F8.zero
        for j in 0..<k {
            total = fma(loadFloats(weights + j &* 8), F8(repeating: x[t &* xStride &+ j]), total)
        }
        storeFloats(total, y + t &* 8)
        t &+= 1
    }
}

/// Widens up to eight rows of halves to a float tile (k, 8).
@inline(never)  // entry of a tier
public func vectorUnpackF16(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) {
    let to = tile.assumingMemoryBound(to: Float.self)
    for r in 0..<8 {
        let row = w + (r < rows ? r : 0) &* rowBytes
        for j in 0..<k { to[j &* 8 &+ r] = r < rows ? half(row + j &* 2) : 0 }
    }
}

/// Copies up to eight rows of floats to a float tile (k, 8).
@inline(never)  // entry of a tier
public func vectorUnpackF32(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) {
    let to = tile.assumingMemoryBound(to: Float.self)
    for r in 0..<8 {
        let row = w + (r < rows ? r : 0) &* rowBytes
        for j in 0..<k { to[j &* 8 &+ r] = r < rows ? (row + j &* 4).loadUnaligned(as: Float.self) : 0 }
    }
}
#endif
