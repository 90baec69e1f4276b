#if arch(x86_64) || arch(arm64)
import QuantBlocks

/// Quantises `count` (a multiple of 32) floats to signed bytes with a pair (d, s) per 32.
@inline(never)  // entry of a tier
public func vectorQuantize(
    _ x: UnsafePointer<Float>, _ count: Int, _ q: UnsafeMutablePointer<Int8>, _ ds: UnsafeMutablePointer<Float>
) {
    for block in 0..<(count / 32) {
        let quantized = quantizeBlock(x + block &* 32)
        UnsafeMutableRawPointer(q + block &* 32).storeBytes(of: quantized.bytes, as: SIMD8<Int32>.self)
        ds[2 &* block] = quantized.d
        ds[2 &* block &+ 1] = quantized.d * Float(quantized.low &+ quantized.high)
    }
}

/// Quantises up to four tokens of `count` floats into a panel.
@inline(never)  // entry of a tier
public func vectorQuantizePanel(
    _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int, _ count: Int, _ q: UnsafeMutablePointer<Int8>,
    _ ds: UnsafeMutablePointer<Float>
) {
    for t in 0..<tokens {
        for block in 0..<(count / 32) {
            let quantized = quantizeBlock(x + (t &* xStride &+ block &* 32))
            let to = UnsafeMutableRawPointer(q + (block &* 128 &+ t &* 4))
            for j in 0..<8 { to.storeBytes(of: quantized.bytes[j], toByteOffset: j &* 16, as: Int32.self) }
            let scales = ds + (block &* panelScales &+ t)
            scales[0] = quantized.d
            scales[4] = quantized.d * Float(quantized.low &+ quantized.high)
            scales[8] = Float(bitPattern: UInt32(bitPattern: -128 &* quantized.low))
            scales[12] = Float(bitPattern: UInt32(bitPattern: -128 &* quantized.high))
        }
    }
}
#endif
