#if arch(x86_64)
import CIntrinsics
import QuantBlocks

// Prefill, first half: sixteen rows are unpacked once into a tile that stays in the first-level cache while every
// token of the batch is multiplied with it. The AVX-512 tier uses the same tiles.
//
// Weights stand as (k / 4, 16 rows, 4 bytes): one vector holds four neighbouring weights of eight or sixteen rows, so
// a four-byte broadcast of the activations meets all of them and no sum has to cross lanes.
// `meta` holds per group of 32 two vectors of sixteen: scales and minima, or the scales of its first and last half; or
// three: scales, and the minima of its first and last half.

/// Writes a group of eight rows, given as 32 bytes a row: an 8 × 8 transposition of dwords.
@inline(__always)  // once per group in every unpack loop
private func transpose(
    _ a: I256, _ b: I256, _ c: I256, _ d: I256, _ e: I256, _ f: I256, _ g: I256, _ h: I256,
    _ to: UnsafeMutableRawPointer
) {
    let (ab0, ab1) = (_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b))
    let (cd0, cd1) = (_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d))
    let (ef0, ef1) = (_mm256_unpacklo_epi32(e, f), _mm256_unpackhi_epi32(e, f))
    let (gh0, gh1) = (_mm256_unpacklo_epi32(g, h), _mm256_unpackhi_epi32(g, h))
    let (p0, p1) = (_mm256_unpacklo_epi64(ab0, cd0), _mm256_unpackhi_epi64(ab0, cd0))
    let (p2, p3) = (_mm256_unpacklo_epi64(ab1, cd1), _mm256_unpackhi_epi64(ab1, cd1))
    let (q0, q1) = (_mm256_unpacklo_epi64(ef0, gh0), _mm256_unpackhi_epi64(ef0, gh0))
    let (q2, q3) = (_mm256_unpacklo_epi64(ef1, gh1), _mm256_unpackhi_epi64(ef1, gh1))
    to.storeBytes(of: martlet_low_halves(p0, q0), as: I256.self)
    (to + 64).storeBytes(of: martlet_low_halves(p1, q1), as: I256.self)
    (to + 128).storeBytes(of: martlet_low_halves(p2, q2), as: I256.self)
    (to + 192).storeBytes(of: martlet_low_halves(p3, q3), as: I256.self)
    (to + 256).storeBytes(of: martlet_high_halves(p0, q0), as: I256.self)
    (to + 320).storeBytes(of: martlet_high_halves(p1, q1), as: I256.self)
    (to + 384).storeBytes(of: martlet_high_halves(p2, q2), as: I256.self)
    (to + 448).storeBytes(of: martlet_high_halves(p3, q3), as: I256.self)
}

/// How a format's group of 32 weights is read by `unpack`.
protocol TileDecoder {
    /// Whether the tile has a third vector in `meta`: a minimum of the first, then of the last sixteen weights.
    static var hasHalfMinima: Bool { get }
    static func weights(_ row: UnsafeRawPointer, _ group: Int) -> I256
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

enum Tile32<Format: Block32>: TileDecoder {
    @inline(__always)  // the body of the unpack loop, as below
    static func weights(_ row: UnsafeRawPointer, _ group: Int) -> I256 { Format.weights(row + group &* Format.bytes) }
    @inline(__always)
    static func meta(_ row: UnsafeRawPointer, _ group: Int) -> (Float, Float) {
        let scales = Format.scales(row + group &* Format.bytes)
        return (scales[0], Format.offset * scales[1])
    }
}

/// Scale and minimum of a group of Q4_K or Q5_K, which begin alike.
@inline(__always)
private func scaledMeta(_ block: UnsafeRawPointer, _ sub: Int) -> (Float, Float) {
    let (scale, minimum) = scaleAndMinimum(block + BlockQ4_K.scales, sub)
    return (half(block) * Float(scale), -half(block + BlockQ4_K.dmin) * Float(minimum))
}

private enum TileQ4_K: TileDecoder {
    @inline(__always)
    static func weights(_ row: UnsafeRawPointer, _ group: Int) -> I256 {
        weightsQ4_K(row + (group >> 3) &* BlockQ4_K.bytes, group & 7)
    }
    @inline(__always)
    static func meta(_ row: UnsafeRawPointer, _ group: Int) -> (Float, Float) {
        scaledMeta(row + (group >> 3) &* BlockQ4_K.bytes, group & 7)
    }
}

private enum TileQ5_K: TileDecoder {
    @inline(__always)
    static func weights(_ row: UnsafeRawPointer, _ group: Int) -> I256 {
        weightsQ5_K(row + (group >> 3) &* BlockQ5_K.bytes, group & 7)
    }
    @inline(__always)
    static func meta(_ row: UnsafeRawPointer, _ group: Int) -> (Float, Float) {
        scaledMeta(row + (group >> 3) &* BlockQ5_K.bytes, group & 7)
    }
}

/// Unpacks `rows` (1…16) rows; the missing ones become zeros.
@inline(__always)  // specialised by each entry; a weak generic here could replace the baseline's
func unpack<Decoder: TileDecoder>(
    _: Decoder.Type, _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int,
    _ tile: UnsafeMutableRawPointer, _ meta: UnsafeMutablePointer<Float>
) {
    // A missing row reads the first one, and its scale is then set to zero: no branch in the loop.
    @inline(__always) func row(_ r: Int) -> UnsafeRawPointer { w + (r < rows ? r : 0) &* rowBytes }
    for first in stride(from: 0, to: 16, by: 8) {
        let (a, b, c, d) = (row(first), row(first &+ 1), row(first &+ 2), row(first &+ 3))
        let (e, f, g, h) = (row(first &+ 4), row(first &+ 5), row(first &+ 6), row(first &+ 7))
        for n in 0..<(k / 32) {
            transpose(
                Decoder.weights(a, n), Decoder.weights(b, n), Decoder.weights(c, n), Decoder.weights(d, n),
                Decoder.weights(e, n), Decoder.weights(f, n), Decoder.weights(g, n), Decoder.weights(h, n),
                tile + (n &* 512 &+ first &* 4))
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

/// Unpacks up to sixteen rows of Q4_0 blocks.
@inline(never)  // entry of a tier
public func avx2UnpackQ4_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(Tile32<RowQ4_0>.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of Q4_1 blocks.
@inline(never)  // entry of a tier
public func avx2UnpackQ4_1(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(Tile32<RowQ4_1>.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of Q5_0 blocks.
@inline(never)  // entry of a tier
public func avx2UnpackQ5_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(Tile32<RowQ5_0>.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of Q5_1 blocks.
@inline(never)  // entry of a tier
public func avx2UnpackQ5_1(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(Tile32<RowQ5_1>.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of Q8_0 blocks.
@inline(never)  // entry of a tier
public func avx2UnpackQ8_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(Tile32<RowQ8_0>.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of Q4_K blocks.
@inline(never)  // entry of a tier
public func avx2UnpackQ4_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(TileQ4_K.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of Q5_K blocks.
@inline(never)  // entry of a tier
public func avx2UnpackQ5_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(TileQ5_K.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of IQ4_NL blocks.
@inline(never)  // entry of a tier
public func avx2UnpackIQ4_NL(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(Tile32<RowIQ4_NL>.self, w, rowBytes, rows, k, tile, meta) }
#endif
