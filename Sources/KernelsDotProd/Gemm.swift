#if arch(arm64)
import CIntrinsics
import KernelsARM
import QuantBlocks

// Prefill with dot products: a tile of quads times the panels of the batch, eight rows and four tokens at a time.
//
// An instruction takes four neighbouring weights of four rows and one token's four activations, a lane of the panel's
// vector: no activation is ever copied. Eight sums and eight results stay in registers with the two vectors of weights.
//
// What bounds it is the two vector pipes, so sums are cleared by the load pipes: by the model of the A76's twin 48 cycles
// instead of 52 for 1,024 products (the A55, which loads 8 bytes a cycle, takes 155 instead of 139, and is not the core
// to choose on boards that have both).
// Rejected: two groups a round (registers spill: 50 cycles a group).
//
// Weights that are floats are multiplied as words in two bytes: see KernelsNEON, TileWords.swift.

/// Eight rows' sums for one token.
private struct Pair {
    var low: int32x4_t
    var high: int32x4_t

    @inline(__always)  // a load instruction
    init(_ zeros: UnsafeRawPointer) {
        let pair = martlet_load_zeros(zeros)
        (low, high) = (pair.low, pair.high)
    }
}

/// Eight rows' sums for the four tokens of a panel.
private struct Sums {
    var a, b, c, d: Pair

    @inline(__always)
    init(_ zeros: UnsafeRawPointer) { (a, b, c, d) = (Pair(zeros), Pair(zeros), Pair(zeros), Pair(zeros)) }

    @inline(__always)  // the inner loop
    mutating func add(_ low: int8x16_t, _ high: int8x16_t, _ values: int8x16_t) {
        a.low = martlet_dot_lane0(a.low, low, values)
        a.high = martlet_dot_lane0(a.high, high, values)
        b.low = martlet_dot_lane1(b.low, low, values)
        b.high = martlet_dot_lane1(b.high, high, values)
        c.low = martlet_dot_lane2(c.low, low, values)
        c.high = martlet_dot_lane2(c.high, high, values)
        d.low = martlet_dot_lane3(d.low, low, values)
        d.high = martlet_dot_lane3(d.high, high, values)
    }
}

/// Eight rows' results for one token.
private struct Results {
    var low = float32x4_t.zero
    var high = float32x4_t.zero

    @inline(__always)  // once a group
    mutating func add(_ sums: Pair, _ scaleLow: float32x4_t, _ scaleHigh: float32x4_t, _ d: Float) {
        low = low.addingProduct(vcvtq_f32_s32(sums.low), scaleLow * d)
        high = high.addingProduct(vcvtq_f32_s32(sums.high), scaleHigh * d)
    }

    @inline(__always)
    mutating func addMinima(_ minimaLow: float32x4_t, _ minimaHigh: float32x4_t, _ s: Float) {
        low = low.addingProduct(minimaLow, s)
        high = high.addingProduct(minimaHigh, s)
    }

    @inline(__always)
    func store(_ y: UnsafeMutablePointer<Float>) {
        storeFloats4(low, y)
        storeFloats4(high, y + 4)
    }
}

/// How a tile's weights are multiplied.
private struct Kind {
    var hasMinima = false
    /// Scales per 16 weights instead of per 32.
    var hasHalves = false
    /// A minimum per 16 weights.
    var hasHalfMinima = false
}

@inline(__always)  // specialised by each entry below
private func gemm(
    _ kind: Kind, _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ tokens: Int, _ y: UnsafeMutablePointer<Float>
) {
    guard let zeros = martlet_zeros_address() else { return }
    let groups = k / 32
    for half in 0..<2 {
        for panel in 0..<((tokens &+ 3) / 4) {
            let values = q + panel &* k &* 4
            let scales = ds + panel &* groups &* panelScales
            var (y0, y1, y2, y3) = (Results(), Results(), Results(), Results())
            for g in 0..<groups {
                let (weights, bytes) = (tile + (g &* 512 &+ half &* 32), values + g &* 128)
                let rows = meta + (g &* (kind.hasHalfMinima ? 48 : 32) &+ half &* 8)
                let ds = loadFloats4(scales + g &* panelScales)
                var sums = Sums(zeros)
                @inline(__always) func finish(_ scales: UnsafePointer<Float>) {
                    let (low, high) = (loadFloats4(scales), loadFloats4(scales + 4))
                    y0.add(sums.a, low, high, ds[0])
                    y1.add(sums.b, low, high, ds[1])
                    y2.add(sums.c, low, high, ds[2])
                    y3.add(sums.d, low, high, ds[3])
                }
                for j in 0..<8 {
                    if kind.hasHalves, j == 4 {
                        finish(rows)
                        sums = Sums(zeros)
                    }
                    sums.add(
                        loadBytes(weights + j &* 64), loadBytes(weights + (j &* 64 &+ 16)), loadBytes(bytes + j &* 16))
                }
                finish(kind.hasHalves ? rows + 16 : rows)
                @inline(__always) func finish(_ minima: UnsafePointer<Float>, _ s: float32x4_t) {
                    let (low, high) = (loadFloats4(minima), loadFloats4(minima + 4))
                    y0.addMinima(low, high, s[0])
                    y1.addMinima(low, high, s[1])
                    y2.addMinima(low, high, s[2])
                    y3.addMinima(low, high, s[3])
                }
                if kind.hasMinima { finish(rows + 16, loadFloats4(scales + (g &* panelScales &+ 4))) }
                if kind.hasHalfMinima {
                    finish(rows + 16, halfSum(scales + g &* panelScales, 8))
                    finish(rows + 32, halfSum(scales + g &* panelScales, 12))
                }
            }
            let to = y + (panel &* 64 &+ half &* 8)
            y0.store(to)
            y1.store(to + 16)
            y2.store(to + 32)
            y3.store(to + 48)
        }
    }
}

