#if arch(arm64)
import CIntrinsics
import KernelsARM
import QuantBlocks

// Tiles of interleaved rows. A band is (column, row, 4 bytes) already, which is the quads' layout; for the others four
// rows are put together again first.

/// Four columns of two quads as eight rows of sixteen bytes: 4 × 4 transpositions of words.
@inline(__always)  // twice a group
private func rows(
    _ a: int8x16_t, _ b: int8x16_t, _ c: int8x16_t, _ d: int8x16_t
) -> (int8x16_t, int8x16_t, int8x16_t, int8x16_t) {
    let (a, b) = (vreinterpretq_s32_s8(a), vreinterpretq_s32_s8(b))
    let (c, d) = (vreinterpretq_s32_s8(c), vreinterpretq_s32_s8(d))
    let (ab0, ab1) = (vreinterpretq_s64_s32(vtrn1q_s32(a, b)), vreinterpretq_s64_s32(vtrn2q_s32(a, b)))
    let (cd0, cd1) = (vreinterpretq_s64_s32(vtrn1q_s32(c, d)), vreinterpretq_s64_s32(vtrn2q_s32(c, d)))
    return (
        vreinterpretq_s8_s64(vtrn1q_s64(ab0, cd0)), vreinterpretq_s8_s64(vtrn1q_s64(ab1, cd1)),
        vreinterpretq_s8_s64(vtrn2q_s64(ab0, cd0)), vreinterpretq_s8_s64(vtrn2q_s64(ab1, cd1))
    )
}

extension TileLayout {
    /// Writes eight rows (quads `first`, `first` + 1) of a group.
    @inline(__always)  // twice a group
    fileprivate static func unpack<Format: InterleavedQuads>(
        _: Format.Type, _ codes: UnsafeRawPointer, _ bits: UnsafeRawPointer, _ tile: UnsafeMutableRawPointer,
        _ first: Int
    ) {
        @inline(__always) func columns(_ quad: Int) -> (Weights32, Weights32, Weights32, Weights32) {
            let (codes, bits) = (codes + (first &+ quad) &* 16, bits + (first &+ quad) &* 16)
            @inline(__always) func column(_ c: Int) -> Weights32 {
                shifted(Format.columns(codes, bits, c), shift(Format.largest))
            }
            return (column(0), column(1), column(2), column(3))
        }
        let (p, q) = (columns(0), columns(1))
        if isQuads {
            @inline(__always) func store(_ c: Int, _ p: Weights32, _ q: Weights32) {
                let at = tile + (c &* 64 &+ first &* 16)
                at.storeBytes(of: p.low, as: int8x16_t.self)
                (at + 16).storeBytes(of: q.low, as: int8x16_t.self)
                (at + 256).storeBytes(of: p.high, as: int8x16_t.self)
                (at + 272).storeBytes(of: q.high, as: int8x16_t.self)
            }
            store(0, p.0, q.0)
            store(1, p.1, q.1)
            store(2, p.2, q.2)
            store(3, p.3, q.3)
            return
        }
        let (a, b, c, d) = rows(p.0.low, p.1.low, p.2.low, p.3.low)
        let (e, f, g, h) = rows(q.0.low, q.1.low, q.2.low, q.3.low)
        store(a, b, c, d, e, f, g, h, tile, first &* 4)
        let (i, j, k, l) = rows(p.0.high, p.1.high, p.2.high, p.3.high)
        let (m, n, o, r) = rows(q.0.high, q.1.high, q.2.high, q.3.high)
        store(i, j, k, l, m, n, o, r, tile + 256, first &* 4)
    }
}

