// The room of weight formats: how many weights a block holds, how many bytes it takes, where each field stands.
//
// A block is described by offsets instead of a Swift struct because GGUF packs blocks without padding
// (18, 20, 34, 144, 210 bytes), and a struct with a 16-byte vector field would be padded to 32.
// Byte diagrams after ggml's block definitions; every number little-endian, `d`, `m`, `dmin` are IEEE half.

/// Where the fields of one weight block stand.
public protocol QuantBlock {
    /// Weights in a block.
    static var weights: Int { get }
    /// Bytes of a block.
    static var bytes: Int { get }
}

/// `x = d (q − 8)`; nibble j low is weight j, high is weight j + 16.
///
///     | d (2) | qs (16) |   18 bytes, 32 weights
public enum BlockQ4_0: QuantBlock {
    @inlinable public static var weights: Int { 32 }
    @inlinable public static var bytes: Int { 2 + 16 }
    @inlinable public static var qs: Int { 2 }
}

/// `x = d q + m`; nibbles as in Q4_0.
///
///     | d (2) | m (2) | qs (16) |   20 bytes, 32 weights
public enum BlockQ4_1: QuantBlock {
    @inlinable public static var weights: Int { 32 }
    @inlinable public static var bytes: Int { 2 + 2 + 16 }
    @inlinable public static var m: Int { 2 }
    @inlinable public static var qs: Int { 4 }
}

/// `x = d (q − 16)`; nibbles as in Q4_0, bit j of `qh` (little-endian) is the fifth bit of weight j.
///
///     | d (2) | qh (4) | qs (16) |   22 bytes, 32 weights
public enum BlockQ5_0: QuantBlock {
    @inlinable public static var weights: Int { 32 }
    @inlinable public static var bytes: Int { 2 + 4 + 16 }
    @inlinable public static var qh: Int { 2 }
    @inlinable public static var qs: Int { 6 }
}

/// `x = d q + m`; q as in Q5_0.
///
///     | d (2) | m (2) | qh (4) | qs (16) |   24 bytes, 32 weights
public enum BlockQ5_1: QuantBlock {
    @inlinable public static var weights: Int { 32 }
    @inlinable public static var bytes: Int { 2 + 2 + 4 + 16 }
    @inlinable public static var m: Int { 2 }
    @inlinable public static var qh: Int { 4 }
    @inlinable public static var qs: Int { 8 }
}

/// `x = d T[q]` with a table of sixteen unequal steps, `nonlinearSteps`; nibbles as in Q4_0.
///
///     | d (2) | qs (16) |   18 bytes, 32 weights
public enum BlockIQ4_NL: QuantBlock {
    @inlinable public static var weights: Int { 32 }
    @inlinable public static var bytes: Int { 2 + 16 }
    @inlinable public static var qs: Int { 2 }
}

/// What a nibble of IQ4_NL stands for.
@inlinable @inline(__always)  // a constant vector
public var nonlinearSteps: SIMD16<Int8> {
    SIMD16(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)
}

/// `x = d q`, q signed.
///
///     | d (2) | qs (32) |   34 bytes, 32 weights
public enum BlockQ8_0: QuantBlock {
    @inlinable public static var weights: Int { 32 }
    @inlinable public static var bytes: Int { 2 + 32 }
    @inlinable public static var qs: Int { 2 }
}

/// `x = d sc q − dmin mn`, one 6-bit (sc, mn) per 32 weights.
///
///     | d (2) | dmin (2) | scales (12) | qs (128) |   144 bytes, 256 weights
///
/// Sub-blocks 2i and 2i + 1 are the low and the high nibbles of `qs[32 i ..< 32 i + 32]`.
public enum BlockQ4_K: QuantBlock {
    @inlinable public static var weights: Int { 256 }
    @inlinable public static var bytes: Int { 2 + 2 + 12 + 128 }
    @inlinable public static var dmin: Int { 2 }
    @inlinable public static var scales: Int { 4 }
    @inlinable public static var qs: Int { 16 }
}

