#if arch(x86_64)
import CIntrinsics
import QuantBlocks

// Weights that are floats, and their activations, as signed 16-bit integers with a scale per `wideBlock`.
//
// Why: a multiply-add of floats takes 16 weights an instruction, a dot product of words 32 at the same rate. A block's sum
// of products must fit 32 bits. It is at most the product of both blocks' lengths as vectors (Cauchy and Schwarz), so a
// block is scaled to a length of 46,330, or to a largest word of 32,767 if that is less: 14 or 15 bits where a bound by
// the largest numbers allows 13. What rounding costs a product is 5e-9 of its power for numbers of a bell's shape.
// What is not finite stays so: its block's scale is infinite or not a number, and every product of the block with it.
//
// Rejected: scales by the largest numbers only, 8,191 and 4,095, which cost 4e-8 of the power.

/// How rows of floats of one size are read.
private protocol WordRow {
    /// Bytes of a weight.
    static var bytes: Int { get }
    /// Sixteen numbers, zeros where `mask` has none.
    static func load(_ address: UnsafeRawPointer, _ mask: UInt16) -> F512
}

private enum RowF16: WordRow {
    static var bytes: Int { 2 }
    @inline(__always)  // two instructions in the body of loops over k, as below
    static func load(_ address: UnsafeRawPointer, _ mask: UInt16) -> F512 {
        _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, address))
    }
}

private enum RowBF16: WordRow {
    static var bytes: Int { 2 }
    @inline(__always)
    static func load(_ address: UnsafeRawPointer, _ mask: UInt16) -> F512 {
        _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, address)), 16))
    }
}

private enum RowF32: WordRow {
    static var bytes: Int { 4 }
    @inline(__always)
    static func load(_ address: UnsafeRawPointer, _ mask: UInt16) -> F512 { _mm512_maskz_loadu_ps(mask, address) }
}

/// A block of one row.
private struct Block {
    var (a, b, c, d) = (F512.zero, F512.zero, F512.zero, F512.zero)

    /// `count` (up to `wideBlock`) numbers at `address`, zeros behind them.
    @inline(__always)  // the body of the loop over blocks, as all below
    init<Row: WordRow>(_: Row.Type, _ address: UnsafeRawPointer, _ count: Int) {
        let mask: UInt64 = count >= wideBlock ? .max : (1 << UInt64(truncatingIfNeeded: count)) &- 1
        let step = 16 &* Row.bytes
        a = Row.load(address, UInt16(truncatingIfNeeded: mask))
        b = Row.load(address + step, UInt16(truncatingIfNeeded: mask >> 16))
        c = Row.load(address + 2 &* step, UInt16(truncatingIfNeeded: mask >> 32))
        d = Row.load(address + 3 &* step, UInt16(truncatingIfNeeded: mask >> 48))
    }

    /// The largest magnitudes by lane, compared as integers, so that what is not a number is the largest.
    @inline(__always)
    var peaks: I512 {
        let sign = _mm512_set1_epi32(0x7FFF_FFFF)
        @inline(__always) func magnitude(_ x: F512) -> I512 { _mm512_and_si512(_mm512_castps_si512(x), sign) }
        return _mm512_max_epu32(
            _mm512_max_epu32(magnitude(a), magnitude(b)), _mm512_max_epu32(magnitude(c), magnitude(d)))
    }

    /// Sums of squares by lane.
    @inline(__always)
    var squares: F512 {
        _mm512_fmadd_ps(a, a, _mm512_mul_ps(b, b)) + _mm512_fmadd_ps(c, c, _mm512_mul_ps(d, d))
    }

    /// Sixteen numbers times `scale`, as words.
    @inline(__always)
    static func narrow(_ x: F512, _ scale: Float) -> SIMD4<Int64> {
        _mm512_cvtsepi32_epi16(_mm512_cvtps_epi32(_mm512_mul_ps(x, F512(repeating: scale))))
    }
}

/// The largest lane of each of four vectors.
@inline(__always)
private func largest(_ a: I512, _ b: I512, _ c: I512, _ d: I512) -> SIMD4<Float> {
    let ab = _mm512_max_epu32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b))
    let cd = _mm512_max_epu32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d))
    let sixteen = _mm512_max_epu32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd))
    let eight = _mm256_max_epu32(martlet_low256(sixteen), martlet_high256(sixteen))
    return _mm_castsi128_ps(_mm_max_epu32(_mm256_castsi256_si128(eight), martlet_high128(eight)))
}

/// The sum of the lanes of each of four vectors.
@inline(__always)
private func total(_ a: F512, _ b: F512, _ c: F512, _ d: F512) -> SIMD4<Float> {
    @inline(__always) func low(_ a: F512, _ b: F512) -> F512 { _mm512_unpacklo_ps(a, b) }
    let (ab, cd) = (low(a, b) + _mm512_unpackhi_ps(a, b), low(c, d) + _mm512_unpackhi_ps(c, d))
    let (x, y) = (_mm512_castps_si512(ab), _mm512_castps_si512(cd))
    let sixteen =
        _mm512_castsi512_ps(_mm512_unpacklo_epi64(x, y)) + _mm512_castsi512_ps(_mm512_unpackhi_epi64(x, y))
    let eight = sixteen.lowHalf + sixteen.highHalf
    return eight.lowHalf + eight.highHalf
}

