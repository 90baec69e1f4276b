import QuantBlocks

// The formats of QuantBlocks+Small.swift: see Decoders.swift.

/// Field `index & 3` of two bits of a Q2_K or Q3_K group's weight `j`.
@inline(__always)  // the body of the decoders' loops, as below
private func twoBits(_ qs: UnsafeRawPointer, _ index: Int, _ j: Int) -> UInt8 {
    let byte = (qs + ((index & 7) >> 2 &* 32 &+ j)).load(as: UInt8.self)
    return byte &>> UInt8(truncatingIfNeeded: (index & 3) &* 2) & 3
}

enum DecodeQ2_K: GroupDecoder {
    static var hasHalfMinima: Bool { true }

    @inline(__always)
    static func decode(_ row: UnsafeRawPointer, _ index: Int, _ q: UnsafeMutablePointer<Int8>) -> Group {
        let block = row + (index >> 3) &* BlockQ2_K.bytes
        for j in 0..<32 { q[j] = Int8(truncatingIfNeeded: twoBits(block + BlockQ2_K.qs, index, j)) }
        let (first, last) = (
            block.load(fromByteOffset: (index & 7) &* 2, as: UInt8.self),
            block.load(fromByteOffset: (index & 7) &* 2 &+ 1, as: UInt8.self)
        )
        let (d, dmin) = (half(block + BlockQ2_K.d), half(block + BlockQ2_K.dmin))
        return Group(
            low: d * Float(first & 0x0F), high: d * Float(last & 0x0F), minimum: -dmin * Float(first >> 4),
            highMinimum: -dmin * Float(last >> 4))
    }
}

enum DecodeQ3_K: GroupDecoder {
    @inline(__always)
    static func decode(_ row: UnsafeRawPointer, _ index: Int, _ q: UnsafeMutablePointer<Int8>) -> Group {
        let block = row + (index >> 3) &* BlockQ3_K.bytes
        let bit = UInt8(truncatingIfNeeded: index & 7)
        for j in 0..<32 {
            let third = block.load(fromByteOffset: j, as: UInt8.self) &>> bit & 1
            q[j] = Int8(truncatingIfNeeded: twoBits(block + BlockQ3_K.qs, index, j) | third << 2) &- 4
        }
        let (first, last) = scalesQ3_K(block)
        let scales = index & 7 < 4 ? first : last
        let d = half(block + BlockQ3_K.d)
        return Group(
            low: d * Float(signedByte(scales, (index & 3) &* 2)),
            high: d * Float(signedByte(scales, (index & 3) &* 2 &+ 1)), minimum: 0)
    }
}

/// Nibbles looked up in a table: the low ones are weights 0…15, the high ones 16…31.
@inline(__always)
private func lookUp(_ qs: UnsafeRawPointer, _ table: SIMD16<Int8>, _ q: UnsafeMutablePointer<Int8>) {
    for j in 0..<16 {
        let byte = qs.load(fromByteOffset: j, as: UInt8.self)
        q[j] = table[Int(byte & 0x0F)]
        q[j &+ 16] = table[Int(byte >> 4)]
    }
}

enum DecodeIQ4_NL: GroupDecoder {
    @inline(__always)
    static func decode(_ row: UnsafeRawPointer, _ index: Int, _ q: UnsafeMutablePointer<Int8>) -> Group {
        let block = row + index &* BlockIQ4_NL.bytes
        lookUp(block + BlockIQ4_NL.qs, nonlinearSteps, q)
        let d = half(block)
        return Group(low: d, high: d, minimum: 0)
    }
}

enum DecodeIQ4_XS: GroupDecoder {
    @inline(__always)
    static func decode(_ row: UnsafeRawPointer, _ index: Int, _ q: UnsafeMutablePointer<Int8>) -> Group {
        let block = row + (index >> 3) &* BlockIQ4_XS.bytes
        lookUp(block + (BlockIQ4_XS.qs &+ (index & 7) &* 16), nonlinearSteps, q)
        let d = half(block) * Float(signedByte(scalesIQ4_XS(block), index & 7))
        return Group(low: d, high: d, minimum: 0)
    }
}

enum DecodeMXFP4: GroupDecoder {
    @inline(__always)
    static func decode(_ row: UnsafeRawPointer, _ index: Int, _ q: UnsafeMutablePointer<Int8>) -> Group {
        let block = row + index &* BlockMXFP4.bytes
        lookUp(block + BlockMXFP4.qs, microscalingSteps, q)
        let d = microscalingScale(block)
        return Group(low: d, high: d, minimum: 0)
    }
}
