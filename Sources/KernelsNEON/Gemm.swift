#if arch(arm64)
import CIntrinsics
import KernelsARM
import QuantBlocks

// Prefill, second half, without dot-product instructions: a tile of columns times the panels of the batch, sixteen rows
// and four tokens at a time.
//
// A multiply-add widens eight products to 16 bits: weights of eight rows times one activation in all lanes. One `dup`
// serves two of them, because a tile has sixteen rows; each load of a column serves four tokens. 16 bits hold all 32
// products of a group of nibbles (8 · 127 · 32 = 32,512), so a group costs one widening for sixteen rows, where dot
// products along k would pay one a row.

/// Sums of sixteen rows for one token.
private struct Column {
    var low = int16x8_t.zero
    var high = int16x8_t.zero
}

/// Two columns of sixteen rows.
private struct Columns {
    var first: int8x16_t
    var second: int8x16_t
}

/// Adds two columns times one token's two activations, each in all lanes; `starts`: to nothing.
@inline(__always)  // the inner loop
private func add(_ sum: inout Column, _ w: Columns, _ a: int8x16_t, _ b: int8x16_t, starts: Bool) {
    if starts {
        sum.low = vmull_s8(vget_low_s8(w.first), vget_low_s8(a))
        sum.high = vmull_high_s8(w.first, a)
    } else {
        sum.low = vmlal_s8(sum.low, vget_low_s8(w.first), vget_low_s8(a))
        sum.high = vmlal_high_s8(sum.high, w.first, a)
    }
    sum.low = vmlal_s8(sum.low, vget_low_s8(w.second), vget_low_s8(b))
    sum.high = vmlal_high_s8(sum.high, w.second, b)
}

/// The first two of a quad of columns for four tokens; `a` holds four activations of each token.
@inline(__always)  // the inner loop
private func addFirstPair(_ sums: inout Sums, _ tile: UnsafeRawPointer, _ a: int8x16_t, starts: Bool) {
    let w = Columns(first: loadBytes(tile), second: loadBytes(tile + 16))
    add(&sums.a, w, martlet_dup0(a), martlet_dup1(a), starts: starts)
    add(&sums.b, w, martlet_dup4(a), martlet_dup5(a), starts: starts)
    add(&sums.c, w, martlet_dup8(a), martlet_dup9(a), starts: starts)
    add(&sums.d, w, martlet_dup12(a), martlet_dup13(a), starts: starts)
}

/// The last two of a quad of columns.
@inline(__always)  // the inner loop
private func addLastPair(_ sums: inout Sums, _ tile: UnsafeRawPointer, _ a: int8x16_t, starts: Bool) {
    let w = Columns(first: loadBytes(tile + 32), second: loadBytes(tile + 48))
    add(&sums.a, w, martlet_dup2(a), martlet_dup3(a), starts: starts)
    add(&sums.b, w, martlet_dup6(a), martlet_dup7(a), starts: starts)
    add(&sums.c, w, martlet_dup10(a), martlet_dup11(a), starts: starts)
    add(&sums.d, w, martlet_dup14(a), martlet_dup15(a), starts: starts)
}

/// Two quads of columns.
@inline(__always)  // the inner loop
private func addTwo(_ sums: inout Sums, _ tile: UnsafeRawPointer, _ bytes: UnsafePointer<Int8>, starts: Bool) {
    let (a, b) = (loadBytes(bytes), loadBytes(bytes + 16))
    addFirstPair(&sums, tile, a, starts: starts)
    addLastPair(&sums, tile, a, starts: false)
    addFirstPair(&sums, tile + 64, b, starts: false)
    addLastPair(&sums, tile + 64, b, starts: false)
}

/// The sums of `quads` (2, 4 or 8) quads of columns. Written out: LLVM does not unroll a body of this size.
@inline(__always)  // the inner loop
private func products(_ tile: UnsafeRawPointer, _ bytes: UnsafePointer<Int8>, quads: Int) -> Sums {
    var sums = Sums()
    addTwo(&sums, tile, bytes, starts: true)
    if quads > 2 { addTwo(&sums, tile + 128, bytes + 32, starts: false) }
    if quads > 4 {
        addTwo(&sums, tile + 256, bytes + 64, starts: false)
        addTwo(&sums, tile + 384, bytes + 96, starts: false)
    }
    return sums
}

/// Sixteen rows' sums for the four tokens of a panel.
private struct Sums {
    var (a, b, c, d) = (Column(), Column(), Column(), Column())
}

/// Sixteen rows of one token, widened to 32 bits.
private struct Wide {
    var (r0, r4) = (int32x4_t.zero, int32x4_t.zero)
    var (r8, r12) = (int32x4_t.zero, int32x4_t.zero)

    @inline(__always)
    init() {}

    /// Begins all rows with `start`.
    @inline(__always)  // one instruction, once a group
    init(_ start: Int32) {
        let all = vdupq_n_s32(start)
        (r0, r4) = (all, all)
        (r8, r12) = (all, all)
    }

