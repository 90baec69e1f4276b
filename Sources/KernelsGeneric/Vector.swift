#if canImport(Glibc)
import Glibc
#endif

// Portable vector kernels: norms, activations and attention over the half-precision cache.

/// y = w · x / rms(x) over `count` floats.
public func genericRMSNorm(
    _ x: UnsafePointer<Float>, _ w: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ count: Int,
    _ epsilon: Float
) {
    // In double as the reference does: the sum of thousands of squares loses bits in single precision.
    var sum: Double = 0
    for j in 0..<count { sum += Double(x[j]) * Double(x[j]) }
    let scale = 1 / (Float(sum / Double(count)) + epsilon).squareRoot()
    for j in 0..<count { y[j] = x[j] * scale * w[j] }
}

/// y = silu(gate) · up over `count` floats.
public func genericSwiGLU(
    _ gate: UnsafePointer<Float>, _ up: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ count: Int
) {
    for j in 0..<count { y[j] = gate[j] / (1 + expf(-gate[j])) * up[j] }
}

/// Turns `count` scores into probabilities in place. A row of only −∞ becomes zeros.
public func genericSoftmax(_ x: UnsafeMutablePointer<Float>, _ count: Int) {
    var largest = -Float.infinity
    for j in 0..<count { largest = max(largest, x[j]) }
    guard largest > -.infinity else {
        for j in 0..<count { x[j] = 0 }
        return
    }
    var sum: Float = 0
    for j in 0..<count {
        x[j] = expf(x[j] - largest)
        sum += x[j]
    }
    let scale = 1 / sum
    for j in 0..<count { x[j] *= scale }
}

/// Scores of `rows` queries against `blocks` × 8 cached keys.
///
/// - `query`: (rows, dimension), already scaled; `dimension` is a multiple of 8.
/// - `keys`: halves in blocks of eight positions, (blocks, dimension, 8).
/// - `scores`: (rows, scoreStride), the first 8 × blocks columns are written.
public func genericAttentionScores(
    _ query: UnsafePointer<Float>, _ rows: Int, _ dimension: Int, _ keys: UnsafePointer<UInt16>, _ blocks: Int,
    _ scores: UnsafeMutablePointer<Float>, _ scoreStride: Int
) {
    for b in 0..<blocks {
        let block = keys + b &* dimension &* 8
        for r in 0..<rows {
            var sums = SIMD8<Float>.zero
            for j in 0..<dimension { sums += wide(block + j &* 8) * query[r &* dimension &+ j] }
            UnsafeMutableRawPointer(scores + (r &* scoreStride &+ b &* 8)).storeBytes(of: sums, as: SIMD8<Float>.self)
        }
    }
}

/// Weighted sums of cached values: out (rows, dimension) = weights (rows, weightStride) × values.
///
/// - `values`: halves, (count, dimension); `dimension` is a multiple of 8.
public func genericAttentionValues(
    _ weights: UnsafePointer<Float>, _ weightStride: Int, _ rows: Int, _ values: UnsafePointer<UInt16>, _ count: Int,
    _ dimension: Int, _ out: UnsafeMutablePointer<Float>
) {
    for r in 0..<rows {
        for j in stride(from: 0, to: dimension, by: 8) {
            var sums = SIMD8<Float>.zero
            for p in 0..<count { sums += wide(values + (p &* dimension &+ j)) * weights[r &* weightStride &+ p] }
            UnsafeMutableRawPointer(out + (r &* dimension &+ j)).storeBytes(of: sums, as: SIMD8<Float>.self)
        }
    }
}

/// Narrows `count` floats to halves, to the nearest even.
public func genericToHalf(_ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<UInt16>, _ count: Int) {
    for j in 0..<count { y[j] = Float16(x[j]).bitPattern }
}

@inline(__always)  // the load of every attention loop
private func wide(_ halves: UnsafePointer<UInt16>) -> SIMD8<Float> {
    let bits = UnsafeRawPointer(halves).loadUnaligned(as: SIMD8<UInt16>.self)
    return SIMD8<Float>(unsafeBitCast(bits, to: SIMD8<Float16>.self))
}
