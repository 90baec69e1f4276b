#if arch(arm64)
import CIntrinsics
import KernelsARM
import QuantBlocks

// Prefill, first half: sixteen rows are unpacked once into a tile that stays in the first-level cache while every
// token of the batch is multiplied with it. Three layouts, all made with the instructions of any ARMv8.0:
//
// - columns (k, 16 rows): a widening multiply-add takes eight rows and one activation (NEON tier);
// - quads (k / 4, 16 rows, 4 bytes): a dot product takes four rows and four activations (DotProd tier);
// - octets (k / 8, 16 rows, 8 bytes): a matrix product takes two rows and eight activations (I8MM tier).
//
// Weights are signed and as small as their format allows (nibbles −8…7), because 16 bits then hold more products; a
// format with minima is shifted, so its minimum is m + 8 d. `meta` holds per group of 32 two vectors of sixteen:
// scales and minima, or the scales of its first and last half; or three: scales, and the minima of the halves.

/// How a format's group of 32 weights is read by `unpack`.
protocol TileDecoder {
    /// Whether the tile has a third vector in `meta`: a minimum of the first, then of the last sixteen weights.
    static var hasHalfMinima: Bool { get }
    static func weights(_ row: UnsafeRawPointer, _ group: Int) -> Weights32
    /// (scale, minimum), or (scale of the first sixteen, scale of the last sixteen).
    static func meta(_ row: UnsafeRawPointer, _ group: Int) -> (Float, Float)
    /// The minimum of the last sixteen weights.
    static func lastMinimum(_ row: UnsafeRawPointer, _ group: Int) -> Float
}

extension TileDecoder {
    static var hasHalfMinima: Bool { false }
    @inline(__always)  // a constant
    static func lastMinimum(_ row: UnsafeRawPointer, _ group: Int) -> Float { 0 }
}

/// What is subtracted from unsigned weights up to `largest` to make their magnitude small.
@inline(__always)  // a constant
func shift(_ largest: Int) -> Int8 { largest == 15 ? 8 : largest == 31 ? 16 : 0 }

@inline(__always)  // two instructions a group
func shifted(_ w: Weights32, _ by: Int8) -> Weights32 {
    by == 0 ? w : Weights32(low: vsubq_s8(w.low, vdupq_n_s8(by)), high: vsubq_s8(w.high, vdupq_n_s8(by)))
}

enum Tile32<Format: Block32>: TileDecoder {
    @inline(__always)  // the body of the unpack loop, as below
    static func weights(_ row: UnsafeRawPointer, _ group: Int) -> Weights32 {
        shifted(Format.weights(row + group &* Format.bytes), shift(Format.largest))
    }
    @inline(__always)
    static func meta(_ row: UnsafeRawPointer, _ group: Int) -> (Float, Float) {
        let block = row + group &* Format.bytes
        let d = Format.hasExponent ? microscalingScale(block) : half(block)
        return (d, Format.hasMinimum ? half(block + 2) + Float(shift(Format.largest)) * d : 0)
    }
}

@inline(__always)
private func scaledMeta(_ block: UnsafeRawPointer, _ sub: Int, _ largest: Int) -> (Float, Float) {
    let (scale, minimum) = scaleAndMinimum(block + BlockQ4_K.scales, sub)
    let d = half(block) * Float(scale)
    return (d, Float(shift(largest)) * d - half(block + BlockQ4_K.dmin) * Float(minimum))
}

private enum TileQ4_K: TileDecoder {
    @inline(__always)
    static func weights(_ row: UnsafeRawPointer, _ group: Int) -> Weights32 {
        shifted(weightsQ4_K(row + (group >> 3) &* BlockQ4_K.bytes, group & 7), 8)
    }
    @inline(__always)
    static func meta(_ row: UnsafeRawPointer, _ group: Int) -> (Float, Float) {
        scaledMeta(row + (group >> 3) &* BlockQ4_K.bytes, group & 7, 15)
    }
}