/// (scales, minima) or (scales of the first, of the last half) of sixteen rows of group `g`.
@inline(__always)  // once a group
private func meta<Format: InterleavedQuads>(
    _: Format.Type, _ record: UnsafeRawPointer, _ g: Int
) -> (Floats16, Floats16) {
    let d = Floats16(halves: record)
    var (first, second) = (Floats16(), Floats16())
    guard Format.hasGroupScales else {
        if Format.halves == 2 {
            second = Floats16(halves: record + 32)
            second.add(d, Float(shift(Format.largest)))
        }
        return (d, second)
    }
    let (one, other) = (Words16(bytes: record + Format.scales(g)), Words16(bytes: record + (Format.scales(g) &+ 16)))
    first.add(Floats16(one), d, 1)
    if Format.halves == 1 {
        second.add(Floats16(other), d, 1)
    } else {
        second.add(first, Float(shift(Format.largest)))
        second.add(Floats16(other), Floats16(halves: record + 32), -1)
    }
    return (first, second)
}

@inline(__always)  // twice a group
private func store(_ values: Floats16, _ to: UnsafeMutablePointer<Float>) {
    storeFloats4(values.a, to)
    storeFloats4(values.b, to + 4)
    storeFloats4(values.c, to + 8)
    storeFloats4(values.d, to + 12)
}

/// Unpacks a band.
@inline(__always)  // specialised by each entry below
private func unpack<Format: InterleavedQuads, Layout: TileLayout>(
    _: Format.Type, _: Layout.Type, _ band: UnsafeRawPointer, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ to: UnsafeMutablePointer<Float>
) {
    for block in 0..<(k / (32 &* Format.groups)) {
        let record = band + block &* Format.recordBytes
        for g in 0..<Format.groups {
            let n = block &* Format.groups &+ g
            let (codes, bits) = (record + Format.codes(g), record + Format.bits(g))
            Layout.unpack(Format.self, codes, bits, tile + n &* 512, 0)
            Layout.unpack(Format.self, codes, bits, tile + n &* 512, 2)
            let (first, second) = meta(Format.self, record, g)
            store(first, to + n &* 32)
            store(second, to + (n &* 32 &+ 16))
        }
    }
}

/// Unpacks a band of Q4_0 to columns.
@inline(never)  // entry of a tier
public func neonUnpackInterleavedQ4_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(InterleavedQ4_0.self, ColumnTile.self, w, k, tile, meta) }

/// Unpacks a band of Q4_1 to columns.
@inline(never)  // entry of a tier
public func neonUnpackInterleavedQ4_1(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(InterleavedQ4_1.self, ColumnTile.self, w, k, tile, meta) }

/// Unpacks a band of Q5_0 to columns.
@inline(never)  // entry of a tier
public func neonUnpackInterleavedQ5_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(InterleavedQ5_0.self, ColumnTile.self, w, k, tile, meta) }

/// Unpacks a band of Q5_1 to columns.
@inline(never)  // entry of a tier
public func neonUnpackInterleavedQ5_1(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(InterleavedQ5_1.self, ColumnTile.self, w, k, tile, meta) }

/// Unpacks a band of Q8_0 to columns.
@inline(never)  // entry of a tier
public func neonUnpackInterleavedQ8_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(InterleavedQ8_0.self, ColumnTile.self, w, k, tile, meta) }

/// Unpacks a band of Q4_K to columns.
@inline(never)  // entry of a tier
public func neonUnpackInterleavedQ4_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(InterleavedQ4_K.self, ColumnTile.self, w, k, tile, meta) }

/// Unpacks a band of Q5_K to columns.
@inline(never)  // entry of a tier
public func neonUnpackInterleavedQ5_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(InterleavedQ5_K.self, ColumnTile.self, w, k, tile, meta) }

/// Unpacks a band of Q6_K to columns.
@inline(never)  // entry of a tier
public func neonUnpackInterleavedQ6_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(InterleavedQ6_K.self, ColumnTile.self, w, k, tile, meta) }

/// Unpacks a band of IQ4_NL to columns.
@inline(never)  // entry of a tier
public func neonUnpackInterleavedIQ4_NL(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(InterleavedIQ4_NL.self, ColumnTile.self, w, k, tile, meta) }

/// Unpacks a band of Q4_0 to quads.
@inline(never)  // entry of a tier
public func neonUnpackQuadsInterleavedQ4_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(InterleavedQ4_0.self, QuadTile.self, w, k, tile, meta) }

