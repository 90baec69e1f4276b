#if arch(arm64)
import CIntrinsics
import KernelsARM
import QuantBlocks

// Weights that are floats, and their activations, as signed integers of two bytes with a scale per `wideBlock`:
// v = 256 h + l with both signed, in tiles and panels of quads or octets (see Tile.swift), a step's upper bytes before
// its lower ones.
//
// Why: three products of bytes, h · h and both of h · l, take 16 (with matrix products 32) multiply-adds an instruction
// each, a multiply-add of floats 4. What is left out, l · l, is 2e-9 of a product's power; magnitudes to 127 · 256, so
// that h is a byte. Rejected: sums of halves, which lose 4e-7 in sums of sixteen.
// What is not finite stays so: its block's scale is infinite or not a number, and every product of the block with it.

/// How rows of floats of one size are read.
private protocol WordRow {
    /// Bytes of a weight.
    static var bytes: Int { get }
    /// The largest magnitude of a block, compared as integers, so that what is not a number is the largest.
    static func peak(_ block: UnsafeRawPointer) -> Float
    /// Eight numbers.
    static func load(_ address: UnsafeRawPointer) -> (float32x4_t, float32x4_t)
}

@inline(__always)  // a load instruction
private func words(_ address: UnsafeRawPointer) -> uint16x8_t { address.loadUnaligned(as: uint16x8_t.self) }

/// The largest of a block's numbers of two bytes, without their signs.
@inline(__always)  // once a block and row
private func peakBits(_ block: UnsafeRawPointer) -> UInt16 {
    let sign = vdupq_n_u16(0x7FFF)
    var peak = vdupq_n_u16(0)
    for i in 0..<(wideBlock / 8) { peak = vmaxq_u16(peak, vandq_u16(words(block + 16 &* i), sign)) }
    return vmaxvq_u16(peak)
}

private enum RowF16: WordRow {
    static var bytes: Int { 2 }
    @inline(__always)  // the body of loops over k, as below
    static func peak(_ block: UnsafeRawPointer) -> Float { Float(Float16(bitPattern: peakBits(block))) }
    @inline(__always)
    static func load(_ address: UnsafeRawPointer) -> (float32x4_t, float32x4_t) {
        (martlet_widen_low(words(address)), martlet_widen_high(words(address)))
    }
}

private enum RowBF16: WordRow {
    static var bytes: Int { 2 }
    @inline(__always)
    static func peak(_ block: UnsafeRawPointer) -> Float { Float(bitPattern: UInt32(peakBits(block)) << 16) }
    @inline(__always)
    static func load(_ address: UnsafeRawPointer) -> (float32x4_t, float32x4_t) {
        (martlet_raise_low(words(address)), martlet_raise_high(words(address)))
    }
}

private enum RowF32: WordRow {
    static var bytes: Int { 4 }
    @inline(__always)
    static func peak(_ block: UnsafeRawPointer) -> Float {
        let sign = vdupq_n_u32(0x7FFF_FFFF)
        var peak = vdupq_n_u32(0)
        for i in 0..<(wideBlock / 4) {
            peak = vmaxq_u32(peak, vandq_u32((block + 16 &* i).loadUnaligned(as: uint32x4_t.self), sign))
        }
        return Float(bitPattern: vmaxvq_u32(peak))
    }
    @inline(__always)
    static func load(_ address: UnsafeRawPointer) -> (float32x4_t, float32x4_t) {
        (
            address.loadUnaligned(as: float32x4_t.self), (address + 16).loadUnaligned(as: float32x4_t.self)
        )
    }
}

/// Sixteen numbers as the upper and the lower bytes of words.
private struct Split {
    let high: int8x16_t
    let low: int8x16_t

    @inline(__always)  // the body of the loops below
    init<Row: WordRow>(_: Row.Type, _ address: UnsafeRawPointer, _ scale: Float) {
        @inline(__always) func narrow(_ x: (float32x4_t, float32x4_t)) -> int16x8_t {
            let (a, b) = (vcvtnq_s32_f32(x.0 * scale), vcvtnq_s32_f32(x.1 * scale))
            return vqmovn_high_s32(vqmovn_s32(a), b)
        }
        let (a, b) = (narrow(Row.load(address)), narrow(Row.load(address + 8 &* Row.bytes)))
        high = martlet_high_bytes(a, b)
        low = vuzp1q_s8(vreinterpretq_s8_s16(a), vreinterpretq_s8_s16(b))
    }
}

