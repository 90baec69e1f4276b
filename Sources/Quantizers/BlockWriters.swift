import QuantBlocks

/// The levels of 32 weights, from 0 up.
public typealias Levels = SIMD32<UInt8>

// Writers of finished blocks. They take scales as bits, so that scales which are halves already pass unchanged.

/// `x = d (level − 8)`; levels 0…15.
public func writeQ4_0(half d: UInt16, _ levels: Levels, _ out: UnsafeMutableRawPointer) {
    out.storeBytes(of: d.littleEndian, as: UInt16.self)
    writeNibbles(levels, out + BlockQ4_0.qs)
}

/// `x = d · level + m`; levels 0…15.
public func writeQ4_1(half d: UInt16, minimum m: UInt16, _ levels: Levels, _ out: UnsafeMutableRawPointer) {
    out.storeBytes(of: d.littleEndian, as: UInt16.self)
    out.storeBytes(of: m.littleEndian, toByteOffset: BlockQ4_1.m, as: UInt16.self)
    writeNibbles(levels, out + BlockQ4_1.qs)
}

/// `x = d (level − 16)`; levels 0…31.
public func writeQ5_0(half d: UInt16, _ levels: Levels, _ out: UnsafeMutableRawPointer) {
    out.storeBytes(of: d.littleEndian, as: UInt16.self)
    var fifth: UInt32 = 0
    for j in 0..<32 { fifth |= UInt32(levels[j] >> 4 & 1) << UInt32(j) }
    out.storeBytes(of: fifth.littleEndian, toByteOffset: BlockQ5_0.qh, as: UInt32.self)
    writeNibbles(levels, out + BlockQ5_0.qs)
}

private func writeNibbles(_ levels: Levels, _ out: UnsafeMutableRawPointer) {
    for j in 0..<16 {
        out.storeBytes(of: (levels[j] & 15) | (levels[j + 16] & 15) << 4, toByteOffset: j, as: UInt8.self)
    }
}
