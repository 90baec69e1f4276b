#if arch(arm64)
import CIntrinsics
import QuantBlocks

// Prefill on cores without dotprod. Eight rows are unpacked once and multiplied with every token of the batch.
//
// Nibble formats stand as (k, 8 rows) signed bytes −8…7: a widening multiply-add takes eight rows and one activation,
// and 16 bits hold all 32 products of a group: 8 · 127 · 32 = 32,512. So a group costs one widening to floats for
// eight rows, where dot products along k pay one for each row. `meta` holds per group eight scales and eight minima;
// the formats with unsigned nibbles shift by 8, so their minimum is m + 8 d.
//
// The other formats stand as (8 rows, k) signed bytes with per group the eight scales of its first 16 weights, then
// those of the last 16.

/// The nibbles of one block, and its scale and minimum for unsigned nibbles.
private protocol NibbleDecoder {
    static func weights(_ row: UnsafeRawPointer, _ group: Int) -> (low: int8x16_t, high: int8x16_t)
    static func meta(_ row: UnsafeRawPointer, _ group: Int) -> (Float, Float)
}

private enum TileQ4_0: NibbleDecoder {
    @inline(__always)  // the body of the unpack loop
    static func weights(_ row: UnsafeRawPointer, _ group: Int) -> (low: int8x16_t, high: int8x16_t) {
        nibbles(row + (group &* BlockQ4_0.bytes &+ BlockQ4_0.qs))
    }
    @inline(__always)
    static func meta(_ row: UnsafeRawPointer, _ group: Int) -> (Float, Float) {
        let d = half(row + group &* BlockQ4_0.bytes)
        return (d, -8 * d)
    }
}

private enum TileQ4_1: NibbleDecoder {
    @inline(__always)  // the body of the unpack loop
    static func weights(_ row: UnsafeRawPointer, _ group: Int) -> (low: int8x16_t, high: int8x16_t) {
        nibbles(row + (group &* BlockQ4_1.bytes &+ BlockQ4_1.qs))
    }
    @inline(__always)
    static func meta(_ row: UnsafeRawPointer, _ group: Int) -> (Float, Float) {
        let block = row + group &* BlockQ4_1.bytes
        return (half(block), half(block + BlockQ4_1.m))
    }
}

private enum TileQ4_K: NibbleDecoder {
    @inline(__always)  // the body of the unpack loop
    static func weights(_ row: UnsafeRawPointer, _ group: Int) -> (low: int8x16_t, high: int8x16_t) {
        let packed = row + ((group >> 3) &* BlockQ4_K.bytes &+ BlockQ4_K.qs &+ ((group & 7) >> 1) &* 32)
        let (first, second) = (nibbles(packed), nibbles(packed + 16))
        return group & 1 == 0 ? (first.low, second.low) : (first.high, second.high)
    }
    @inline(__always)
    static func meta(_ row: UnsafeRawPointer, _ group: Int) -> (Float, Float) {
        let block = row + (group >> 3) &* BlockQ4_K.bytes
        let (scale, minimum) = scaleAndMinimum(block + BlockQ4_K.scales, group & 7)
        return (half(block) * Float(scale), -half(block + BlockQ4_K.dmin) * Float(minimum))
    }
}

/// Sixteen columns of eight rows, transposed to (16, 8): three rounds of interleaving.
@inline(__always)  // twice a group in every unpack loop
private func transpose(
    _ a: int8x16_t, _ b: int8x16_t, _ c: int8x16_t, _ d: int8x16_t, _ e: int8x16_t, _ f: int8x16_t, _ g: int8x16_t,
    _ h: int8x16_t, _ to: UnsafeMutableRawPointer
) {
    // Interleaving rows i and i + 4, then i and i + 2, then neighbours brings bytes of one column together.
    let (ae0, ae1) = (vzip1q_s8(a, e), vzip2q_s8(a, e))
    let (bf0, bf1) = (vzip1q_s8(b, f), vzip2q_s8(b, f))
    let (cg0, cg1) = (vzip1q_s8(c, g), vzip2q_s8(c, g))
    let (dh0, dh1) = (vzip1q_s8(d, h), vzip2q_s8(d, h))
    @inline(__always) func merge(
        _ ae: int8x16_t, _ bf: int8x16_t, _ cg: int8x16_t, _ dh: int8x16_t, _ to: UnsafeMutableRawPointer
    ) {
        let (aceg0, aceg1) = (vzip1q_s8(ae, cg), vzip2q_s8(ae, cg))
        let (bdfh0, bdfh1) = (vzip1q_s8(bf, dh), vzip2q_s8(bf, dh))
        to.storeBytes(of: vzip1q_s8(aceg0, bdfh0), as: int8x16_t.self)
        (to + 16).storeBytes(of: vzip2q_s8(aceg0, bdfh0), as: int8x16_t.self)
        (to + 32).storeBytes(of: vzip1q_s8(aceg1, bdfh1), as: int8x16_t.self)
        (to + 48).storeBytes(of: vzip2q_s8(aceg1, bdfh1), as: int8x16_t.self)
    }
    merge(ae0, bf0, cg0, dh0, to)
    merge(ae1, bf1, cg1, dh1, to + 64)
}