/// How sixteen bytes of each of four rows are written.
private protocol WordLayout {
    /// Neighbours of a row that stand together.
    static var unit: Int { get }
    /// `stride` bytes from unit to unit.
    static func store(
        _ a: int8x16_t, _ b: int8x16_t, _ c: int8x16_t, _ d: int8x16_t, _ to: UnsafeMutableRawPointer, _ stride: Int)
}

@inline(__always)  // two instructions
private func storePair(_ low: int64x2_t, _ high: int64x2_t, _ to: UnsafeMutableRawPointer, _ stride: Int) {
    to.storeBytes(of: low, as: int64x2_t.self)
    (to + stride).storeBytes(of: high, as: int64x2_t.self)
}

private enum Quads: WordLayout {
    static var unit: Int { 4 }
    @inline(__always)  // eight instructions and four stores
    static func store(
        _ a: int8x16_t, _ b: int8x16_t, _ c: int8x16_t, _ d: int8x16_t, _ to: UnsafeMutableRawPointer, _ stride: Int
    ) {
        let (a, b) = (vreinterpretq_s32_s8(a), vreinterpretq_s32_s8(b))
        let (c, d) = (vreinterpretq_s32_s8(c), vreinterpretq_s32_s8(d))
        let (ab0, ab1) = (vreinterpretq_s64_s32(vtrn1q_s32(a, b)), vreinterpretq_s64_s32(vtrn2q_s32(a, b)))
        let (cd0, cd1) = (vreinterpretq_s64_s32(vtrn1q_s32(c, d)), vreinterpretq_s64_s32(vtrn2q_s32(c, d)))
        storePair(vtrn1q_s64(ab0, cd0), vtrn1q_s64(ab1, cd1), to, stride)
        storePair(vtrn2q_s64(ab0, cd0), vtrn2q_s64(ab1, cd1), to + 2 &* stride, stride)
    }
}

private enum Octets: WordLayout {
    static var unit: Int { 8 }
    @inline(__always)  // four instructions and four stores
    static func store(
        _ a: int8x16_t, _ b: int8x16_t, _ c: int8x16_t, _ d: int8x16_t, _ to: UnsafeMutableRawPointer, _ stride: Int
    ) {
        let (a, b) = (vreinterpretq_s64_s8(a), vreinterpretq_s64_s8(b))
        let (c, d) = (vreinterpretq_s64_s8(c), vreinterpretq_s64_s8(d))
        storePair(vtrn1q_s64(a, b), vtrn1q_s64(c, d), to, 16)
        storePair(vtrn2q_s64(a, b), vtrn2q_s64(c, d), to + stride, 16)
    }
}

/// A block of four rows.
private struct FourRows {
    let a, b, c, d: UnsafeRawPointer
    /// Its columns by sixteen, the last ones filled up with zeros.
    let sixteens: Int

    /// A block as words, `rows` of them side by side at `to`; and its scales.
    @inline(__always)  // the body of the loops over blocks
    func narrow<Row: WordRow, Layout: WordLayout>(
        _: Row.Type, _: Layout.Type, rows: Int, _ to: UnsafeMutableRawPointer, _ scales: UnsafeMutablePointer<Float>
    ) {
        @inline(__always) func inverse(_ row: UnsafeRawPointer, _ scale: UnsafeMutablePointer<Float>) -> Float {
            let peak = Row.peak(row)
            // Of products of upper bytes: a step is 256 of the words'.
            scale.pointee = peak * (1 / 127)
            // Smaller ones than 2^−112 become zeros: their inverse may be infinite.
            return peak > 0x1p-112 ? 32512 / peak : 0
        }
        let (ia, ib) = (inverse(a, scales), inverse(b, scales + 1))
        let (ic, id) = (inverse(c, scales + 2), inverse(d, scales + 3))
        let upper = Layout.unit &* rows
        for i in 0..<sixteens {
            let at = 16 &* i &* Row.bytes
            let (a, b) = (Split(Row.self, a + at, ia), Split(Row.self, b + at, ib))
            let (c, d) = (Split(Row.self, c + at, ic), Split(Row.self, d + at, id))
            let to = to + 32 &* i &* rows
            Layout.store(a.high, b.high, c.high, d.high, to, 2 &* upper)
            Layout.store(a.low, b.low, c.low, d.low, to + upper, 2 &* upper)
        }
    }
}

