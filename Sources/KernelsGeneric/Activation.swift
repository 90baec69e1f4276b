#if canImport(Glibc)
import Glibc
#endif

// Portable vector kernels that only some architectures need.

/// y = w · (x − mean) / deviation + b over `count` floats; `b` may be nil.
public func genericLayerNorm(
    _ x: UnsafePointer<Float>, _ w: UnsafePointer<Float>, _ b: UnsafePointer<Float>?, _ y: UnsafeMutablePointer<Float>,
    _ count: Int, _ epsilon: Float
) {
    var sum: Double = 0
    for j in 0..<count { sum += Double(x[j]) }
    let mean = sum / Double(count)
    var squares: Double = 0
    for j in 0..<count { squares += (Double(x[j]) - mean) * (Double(x[j]) - mean) }
    let scale = 1 / (Float(squares / Double(count)) + epsilon).squareRoot()
    for j in 0..<count { y[j] = (x[j] - Float(mean)) * scale * w[j] + (b?[j] ?? 0) }
}

/// y = gelu(gate) · up over `count` floats.
public func genericGeGLU(
    _ gate: UnsafePointer<Float>, _ up: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ count: Int
) {
    for j in 0..<count { y[j] = gelu(gate[j]) * up[j] }
}

/// y = gelu(x), in the form with the hyperbolic tangent, over `count` floats.
public func genericGelu(_ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ count: Int) {
    for j in 0..<count { y[j] = gelu(x[j]) }
}

/// y = gelu(x), in the form with the error function, over `count` floats.
public func genericGeluErf(_ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ count: Int) {
    for j in 0..<count { y[j] = 0.5 * x[j] * (1 + erff(x[j] * 0.707_106_78)) }
}

/// x = cap · tanh(x / cap) over `count` floats, in place.
public func genericSoftCap(_ x: UnsafeMutablePointer<Float>, _ count: Int, _ cap: Float) {
    for j in 0..<count { x[j] = cap * tanhf(x[j] / cap) }
}

private func gelu(_ x: Float) -> Float {
    0.5 * x * (1 + tanhf(0.797_884_56 * (x + 0.044715 * x * x * x)))
}
