// The formats of two and three bits, those that look their weights up in a table, and bfloat16.
//
// Layouts after ggml's block definitions, as in QuantBlocks.swift.

/// `x = d sc q − dmin mn`, one 4-bit sc (low nibble) and mn (high) per 16 weights, q of two bits.
///
///     | scales (16) | qs (64) | d (2) | dmin (2) |   84 bytes, 256 weights
///
/// Group g of 32 weights is the field of two bits g mod 4 of `qs[32 ⌊g / 4⌋ ..< 32 ⌊g / 4⌋ + 32]`.
public enum BlockQ2_K: QuantBlock {
    @inlinable public static var weights: Int { 256 }
    @inlinable public static var bytes: Int { 16 + 64 + 2 + 2 }
    @inlinable public static var qs: Int { 16 }
    @inlinable public static var d: Int { 80 }
    @inlinable public static var dmin: Int { 82 }
}

/// `x = d (sc − 32) (q − 4)`, one 6-bit sc per 16 weights; two bits of q as in Q2_K, the third is bit g of `hmask[j]`
/// for weight j of group g.
///
///     | hmask (32) | qs (64) | scales (12) | d (2) |   110 bytes, 256 weights
public enum BlockQ3_K: QuantBlock {
    @inlinable public static var weights: Int { 256 }
    @inlinable public static var bytes: Int { 32 + 64 + 12 + 2 }
    @inlinable public static var qs: Int { 32 }
    @inlinable public static var scales: Int { 96 }
    @inlinable public static var d: Int { 108 }
}

/// `x = d (sc − 32) T[q]` with IQ4_NL's table and one 6-bit sc per 32 weights; the nibbles of a group as in Q4_0.
///
///     | d (2) | two high bits of sc (2) | four low bits of sc (4) | qs (128) |   136 bytes, 256 weights
public enum BlockIQ4_XS: QuantBlock {
    @inlinable public static var weights: Int { 256 }
    @inlinable public static var bytes: Int { 2 + 2 + 4 + 128 }
    @inlinable public static var highScales: Int { 2 }
    @inlinable public static var lowScales: Int { 4 }
    @inlinable public static var qs: Int { 8 }
}

/// `x = 2^(e − 128) T[q]` with the table `microscalingSteps`; nibbles as in Q4_0. The OCP's MXFP4.
///
///     | e (1) | qs (16) |   17 bytes, 32 weights
public enum BlockMXFP4: QuantBlock {
    @inlinable public static var weights: Int { 32 }
    @inlinable public static var bytes: Int { 1 + 16 }
    @inlinable public static var qs: Int { 1 }
}

/// What a nibble of MXFP4 stands for: twice 0, 0.5, 1, 1.5, 2, 3, 4, 6, which the exponent takes back.
@inlinable @inline(__always)  // a constant vector
public var microscalingSteps: SIMD16<Int8> {
    SIMD16(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12)
}

/// The scale of an MXFP4 block from its exponent.
///
/// Shifted instead of compared, the same on every tier: e = 0 is nothing instead of 2^−128, and e = 255, which the
/// standard calls not a number, is infinite.
@inlinable @inline(__always)  // two instructions
public func microscalingScale(_ block: UnsafeRawPointer) -> Float {
    Float(bitPattern: UInt32(block.load(as: UInt8.self)) << 23) * 0.5
}

/// The bfloat16 at an address of any alignment, widened.
@inlinable @inline(__always)
public func brain(_ address: UnsafeRawPointer) -> Float {
    Float(bitPattern: UInt32(address.loadUnaligned(as: UInt16.self)) << 16)
}

/// What is taken from each of eight bytes below 64 to make them signed.
@inlinable @inline(__always)  // three instructions
func less32(_ bytes: UInt64) -> UInt64 {
    // The high bit keeps the subtraction from borrowing of the next byte.
    ((bytes | 0x8080_8080_8080_8080) &- 0x2020_2020_2020_2020) ^ 0x8080_8080_8080_8080
}

/// The scales of a Q3_K block, sc − 32, a signed byte for each 16 weights: of groups 0…3, then of groups 4…7.
///
/// Bytes 0…7 of the packed twelve hold four low bits of scales 0…7 (low nibbles) and 8…15 (high ones); field f of two
/// bits of byte 8 + i belongs to scale 4 f + i.
@inlinable @inline(__always)  // a dozen instructions in every block of 256
public func scalesQ3_K(_ block: UnsafeRawPointer) -> (UInt64, UInt64) {
    let low = (block + BlockQ3_K.scales).loadUnaligned(as: UInt64.self)
    let four = UInt64((block + (BlockQ3_K.scales &+ 8)).loadUnaligned(as: UInt32.self))
    let high = four | (four >> 2) << 32
    let (nibble, field) = (UInt64(0x0F0F_0F0F_0F0F_0F0F), UInt64(0x0303_0303_0303_0303))
    return (
        less32(low & nibble | (high & field) << 4), less32(low >> 4 & nibble | (high >> 4 & field) << 4)
    )
}

/// The scales of an IQ4_XS block, sc − 32, a signed byte for each group.
@inlinable @inline(__always)  // two dozen instructions in every block of 256
public func scalesIQ4_XS(_ block: UnsafeRawPointer) -> UInt64 {
    var low = UInt64((block + BlockIQ4_XS.lowScales).loadUnaligned(as: UInt32.self))
    var high = UInt64((block + BlockIQ4_XS.highScales).loadUnaligned(as: UInt16.self))
    // Nibble i, and field i of two bits, to byte i.
    low = (low | low << 16) & 0x0000_FFFF_0000_FFFF
    low = (low | low << 8) & 0x00FF_00FF_00FF_00FF
    low = (low | low << 4) & 0x0F0F_0F0F_0F0F_0F0F
    high = (high | high << 24) & 0x0000_00FF_0000_00FF
    high = (high | high << 12) & 0x000F_000F_000F_000F
    high = (high | high << 6) & 0x0303_0303_0303_0303
    return less32(low | high << 4)
}

/// Signed byte `index` (0…7) of eight.
@inlinable @inline(__always)  // two instructions
public func signedByte(_ bytes: UInt64, _ index: Int) -> Int8 {
    Int8(truncatingIfNeeded: bytes &>> UInt64(truncatingIfNeeded: index &* 8))
}