/// Columns `j` … of four rows: in place, or in `stage` with zeros behind them if less than a block is left.
@inline(__always)  // once a block
private func block(
    _ a: UnsafeRawPointer, _ b: UnsafeRawPointer, _ c: UnsafeRawPointer, _ d: UnsafeRawPointer, _ bytes: Int,
    _ left: Int, _ stage: UnsafeMutableRawPointer
) -> FourRows {
    if left >= wideBlock { return FourRows(a: a, b: b, c: c, d: d, sixteens: wideBlock / 16) }
    @inline(__always) func copy(_ row: UnsafeRawPointer, _ index: Int) -> UnsafeRawPointer {
        let to = stage + index &* wideBlock &* bytes
        to.copyMemory(from: row, byteCount: left &* bytes)
        return UnsafeRawPointer(to)
    }
    return FourRows(a: copy(a, 0), b: copy(b, 1), c: copy(c, 2), d: copy(d, 3), sixteens: (left &+ 15) / 16)
}

/// Up to `tileRows` rows to a tile of words and its scales (k / wideBlock, tileRows); whole sixteens.
@inline(__always)  // specialised by each entry below
private func unpack<Row: WordRow, Layout: WordLayout>(
    _: Row.Type, _: Layout.Type, _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int,
    _ tile: UnsafeMutableRawPointer, _ meta: UnsafeMutablePointer<Float>
) {
    var stage = MartletStage()
    withUnsafeMutableBytes(of: &stage) { stage in
        guard let stage = stage.baseAddress else { return }
        for first in stride(from: 0, to: tileRows, by: 4) {
            var j = 0
            while j < k {
                // A missing row reads the first one, and its scale is then set to zero.
                @inline(__always) func row(_ r: Int) -> UnsafeRawPointer {
                    w + ((first &+ r < rows ? first &+ r : 0) &* rowBytes &+ j &* Row.bytes)
                }
                let scales = meta + (j / wideBlock &* tileRows &+ first)
                block(row(0), row(1), row(2), row(3), Row.bytes, k &- j, stage).narrow(
                    Row.self, Layout.self, rows: tileRows, tile + (j &* 32 &+ first &* Layout.unit), scales)
                for r in 0..<4 where first &+ r >= rows { scales[r] = 0 }
                j &+= wideBlock
            }
        }
    }
}

/// Up to four tokens of `count` floats as a wide panel and its scales (count / wideBlock, token).
@inline(__always)  // specialised by each entry below
private func quantize<Layout: WordLayout>(
    _: Layout.Type, _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int, _ count: Int,
    _ q: UnsafeMutablePointer<Int8>, _ scales: UnsafeMutablePointer<Float>
) {
    var stage = MartletStage()
    withUnsafeMutableBytes(of: &stage) { stage in
        guard let stage = stage.baseAddress else { return }
        var j = 0
        while j < count {
            // Missing tokens repeat the last one.
            @inline(__always) func row(_ t: Int) -> UnsafeRawPointer {
                UnsafeRawPointer(x + (min(t, tokens &- 1) &* xStride &+ j))
            }
            block(row(0), row(1), row(2), row(3), 4, count &- j, stage).narrow(
                RowF32.self, Layout.self, rows: panelTokens, UnsafeMutableRawPointer(q) + j &* 8,
                scales + j / wideBlock &* panelTokens)
            j &+= wideBlock
        }
    }
}

/// Up to four tokens as a wide panel of quads.
@inline(never)  // entry of a tier
public func neonQuantizeWordQuads(
    _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int, _ count: Int, _ q: UnsafeMutablePointer<Int8>,
    _ scales: UnsafeMutablePointer<Float>
) { quantize(Quads.self, x, xStride, tokens, count, q, scales) }

/// Up to four tokens as a wide panel of octets.
@inline(never)  // entry of a tier
public func neonQuantizeWordOctets(
    _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int, _ count: Int, _ q: UnsafeMutablePointer<Int8>,
    _ scales: UnsafeMutablePointer<Float>
) { quantize(Octets.self, x, xStride, tokens, count, q, scales) }

/// Unpacks up to sixteen rows of halves to quads of words.
@inline(never)  // entry of a tier
public func neonUnpackWordQuadsF16(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(RowF16.self, Quads.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of bfloat16 to quads of words.
@inline(never)  // entry of a tier
public func neonUnpackWordQuadsBF16(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(RowBF16.self, Quads.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of floats to quads of words.
@inline(never)  // entry of a tier
public func neonUnpackWordQuadsF32(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(RowF32.self, Quads.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of halves to octets of words.
@inline(never)  // entry of a tier
public func neonUnpackWordOctetsF16(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(RowF16.self, Octets.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of bfloat16 to octets of words.
@inline(never)  // entry of a tier
public func neonUnpackWordOctetsBF16(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(RowBF16.self, Octets.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of floats to octets of words.
@inline(never)  // entry of a tier
public func neonUnpackWordOctetsF32(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(RowF32.self, Octets.self, w, rowBytes, rows, k, tile, meta) }
#endif
