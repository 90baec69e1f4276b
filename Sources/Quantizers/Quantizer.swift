import QuantBlocks

/// A storage format that weights can be brought into, with its encoder.
///
/// Weights must be finite and of a magnitude up to `largestWeight`: scales are halves.
public enum Quantizer: Sendable, CaseIterable {
    case f32, f16, q4_0, q4_1, q5_0, q8_0, q4_K

    /// The greatest finite half.
    public static let largestWeight: Float = 65_504

    /// Weights that share a block; a row is a multiple of it.
    public var blockSize: Int {
        switch self {
        case .f32, .f16: 1
        case .q4_0: BlockQ4_0.weights
        case .q4_1: BlockQ4_1.weights
        case .q5_0: BlockQ5_0.weights
        case .q8_0: BlockQ8_0.weights
        case .q4_K: BlockQ4_K.weights
        }
    }

    /// Bytes of one block.
    public var bytesPerBlock: Int {
        switch self {
        case .f32: 4
        case .f16: 2
        case .q4_0: BlockQ4_0.bytes
        case .q4_1: BlockQ4_1.bytes
        case .q5_0: BlockQ5_0.bytes
        case .q8_0: BlockQ8_0.bytes
        case .q4_K: BlockQ4_K.bytes
        }
    }

    /// Encodes `count` weights, a multiple of `blockSize`, to `count / blockSize · bytesPerBlock` bytes.
    public func encode(_ x: UnsafePointer<Float>, _ count: Int, _ out: UnsafeMutableRawPointer) {
        switch self {
        case .f32: out.copyMemory(from: x, byteCount: count * 4)
        case .f16: for i in 0..<count { store(half: x[i], out + 2 * i) }
        case .q4_0: encodeQ4_0(x, count / 32, out)
        case .q4_1: encodeQ4_1(x, count / 32, out)
        case .q5_0: encodeQ5_0(x, count / 32, out)
        case .q8_0: encodeQ8_0(x, count / 32, out)
        case .q4_K: for i in 0..<count / 256 { SuperBlock.encode(x + 256 * i, out + BlockQ4_K.bytes * i) }
        }
    }
}

/// The level of one weight; as `level` of a vector.
@inline(__always)  // once a weight when a block is written
private func level(_ value: Float, _ lowest: Float, _ highest: Float) -> Float {
    ((value < lowest ? lowest : value > highest ? highest : value) + roundingMagic) - roundingMagic
}

private let search4 = SymmetricSearch(bits: 4)
private let search5 = SymmetricSearch(bits: 5)
private let affine4 = AffineSearch(highest: 15, storesHalves: true, offsetIsNegative: false)

private func encodeQ4_0(_ x: UnsafePointer<Float>, _ blocks: Int, _ out: UnsafeMutableRawPointer) {
    let search = search4
    for block in 0..<blocks {
        let (x, out) = (x + 32 * block, out + BlockQ4_0.bytes * block)
        let d = search.scale(of: Lanes(x))
        let inverse = d == 0 ? 0 : 1 / d
        var levels = Levels()
        for j in 0..<32 { levels[j] = UInt8(level(x[j] * inverse, -8, 7) + 8) }
        writeQ4_0(half: Float16(d).bitPattern, levels, out)
    }
}

private func encodeQ4_1(_ x: UnsafePointer<Float>, _ blocks: Int, _ out: UnsafeMutableRawPointer) {
    let search = affine4
    for block in 0..<blocks {
        let (x, out) = (x + 32 * block, out + BlockQ4_1.bytes * block)
        let found = search.search(Lanes(x))
        let inverse = found.d == 0 ? 0 : 1 / found.d
        var levels = Levels()
        for j in 0..<32 { levels[j] = UInt8(level((x[j] - found.m) * inverse, 0, 15)) }
        writeQ4_1(half: Float16(found.d).bitPattern, minimum: Float16(found.m).bitPattern, levels, out)
    }
}

private func encodeQ5_0(_ x: UnsafePointer<Float>, _ blocks: Int, _ out: UnsafeMutableRawPointer) {
    let search = search5
    for block in 0..<blocks {
        let (x, out) = (x + 32 * block, out + BlockQ5_0.bytes * block)
        let d = search.scale(of: Lanes(x))
        let inverse = d == 0 ? 0 : 1 / d
        var levels = Levels()
        for j in 0..<32 { levels[j] = UInt8(level(x[j] * inverse, -16, 15) + 16) }
        writeQ5_0(half: Float16(d).bitPattern, levels, out)
    }
}

/// With 255 levels the greatest magnitude decides: a search gains under one per cent.
private func encodeQ8_0(_ x: UnsafePointer<Float>, _ blocks: Int, _ out: UnsafeMutableRawPointer) {
    for block in 0..<blocks {
        let (x, out) = (x + 32 * block, out + BlockQ8_0.bytes * block)
        let range = Lanes(x).range
        let d = rounded(toHalf: max(range.high, -range.low) / 127)
        let inverse = d == 0 ? 0 : 1 / d
        store(half: d, out)
        for j in 0..<32 {
            out.storeBytes(
                of: Int8(level(x[j] * inverse, -127, 127)), toByteOffset: BlockQ8_0.qs + j, as: Int8.self)
        }
    }
}