/// Unpacks a band of Q4_1 to quads.
@inline(never)  // entry of a tier
public func neonUnpackQuadsInterleavedQ4_1(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(InterleavedQ4_1.self, QuadTile.self, w, k, tile, meta) }

/// Unpacks a band of Q5_0 to quads.
@inline(never)  // entry of a tier
public func neonUnpackQuadsInterleavedQ5_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(InterleavedQ5_0.self, QuadTile.self, w, k, tile, meta) }

/// Unpacks a band of Q5_1 to quads.
@inline(never)  // entry of a tier
public func neonUnpackQuadsInterleavedQ5_1(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(InterleavedQ5_1.self, QuadTile.self, w, k, tile, meta) }

/// Unpacks a band of Q8_0 to quads.
@inline(never)  // entry of a tier
public func neonUnpackQuadsInterleavedQ8_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(InterleavedQ8_0.self, QuadTile.self, w, k, tile, meta) }

/// Unpacks a band of Q4_K to quads.
@inline(never)  // entry of a tier
public func neonUnpackQuadsInterleavedQ4_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(InterleavedQ4_K.self, QuadTile.self, w, k, tile, meta) }

/// Unpacks a band of Q5_K to quads.
@inline(never)  // entry of a tier
public func neonUnpackQuadsInterleavedQ5_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(InterleavedQ5_K.self, QuadTile.self, w, k, tile, meta) }

/// Unpacks a band of Q6_K to quads.
@inline(never)  // entry of a tier
public func neonUnpackQuadsInterleavedQ6_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(InterleavedQ6_K.self, QuadTile.self, w, k, tile, meta) }

/// Unpacks a band of IQ4_NL to quads.
@inline(never)  // entry of a tier
public func neonUnpackQuadsInterleavedIQ4_NL(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(InterleavedIQ4_NL.self, QuadTile.self, w, k, tile, meta) }

/// Unpacks a band of Q4_0 to octets.
@inline(never)  // entry of a tier
public func neonUnpackOctetsInterleavedQ4_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(InterleavedQ4_0.self, OctetTile.self, w, k, tile, meta) }

/// Unpacks a band of Q4_1 to octets.
@inline(never)  // entry of a tier
public func neonUnpackOctetsInterleavedQ4_1(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(InterleavedQ4_1.self, OctetTile.self, w, k, tile, meta) }

/// Unpacks a band of Q5_0 to octets.
@inline(never)  // entry of a tier
public func neonUnpackOctetsInterleavedQ5_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(InterleavedQ5_0.self, OctetTile.self, w, k, tile, meta) }

/// Unpacks a band of Q5_1 to octets.
@inline(never)  // entry of a tier
public func neonUnpackOctetsInterleavedQ5_1(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(InterleavedQ5_1.self, OctetTile.self, w, k, tile, meta) }

/// Unpacks a band of Q8_0 to octets.
@inline(never)  // entry of a tier
public func neonUnpackOctetsInterleavedQ8_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(InterleavedQ8_0.self, OctetTile.self, w, k, tile, meta) }

/// Unpacks a band of Q4_K to octets.
@inline(never)  // entry of a tier
public func neonUnpackOctetsInterleavedQ4_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(InterleavedQ4_K.self, OctetTile.self, w, k, tile, meta) }

/// Unpacks a band of Q5_K to octets.
@inline(never)  // entry of a tier
public func neonUnpackOctetsInterleavedQ5_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(InterleavedQ5_K.self, OctetTile.self, w, k, tile, meta) }

/// Unpacks a band of Q6_K to octets.
@inline(never)  // entry of a tier
public func neonUnpackOctetsInterleavedQ6_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(InterleavedQ6_K.self, OctetTile.self, w, k, tile, meta) }

/// Unpacks a band of IQ4_NL to octets.
@inline(never)  // entry of a tier
public func neonUnpackOctetsInterleavedIQ4_NL(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(InterleavedIQ4_NL.self, OctetTile.self, w, k, tile, meta) }
#endif
