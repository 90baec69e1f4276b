#if arch(arm64)
import CIntrinsics
import QuantBlocks

// How interleaved rows are read, four rows (a quad) at a time, for decode and for the tiles alike.

/// A format of interleaved rows.
public protocol InterleavedQuads: InterleavedFormat {
    /// The largest magnitude of `columns`: how many products 16 bits hold.
    static var largest: Int { get }
    /// A weight is d q + offset · m, with m the minimum, or d where there is none.
    static var offset: Float { get }
    /// Column `c` (0…3) of a quad: weights 4 c … of the group (low), and weights 16 + 4 c … (high).
    static func columns(_ codes: UnsafeRawPointer, _ bits: UnsafeRawPointer, _ c: Int) -> Weights32
}

extension InterleavedQuads {
    @inlinable public static var largest: Int { 15 }
    @inlinable public static var offset: Float { 1 }
    @inlinable @inline(__always)  // the body of every loop over columns, as below
    public static func columns(_ codes: UnsafeRawPointer, _ bits: UnsafeRawPointer, _ c: Int) -> Weights32 {
        nibbles(codes + c &* 64)
    }
}

/// Nibbles with their fifth bits. `c` is a constant once this is inlined.
@inlinable @inline(__always)
func fiveBits(_ codes: UnsafeRawPointer, _ bits: UnsafeRawPointer, _ c: Int) -> Weights32 {
    let packed = (codes + c &* 64).loadUnaligned(as: uint8x16_t.self)
    let fifth = bits.loadUnaligned(as: uint8x16_t.self)
    // Bits c and 4 + c to bits 0 and 4, alone: then an instruction each puts them above the nibbles.
    let moved: uint8x16_t
    switch c {
    case 0: moved = fifth
    case 1: moved = martlet_lower_bits1(fifth)
    case 2: moved = martlet_lower_bits2(fifth)
    default: moved = martlet_lower_bits3(fifth)
    }
    let kept = vandq_u8(moved, vdupq_n_u8(0x11))
    return Weights32(
        low: vreinterpretq_s8_u8(martlet_below(packed, kept)), high: vreinterpretq_s8_u8(martlet_above(packed, kept)))
}

/// `weights` with the bits of `mask` from `bits`.
@inlinable @inline(__always)  // one instruction
func insert(_ bits: uint8x16_t, _ weights: int8x16_t, _ mask: UInt8) -> int8x16_t {
    vreinterpretq_s8_u8(vbslq_u8(vdupq_n_u8(mask), bits, vreinterpretq_u8_s8(weights)))
}

extension InterleavedQ4_0: InterleavedQuads { @inlinable public static var offset: Float { -8 } }
extension InterleavedQ4_1: InterleavedQuads {}
extension InterleavedQ4_K: InterleavedQuads {}

extension InterleavedQ5_0: InterleavedQuads {
    @inlinable public static var largest: Int { 31 }
    @inlinable public static var offset: Float { -16 }
    @inlinable @inline(__always)
    public static func columns(_ codes: UnsafeRawPointer, _ bits: UnsafeRawPointer, _ c: Int) -> Weights32 {
        fiveBits(codes, bits, c)
    }
}

extension InterleavedQ5_1: InterleavedQuads {
    @inlinable public static var largest: Int { 31 }
    @inlinable @inline(__always)
    public static func columns(_ codes: UnsafeRawPointer, _ bits: UnsafeRawPointer, _ c: Int) -> Weights32 {
        fiveBits(codes, bits, c)
    }
}

extension InterleavedQ5_K: InterleavedQuads {
    @inlinable public static var largest: Int { 31 }
    @inlinable @inline(__always)
    public static func columns(_ codes: UnsafeRawPointer, _ bits: UnsafeRawPointer, _ c: Int) -> Weights32 {
        fiveBits(codes, bits, c)
    }
}

extension InterleavedQ8_0: InterleavedQuads {
    @inlinable public static var largest: Int { 128 }
    @inlinable public static var offset: Float { 0 }
    @inlinable @inline(__always)
    public static func columns(_ codes: UnsafeRawPointer, _ bits: UnsafeRawPointer, _ c: Int) -> Weights32 {
        Weights32(low: loadBytes(codes + c &* 64), high: loadBytes(codes + (c &+ 4) &* 64))
    }
}