    @inline(__always)  // once for every run of columns that 16 bits hold
    mutating func add(_ column: Column) {
        r0 = vaddw_s16(r0, vget_low_s16(column.low))
        r4 = vaddw_high_s16(r4, column.low)
        r8 = vaddw_s16(r8, vget_low_s16(column.high))
        r12 = vaddw_high_s16(r12, column.high)
    }

    @inline(__always)
    mutating func set(_ column: Column) {
        r0 = vmovl_s16(vget_low_s16(column.low))
        r4 = vmovl_high_s16(column.low)
        r8 = vmovl_s16(vget_low_s16(column.high))
        r12 = vmovl_high_s16(column.high)
    }
}

/// The four tokens of a panel, widened.
private struct WideSums {
    var (a, b, c, d) = (Wide(), Wide(), Wide(), Wide())

    @inline(__always)
    init() {}

    /// Begins with a word a token.
    @inline(__always)  // once a group
    init(_ starts: int32x4_t) {
        (a, b) = (Wide(starts[0]), Wide(starts[1]))
        (c, d) = (Wide(starts[2]), Wide(starts[3]))
    }

    @inline(__always)
    mutating func set(_ sums: Sums) {
        a.set(sums.a)
        b.set(sums.b)
        c.set(sums.c)
        d.set(sums.d)
    }

    @inline(__always)
    mutating func add(_ sums: Sums) {
        a.add(sums.a)
        b.add(sums.b)
        c.add(sums.c)
        d.add(sums.d)
    }
}

/// Sixteen results of one token.
private struct Results {
    var (r0, r4) = (float32x4_t.zero, float32x4_t.zero)
    var (r8, r12) = (float32x4_t.zero, float32x4_t.zero)

    @inline(__always)  // once a group
    mutating func add(_ sums: Wide, _ scales: UnsafePointer<Float>, _ d: Float) {
        r0 = r0.addingProduct(vcvtq_f32_s32(sums.r0), loadFloats4(scales) * d)
        r4 = r4.addingProduct(vcvtq_f32_s32(sums.r4), loadFloats4(scales + 4) * d)
        r8 = r8.addingProduct(vcvtq_f32_s32(sums.r8), loadFloats4(scales + 8) * d)
        r12 = r12.addingProduct(vcvtq_f32_s32(sums.r12), loadFloats4(scales + 12) * d)
    }

    @inline(__always)
    mutating func addMinima(_ minima: UnsafePointer<Float>, _ s: Float) {
        r0 = r0.addingProduct(loadFloats4(minima), s)
        r4 = r4.addingProduct(loadFloats4(minima + 4), s)
        r8 = r8.addingProduct(loadFloats4(minima + 8), s)
        r12 = r12.addingProduct(loadFloats4(minima + 12), s)
    }

    @inline(__always)
    func store(_ y: UnsafeMutablePointer<Float>) {
        storeFloats4(r0, y)
        storeFloats4(r4, y + 4)
        storeFloats4(r8, y + 8)
        storeFloats4(r12, y + 12)
    }
}

/// How a tile's weights are multiplied.
private struct Kind {
    /// Quads of columns whose products fit 16 bits: 8, 4, 2, or 0 for a pair of columns.
    var quads: Int
    var hasMinima = false
    /// Scales per 16 weights instead of per 32.
    var hasHalves = false
    /// A minimum per 16 weights, and weights that are 16 too small.
    var hasHalfMinima = false
}

/// The sums of half a group, sixteen columns; with `continues`, added to what `sums` holds.
@inline(__always)  // twice a group
private func addHalf(
    _ sums: inout WideSums, _ kind: Kind, _ tile: UnsafeRawPointer, _ bytes: UnsafePointer<Int8>, continues: Bool
) {
    if kind.quads == 0 {
        if !continues { sums = WideSums() }
        for quad in 0..<4 {
            let a = loadBytes(bytes + quad &* 16)
            var pair = Sums()
            addFirstPair(&pair, tile + quad &* 64, a, starts: true)
            sums.add(pair)
            addLastPair(&pair, tile + quad &* 64, a, starts: true)
            sums.add(pair)
        }
        return
    }
    let first = products(tile, bytes, quads: min(4, kind.quads))
    if continues { sums.add(first) } else { sums.set(first) }
    if kind.quads == 2 { sums.add(products(tile + 128, bytes + 32, quads: 2)) }
}