/// `x = d sc q − dmin mn`; as Q4_K with a fifth bit: bit i of `qh[j]` belongs to weight j of sub-block i.
///
///     | d (2) | dmin (2) | scales (12) | qh (32) | qs (128) |   176 bytes, 256 weights
public enum BlockQ5_K: QuantBlock {
    @inlinable public static var weights: Int { 256 }
    @inlinable public static var bytes: Int { 2 + 2 + 12 + 32 + 128 }
    @inlinable public static var dmin: Int { 2 }
    @inlinable public static var scales: Int { 4 }
    @inlinable public static var qh: Int { 16 }
    @inlinable public static var qs: Int { 48 }
}

/// `x = d sc (q − 32)`, one signed 8-bit sc per 16 weights; `d` comes last.
///
///     | ql (128) | qh (64) | scales (16) | d (2) |   210 bytes, 256 weights
public enum BlockQ6_K: QuantBlock {
    @inlinable public static var weights: Int { 256 }
    @inlinable public static var bytes: Int { 128 + 64 + 16 + 2 }
    @inlinable public static var qh: Int { 128 }
    @inlinable public static var scales: Int { 192 }
    @inlinable public static var d: Int { 208 }
}

/// Rows that a prefill tile holds: one 512-bit vector of results per token, or several narrower ones.
@inlinable public var tileRows: Int { 16 }

/// Tokens whose quantised activations stand side by side in a panel, the right-hand side of a tile's product.
///
/// A panel's bytes are (k / 4, token, 4): four tokens' next four values fill a 128-bit register.
/// Its scales, `panelScales` words per 32 values, are five vectors of a word a token: d; s = d Σ q; and as integers
/// −128 Σ q over the first and over the last sixteen values, which is what a product with weights + 128 has too much,
/// and −8 Σ q over all of them, the same for weights + 8.
@inlinable public var panelTokens: Int { 4 }
@inlinable public var panelScales: Int { 20 }

/// Values that share a scale in a wide panel, which is what tiles of floats are multiplied with where a tier does so in
/// integers: 16 bits a value, in an order that is the tier's own, and a scale a token and block. There is room for whole
/// blocks. More values would overflow the sums of 16-bit products on x86-64; on ARM they would share bits with more.
@inlinable public var wideBlock: Int {
    #if arch(arm64)
    128
    #else
    64
    #endif
}

/// Bytes of a wide panel of `count` values a token.
@inlinable @inline(__always)
public func wideBytes(_ count: Int) -> Int { wideScales(count) &* wideBlock &* 2 }

/// Scales of a wide panel.
@inlinable @inline(__always)
public func wideScales(_ count: Int) -> Int { (count &+ wideBlock &- 1) / wideBlock &* panelTokens }

/// A half-precision number at an address of any alignment, widened.
@inlinable @inline(__always)
public func half(_ address: UnsafeRawPointer) -> Float {
    Float(Float16(bitPattern: address.loadUnaligned(as: UInt16.self)))
}

/// The 6-bit scale and minimum of Q4_K's and Q5_K's sub-block `index` (0…7) from its 12 packed bytes.
///
/// Sub-blocks 0…3 keep their 6 bits in bytes 0…3 (scales) and 4…7 (minima); the top two bits of those bytes and
/// the nibbles of bytes 8…11 make sub-blocks 4…7.
@inlinable @inline(__always)
public func scaleAndMinimum(_ scales: UnsafeRawPointer, _ index: Int) -> (scale: UInt8, minimum: UInt8) {
    @inline(__always) func byte(_ i: Int) -> UInt8 { scales.load(fromByteOffset: i, as: UInt8.self) }
    if index < 4 { return (byte(index) & 63, byte(index &+ 4) & 63) }
    let scale = (byte(index &+ 4) & 0x0F) | ((byte(index &- 4) >> 6) << 4)
    let minimum = (byte(index &+ 4) >> 4) | ((byte(index) >> 6) << 4)
    return (scale, minimum)
}

/// A scale rounded to the eleven significant bits of half precision, but with single precision's range.
///
/// GGUF's reference quantiser stores activation scales as halves. Rounding as it does makes our integers and scales
/// its integers and scales, so logits differ only by the order of additions; a real half would overflow for
/// activations beyond 8 million, and vanish below 1e−5.
@inlinable @inline(__always)
public func roundedToHalfPrecision(_ x: Float) -> Float {
    let bits = x.bitPattern
    return Float(bitPattern: (bits &+ 0x0FFF &+ ((bits >> 13) & 1)) & 0xFFFF_E000)
}
