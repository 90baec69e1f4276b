// Portable kernels of the cache of bytes: 32 elements of a cell share a scale.

/// Widens keys: bytes (blocks, dimension, 8) and scales (blocks, dimension / 32 rounded up, 8) to halves
/// (blocks, dimension, 8).
public func genericWidenKeys(
    _ bytes: UnsafePointer<Int8>, _ scales: UnsafePointer<UInt16>, _ dimension: Int, _ blocks: Int,
    _ y: UnsafeMutablePointer<UInt16>
) {
    let groups = (dimension &+ 31) / 32
    for b in 0..<blocks {
        for j in 0..<dimension {
            let scale = scales + (b &* groups &+ j / 32) &* 8
            let at = (b &* dimension &+ j) &* 8
            for c in 0..<8 { y[at &+ c] = Float16(Float(bytes[at &+ c]) * wide(scale[c])).bitPattern }
        }
    }
}

/// Widens values: bytes (count, dimension) and scales (count, dimension / 32 rounded up) to halves (count, dimension).
public func genericWidenValues(
    _ bytes: UnsafePointer<Int8>, _ scales: UnsafePointer<UInt16>, _ dimension: Int, _ count: Int,
    _ y: UnsafeMutablePointer<UInt16>
) {
    let groups = (dimension &+ 31) / 32
    for p in 0..<count {
        for j in 0..<dimension {
            let scale = wide(scales[p &* groups &+ j / 32])
            y[p &* dimension &+ j] = Float16(Float(bytes[p &* dimension &+ j]) * scale).bitPattern
        }
    }
}

@inline(__always)  // one conversion
private func wide(_ half: UInt16) -> Float { Float(Float16(bitPattern: half)) }