@inline(__always)  // specialised by each entry below
private func unpack<Decoder: NibbleDecoder>(
    _: Decoder.Type, _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int,
    _ tile: UnsafeMutableRawPointer, _ meta: UnsafeMutablePointer<Float>
) {
    // A missing row reads the first one, and its scale is then set to zero: no branch in the loop.
    @inline(__always) func row(_ r: Int) -> UnsafeRawPointer { w + (r < rows ? r : 0) &* rowBytes }
    let eight = vdupq_n_s8(8)
    for n in 0..<(k / 32) {
        @inline(__always) func weights(_ r: Int) -> (int8x16_t, int8x16_t) {
            let (low, high) = Decoder.weights(row(r), n)
            return (vsubq_s8(low, eight), vsubq_s8(high, eight))
        }
        let (a, b, c, d) = (weights(0), weights(1), weights(2), weights(3))
        let (e, f, g, h) = (weights(4), weights(5), weights(6), weights(7))
        transpose(a.0, b.0, c.0, d.0, e.0, f.0, g.0, h.0, tile + n &* 256)
        transpose(a.1, b.1, c.1, d.1, e.1, f.1, g.1, h.1, tile + (n &* 256 &+ 128))
        let to = meta + n &* 16
        for r in 0..<8 {
            let (scale, minimum) = Decoder.meta(row(r), n)
            to[r] = r < rows ? scale : 0
            to[8 &+ r] = r < rows ? minimum + 8 * scale : 0
        }
    }
}

/// Unpacks up to eight rows of Q4_0 blocks.
@inline(never)  // entry of a tier
public func neonUnpackQ4_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(TileQ4_0.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to eight rows of Q4_1 blocks.
@inline(never)  // entry of a tier
public func neonUnpackQ4_1(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(TileQ4_1.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to eight rows of Q4_K blocks.
@inline(never)  // entry of a tier
public func neonUnpackQ4_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(TileQ4_K.self, w, rowBytes, rows, k, tile, meta) }

/// Copies up to eight rows of Q8_0 blocks.
@inline(never)  // entry of a tier
public func neonUnpackQ8_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) {
    for n in 0..<(k / 32) {
        for r in 0..<8 {
            let block = w + ((r < rows ? r : 0) &* rowBytes &+ n &* BlockQ8_0.bytes)
            let to = tile + (r &* k &+ n &* 32)
            to.storeBytes(of: loadBytes(block + BlockQ8_0.qs), as: int8x16_t.self)
            (to + 16).storeBytes(of: loadBytes(block + (BlockQ8_0.qs &+ 16)), as: int8x16_t.self)
            let scale = r < rows ? half(block) : 0
            meta[n &* 16 &+ r] = scale
            meta[n &* 16 &+ 8 &+ r] = scale
        }
    }
}

/// Unpacks up to eight rows of Q6_K blocks.
@inline(never)  // entry of a tier
public func neonUnpackQ6_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) {
    for n in 0..<(k / 32) {
        for r in 0..<8 {
            let block = w + ((r < rows ? r : 0) &* rowBytes &+ (n >> 3) &* BlockQ6_K.bytes)
            let (low, high) = sixBits(block, n & 7)
            let to = tile + (r &* k &+ n &* 32)
            to.storeBytes(of: low, as: int8x16_t.self)
            (to + 16).storeBytes(of: high, as: int8x16_t.self)
            let d = r < rows ? half(block + BlockQ6_K.d) : 0
            let scales = block + (BlockQ6_K.scales &+ 2 &* (n & 7))
            meta[n &* 16 &+ r] = d * Float(scales.load(as: Int8.self))
            meta[n &* 16 &+ 8 &+ r] = d * Float(scales.load(fromByteOffset: 1, as: Int8.self))
        }
    }
}
#endif
