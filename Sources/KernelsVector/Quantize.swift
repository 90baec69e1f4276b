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
    for block in 0..<(count / 32) {
        let (from, to) = (x + block &* 32, UnsafeMutableRawPointer(q + block &* 128))
        let scales = ds + block &* panelScales
        if tokens == panelTokens {
            let (a, b) = (quantizeBlock(from), quantizeBlock(from + xStride))
            let (c, d) = (quantizeBlock(from + 2 &* xStride), quantizeBlock(from + 3 &* xStride))
            storeFour(a.bytes, b.bytes, c.bytes, d.bytes, to)
            store(a, scales)
            store(b, scales + 1)
            store(c, scales + 2)
            store(d, scales + 3)
            continue
        }
        for t in 0..<tokens {
            let quantized = quantizeBlock(from + t &* xStride)
            for j in 0..<8 { to.storeBytes(of: quantized.bytes[j], toByteOffset: t &* 4 &+ j &* 16, as: Int32.self) }
            store(quantized, scales + t)
        }
    }
}

/// The words of one token's group: see `panelScales`.
@inline(__always)  // once a group
private func store(_ block: QuantizedBlock, _ scales: UnsafeMutablePointer<Float>) {
    let sum = block.low &+ block.high
    scales[0] = block.d
    scales[4] = block.d * Float(sum)
    scales[8] = Float(bitPattern: UInt32(bitPattern: -128 &* block.low))
    scales[12] = Float(bitPattern: UInt32(bitPattern: -128 &* block.high))
    scales[16] = Float(bitPattern: UInt32(bitPattern: -8 &* sum))
}
#endif