/// Eight pairs of words of each of four rows, written a row's pair after the other's, `stride` bytes a pair.
@inline(__always)
private func storePairs(
    _ a: SIMD4<Int64>, _ b: SIMD4<Int64>, _ c: SIMD4<Int64>, _ d: SIMD4<Int64>, _ to: UnsafeMutableRawPointer,
    _ stride: Int
) {
    let (ab0, ab1) = (_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b))
    let (cd0, cd1) = (_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d))
    @inline(__always) func store(_ pairs: SIMD4<Int64>, _ at: UnsafeMutableRawPointer) {
        at.storeBytes(of: pairs.lowHalf, as: SIMD2<Int64>.self)
        (at + 4 &* stride).storeBytes(of: pairs.highHalf, as: SIMD2<Int64>.self)
    }
    store(_mm256_unpacklo_epi64(ab0, cd0), to)
    store(_mm256_unpackhi_epi64(ab0, cd0), to + stride)
    store(_mm256_unpacklo_epi64(ab1, cd1), to + 2 &* stride)
    store(_mm256_unpackhi_epi64(ab1, cd1), to + 3 &* stride)
}

/// What a block of four rows is multiplied with, and the scale that takes it back.
@inline(__always)
private func scales(_ a: Block, _ b: Block, _ c: Block, _ d: Block) -> (to: SIMD4<Float>, back: SIMD4<Float>) {
    @inline(__always) func all(_ x: Float) -> SIMD4<Float> { SIMD4(repeating: x) }
    let peak = largest(a.peaks, b.peaks, c.peaks, d.peaks)
    let square = total(a.squares, b.squares, c.squares, d.squares)
    let tight = _mm_min_ps(
        _mm_div_ps(all(46330), _mm_sqrt_ps(square)), _mm_div_ps(all(32767), peak))
    // Where squares are no numbers or lose bits: 8 · 5,791 is the length of 64 equal ones.
    let isExact = _mm_and_ps(_mm_cmpgt_ps(square, all(0x1p-100)), _mm_cmplt_ps(square, all(0x1p100)))
    let scale = _mm_or_ps(
        _mm_and_ps(isExact, tight), _mm_andnot_ps(isExact, _mm_div_ps(all(5791), peak)))
    // Smaller ones than 2^−112 become zeros: their scale may be infinite.
    let isUseful = _mm_cmpgt_ps(peak, all(0x1p-112))
    let back = _mm_or_ps(
        _mm_and_ps(isUseful, _mm_div_ps(all(1), scale)), _mm_andnot_ps(isUseful, peak))
    return (_mm_and_ps(isUseful, scale), back)
}

/// A block of four rows as words, `stride` bytes a pair, and their scales.
@inline(__always)
private func narrowBlock(
    _ a: Block, _ b: Block, _ c: Block, _ d: Block, _ to: UnsafeMutableRawPointer, _ stride: Int,
    _ meta: UnsafeMutablePointer<Float>
) {
    let (scale, back) = scales(a, b, c, d)
    UnsafeMutableRawPointer(meta).storeBytes(of: back, as: SIMD4<Float>.self)
    @inline(__always) func store(_ a: F512, _ b: F512, _ c: F512, _ d: F512, _ to: UnsafeMutableRawPointer) {
        storePairs(
            Block.narrow(a, scale[0]), Block.narrow(b, scale[1]), Block.narrow(c, scale[2]),
            Block.narrow(d, scale[3]), to, stride)
    }
    store(a.a, b.a, c.a, d.a, to)
    store(a.b, b.b, c.b, d.b, to + 8 &* stride)
    store(a.c, b.c, c.c, d.c, to + 16 &* stride)
    store(a.d, b.d, c.d, d.d, to + 24 &* stride)
}

/// Up to `tileRows` rows to a tile (k / 2, tileRows, 2) and its scales (k / wideBlock, tileRows); whole blocks, the
/// missing rows and columns as zeros.
@inline(__always)  // specialised by each entry below
private func unpack<Row: WordRow>(
    _: Row.Type, _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) {
    var j = 0
    while j < k {
        let (from, to) = (w + j &* Row.bytes, tile + j &* 32)
        for r in stride(from: 0, to: tileRows, by: 4) {
            @inline(__always) func block(_ row: Int) -> Block {
                Block(Row.self, from + min(row, rows &- 1) &* rowBytes, row < rows ? k &- j : 0)
            }
            narrowBlock(
                block(r), block(r &+ 1), block(r &+ 2), block(r &+ 3), to + r &* 4, 64,
                meta + (j / wideBlock &* tileRows &+ r))
        }
        j &+= wideBlock
    }
}

/// Up to four tokens of `count` floats as a wide panel: words (count / 2, token, 2), scales (count / wideBlock, token).
@inline(never)  // entry of a tier
public func avx512QuantizeWords(
    _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int, _ count: Int, _ q: UnsafeMutablePointer<Int8>,
    _ scales: UnsafeMutablePointer<Float>
) {
    var j = 0
    while j < count {
        @inline(__always) func block(_ t: Int) -> Block {
            Block(RowF32.self, x + (min(t, tokens &- 1) &* xStride &+ j), count &- j)
        }
        narrowBlock(
            block(0), block(1), block(2), block(3), UnsafeMutableRawPointer(q) + j &* 8, 16,
            scales + j / wideBlock &* panelTokens)
        j &+= wideBlock
    }
}

/// Up to `tileRows` rows of halves as a tile of words.
@inline(never)  // entry of a tier
public func avx512UnpackWordsF16(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(RowF16.self, w, rowBytes, rows, k, tile, meta) }

/// Up to `tileRows` rows of bfloat16 as a tile of words.
@inline(never)  // entry of a tier
public func avx512UnpackWordsBF16(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(RowBF16.self, w, rowBytes, rows, k, tile, meta) }

/// Up to `tileRows` rows of floats as a tile of words.
@inline(never)  // entry of a tier
public func avx512UnpackWordsF32(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(RowF32.self, w, rowBytes, rows, k, tile, meta) }
#endif
