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

/// y (rows) = rows of bfloat16 × one float vector of length k.
@inline(never)  // entry of a tier
public func vectorGemvBF16(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) {
    for r in 0..<rows {
        let row = (w + r &* rowBytes).assumingMemoryBound(to: UInt16.self)
        var (s0, s1) = (F8.zero, F8.zero)
        var j = 0
        while j &+ 16 <= k {
            s0 = fma(loadBrains(row + j), loadFloats(x + j), s0)
            s1 = fma(loadBrains(row + (j &+ 8)), loadFloats(x + (j &+ 8)), s1)
            j &+= 16
        }
        var total = sum(s0 + s1)
        while j < k {
            total += brain(row + j) * x[j]
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

/// Float tiles (k, tileRows) times float activations. Four tokens share each load of the weights.
@inline(never)  // entry of a tier
public func vectorGemmFloat(
    _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int,
    _ y: UnsafeMutablePointer<Float>
) {
    for half in 0..<2 {
        let weights = tile.assumingMemoryBound(to: Float.self) + half &* 8
        let to = y + half &* 8
        var t = 0
        while t &+ 4 <= tokens {
            let (x0, x1) = (x + t &* xStride, x + (t &+ 1) &* xStride)
            let (x2, x3) = (x + (t &+ 2) &* xStride, x + (t &+ 3) &* xStride)
            var (y0, y1, y2, y3) = (F8.zero, F8.zero, F8.zero, F8.zero)
            for j in 0..<k {
                let row = loadFloats(weights + j &* tileRows)
                y0 = fma(row, F8(repeating: x0[j]), y0)
                y1 = fma(row, F8(repeating: x1[j]), y1)
                y2 = fma(row, F8(repeating: x2[j]), y2)
                y3 = fma(row, F8(repeating: x3[j]), y3)
            }
            storeFloats(y0, to + t &* tileRows)
            storeFloats(y1, to + (t &+ 1) &* tileRows)
            storeFloats(y2, to + (t &+ 2) &* tileRows)
            storeFloats(y3, to + (t &+ 3) &* tileRows)
            t &+= 4
        }
        while t < tokens {
            var total = F8.zero
            for j in 0..<k {
                total = fma(loadFloats(weights + j &* tileRows), F8(repeating: x[t &* xStride &+ j]), total)
            }
            storeFloats(total, to + t &* tileRows)
            t &+= 1
        }
    }
}

/// Widens up to `tileRows` rows of halves to a float tile (k, tileRows).
@inline(never)  // entry of a tier
public func vectorUnpackF16(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) {
    let to = tile.assumingMemoryBound(to: Float.self)
    for r in 0..<tileRows {
        let row = w + (r < rows ? r : 0) &* rowBytes
        for j in 0..<k { to[j &* tileRows &+ r] = r < rows ? half(row + j &* 2) : 0 }
    }
}

/// Widens up to `tileRows` rows of bfloat16 to a float tile (k, tileRows).
@inline(never)  // entry of a tier
public func vectorUnpackBF16(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) {
    let to = tile.assumingMemoryBound(to: Float.self)
    for r in 0..<tileRows {
        let row = w + (r < rows ? r : 0) &* rowBytes
        for j in 0..<k { to[j &* tileRows &+ r] = r < rows ? brain(row + j &* 2) : 0 }
    }
}

/// Copies up to `tileRows` rows of floats to a float tile (k, tileRows).
@inline(never)  // entry of a tier
public func vectorUnpackF32(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) {
    let to = tile.assumingMemoryBound(to: Float.self)
    for r in 0..<tileRows {
        let row = w + (r < rows ? r : 0) &* rowBytes
        for j in 0..<k { to[j &* tileRows &+ r] = r < rows ? (row + j &* 4).loadUnaligned(as: Float.self) : 0 }
    }
}
#endif
