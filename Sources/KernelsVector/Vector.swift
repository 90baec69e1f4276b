// Float kernels of every tier above the portable one: on x86-64 with AVX2, FMA and F16C, on ARM with what every ARMv8.0
// has. One source serves both, because the algorithms are the same and only the width of a register differs; what
// differs stands in Support+X86.swift and Support+ARM.swift.
//
// Sums over elements and cells run in an order that depends on the position of each alone, never on how many rows or
// cells are computed together: a token's state must be the same in every batch. A difference in the last bit flips
// roundings to 8 bits in the next product, and thirty layers make 0.1 in the logits of it.
#if arch(x86_64) || arch(arm64)
/// e^x within 2 ulp for x in −87…88; smaller x give 1e−38, larger ones e^88.
///
/// Cephes' expf: x = n ln 2 + r, a polynomial in r, then n is added to the exponent.
@inline(__always)  // the body of softmax and of the activations
func exponential(_ x: F8) -> F8 {
    // Intrinsics throughout: LLVM takes Swift's operators on eight floats apart and makes four times the instructions.
    let x = pointwiseMin(pointwiseMax(x, F8(repeating: -87.3)), F8(repeating: 88))
    // 1.5 * 2^23: adding it rounds to an integer, which then stands in the low bits of the mantissa.
    let magic = F8(repeating: 12_582_912)
    let shifted = fma(x, F8(repeating: 1.442_695_04), magic)
    let n = difference(shifted, magic)
    var r = fma(n, F8(repeating: -0.693_359_375), x)
    r = fma(n, F8(repeating: 2.121_944_4e-4), r)
    var p = fma(F8(repeating: 1.987_569_15e-4), r, F8(repeating: 1.398_199_95e-3))
    p = fma(p, r, F8(repeating: 8.333_451_9e-3))
    p = fma(p, r, F8(repeating: 4.166_579_6e-2))
    p = fma(p, r, F8(repeating: 1.666_666_55e-1))
    p = fma(p, r, F8(repeating: 0.5))
    p = fma(p, product(r, r), r)
    return raised(fma(p, F8(repeating: 1), F8(repeating: 1)), shifted)
}

/// y = w · x / rms(x) over `count` floats.
@inline(never)  // entry of a tier
public func vectorRMSNorm(
    _ x: UnsafePointer<Float>, _ w: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ count: Int,
    _ epsilon: Float
) {
    var squares = F8.zero
    var j = 0
    while j &+ 8 <= count {
        let v = loadFloats(x + j)
        squares = fma(v, v, squares)
        j &+= 8
    }
    var total = sum(squares)
    while j < count {
        total += x[j] * x[j]
        j &+= 1
    }
    let scale = 1 / (total / Float(count) + epsilon).squareRoot()
    j = 0
    while j &+ 8 <= count {
        storeFloats(product(product(loadFloats(x + j), F8(repeating: scale)), loadFloats(w + j)), y + j)
        j &+= 8
    }
    while j < count {
        y[j] = x[j] * scale * w[j]
        j &+= 1
    }
}

/// The last, partial vector of a row; the lanes beyond `count` are `filler`.
@inline(__always)  // once a row
func partial(_ address: UnsafePointer<Float>, _ count: Int, _ filler: Float) -> F8 {
    var v = F8(repeating: filler)
    for i in 0..<count { v[i] = address[i] }
    return v
}

@inline(__always)
private func silu(_ gate: F8, _ up: F8) -> F8 {
    product(quotient(gate, sum(F8(repeating: 1), exponential(difference(F8.zero, gate)))), up)
}

/// y = silu(gate) · up over `count` floats.
@inline(never)  // entry of a tier
public func vectorSwiGLU(
    _ gate: UnsafePointer<Float>, _ up: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ count: Int
) {
    var j = 0
    while j &+ 8 <= count {
        storeFloats(silu(loadFloats(gate + j), loadFloats(up + j)), y + j)
        j &+= 8
    }
    let left = count &- j
    let last = silu(partial(gate + j, left, 0), partial(up + j, left, 0))
    for i in 0..<left { y[j &+ i] = last[i] }
}

