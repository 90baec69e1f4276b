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
#endif
