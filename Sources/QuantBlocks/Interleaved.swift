// Interleaved rows: the layout of `martlet model pack`.
//
// A band is sixteen rows. Where the file has a block of one row after the other, a band has a record of the same block
// of all its rows, so that a vector register meets neighbouring rows instead of neighbouring weights: no sum crosses
// lanes, one load brings sixteen scales, and a matrix is read as one stream.
//
//     | halves | scales of group 0 … | bits and codes of group 0 | … of group 1 | … |
//
// - halves: d of sixteen rows, then m or dmin of sixteen rows where the format has one.
// - scales (K formats): per group of 32 weights two vectors of sixteen bytes: scale and minimum, or (Q6_K) the scales
//   of its first and of its last half.
// - codes: words of four weights, (column, row, 4 bytes). A nibble format has four columns; byte i of column c holds
//   weight 4 c + i low and weight 16 + 4 c + i high. Q8_0 has eight columns.
// - bits: (row, 4 bytes). Fifth bits: in byte i, bit c belongs to weight 4 c + i and bit 4 + c to weight 16 + 4 c + i.
//   Q6_K: first such bytes for the first sixteen weights, whose field c of two bits belongs to weight 4 c + i, then for
//   the last sixteen.
//
// Rejected: a layout for each tier (a packed file could not move from board to board); scales apart from the codes
// (two streams a band).

/// What stands in a record of sixteen interleaved blocks.
public protocol InterleavedFormat {
    /// Groups of 32 weights in a block.
    static var groups: Int { get }
    /// Half-precision numbers in a block.
    static var halves: Int { get }
    /// Bytes of fifth and sixth bits of a group.
    static var bitBytes: Int { get }
    /// Bytes of codes of a group.
    static var codeBytes: Int { get }
    /// Whether every group has scales of its own.
    static var hasGroupScales: Bool { get }
}

extension InterleavedFormat {
    @inlinable public static var groups: Int { 1 }
    @inlinable public static var halves: Int { 1 }
    @inlinable public static var bitBytes: Int { 0 }
    @inlinable public static var codeBytes: Int { 256 }
    @inlinable public static var hasGroupScales: Bool { false }

    /// Where the scales of group `g` stand in a record.
    @inlinable @inline(__always)
    public static func scales(_ g: Int) -> Int { halves &* 32 &+ g &* 32 }
    /// Where the bits of group `g` stand.
    @inlinable @inline(__always)
    public static func bits(_ g: Int) -> Int {
        halves &* 32 &+ (hasGroupScales ? groups &* 32 : 0) &+ g &* (bitBytes &+ codeBytes)
    }
    /// Where the codes of group `g` stand.
    @inlinable @inline(__always)
    public static func codes(_ g: Int) -> Int { bits(g) &+ bitBytes }
    /// Bytes of a record.
    @inlinable public static var recordBytes: Int { bits(groups) }
}

/// 288 bytes, 16 × 32 weights.
public enum InterleavedQ4_0: InterleavedFormat {}

/// 320 bytes, 16 × 32 weights.
public enum InterleavedQ4_1: InterleavedFormat {
    @inlinable public static var halves: Int { 2 }
}

/// 352 bytes, 16 × 32 weights.
public enum InterleavedQ5_0: InterleavedFormat {
    @inlinable public static var bitBytes: Int { 64 }
}

/// 384 bytes, 16 × 32 weights.
public enum InterleavedQ5_1: InterleavedFormat {
    @inlinable public static var halves: Int { 2 }
    @inlinable public static var bitBytes: Int { 64 }
}

/// 544 bytes, 16 × 32 weights.
public enum InterleavedQ8_0: InterleavedFormat {
    @inlinable public static var codeBytes: Int { 512 }
}

/// 288 bytes, 16 × 32 weights.
public enum InterleavedIQ4_NL: InterleavedFormat {}

/// 2,368 bytes, 16 × 256 weights: 64 more than sixteen blocks, because a 6-bit scale takes a byte.
public enum InterleavedQ4_K: InterleavedFormat {
    @inlinable public static var groups: Int { 8 }
    @inlinable public static var halves: Int { 2 }
    @inlinable public static var hasGroupScales: Bool { true }
}

/// 2,880 bytes, 16 × 256 weights.
public enum InterleavedQ5_K: InterleavedFormat {
    @inlinable public static var groups: Int { 8 }
    @inlinable public static var halves: Int { 2 }
    @inlinable public static var bitBytes: Int { 64 }
    @inlinable public static var hasGroupScales: Bool { true }
}

/// 3,360 bytes, 16 × 256 weights.
public enum InterleavedQ6_K: InterleavedFormat {
    @inlinable public static var groups: Int { 8 }
    @inlinable public static var bitBytes: Int { 128 }
    @inlinable public static var hasGroupScales: Bool { true }
}