/// Weights with a scale per 32.
@inline(never)  // entry of a tier
public func dotprodGemmScaled(
    _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int,
    _ y: UnsafeMutablePointer<Float>
) { gemm(Kind(), tile, meta, k, q, ds, tokens, y) }

/// Weights with a scale and a minimum per 32.
@inline(never)  // entry of a tier
public func dotprodGemmMinima(
    _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int,
    _ y: UnsafeMutablePointer<Float>
) { gemm(Kind(hasMinima: true), tile, meta, k, q, ds, tokens, y) }

/// Weights with a scale per 16.
@inline(never)  // entry of a tier
public func dotprodGemmHalves(
    _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int,
    _ y: UnsafeMutablePointer<Float>
) { gemm(Kind(hasHalves: true), tile, meta, k, q, ds, tokens, y) }

/// Weights with a scale per 32 and a minimum per 16.
@inline(never)  // entry of a tier
public func dotprodGemmHalfMinima(
    _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int,
    _ y: UnsafeMutablePointer<Float>
) { gemm(Kind(hasHalfMinima: true), tile, meta, k, q, ds, tokens, y) }

/// The products of a block of words: of upper bytes, and of upper with lower bytes.
private struct WordSums {
    var high: Sums
    var middle: Sums

    @inline(__always)  // once a block
    init(_ zeros: UnsafeRawPointer) { (high, middle) = (Sums(zeros), Sums(zeros)) }

    @inline(__always)  // the inner loop
    mutating func add(_ weights: UnsafeRawPointer, _ values: UnsafePointer<Int8>) {
        let (low, next) = (loadBytes(weights), loadBytes(weights + 16))
        let (upper, lower) = (loadBytes(values), loadBytes(values + 16))
        high.add(low, next, upper)
        middle.add(low, next, lower)
        middle.add(loadBytes(weights + 64), loadBytes(weights + 80), upper)
    }
}

extension Results {
    /// Sums of words, in steps of the upper bytes' products.
    @inline(__always)  // once a block
    fileprivate mutating func add(
        _ high: Pair, _ middle: Pair, _ scaleLow: float32x4_t, _ scaleHigh: float32x4_t, _ d: Float
    ) {
        var sums = high
        sums.low = martlet_add_256th(high.low, middle.low)
        sums.high = martlet_add_256th(high.high, middle.high)
        add(sums, scaleLow, scaleHigh, d)
    }
}

/// Tiles of words times wide panels, both of quads.
@inline(never)  // entry of a tier
public func dotprodGemmWords(
    _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int, _ q: UnsafePointer<Int8>,
    _ scales: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int,
    _ y: UnsafeMutablePointer<Float>
) {
    guard let zeros = martlet_zeros_address() else { return }
    let blocks = (k &+ wideBlock &- 1) / wideBlock
    for half in 0..<2 {
        for panel in 0..<((tokens &+ 3) / 4) {
            let (values, ds) = (q + panel &* wideBytes(k), scales + panel &* blocks &* panelTokens)
            var (y0, y1, y2, y3) = (Results(), Results(), Results(), Results())
            for g in 0..<blocks {
                let (weights, bytes) = (tile + (g &* 32 &* wideBlock &+ half &* 32), values + g &* 8 &* wideBlock)
                let sixteens = min(wideBlock, k &- g &* wideBlock &+ 15) / 16
                var sums = WordSums(zeros)
                for j in 0..<sixteens {
                    let (from, with) = (weights + j &* 512, bytes + j &* 128)
                    sums.add(from, with)
                    sums.add(from + 128, with + 32)
                    sums.add(from + 256, with + 64)
                    sums.add(from + 384, with + 96)
                }
                let (rows, d) = (meta + (g &* tileRows &+ half &* 8), loadFloats4(ds + g &* panelTokens))
                let (low, high) = (loadFloats4(rows), loadFloats4(rows + 4))
                y0.add(sums.high.a, sums.middle.a, low, high, d[0])
                y1.add(sums.high.b, sums.middle.b, low, high, d[1])
                y2.add(sums.high.c, sums.middle.c, low, high, d[2])
                y3.add(sums.high.d, sums.middle.d, low, high, d[3])
            }
            let to = y + (panel &* 64 &+ half &* 8)
            y0.store(to)
            y1.store(to + 16)
            y2.store(to + 32)
            y3.store(to + 48)
        }
    }
}
#endif
