#if arch(arm64)
import CIntrinsics
import KernelsARM
import QuantBlocks

// Prefill with matrix products: a tile of octets times the panels of the batch, eight rows and four tokens at a time.
//
// An instruction takes two rows and two tokens, eight values of each, and adds a 2 × 2 block of results: twice the
// multiply-adds of a dot product. Lanes of a block: (row 0, token 0), (row 0, token 1), (row 1, token 0),
// (row 1, token 1).

/// Two rows' sums for the four tokens of a panel: tokens 0 and 1, tokens 2 and 3.
private struct Block {
    var left: int32x4_t
    var right: int32x4_t

    @inline(__always)  // a load instruction, see KernelsDotProd
    init(_ zeros: UnsafeRawPointer) {
        let pair = martlet_load_zeros(zeros)
        (left, right) = (pair.low, pair.high)
    }

    @inline(__always)  // the inner loop
    mutating func add(_ weights: int8x16_t, _ values: Octets) {
        left = vmmlaq_s32(left, weights, values.left)
        right = vmmlaq_s32(right, weights, values.right)
    }
}

/// Eight values of two tokens each.
private struct Octets {
    var left: int8x16_t
    var right: int8x16_t

    /// From a panel, where four tokens' first four values come before their next four.
    @inline(__always)  // once for eight columns
    init(_ panel: UnsafePointer<Int8>) {
        let first = vreinterpretq_s32_s8(loadBytes(panel))
        let next = vreinterpretq_s32_s8(loadBytes(panel + 16))
        left = vreinterpretq_s8_s32(vzip1q_s32(first, next))
        right = vreinterpretq_s8_s32(vzip2q_s32(first, next))
    }
}

/// A word for each token of a panel, twice: for the two rows of a block.
private struct PerToken {
    var left: float32x4_t
    var right: float32x4_t

    @inline(__always)  // once a group
    init(_ scales: float32x4_t) {
        let four = vreinterpretq_f64_f32(scales)
        left = vreinterpretq_f32_f64(vtrn1q_f64(four, four))
        right = vreinterpretq_f32_f64(vtrn2q_f64(four, four))
    }
}

/// Eight rows' sums.
private struct Sums {
    var a, b, c, d: Block

    @inline(__always)
    init(_ zeros: UnsafeRawPointer) { (a, b, c, d) = (Block(zeros), Block(zeros), Block(zeros), Block(zeros)) }

    @inline(__always)
    init(a: Block, b: Block, c: Block, d: Block) { (self.a, self.b, self.c, self.d) = (a, b, c, d) }

    @inline(__always)  // the inner loop
    mutating func add(_ tile: UnsafeRawPointer, _ panel: UnsafePointer<Int8>) {
        let values = Octets(panel)
        a.add(loadBytes(tile), values)
        b.add(loadBytes(tile + 16), values)
        c.add(loadBytes(tile + 32), values)
        d.add(loadBytes(tile + 48), values)
    }
}

/// Two rows' results, in blocks as the sums.
private struct Results {
    var left = float32x4_t.zero
    var right = float32x4_t.zero

    @inline(__always)  // once a group
    mutating func add(_ sums: Block, _ scale: float32x4_t, _ d: PerToken) {
        left = left.addingProduct(vcvtq_f32_s32(sums.left), scale * d.left)
        right = right.addingProduct(vcvtq_f32_s32(sums.right), scale * d.right)
    }

    @inline(__always)
    mutating func addMinima(_ minima: float32x4_t, _ s: PerToken) {
        left = left.addingProduct(minima, s.left)
        right = right.addingProduct(minima, s.right)
    }
}

/// Eight rows' results.
private struct EightRows {
    var (a, b, c, d) = (Results(), Results(), Results(), Results())

    /// Applies a scale a row, given as eight floats.
    @inline(__always)  // once a group
    mutating func add(_ sums: Sums, _ scales: UnsafePointer<Float>, _ d: PerToken) {
        let (low, high) = (loadFloats4(scales), loadFloats4(scales + 4))
        a.add(sums.a, vzip1q_f32(low, low), d)
        b.add(sums.b, vzip2q_f32(low, low), d)
        c.add(sums.c, vzip1q_f32(high, high), d)
        self.d.add(sums.d, vzip2q_f32(high, high), d)
    }

    @inline(__always)
    mutating func addMinima(_ minima: UnsafePointer<Float>, _ s: PerToken) {
        let (low, high) = (loadFloats4(minima), loadFloats4(minima + 4))
        a.addMinima(vzip1q_f32(low, low), s)
        b.addMinima(vzip2q_f32(low, low), s)
        c.addMinima(vzip1q_f32(high, high), s)
        d.addMinima(vzip2q_f32(high, high), s)
    }

    /// Stores four tokens of eight rows at (token, 16).
    @inline(__always)
    func store(_ y: UnsafeMutablePointer<Float>) {
        Self.store(a.left, b.left, c.left, d.left, y)
        Self.store(a.right, b.right, c.right, d.right, y + 32)
    }

