#if arch(x86_64)
import CIntrinsics
import QuantBlocks

// Prefill, first half: eight rows are unpacked once into a tile that stays in the first-level cache while every
// token of the batch is multiplied with it.
//
// Weights stand as (k / 4, 8 rows, 4 bytes): one 32-byte vector holds four neighbouring weights of eight rows, so
// a four-byte broadcast of the activations meets all eight rows and no sum has to cross lanes.
// `meta` holds per group the eight scales, then (nibble formats only) the eight minima.

/// Writes group `g` of eight rows; `rows[r]` are the 32 bytes of row r. An 8 × 8 transposition of dwords.
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
    (to + 32).storeBytes(of: martlet_low_halves(p1, q1), as: I256.self)
    (to + 64).storeBytes(of: martlet_low_halves(p2, q2), as: I256.self)
    (to + 96).storeBytes(of: martlet_low_halves(p3, q3), as: I256.self)
    (to + 128).storeBytes(of: martlet_high_halves(p0, q0), as: I256.self)
    (to + 160).storeBytes(of: martlet_high_halves(p1, q1), as: I256.self)
    (to + 192).storeBytes(of: martlet_high_halves(p2, q2), as: I256.self)
    (to + 224).storeBytes(of: martlet_high_halves(p3, q3), as: I256.self)
}

/// How a format's group of 32 weights is read by `unpack`.
private protocol TileDecoder {
    /// Scales and minima per group of 32: (scale), (scale, minimum) or (low scale, high scale).
    static var metaVectors: Int { get }
    static func weights(_ row: UnsafeRawPointer, _ group: Int) -> I256
    static func meta(_ row: UnsafeRawPointer, _ group: Int) -> (Float, Float)
}

private enum TileQ4_0: TileDecoder {
    static var metaVectors: Int { 2 }
    @inline(__always)  // the body of the unpack loop
    static func weights(_ row: UnsafeRawPointer, _ group: Int) -> I256 {
        nibbles(row + (group &* BlockQ4_0.bytes &+ BlockQ4_0.qs))
    }
    @inline(__always)
    static func meta(_ row: UnsafeRawPointer, _ group: Int) -> (Float, Float) {
        let d = half(row + group &* BlockQ4_0.bytes)
        return (d, -8 * d)
    }
}

private enum TileQ4_1: TileDecoder {
    static var metaVectors: Int { 2 }
    @inline(__always)  // the body of the unpack loop
    static func weights(_ row: UnsafeRawPointer, _ group: Int) -> I256 {
        nibbles(row + (group &* BlockQ4_1.bytes &+ BlockQ4_1.qs))
    }
    @inline(__always)
    static func meta(_ row: UnsafeRawPointer, _ group: Int) -> (Float, Float) {
        let block = row + group &* BlockQ4_1.bytes
        return (half(block), half(block + BlockQ4_1.m))
    }
}

private enum TileQ4_K: TileDecoder {
    static var metaVectors: Int { 2 }
    @inline(__always)  // the body of the unpack loop
    static func weights(_ row: UnsafeRawPointer, _ group: Int) -> I256 {
        let block = row + (group >> 3) &* BlockQ4_K.bytes
        let bits = load256(block + (BlockQ4_K.qs &+ ((group & 7) >> 1) &* 32))
        return _mm256_and_si256(group & 1 == 0 ? bits : _mm256_srli_epi16(bits, 4), _mm256_set1_epi8(0x0F))
    }
    @inline(__always)
    static func meta(_ row: UnsafeRawPointer, _ group: Int) -> (Float, Float) {
        let block = row + (group >> 3) &* BlockQ4_K.bytes
        let (scale, minimum) = scaleAndMinimum(block + BlockQ4_K.scales, group & 7)
        return (half(block) * Float(scale), -half(block + BlockQ4_K.dmin) * Float(minimum))
    }
}

private enum TileQ8_0: TileDecoder {
    static var metaVectors: Int { 1 }
    @inline(__always)  // the body of the unpack loop
    static func weights(_ row: UnsafeRawPointer, _ group: Int) -> I256 {
        load256(row + (group &* BlockQ8_0.bytes &+ BlockQ8_0.qs))
    }
    @inline(__always)
    static func meta(_ row: UnsafeRawPointer, _ group: Int) -> (Float, Float) {
        (half(row + group &* BlockQ8_0.bytes), 0)
    }
}

private enum TileQ6_K: TileDecoder {
    static var metaVectors: Int { 2 }
    @inline(__always)  // the body of the unpack loop
    static func weights(_ row: UnsafeRawPointer, _ group: Int) -> I256 {
        sixBits(row + (group >> 3) &* BlockQ6_K.bytes, group & 7)
    }
    @inline(__always)
    static func meta(_ row: UnsafeRawPointer, _ group: Int) -> (Float, Float) {
        let block = row + (group >> 3) &* BlockQ6_K.bytes
        let d = half(block + BlockQ6_K.d)
        let scales = block + (BlockQ6_K.scales &+ 2 &* (group & 7))
        return (d * Float(scales.load(as: Int8.self)), d * Float(scales.load(fromByteOffset: 1, as: Int8.self)))
    }
}

/// Unpacks `rows` (1…8) rows; the missing ones become zeros.
@inline(__always)  // specialised by each entry below; a weak generic here could replace the baseline's
private func unpack<Decoder: TileDecoder>(
    _: Decoder.Type, _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int,
    _ tile: UnsafeMutableRawPointer, _ meta: UnsafeMutablePointer<Float>
) {
    // A missing row reads the first one, and its scale is then set to zero: no branch in the loop.
    @inline(__always) func row(_ r: Int) -> UnsafeRawPointer { w + (r < rows ? r : 0) &* rowBytes }
    let (a, b, c, d) = (row(0), row(1), row(2), row(3))
    let (e, f, g, h) = (row(4), row(5), row(6), row(7))
    for n in 0..<(k / 32) {
        transpose(
            Decoder.weights(a, n), Decoder.weights(b, n), Decoder.weights(c, n), Decoder.weights(d, n),
            Decoder.weights(e, n), Decoder.weights(f, n), Decoder.weights(g, n), Decoder.weights(h, n),
            tile + n &* 256)
    }
    for n in 0..<(k / 32) {
        let to = meta + n &* Decoder.metaVectors &* 8
        for r in 0..<8 {
            let (first, second) = Decoder.meta(row(r), n)
            to[r] = r < rows ? first : 0
            if Decoder.metaVectors == 2 { to[8 &+ r] = r < rows ? second : 0 }
        }
    }
}

/// Unpacks up to eight rows of Q4_0 blocks.
@inline(never)  // entry of a tier
public func avx2UnpackQ4_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(TileQ4_0.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to eight rows of Q4_1 blocks.
@inline(never)  // entry of a tier
public func avx2UnpackQ4_1(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(TileQ4_1.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to eight rows of Q4_K blocks.
@inline(never)  // entry of a tier
public func avx2UnpackQ4_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(TileQ4_K.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to eight rows of Q8_0 blocks.
@inline(never)  // entry of a tier
public func avx2UnpackQ8_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(TileQ8_0.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to eight rows of Q6_K blocks.
@inline(never)  // entry of a tier
public func avx2UnpackQ6_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(TileQ6_K.self, w, rowBytes, rows, k, tile, meta) }
#endif
