import QuantBlocks

/// Thirty-two consecutive weights of a row as signed bytes: weight j is `scale(j) * q[j] + minimum`.
///
/// This is all a weight format has to define for the portable tier: dot products, tiles and the embedding
/// lookup follow from it. `low` scales weights 0…15 and `high` 16…31 (they differ only in Q3_K and Q6_K); `minimum` and
/// `highMinimum` likewise (they differ only in Q2_K).
struct Group {
    var low: Float
    var high: Float
    var minimum: Float
    var highMinimum: Float

    @inline(__always)  // as what makes it
    init(low: Float, high: Float, minimum: Float, highMinimum: Float) {
        self.low = low
        self.high = high
        self.minimum = minimum
        self.highMinimum = highMinimum
    }

    @inline(__always)
    init(low: Float, high: Float, minimum: Float) {
        self.init(low: low, high: high, minimum: minimum, highMinimum: minimum)
    }
}

/// Decodes rows of a matrix. `index` counts groups of 32 weights from the start of row `r`.
protocol RowsDecoder {
    /// Whether `highMinimum` may differ from `minimum`.
    static var hasHalfMinima: Bool { get }
    static func decode(
        _ w: UnsafeRawPointer, _ rowBytes: Int, _ r: Int, _ index: Int, _ q: UnsafeMutablePointer<Int8>
    ) -> Group
}

extension RowsDecoder {
    static var hasHalfMinima: Bool { false }
}

/// Decodes one format of rows that follow each other. `index` counts groups of 32 weights from the start of the row.
protocol GroupDecoder: RowsDecoder {
    static func decode(_ row: UnsafeRawPointer, _ index: Int, _ q: UnsafeMutablePointer<Int8>) -> Group
}

extension GroupDecoder {
    @inline(__always)  // as below
    static func decode(
        _ w: UnsafeRawPointer, _ rowBytes: Int, _ r: Int, _ index: Int, _ q: UnsafeMutablePointer<Int8>
    ) -> Group { decode(w + r &* rowBytes, index, q) }
}

enum DecodeQ4_0: GroupDecoder {
    @inline(__always)  // one body per format inside each kernel loop, measured 3x against a call
    static func decode(_ row: UnsafeRawPointer, _ index: Int, _ q: UnsafeMutablePointer<Int8>) -> Group {
        let block = row + index &* BlockQ4_0.bytes
        for j in 0..<16 {
            let byte = block.load(fromByteOffset: BlockQ4_0.qs &+ j, as: UInt8.self)
            q[j] = Int8(truncatingIfNeeded: byte & 0x0F) &- 8
            q[j &+ 16] = Int8(truncatingIfNeeded: byte >> 4) &- 8
        }
        let d = half(block)
        return Group(low: d, high: d, minimum: 0)
    }
}

enum DecodeQ4_1: GroupDecoder {
    @inline(__always)  // as above
    static func decode(_ row: UnsafeRawPointer, _ index: Int, _ q: UnsafeMutablePointer<Int8>) -> Group {
        let block = row + index &* BlockQ4_1.bytes
        for j in 0..<16 {
            let byte = block.load(fromByteOffset: BlockQ4_1.qs &+ j, as: UInt8.self)
            q[j] = Int8(truncatingIfNeeded: byte & 0x0F)
            q[j &+ 16] = Int8(truncatingIfNeeded: byte >> 4)
        }
        let d = half(block)
        return Group(low: d, high: d, minimum: half(block + BlockQ4_1.m))
    }
}

enum DecodeQ8_0: GroupDecoder {
    @inline(__always)  // as above
    static func decode(_ row: UnsafeRawPointer, _ index: Int, _ q: UnsafeMutablePointer<Int8>) -> Group {
        let block = row + index &* BlockQ8_0.bytes
        for j in 0..<32 { q[j] = block.load(fromByteOffset: BlockQ8_0.qs &+ j, as: Int8.self) }
        let d = half(block)
        return Group(low: d, high: d, minimum: 0)
    }
}

enum DecodeQ4_K: GroupDecoder {
    @inline(__always)  // as above
    static func decode(_ row: UnsafeRawPointer, _ index: Int, _ q: UnsafeMutablePointer<Int8>) -> Group {
        let block = row + (index >> 3) &* BlockQ4_K.bytes
        let sub = index & 7
        let packed = block + BlockQ4_K.qs + (sub >> 1) &* 32
        let shift = UInt8(truncatingIfNeeded: (sub & 1) &* 4)
        for j in 0..<32 {
            q[j] = Int8(truncatingIfNeeded: (packed.load(fromByteOffset: j, as: UInt8.self) &>> shift) & 0x0F)
        }
        let (scale, minimum) = scaleAndMinimum(block + BlockQ4_K.scales, sub)
        let d = half(block) * Float(scale)
        return Group(low: d, high: d, minimum: -half(block + BlockQ4_K.dmin) * Float(minimum))
    }
}

