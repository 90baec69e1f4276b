// Float kernels that only some architectures need; see Vector.swift.
#if arch(x86_64) || arch(arm64)
/// y = w · (x − mean) / deviation + b over `count` floats; `b` may be nil.
@inline(never)  // entry of a tier
public func vectorLayerNorm(
    _ x: UnsafePointer<Float>, _ w: UnsafePointer<Float>, _ b: UnsafePointer<Float>?, _ y: UnsafeMutablePointer<Float>,
    _ count: Int, _ epsilon: Float
) {
    var sums = F8.zero
    var j = 0
    while j &+ 8 <= count {
        sums = sum(sums, loadFloats(x + j))
        j &+= 8
    }
    var total = sum(sums)
    while j < count {
        total += x[j]
        j &+= 1
    }
    let mean = total / Float(count)
    let scale = 1 / (squaredDifferences(x, mean, count) / Float(count) + epsilon).squareRoot()
    let (shift, factor) = (F8(repeating: mean), F8(repeating: scale))
    j = 0
    while j &+ 8 <= count {
        let v = product(product(difference(loadFloats(x + j), shift), factor), loadFloats(w + j))
        storeFloats(b.map { sum(v, loadFloats($0 + j)) } ?? v, y + j)
        j &+= 8
    }
    while j < count {
        y[j] = (x[j] - mean) * scale * w[j] + (b?[j] ?? 0)
        j &+= 1
    }
}

/// Σ (x − mean)²: the variance from a second pass, because E(x²) − E(x)² cancels.
@inline(__always)  // once a row
private func squaredDifferences(_ x: UnsafePointer<Float>, _ mean: Float, _ count: Int) -> Float {
    let shift = F8(repeating: mean)
    var squares = F8.zero
    var j = 0
    while j &+ 8 <= count {
        let v = difference(loadFloats(x + j), shift)
        squares = fma(v, v, squares)
        j &+= 8
    }
    var total = sum(squares)
    while j < count {
        total += (x[j] - mean) * (x[j] - mean)
        j &+= 1
    }
    return total
}

/// x · σ(2u), which is x · (1 + tanh u) / 2, with u = √(2/π) (x + 0.044715 x³).
@inline(__always)  // the body of the next two
private func gelu(_ x: F8) -> F8 {
    let cubic = fma(product(x, x), F8(repeating: -0.071_354_816), F8(repeating: -1.595_769_12))
    return quotient(x, sum(F8(repeating: 1), exponential(product(x, cubic))))
}

/// y = gelu(gate) · up over `count` floats.
@inline(never)  // entry of a tier
public func vectorGeGLU(
    _ gate: UnsafePointer<Float>, _ up: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ count: Int
) {
    var j = 0
    while j &+ 8 <= count {
        storeFloats(product(gelu(loadFloats(gate + j)), loadFloats(up + j)), y + j)
        j &+= 8
    }
    let left = count &- j
    let last = product(gelu(partial(gate + j, left, 0)), partial(up + j, left, 0))
    for i in 0..<left { y[j &+ i] = last[i] }
}

/// y = gelu(x), in the form with the hyperbolic tangent, over `count` floats.
@inline(never)  // entry of a tier
public func vectorGelu(_ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ count: Int) {
    var j = 0
    while j &+ 8 <= count {
        storeFloats(gelu(loadFloats(x + j)), y + j)
        j &+= 8
    }
    let last = gelu(partial(x + j, count &- j, 0))
    for i in 0..<(count &- j) { y[j &+ i] = last[i] }
}

/// max(x, 0) − |x| · (1 − erf(|x| / √2)) / 2.
///
/// The complement of the error function is Abramowitz and Stegun's 7.1.26, within 1.5e−7.
@inline(__always)  // the body of the next
private func geluErf(_ x: F8) -> F8 {
    let size = pointwiseMax(x, difference(F8.zero, x))
    let t = quotient(F8(repeating: 1), fma(size, F8(repeating: 0.231_641_89), F8(repeating: 1)))
    var p = fma(t, F8(repeating: 1.061_405_43), F8(repeating: -1.453_152_03))
    p = fma(p, t, F8(repeating: 1.421_413_74))
    p = fma(p, t, F8(repeating: -0.284_496_74))
    p = fma(p, t, F8(repeating: 0.254_829_59))
    let complement = product(product(p, t), exponential(product(product(x, x), F8(repeating: -0.5))))
    return fma(product(size, complement), F8(repeating: -0.5), pointwiseMax(x, F8.zero))
}

/// y = gelu(x), in the form with the error function, over `count` floats.
@inline(never)  // entry of a tier
public func vectorGeluErf(_ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ count: Int) {
    var j = 0
    while j &+ 8 <= count {
        storeFloats(geluErf(loadFloats(x + j)), y + j)
        j &+= 8
    }
    let last = geluErf(partial(x + j, count &- j, 0))
    for i in 0..<(count &- j) { y[j &+ i] = last[i] }
}

/// cap − 2 cap / (1 + e^(2x / cap))
@inline(__always)  // the body of the next
private func capped(_ x: F8, _ cap: F8, _ slope: F8) -> F8 {
    difference(cap, quotient(sum(cap, cap), sum(F8(repeating: 1), exponential(product(x, slope)))))
}

/// x = cap · tanh(x / cap) over `count` floats, in place.
@inline(never)  // entry of a tier
public func vectorSoftCap(_ x: UnsafeMutablePointer<Float>, _ count: Int, _ cap: Float) {
    let (limit, slope) = (F8(repeating: cap), F8(repeating: 2 / cap))
    var j = 0
    while j &+ 8 <= count {
        storeFloats(capped(loadFloats(x + j), limit, slope), x + j)
        j &+= 8
    }
    let last = capped(partial(x + j, count &- j, 0), limit, slope)
    for i in 0..<(count &- j) { x[j &+ i] = last[i] }
}
#endif