@inline(__always)  // specialised by each entry below
private func gemm(
    _ kind: Kind, _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ tokens: Int, _ y: UnsafeMutablePointer<Float>
) {
    let groups = k / 32
    for panel in 0..<((tokens &+ 3) / 4) {
        let values = q + panel &* k &* 4
        let scales = ds + panel &* groups &* panelScales
        var (y0, y1, y2, y3) = (Results(), Results(), Results(), Results())
        for g in 0..<groups {
            let (weights, bytes) = (tile + g &* 512, values + g &* 128)
            let (rows, pairs) = (meta + g &* (kind.hasHalfMinima ? 48 : 32), scales + g &* panelScales)
            var sums = WideSums()
            @inline(__always) func finish(_ scales: UnsafePointer<Float>) {
                y0.add(sums.a, scales, pairs[0])
                y1.add(sums.b, scales, pairs[1])
                y2.add(sums.c, scales, pairs[2])
                y3.add(sums.d, scales, pairs[3])
            }
            if kind.quads == 8 {
                sums.set(products(weights, bytes, quads: 8))
            } else {
                if kind.hasHalfMinima {
                    // 16 Σ q from −8 Σ q.
                    let words = UnsafeRawPointer(pairs + 16).loadUnaligned(as: int32x4_t.self)
                    sums = WideSums(vmulq_n_s32(words, -2))
                }
                addHalf(&sums, kind, weights, bytes, continues: kind.hasHalfMinima)
                if kind.hasHalves { finish(rows) }
                addHalf(&sums, kind, weights + 256, bytes + 64, continues: !kind.hasHalves)
            }
            finish(kind.hasHalves ? rows + 16 : rows)
            if kind.hasHalfMinima {
                let (s, t) = (halfSum(pairs, 8), halfSum(pairs, 12))
                y0.addMinima(rows + 16, s[0])
                y1.addMinima(rows + 16, s[1])
                y2.addMinima(rows + 16, s[2])
                y3.addMinima(rows + 16, s[3])
                y0.addMinima(rows + 32, t[0])
                y1.addMinima(rows + 32, t[1])
                y2.addMinima(rows + 32, t[2])
                y3.addMinima(rows + 32, t[3])
            }
            if kind.hasMinima {
                y0.addMinima(rows + 16, pairs[4])
                y1.addMinima(rows + 16, pairs[5])
                y2.addMinima(rows + 16, pairs[6])
                y3.addMinima(rows + 16, pairs[7])
            }
        }
        let to = y + panel &* 64
        y0.store(to)
        y1.store(to + 16)
        y2.store(to + 32)
        y3.store(to + 48)
    }
}

/// Weights −8…7 with a scale per 32.
@inline(never)  // entry of a tier
public func neonGemmNibble(
    _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int,
    _ y: UnsafeMutablePointer<Float>
) { gemm(Kind(quads: 8), tile, meta, k, q, ds, tokens, y) }

/// Weights −8…7 with a scale and a minimum per 32.
@inline(never)  // entry of a tier
public func neonGemmNibbleMinima(
    _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int,
    _ y: UnsafeMutablePointer<Float>
) { gemm(Kind(quads: 8, hasMinima: true), tile, meta, k, q, ds, tokens, y) }

/// Weights −16…15 with a scale per 32: 16 · 127 · 16 = 32,512 in 16 bits.
@inline(never)  // entry of a tier
public func neonGemmFive(
    _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int,
    _ y: UnsafeMutablePointer<Float>
) { gemm(Kind(quads: 4), tile, meta, k, q, ds, tokens, y) }

/// The same with a minimum.
@inline(never)  // entry of a tier
public func neonGemmFiveMinima(
    _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int,
    _ y: UnsafeMutablePointer<Float>
) { gemm(Kind(quads: 4, hasMinima: true), tile, meta, k, q, ds, tokens, y) }

/// Weights −128…127 with a scale per 32: 128 · 127 · 2 = 32,512 in 16 bits.
@inline(never)  // entry of a tier
public func neonGemmByte(
    _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int,
    _ y: UnsafeMutablePointer<Float>
) { gemm(Kind(quads: 0), tile, meta, k, q, ds, tokens, y) }

/// Weights −32…31 with a scale per 16: 32 · 127 · 8 = 32,512 in 16 bits.
@inline(never)  // entry of a tier
public func neonGemmSix(
    _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int,
    _ y: UnsafeMutablePointer<Float>
) { gemm(Kind(quads: 2, hasHalves: true), tile, meta, k, q, ds, tokens, y) }

/// Weights −4…3 with a scale per 16: 4 · 127 · 16 = 8,128 in 16 bits.
@inline(never)  // entry of a tier
public func neonGemmThree(
    _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int,
    _ y: UnsafeMutablePointer<Float>
) { gemm(Kind(quads: 4, hasHalves: true), tile, meta, k, q, ds, tokens, y) }

/// Weights −16…29, 16 too small, with a scale per 32 and a minimum per 16: 29 · 127 · 8 = 29,464 in 16 bits.
@inline(never)  // entry of a tier
public func neonGemmHalfMinima(
    _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int,
    _ y: UnsafeMutablePointer<Float>
) { gemm(Kind(quads: 2, hasHalfMinima: true), tile, meta, k, q, ds, tokens, y) }
#endif