/// Turns `count` scores into probabilities in place. A row of only −∞ becomes zeros.
///
/// The sum is taken in double precision, where it is exact but for the smallest terms: so it does not depend on which
/// lane a cell falls into, and a token's answer is the same whether its cells are neighbours (a prompt) or not (a tree).
/// In single precision the last bit differed, flipped 8-bit roundings later, and moved logits by 0.4.
@inline(never)  // entry of a tier
public func vectorSoftmax(_ x: UnsafeMutablePointer<Float>, _ count: Int) {
    var peaks = F8(repeating: -.infinity)
    var j = 0
    while j &+ 8 <= count {
        peaks = pointwiseMax(peaks, loadFloats(x + j))
        j &+= 8
    }
    var largest = -Float.infinity
    for i in 0..<8 { largest = max(largest, peaks[i]) }
    while j < count {
        largest = max(largest, x[j])
        j &+= 1
    }
    guard largest > -.infinity else {
        for i in 0..<count { x[i] = 0 }
        return
    }
    let shift = F8(repeating: largest)
    var (even, odd) = (SIMD4<Double>.zero, SIMD4<Double>.zero)
    j = 0
    while j &+ 8 <= count {
        let e = exponential(difference(loadFloats(x + j), shift))
        even += widened(e.lowHalf)
        odd += widened(e.highHalf)
        storeFloats(e, x + j)
        j &+= 8
    }
    let last = exponential(difference(partial(x + j, count &- j, 0), shift))
    for i in 0..<(count &- j) {
        x[j &+ i] = last[i]
        even[0] += Double(last[i])
    }
    let totals = even + odd
    let scale = Float(1 / ((totals[0] + totals[2]) + (totals[1] + totals[3])))
    j = 0
    while j &+ 8 <= count {
        storeFloats(product(loadFloats(x + j), F8(repeating: scale)), x + j)
        j &+= 8
    }
    while j < count {
        x[j] *= scale
        j &+= 1
    }
}

/// Scores of `rows` queries against `blocks` × 8 cached keys; see the portable twin for shapes.
@inline(never)  // entry of a tier
public func vectorAttentionScores(
    _ query: UnsafePointer<Float>, _ rows: Int, _ dimension: Int, _ keys: UnsafePointer<UInt16>, _ blocks: Int,
    _ scores: UnsafeMutablePointer<Float>, _ scoreStride: Int
) {
    for b in 0..<blocks {
        let block = keys + b &* dimension &* 8
        let to = scores + b &* 8
        var r = 0
        // Four rows share a widened key; of two or three the last stands for the missing ones.
        while r &+ 2 <= rows {
            let last = rows &- 1 &- r
            let (q0, q1) = (query + r &* dimension, query + (r &+ 1) &* dimension)
            let q2 = query + (r &+ min(2, last)) &* dimension
            let q3 = query + (r &+ min(3, last)) &* dimension
            var (s0, s1, s2, s3) = (F8.zero, F8.zero, F8.zero, F8.zero)
            var (o0, o1, o2, o3) = (F8.zero, F8.zero, F8.zero, F8.zero)
            for step in 0..<(dimension / 4) {
                let j = step &* 4
                let (f0, f1, f2, f3) = (four(q0 + j), four(q1 + j), four(q2 + j), four(q3 + j))
                let k0 = loadHalves(block + (j &* 8 &+ 0))
                s0 = fma(k0, F8(repeating: f0[0]), s0)
                s1 = fma(k0, F8(repeating: f1[0]), s1)
                s2 = fma(k0, F8(repeating: f2[0]), s2)
                s3 = fma(k0, F8(repeating: f3[0]), s3)
                let k1 = loadHalves(block + (j &* 8 &+ 8))
                o0 = fma(k1, F8(repeating: f0[1]), o0)
                o1 = fma(k1, F8(repeating: f1[1]), o1)
                o2 = fma(k1, F8(repeating: f2[1]), o2)
                o3 = fma(k1, F8(repeating: f3[1]), o3)
                let k2 = loadHalves(block + (j &* 8 &+ 16))
                s0 = fma(k2, F8(repeating: f0[2]), s0)
                s1 = fma(k2, F8(repeating: f1[2]), s1)
                s2 = fma(k2, F8(repeating: f2[2]), s2)
                s3 = fma(k2, F8(repeating: f3[2]), s3)
                let k3 = loadHalves(block + (j &* 8 &+ 24))
                o0 = fma(k3, F8(repeating: f0[3]), o0)
                o1 = fma(k3, F8(repeating: f1[3]), o1)
                o2 = fma(k3, F8(repeating: f2[3]), o2)
                o3 = fma(k3, F8(repeating: f3[3]), o3)
            }
            storeFloats(s0 + o0, to + r &* scoreStride)
            storeFloats(s1 + o1, to + (r &+ 1) &* scoreStride)
            if last > 1 { storeFloats(s2 + o2, to + (r &+ 2) &* scoreStride) }
            if last > 2 { storeFloats(s3 + o3, to + (r &+ 3) &* scoreStride) }
            r &+= 4
        }
        if r < rows {
            var (even, odd) = (F8.zero, F8.zero)
            for j in stride(from: 0, to: dimension, by: 2) {
                even = fma(loadHalves(block + j &* 8), F8(repeating: query[r &* dimension &+ j]), even)
                odd = fma(loadHalves(block + (j &* 8 &+ 8)), F8(repeating: query[r &* dimension &+ j &+ 1]), odd)
            }
            storeFloats(even + odd, to + r &* scoreStride)
        }
    }
}