    /// Two tokens: the even lanes are the first's, the odd ones the second's.
    @inline(__always)
    private static func store(
        _ a: float32x4_t, _ b: float32x4_t, _ c: float32x4_t, _ d: float32x4_t, _ y: UnsafeMutablePointer<Float>
    ) {
        storeFloats4(vuzp1q_f32(a, b), y)
        storeFloats4(vuzp1q_f32(c, d), y + 4)
        storeFloats4(vuzp2q_f32(a, b), y + 16)
        storeFloats4(vuzp2q_f32(c, d), y + 20)
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
            var results = EightRows()
            for g in 0..<groups {
                let (weights, bytes) = (tile + (g &* 512 &+ half &* 64), values + g &* 128)
                let (rows, ds) = (meta + (g &* (kind.hasHalfMinima ? 48 : 32) &+ half &* 8), scales + g &* panelScales)
                let d = PerToken(loadFloats4(ds))
                var sums = Sums(zeros)
                sums.add(weights, bytes)
                sums.add(weights + 128, bytes + 32)
                if kind.hasHalves {
                    results.add(sums, rows, d)
                    sums = Sums(zeros)
                }
                sums.add(weights + 256, bytes + 64)
                sums.add(weights + 384, bytes + 96)
                results.add(sums, kind.hasHalves ? rows + 16 : rows, d)
                if kind.hasMinima { results.addMinima(rows + 16, PerToken(loadFloats4(ds + 4))) }
                if kind.hasHalfMinima {
                    results.addMinima(rows + 16, PerToken(halfSum(ds, 8)))
                    results.addMinima(rows + 32, PerToken(halfSum(ds, 12)))
                }
            }
            results.store(y + (panel &* 64 &+ half &* 8))
        }
    }
}

/// Weights with a scale per 32.
@inline(never)  // entry of a tier
public func i8mmGemmScaled(
    _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int,
    _ y: UnsafeMutablePointer<Float>
) { gemm(Kind(), tile, meta, k, q, ds, tokens, y) }

/// Weights with a scale and a minimum per 32.
@inline(never)  // entry of a tier
public func i8mmGemmMinima(
    _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int,
    _ y: UnsafeMutablePointer<Float>
) { gemm(Kind(hasMinima: true), tile, meta, k, q, ds, tokens, y) }

/// Weights with a scale per 16.
@inline(never)  // entry of a tier
public func i8mmGemmHalves(
    _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int,
    _ y: UnsafeMutablePointer<Float>
) { gemm(Kind(hasHalves: true), tile, meta, k, q, ds, tokens, y) }

/// Weights with a scale per 32 and a minimum per 16.
@inline(never)  // entry of a tier
public func i8mmGemmHalfMinima(
    _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int,
    _ y: UnsafeMutablePointer<Float>
) { gemm(Kind(hasHalfMinima: true), tile, meta, k, q, ds, tokens, y) }

/// Eight values of each of a panel's tokens.
private struct Values {
    let left: int8x16_t
    let right: int8x16_t

    @inline(__always)  // once for eight columns
    init(_ values: UnsafePointer<Int8>) { (left, right) = (loadBytes(values), loadBytes(values + 16)) }
}

/// Two rows' products of a block of words: of upper bytes, and of upper with lower bytes.
private struct WordBlock {
    var high: Block
    var middle: Block

    @inline(__always)  // once a block
    init(_ zeros: UnsafeRawPointer) { (high, middle) = (Block(zeros), Block(zeros)) }

    @inline(__always)  // the inner loop
    mutating func add(_ weights: UnsafeRawPointer, _ upper: Values, _ lower: Values) {
        let (first, second) = (loadBytes(weights), loadBytes(weights + 128))
        high.left = vmmlaq_s32(high.left, first, upper.left)
        high.right = vmmlaq_s32(high.right, first, upper.right)
        middle.left = vmmlaq_s32(middle.left, first, lower.left)
        middle.right = vmmlaq_s32(middle.right, first, lower.right)
        middle.left = vmmlaq_s32(middle.left, second, upper.left)
        middle.right = vmmlaq_s32(middle.right, second, upper.right)
    }

    /// Both, in steps of the upper bytes' products.
    @inline(__always)  // once a block
    var sums: Block {
        var sums = high
        sums.left = martlet_add_256th(high.left, middle.left)
        sums.right = martlet_add_256th(high.right, middle.right)
        return sums
    }
}

/// Tiles of words times wide panels, both of octets: see KernelsNEON, TileWords.swift.
@inline(never)  // entry of a tier
public func i8mmGemmWords(
    _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int, _ q: UnsafePointer<Int8>,
    _ scales: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int,
    _ y: UnsafeMutablePointer<Float>
) {
    guard let zeros = martlet_zeros_address() else { return }
    let blocks = (k &+ wideBlock &- 1) / wideBlock
    for half in 0..<2 {
        for panel in 0..<((tokens &+ 3) / 4) {
            let (values, ds) = (q + panel &* wideBytes(k), scales + panel &* blocks &* panelTokens)
            var results = EightRows()
            for g in 0..<blocks {
                let (weights, bytes) = (tile + (g &* 32 &* wideBlock &+ half &* 64), values + g &* 8 &* wideBlock)
                let sixteens = min(wideBlock, k &- g &* wideBlock &+ 15) / 16
                var (a, b, c, d) = (WordBlock(zeros), WordBlock(zeros), WordBlock(zeros), WordBlock(zeros))
                @inline(__always) func add(_ from: UnsafeRawPointer, _ with: UnsafePointer<Int8>) {
                    let (upper, lower) = (Values(with), Values(with + 32))
                    a.add(from, upper, lower)
                    b.add(from + 16, upper, lower)
                    c.add(from + 32, upper, lower)
                    d.add(from + 48, upper, lower)
                }
                for j in 0..<sixteens {
                    add(weights + j &* 512, bytes + j &* 128)
                    add(weights + (j &* 512 &+ 256), bytes + (j &* 128 &+ 64))
                }
                let sums = Sums(a: a.sums, b: b.sums, c: c.sums, d: d.sums)
                results.add(sums, meta + (g &* tileRows &+ half &* 8), PerToken(loadFloats4(ds + g &* panelTokens)))
            }
            results.store(y + (panel &* 64 &+ half &* 8))
        }
    }
}
#endif