private enum TileQ5_K: TileDecoder {
    @inline(__always)
    static func weights(_ row: UnsafeRawPointer, _ group: Int) -> Weights32 {
        shifted(weightsQ5_K(row + (group >> 3) &* BlockQ5_K.bytes, group & 7), 16)
    }
    @inline(__always)
    static func meta(_ row: UnsafeRawPointer, _ group: Int) -> (Float, Float) {
        scaledMeta(row + (group >> 3) &* BlockQ5_K.bytes, group & 7, 31)
    }
}

/// How sixteen bytes of each of eight rows are written.
protocol TileLayout {
    /// Whether it is that of interleaved rows.
    static var isQuads: Bool { get }
    static func store(
        _ a: int8x16_t, _ b: int8x16_t, _ c: int8x16_t, _ d: int8x16_t, _ e: int8x16_t, _ f: int8x16_t,
        _ g: int8x16_t, _ h: int8x16_t, _ to: UnsafeMutableRawPointer, _ firstRow: Int)
}

extension TileLayout {
    static var isQuads: Bool { false }
}

enum ColumnTile: TileLayout {
    /// Sixteen columns of eight rows, transposed: three rounds of interleaving.
    @inline(__always)  // twice a group in every unpack loop
    static func store(
        _ a: int8x16_t, _ b: int8x16_t, _ c: int8x16_t, _ d: int8x16_t, _ e: int8x16_t, _ f: int8x16_t,
        _ g: int8x16_t, _ h: int8x16_t, _ to: UnsafeMutableRawPointer, _ firstRow: Int
    ) {
        // Interleaving rows i and i + 4, then i and i + 2, then neighbours brings bytes of one column together.
        let (ae0, ae1) = (vzip1q_s8(a, e), vzip2q_s8(a, e))
        let (bf0, bf1) = (vzip1q_s8(b, f), vzip2q_s8(b, f))
        let (cg0, cg1) = (vzip1q_s8(c, g), vzip2q_s8(c, g))
        let (dh0, dh1) = (vzip1q_s8(d, h), vzip2q_s8(d, h))
        @inline(__always) func merge(
            _ ae: int8x16_t, _ bf: int8x16_t, _ cg: int8x16_t, _ dh: int8x16_t, _ column: Int
        ) {
            let (aceg0, aceg1) = (vzip1q_s8(ae, cg), vzip2q_s8(ae, cg))
            let (bdfh0, bdfh1) = (vzip1q_s8(bf, dh), vzip2q_s8(bf, dh))
            @inline(__always) func two(_ columns: int8x16_t, _ column: Int) {
                let at = to + (column &* 16 &+ firstRow)
                at.storeBytes(of: columns.lowHalf, as: SIMD8<Int8>.self)
                (at + 16).storeBytes(of: columns.highHalf, as: SIMD8<Int8>.self)
            }
            two(vzip1q_s8(aceg0, bdfh0), column)
            two(vzip2q_s8(aceg0, bdfh0), column &+ 2)
            two(vzip1q_s8(aceg1, bdfh1), column &+ 4)
            two(vzip2q_s8(aceg1, bdfh1), column &+ 6)
        }
        merge(ae0, bf0, cg0, dh0, 0)
        merge(ae1, bf1, cg1, dh1, 8)
    }
}

