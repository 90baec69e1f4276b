#if arch(arm64)
import CIntrinsics
import QuantBlocks

/// A format of blocks of 32 weights.
public protocol Block32 {
    static var bytes: Int { get }
    /// The largest magnitude of `weights`: how many products 16 bits hold.
    static var largest: Int { get }
    /// A weight is d q + offset · m, with m the block's minimum, or d where it has none.
    static var offset: Float { get }
    /// Whether a second half, the minimum, follows d.
    static var hasMinimum: Bool { get }
    /// Whether d is an exponent in a byte instead of a half.
    static var hasExponent: Bool { get }
    static func weights(_ block: UnsafeRawPointer) -> Weights32
}

extension Block32 {
    @inlinable public static var hasExponent: Bool { false }
}

public enum RowQ4_0: Block32 {
    @inlinable public static var bytes: Int { BlockQ4_0.bytes }
    @inlinable public static var largest: Int { 15 }
    @inlinable public static var offset: Float { -8 }
    @inlinable public static var hasMinimum: Bool { false }
    @inlinable @inline(__always)
    public static func weights(_ block: UnsafeRawPointer) -> Weights32 {
        nibbles(block + BlockQ4_0.qs)
    }
}

public enum RowQ4_1: Block32 {
    @inlinable public static var bytes: Int { BlockQ4_1.bytes }
    @inlinable public static var largest: Int { 15 }
    @inlinable public static var offset: Float { 1 }
    @inlinable public static var hasMinimum: Bool { true }
    @inlinable @inline(__always)
    public static func weights(_ block: UnsafeRawPointer) -> Weights32 {
        nibbles(block + BlockQ4_1.qs)
    }
}

public enum RowQ5_0: Block32 {
    @inlinable public static var bytes: Int { BlockQ5_0.bytes }
    @inlinable public static var largest: Int { 31 }
    @inlinable public static var offset: Float { -16 }
    @inlinable public static var hasMinimum: Bool { false }
    @inlinable @inline(__always)
    public static func weights(_ block: UnsafeRawPointer) -> Weights32 {
        addFifthBits(nibbles(block + BlockQ5_0.qs), block + BlockQ5_0.qh)
    }
}

public enum RowQ5_1: Block32 {
    @inlinable public static var bytes: Int { BlockQ5_1.bytes }
    @inlinable public static var largest: Int { 31 }
    @inlinable public static var offset: Float { 1 }
    @inlinable public static var hasMinimum: Bool { true }
    @inlinable @inline(__always)
    public static func weights(_ block: UnsafeRawPointer) -> Weights32 {
        addFifthBits(nibbles(block + BlockQ5_1.qs), block + BlockQ5_1.qh)
    }
}

public enum RowQ8_0: Block32 {
    @inlinable public static var bytes: Int { BlockQ8_0.bytes }
    @inlinable public static var largest: Int { 128 }
    @inlinable public static var offset: Float { 0 }
    @inlinable public static var hasMinimum: Bool { false }
    @inlinable @inline(__always)
    public static func weights(_ block: UnsafeRawPointer) -> Weights32 {
        Weights32(low: loadBytes(block + BlockQ8_0.qs), high: loadBytes(block + (BlockQ8_0.qs &+ 16)))
    }
}

public enum RowIQ4_NL: Block32 {
    @inlinable public static var bytes: Int { BlockIQ4_NL.bytes }
    @inlinable public static var largest: Int { 128 }
    @inlinable public static var offset: Float { 0 }
    @inlinable public static var hasMinimum: Bool { false }
    @inlinable @inline(__always)
    public static func weights(_ block: UnsafeRawPointer) -> Weights32 {
        lookUp(nonlinearSteps, block + BlockIQ4_NL.qs)
    }
}

/// Nibbles at `address`, looked up.
@inlinable @inline(__always)  // five instructions in every block
public func lookUp(_ table: int8x16_t, _ address: UnsafeRawPointer) -> Weights32 {
    let nibble = nibbles(address)
    return Weights32(
        low: vqtbl1q_s8(table, vreinterpretq_u8_s8(nibble.low)),
        high: vqtbl1q_s8(table, vreinterpretq_u8_s8(nibble.high)))
}

/// The 32 weights of group `sub` (0…7) of a Q4_K block, 0…15.
@inlinable @inline(__always)
public func weightsQ4_K(_ block: UnsafeRawPointer, _ sub: Int) -> Weights32 {
    let packed = block + (BlockQ4_K.qs &+ (sub >> 1) &* 32)
    let (first, second) = (nibbles(packed), nibbles(packed + 16))
    return sub & 1 == 0
        ? Weights32(low: first.low, high: second.low) : Weights32(low: first.high, high: second.high)
}

/// The 32 weights of group `sub` (0…7) of a Q5_K block, 0…31.
@inlinable @inline(__always)
public func weightsQ5_K(_ block: UnsafeRawPointer, _ sub: Int) -> Weights32 {
    let packed = block + (BlockQ5_K.qs &+ (sub >> 1) &* 32)
    let (first, second) = (nibbles(packed), nibbles(packed + 16))
    let bit = vdupq_n_u8(1 &<< UInt8(truncatingIfNeeded: sub))
    @inline(__always) func fifth(_ weights: int8x16_t, _ offset: Int) -> int8x16_t {
        let bits = (block + (BlockQ5_K.qh &+ offset)).loadUnaligned(as: uint8x16_t.self)
        return vmlaq_s8(weights, vreinterpretq_s8_u8(vtstq_u8(bits, bit)), vdupq_n_s8(-16))
    }
    let (low, high) = sub & 1 == 0 ? (first.low, second.low) : (first.high, second.high)
    return Weights32(low: fifth(low, 0), high: fifth(high, 16))
}

/// The 32 weights of group `sub` (0…7) of a Q6_K block, −32…31.
@inlinable @inline(__always)
public func weightsQ6_K(_ block: UnsafeRawPointer, _ sub: Int) -> Weights32 {
    let within = sub & 3
    let ql = block + ((sub >> 2) &* 64 &+ (within & 1) &* 32)
    let qh = block + (BlockQ6_K.qh &+ (sub >> 2) &* 32)
    let shift = vdupq_n_s8(Int8(truncatingIfNeeded: -2 &* within))
    @inline(__always) func weights(_ offset: Int) -> int8x16_t {
        let bits = (ql + offset).loadUnaligned(as: uint8x16_t.self)
        let low = within < 2 ? vandq_u8(bits, vdupq_n_u8(15)) : martlet_high_nibbles(bits)
        let shifted = vshlq_u8((qh + offset).loadUnaligned(as: uint8x16_t.self), shift)
        let high = vshlq_u8(vandq_u8(shifted, vdupq_n_u8(3)), vdupq_n_s8(4))
        return vsubq_s8(vreinterpretq_s8_u8(vorrq_u8(low, high)), vdupq_n_s8(32))
    }
    return Weights32(low: weights(0), high: weights(16))
}
#endif
