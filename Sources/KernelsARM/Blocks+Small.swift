#if arch(arm64)
import CIntrinsics
import QuantBlocks

// How the weights of two and three bits and of tables are read, and of all whose scales belong to sixteen weights.

public enum RowMXFP4: Block32 {
    @inlinable public static var bytes: Int { BlockMXFP4.bytes }
    @inlinable public static var largest: Int { 12 }
    @inlinable public static var offset: Float { 0 }
    @inlinable public static var hasMinimum: Bool { false }
    @inlinable public static var hasExponent: Bool { true }
    @inlinable @inline(__always)
    public static func weights(_ block: UnsafeRawPointer) -> Weights32 {
        lookUp(microscalingSteps, block + BlockMXFP4.qs)
    }
}

/// Two bits of the 32 weights of group `sub` (0…7), from the 64 bytes of a block.
@inlinable @inline(__always)  // six instructions a group
func twoBits(_ qs: UnsafeRawPointer, _ sub: Int) -> (uint8x16_t, uint8x16_t) {
    let shift = vdupq_n_s8(Int8(truncatingIfNeeded: -2 &* (sub & 3)))
    let at = qs + (sub >> 2) &* 32
    @inline(__always) func fields(_ offset: Int) -> uint8x16_t {
        vandq_u8(vshlq_u8((at + offset).loadUnaligned(as: uint8x16_t.self), shift), vdupq_n_u8(3))
    }
    return (fields(0), fields(16))
}

/// The 32 weights of group `sub` (0…7) of a Q2_K block times their scales, 0…45.
@inlinable @inline(__always)
public func weightsQ2_K(_ block: UnsafeRawPointer, _ sub: Int) -> Weights32 {
    let (low, high) = twoBits(block + BlockQ2_K.qs, sub)
    let scales = vandq_u8(block.loadUnaligned(as: uint8x16_t.self), vdupq_n_u8(0x0F))
    let first = vdupq_n_u8(UInt8(truncatingIfNeeded: 2 &* sub))
    let last = vdupq_n_u8(UInt8(truncatingIfNeeded: 2 &* sub &+ 1))
    return Weights32(
        low: vreinterpretq_s8_u8(vmulq_u8(low, vqtbl1q_u8(scales, first))),
        high: vreinterpretq_s8_u8(vmulq_u8(high, vqtbl1q_u8(scales, last))))
}

/// Rows of blocks of 256 weights without minima.
public protocol Block256 {
    static var bytes: Int { get }
    /// Whether every sixteen weights have a scale, instead of every 32.
    static var hasHalves: Bool { get }
    static func d(_ block: UnsafeRawPointer) -> Float
    /// Signed bytes: the scales of groups 0…3, and those of groups 4…7.
    static func scales(_ block: UnsafeRawPointer) -> (UInt64, UInt64)
    static func weights(_ block: UnsafeRawPointer, _ sub: Int) -> Weights32
}

public enum RowQ3_K: Block256 {
    @inlinable public static var bytes: Int { BlockQ3_K.bytes }
    @inlinable public static var hasHalves: Bool { true }
    @inlinable @inline(__always)
    public static func d(_ block: UnsafeRawPointer) -> Float { half(block + BlockQ3_K.d) }
    @inlinable @inline(__always)
    public static func scales(_ block: UnsafeRawPointer) -> (UInt64, UInt64) { scalesQ3_K(block) }
    /// −4…3.
    @inlinable @inline(__always)
    public static func weights(_ block: UnsafeRawPointer, _ sub: Int) -> Weights32 {
        let (low, high) = twoBits(block + BlockQ3_K.qs, sub)
        let bit = vdupq_n_u8(1 &<< UInt8(truncatingIfNeeded: sub))
        /// Four less where the third bit is not set.
        @inline(__always) func full(_ two: uint8x16_t, _ offset: Int) -> int8x16_t {
            let third = vtstq_u8((block + offset).loadUnaligned(as: uint8x16_t.self), bit)
            return vsubq_s8(vreinterpretq_s8_u8(two), vreinterpretq_s8_u8(vbicq_u8(vdupq_n_u8(4), third)))
        }
        return Weights32(low: full(low, 0), high: full(high, 16))
    }
}

public enum RowIQ4_XS: Block256 {
    @inlinable public static var bytes: Int { BlockIQ4_XS.bytes }
    @inlinable public static var hasHalves: Bool { false }
    @inlinable @inline(__always)
    public static func d(_ block: UnsafeRawPointer) -> Float { half(block) }
    @inlinable @inline(__always)
    public static func scales(_ block: UnsafeRawPointer) -> (UInt64, UInt64) {
        let scales = scalesIQ4_XS(block)
        return (scales, scales >> 32)
    }
    @inlinable @inline(__always)
    public static func weights(_ block: UnsafeRawPointer, _ sub: Int) -> Weights32 {
        lookUp(nonlinearSteps, block + (BlockIQ4_XS.qs &+ sub &* 16))
    }
}

public enum RowQ6_K: Block256 {
    @inlinable public static var bytes: Int { BlockQ6_K.bytes }
    @inlinable public static var hasHalves: Bool { true }
    @inlinable @inline(__always)
    public static func d(_ block: UnsafeRawPointer) -> Float { half(block + BlockQ6_K.d) }
    @inlinable @inline(__always)
    public static func scales(_ block: UnsafeRawPointer) -> (UInt64, UInt64) {
        let at = block + BlockQ6_K.scales
        return (at.loadUnaligned(as: UInt64.self), (at + 8).loadUnaligned(as: UInt64.self))
    }
    @inlinable @inline(__always)
    public static func weights(_ block: UnsafeRawPointer, _ sub: Int) -> Weights32 { weightsQ6_K(block, sub) }
}
#endif