enum QuadTile: TileLayout {
    static var isQuads: Bool { true }
    @inline(__always)  // twice a group in every unpack loop
    static func store(
        _ a: int8x16_t, _ b: int8x16_t, _ c: int8x16_t, _ d: int8x16_t, _ e: int8x16_t, _ f: int8x16_t,
        _ g: int8x16_t, _ h: int8x16_t, _ to: UnsafeMutableRawPointer, _ firstRow: Int
    ) {
        /// Four words of four rows, transposed.
        @inline(__always) func four(
            _ a: int8x16_t, _ b: int8x16_t, _ c: int8x16_t, _ d: int8x16_t, _ to: UnsafeMutableRawPointer
        ) {
            let (a, b) = (vreinterpretq_s32_s8(a), vreinterpretq_s32_s8(b))
            let (c, d) = (vreinterpretq_s32_s8(c), vreinterpretq_s32_s8(d))
            let (ab0, ab1) = (vreinterpretq_s64_s32(vtrn1q_s32(a, b)), vreinterpretq_s64_s32(vtrn2q_s32(a, b)))
            let (cd0, cd1) = (vreinterpretq_s64_s32(vtrn1q_s32(c, d)), vreinterpretq_s64_s32(vtrn2q_s32(c, d)))
            to.storeBytes(of: vtrn1q_s64(ab0, cd0), as: int64x2_t.self)
            (to + 64).storeBytes(of: vtrn1q_s64(ab1, cd1), as: int64x2_t.self)
            (to + 128).storeBytes(of: vtrn2q_s64(ab0, cd0), as: int64x2_t.self)
            (to + 192).storeBytes(of: vtrn2q_s64(ab1, cd1), as: int64x2_t.self)
        }
        four(a, b, c, d, to + firstRow &* 4)
        four(e, f, g, h, to + (firstRow &* 4 &+ 16))
    }
}

enum OctetTile: TileLayout {
    @inline(__always)  // twice a group in every unpack loop
    static func store(
        _ a: int8x16_t, _ b: int8x16_t, _ c: int8x16_t, _ d: int8x16_t, _ e: int8x16_t, _ f: int8x16_t,
        _ g: int8x16_t, _ h: int8x16_t, _ to: UnsafeMutableRawPointer, _ firstRow: Int
    ) {
        @inline(__always) func two(_ a: int8x16_t, _ b: int8x16_t, _ to: UnsafeMutableRawPointer) {
            to.storeBytes(of: vtrn1q_s64(vreinterpretq_s64_s8(a), vreinterpretq_s64_s8(b)), as: int64x2_t.self)
            (to + 128).storeBytes(
                of: vtrn2q_s64(vreinterpretq_s64_s8(a), vreinterpretq_s64_s8(b)), as: int64x2_t.self)
        }
        let to = to + firstRow &* 8
        two(a, b, to)
        two(c, d, to + 16)
        two(e, f, to + 32)
        two(g, h, to + 48)
    }
}

/// Unpacks `rows` (1…16) rows; the missing ones become zeros.
@inline(__always)  // specialised by each entry
func unpack<Decoder: TileDecoder, Layout: TileLayout>(
    _: Decoder.Type, _: Layout.Type, _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int,
    _ tile: UnsafeMutableRawPointer, _ meta: UnsafeMutablePointer<Float>
) {
    // A missing row reads the first one, and its scale is then set to zero: no branch in the loop.
    @inline(__always) func row(_ r: Int) -> UnsafeRawPointer { w + (r < rows ? r : 0) &* rowBytes }
    for first in stride(from: 0, to: 16, by: 8) {
        for n in 0..<(k / 32) {
            @inline(__always) func weights(_ r: Int) -> Weights32 { Decoder.weights(row(first &+ r), n) }
            let (a, b, c, d) = (weights(0), weights(1), weights(2), weights(3))
            let (e, f, g, h) = (weights(4), weights(5), weights(6), weights(7))
            let to = tile + n &* 512
            Layout.store(a.low, b.low, c.low, d.low, e.low, f.low, g.low, h.low, to, first)
            Layout.store(a.high, b.high, c.high, d.high, e.high, f.high, g.high, h.high, to + 256, first)
        }
    }
    for r in 0..<16 {
        let from = row(r)
        for n in 0..<(k / 32) {
            let (first, second) = Decoder.meta(from, n)
            let to = meta + (n &* (Decoder.hasHalfMinima ? 48 : 32) &+ r)
            to[0] = r < rows ? first : 0
            to[16] = r < rows ? second : 0
            if Decoder.hasHalfMinima { to[32] = r < rows ? Decoder.lastMinimum(from, n) : 0 }
        }
    }
}