/// Weighted sums of cached values; see the portable twin for shapes.
@inline(never)  // entry of a tier
public func vectorAttentionValues(
    _ weights: UnsafePointer<Float>, _ weightStride: Int, _ rows: Int, _ values: UnsafePointer<UInt16>, _ count: Int,
    _ dimension: Int, _ out: UnsafeMutablePointer<Float>
) {
    var r = 0
    // As above.
    while r &+ 2 <= rows {
        let last = rows &- 1 &- r
        let (w0, w1) = (weights + r &* weightStride, weights + (r &+ 1) &* weightStride)
        let w2 = weights + (r &+ min(2, last)) &* weightStride
        let w3 = weights + (r &+ min(3, last)) &* weightStride
        for j in stride(from: 0, to: dimension, by: 8) {
            var (s0, s1, s2, s3) = (F8.zero, F8.zero, F8.zero, F8.zero)
            var (o0, o1, o2, o3) = (F8.zero, F8.zero, F8.zero, F8.zero)
            var p = 0
            while p &+ 4 <= count {
                let at = values + (p &* dimension &+ j)
                let (f0, f1, f2, f3) = (four(w0 + p), four(w1 + p), four(w2 + p), four(w3 + p))
                let v0 = loadHalves(at)
                s0 = fma(v0, F8(repeating: f0[0]), s0)
                s1 = fma(v0, F8(repeating: f1[0]), s1)
                s2 = fma(v0, F8(repeating: f2[0]), s2)
                s3 = fma(v0, F8(repeating: f3[0]), s3)
                let v1 = loadHalves(at + dimension)
                o0 = fma(v1, F8(repeating: f0[1]), o0)
                o1 = fma(v1, F8(repeating: f1[1]), o1)
                o2 = fma(v1, F8(repeating: f2[1]), o2)
                o3 = fma(v1, F8(repeating: f3[1]), o3)
                let v2 = loadHalves(at + 2 &* dimension)
                s0 = fma(v2, F8(repeating: f0[2]), s0)
                s1 = fma(v2, F8(repeating: f1[2]), s1)
                s2 = fma(v2, F8(repeating: f2[2]), s2)
                s3 = fma(v2, F8(repeating: f3[2]), s3)
                let v3 = loadHalves(at + 3 &* dimension)
                o0 = fma(v3, F8(repeating: f0[3]), o0)
                o1 = fma(v3, F8(repeating: f1[3]), o1)
                o2 = fma(v3, F8(repeating: f2[3]), o2)
                o3 = fma(v3, F8(repeating: f3[3]), o3)
                p &+= 4
            }
            // Even cells to one sum and odd ones to the other, as above.
            while p < count {
                let v = loadHalves(values + (p &* dimension &+ j))
                if p & 1 == 0 {
                    s0 = fma(v, F8(repeating: w0[p]), s0)
                    s1 = fma(v, F8(repeating: w1[p]), s1)
                    s2 = fma(v, F8(repeating: w2[p]), s2)
                    s3 = fma(v, F8(repeating: w3[p]), s3)
                } else {
                    o0 = fma(v, F8(repeating: w0[p]), o0)
                    o1 = fma(v, F8(repeating: w1[p]), o1)
                    o2 = fma(v, F8(repeating: w2[p]), o2)
                    o3 = fma(v, F8(repeating: w3[p]), o3)
                }
                p &+= 1
            }
            storeFloats(s0 + o0, out + (r &* dimension &+ j))
            storeFloats(s1 + o1, out + ((r &+ 1) &* dimension &+ j))
            if last > 1 { storeFloats(s2 + o2, out + ((r &+ 2) &* dimension &+ j)) }
            if last > 2 { storeFloats(s3 + o3, out + ((r &+ 3) &* dimension &+ j)) }
        }
        r &+= 4
    }
    if r < rows {
        for j in stride(from: 0, to: dimension, by: 8) {
            var (even, odd) = (F8.zero, F8.zero)
            var p = 0
            while p &+ 2 <= count {
                let at = values + (p &* dimension &+ j)
                even = fma(loadHalves(at), F8(repeating: weights[r &* weightStride &+ p]), even)
                odd = fma(loadHalves(at + dimension), F8(repeating: weights[r &* weightStride &+ p &+ 1]), odd)
                p &+= 2
            }
            if p < count {
                even = fma(
                    loadHalves(values + (p &* dimension &+ j)), F8(repeating: weights[r &* weightStride &+ p]), even)
            }
            storeFloats(even + odd, out + (r &* dimension &+ j))
        }
    }
}

/// Narrows `count` floats to halves, to the nearest even.
@inline(never)  // entry of a tier
public func vectorToHalf(_ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<UInt16>, _ count: Int) {
    var j = 0
    while j &+ 8 <= count {
        storeHalves(loadFloats(x + j), y + j)
        j &+= 8
    }
    while j < count {
        y[j] = Float16(x[j]).bitPattern
        j &+= 1
    }
}
#endif