enum DecodeQ6_K: GroupDecoder {
    /// Each half block of 128 weights: `ql` low nibbles then high nibbles, two bits of `qh` per weight.
    @inline(__always)  // as above
    static func decode(_ row: UnsafeRawPointer, _ index: Int, _ q: UnsafeMutablePointer<Int8>) -> Group {
        let block = row + (index >> 3) &* BlockQ6_K.bytes
        let sub = index & 7
        let within = sub & 3
        let ql = block + (sub >> 2) &* 64 + (within & 1) &* 32
        let qh = block + BlockQ6_K.qh + (sub >> 2) &* 32
        let lowShift = UInt8(truncatingIfNeeded: (within >> 1) &* 4)
        let highShift = UInt8(truncatingIfNeeded: within &* 2)
        for j in 0..<32 {
            let low = (ql.load(fromByteOffset: j, as: UInt8.self) &>> lowShift) & 0x0F
            let high = (qh.load(fromByteOffset: j, as: UInt8.self) &>> highShift) & 3
            q[j] = Int8(truncatingIfNeeded: low | (high << 4)) &- 32
        }
        let scales = block + BlockQ6_K.scales + sub &* 2
        let d = half(block + BlockQ6_K.d)
        return Group(
            low: d * Float(scales.load(as: Int8.self)),
            high: d * Float(scales.load(fromByteOffset: 1, as: Int8.self)), minimum: 0)
    }
}

/// The fifth bits of 32 weights: bit j of `bits` is that of weight j.
@inline(__always)  // as above
private func fiveBits(_ qs: UnsafeRawPointer, _ bits: UInt32, _ offset: Int8, _ q: UnsafeMutablePointer<Int8>) {
    for j in 0..<16 {
        let byte = qs.load(fromByteOffset: j, as: UInt8.self)
        let low = (byte & 0x0F) | (UInt8(truncatingIfNeeded: bits &>> UInt32(j)) & 1) << 4
        let high = (byte >> 4) | (UInt8(truncatingIfNeeded: bits &>> UInt32(j &+ 16)) & 1) << 4
        q[j] = Int8(truncatingIfNeeded: low) &- offset
        q[j &+ 16] = Int8(truncatingIfNeeded: high) &- offset
    }
}

enum DecodeQ5_0: GroupDecoder {
    @inline(__always)  // as above
    static func decode(_ row: UnsafeRawPointer, _ index: Int, _ q: UnsafeMutablePointer<Int8>) -> Group {
        let block = row + index &* BlockQ5_0.bytes
        let bits = block.loadUnaligned(fromByteOffset: BlockQ5_0.qh, as: UInt32.self)
        fiveBits(block + BlockQ5_0.qs, UInt32(littleEndian: bits), 16, q)
        let d = half(block)
        return Group(low: d, high: d, minimum: 0)
    }
}

enum DecodeQ5_1: GroupDecoder {
    @inline(__always)  // as above
    static func decode(_ row: UnsafeRawPointer, _ index: Int, _ q: UnsafeMutablePointer<Int8>) -> Group {
        let block = row + index &* BlockQ5_1.bytes
        let bits = block.loadUnaligned(fromByteOffset: BlockQ5_1.qh, as: UInt32.self)
        fiveBits(block + BlockQ5_1.qs, UInt32(littleEndian: bits), 0, q)
        let d = half(block)
        return Group(low: d, high: d, minimum: half(block + BlockQ5_1.m))
    }
}

enum DecodeQ5_K: GroupDecoder {
    @inline(__always)  // as above
    static func decode(_ row: UnsafeRawPointer, _ index: Int, _ q: UnsafeMutablePointer<Int8>) -> Group {
        let block = row + (index >> 3) &* BlockQ5_K.bytes
        let sub = index & 7
        let packed = block + BlockQ5_K.qs + (sub >> 1) &* 32
        let shift = UInt8(truncatingIfNeeded: (sub & 1) &* 4)
        for j in 0..<32 {
            let low = (packed.load(fromByteOffset: j, as: UInt8.self) &>> shift) & 0x0F
            let bits = block.load(fromByteOffset: BlockQ5_K.qh &+ j, as: UInt8.self)
            q[j] = Int8(truncatingIfNeeded: low | (bits &>> UInt8(truncatingIfNeeded: sub) & 1) << 4)
        }
        let (scale, minimum) = scaleAndMinimum(block + BlockQ5_K.scales, sub)
        let d = half(block) * Float(scale)
        return Group(low: d, high: d, minimum: -half(block + BlockQ5_K.dmin) * Float(minimum))
    }
}