/// Unpacks up to sixteen rows of Q4_0 blocks to columns.
@inline(never)  // entry of a tier
public func neonUnpackQ4_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(Tile32<RowQ4_0>.self, ColumnTile.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of Q4_1 blocks to columns.
@inline(never)  // entry of a tier
public func neonUnpackQ4_1(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(Tile32<RowQ4_1>.self, ColumnTile.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of Q5_0 blocks to columns.
@inline(never)  // entry of a tier
public func neonUnpackQ5_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(Tile32<RowQ5_0>.self, ColumnTile.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of Q5_1 blocks to columns.
@inline(never)  // entry of a tier
public func neonUnpackQ5_1(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(Tile32<RowQ5_1>.self, ColumnTile.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of Q8_0 blocks to columns.
@inline(never)  // entry of a tier
public func neonUnpackQ8_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(Tile32<RowQ8_0>.self, ColumnTile.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of Q4_K blocks to columns.
@inline(never)  // entry of a tier
public func neonUnpackQ4_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(TileQ4_K.self, ColumnTile.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of Q5_K blocks to columns.
@inline(never)  // entry of a tier
public func neonUnpackQ5_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(TileQ5_K.self, ColumnTile.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of IQ4_NL blocks to columns.
@inline(never)  // entry of a tier
public func neonUnpackIQ4_NL(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(Tile32<RowIQ4_NL>.self, ColumnTile.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of Q4_0 blocks to quads.
@inline(never)  // entry of a tier
public func neonUnpackQuadsQ4_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(Tile32<RowQ4_0>.self, QuadTile.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of Q4_1 blocks to quads.
@inline(never)  // entry of a tier
public func neonUnpackQuadsQ4_1(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(Tile32<RowQ4_1>.self, QuadTile.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of Q5_0 blocks to quads.
@inline(never)  // entry of a tier
public func neonUnpackQuadsQ5_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(Tile32<RowQ5_0>.self, QuadTile.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of Q5_1 blocks to quads.
@inline(never)  // entry of a tier
public func neonUnpackQuadsQ5_1(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(Tile32<RowQ5_1>.self, QuadTile.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of Q8_0 blocks to quads.
@inline(never)  // entry of a tier
public func neonUnpackQuadsQ8_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(Tile32<RowQ8_0>.self, QuadTile.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of Q4_K blocks to quads.
@inline(never)  // entry of a tier
public func neonUnpackQuadsQ4_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(TileQ4_K.self, QuadTile.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of Q5_K blocks to quads.
@inline(never)  // entry of a tier
public func neonUnpackQuadsQ5_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(TileQ5_K.self, QuadTile.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of IQ4_NL blocks to quads.
@inline(never)  // entry of a tier
public func neonUnpackQuadsIQ4_NL(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(Tile32<RowIQ4_NL>.self, QuadTile.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of Q4_0 blocks to octets.
@inline(never)  // entry of a tier
public func neonUnpackOctetsQ4_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(Tile32<RowQ4_0>.self, OctetTile.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of Q4_1 blocks to octets.
@inline(never)  // entry of a tier
public func neonUnpackOctetsQ4_1(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(Tile32<RowQ4_1>.self, OctetTile.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of Q5_0 blocks to octets.
@inline(never)  // entry of a tier
public func neonUnpackOctetsQ5_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(Tile32<RowQ5_0>.self, OctetTile.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of Q5_1 blocks to octets.
@inline(never)  // entry of a tier
public func neonUnpackOctetsQ5_1(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(Tile32<RowQ5_1>.self, OctetTile.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of Q8_0 blocks to octets.
@inline(never)  // entry of a tier
public func neonUnpackOctetsQ8_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(Tile32<RowQ8_0>.self, OctetTile.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of Q4_K blocks to octets.
@inline(never)  // entry of a tier
public func neonUnpackOctetsQ4_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(TileQ4_K.self, OctetTile.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of Q5_K blocks to octets.
@inline(never)  // entry of a tier
public func neonUnpackOctetsQ5_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(TileQ5_K.self, OctetTile.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of IQ4_NL blocks to octets.
@inline(never)  // entry of a tier
public func neonUnpackOctetsIQ4_NL(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(Tile32<RowIQ4_NL>.self, OctetTile.self, w, rowBytes, rows, k, tile, meta) }
#endif