extension InterleavedIQ4_NL: InterleavedQuads {
    @inlinable public static var largest: Int { 128 }
    @inlinable public static var offset: Float { 0 }
    @inlinable @inline(__always)
    public static func columns(_ codes: UnsafeRawPointer, _ bits: UnsafeRawPointer, _ c: Int) -> Weights32 {
        let (nibble, steps) = (nibbles(codes + c &* 64), nonlinearSteps)
        return Weights32(
            low: vqtbl1q_s8(steps, vreinterpretq_u8_s8(nibble.low)),
            high: vqtbl1q_s8(steps, vreinterpretq_u8_s8(nibble.high)))
    }
}

extension InterleavedQ6_K: InterleavedQuads {
    @inlinable public static var largest: Int { 32 }
    @inlinable public static var offset: Float { 0 }
    @inlinable @inline(__always)
    public static func columns(_ codes: UnsafeRawPointer, _ bits: UnsafeRawPointer, _ c: Int) -> Weights32 {
        let weights = nibbles(codes + c &* 64)
        /// Field c of two bits to bits 4 and 5, less 32.
        @inline(__always) func full(_ low: int8x16_t, _ bits: UnsafeRawPointer) -> int8x16_t {
            let fields = bits.loadUnaligned(as: uint8x16_t.self)
            let moved: uint8x16_t
            switch c {
            case 0: moved = martlet_raise_bits4(fields)
            case 1: moved = martlet_raise_bits2(fields)
            case 2: moved = fields
            default: moved = martlet_lower_bits2(fields)
            }
            return vsubq_s8(insert(moved, low, 0x30), vdupq_n_s8(32))
        }
        return Weights32(low: full(weights.low, bits), high: full(weights.high, bits + 64))
    }
}

/// A word for each of sixteen rows.
public struct Words16 {
    public var a: int32x4_t
    public var b: int32x4_t
    public var c: int32x4_t
    public var d: int32x4_t

    @inlinable @inline(__always)
    public init(_ a: int32x4_t, _ b: int32x4_t, _ c: int32x4_t, _ d: int32x4_t) {
        self.a = a
        self.b = b
        self.c = c
        self.d = d
    }

    /// Sixteen signed bytes widened: 6-bit scales, or the signed ones of Q6_K.
    @inlinable @inline(__always)  // seven instructions
    public init(bytes address: UnsafeRawPointer) {
        let bytes = loadBytes(address)
        let (low, high) = (vmovl_s8(vget_low_s8(bytes)), vmovl_high_s8(bytes))
        a = vmovl_s16(vget_low_s16(low))
        b = vmovl_high_s16(low)
        c = vmovl_s16(vget_low_s16(high))
        d = vmovl_high_s16(high)
    }
}

/// A float for each of sixteen rows.
public struct Floats16 {
    public var a: float32x4_t
    public var b: float32x4_t
    public var c: float32x4_t
    public var d: float32x4_t

    @inlinable @inline(__always)
    public init() { (a, b, c, d) = (.zero, .zero, .zero, .zero) }

    /// Sixteen halves widened.
    @inlinable @inline(__always)  // six instructions
    public init(halves address: UnsafeRawPointer) {
        let low = address.loadUnaligned(as: uint16x8_t.self)
        let high = (address + 16).loadUnaligned(as: uint16x8_t.self)
        (a, b) = (martlet_widen_low(low), martlet_widen_high(low))
        (c, d) = (martlet_widen_low(high), martlet_widen_high(high))
    }

    @inlinable @inline(__always)
    public init(_ words: Words16) {
        (a, b) = (vcvtq_f32_s32(words.a), vcvtq_f32_s32(words.b))
        (c, d) = (vcvtq_f32_s32(words.c), vcvtq_f32_s32(words.d))
    }

    /// self += x · scale · by
    @inlinable @inline(__always)  // eight instructions a group
    public mutating func add(_ x: Floats16, _ scale: Floats16, _ by: Float) {
        a = a.addingProduct(x.a, scale.a * by)
        b = b.addingProduct(x.b, scale.b * by)
        c = c.addingProduct(x.c, scale.c * by)
        d = d.addingProduct(x.d, scale.d * by)
    }

    /// self += x · by
    @inlinable @inline(__always)  // four instructions a group
    public mutating func add(_ x: Floats16, _ by: Float) {
        a = a.addingProduct(x.a, by)
        b = b.addingProduct(x.b, by)
        c = c.addingProduct(x.c, by)
        d = d.addingProduct(x.d, by)
    }
}
#endif
