#if arch(arm64)
import CIntrinsics
import KernelsARM
import QuantBlocks

// Decode of interleaved rows without dot products: a word of the activations, in all words of a vector, multiplies
// four weights of four rows to 16 bits. A group's eight columns fit there up to 31: 8 · 31 · 127 = 31,496.

/// A quad's sums in 16 bits: four lanes a row.
private struct Narrow {
    var low = int16x8_t.zero
    var high = int16x8_t.zero

    @inline(__always)  // the inner loop
    mutating func add(_ w: int8x16_t, _ values: int8x16_t, begins: Bool) {
        if begins {
            low = vmull_s8(vget_low_s8(w), vget_low_s8(values))
            high = vmull_high_s8(w, values)
        } else {
            low = vmlal_s8(low, vget_low_s8(w), vget_low_s8(values))
            high = vmlal_high_s8(high, w, values)
        }
    }

    /// A row a lane. `products`: how many a lane holds, `largest` what they may be.
    @inline(__always)
    func sums(_ products: Int, largest: Int) -> int32x4_t {
        // Two lanes' sum may still fit.
        if 2 &* products &* largest &* 127 < 32768 { return vpaddlq_s16(vpaddq_s16(low, high)) }
        return vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high))
    }
}

private struct FourNarrow {
    var (a, b, c, d) = (Narrow(), Narrow(), Narrow(), Narrow())
}

/// A quad's sums in 32 bits: two lanes a row.
private struct Wide {
    var (low, high) = (int32x4_t.zero, int32x4_t.zero)

    @inline(__always)  // the inner loop
    mutating func add(_ w: Weights32, _ first: int8x16_t, _ last: int8x16_t) {
        var narrow = Narrow()
        narrow.add(w.low, first, begins: true)
        narrow.add(w.high, last, begins: false)
        low = vpadalq_s16(low, narrow.low)
        high = vpadalq_s16(high, narrow.high)
    }
}

private enum NEONBand: BandArithmetic {
    /// Word `c` of `values` in all words; `c` is a constant once this is inlined.
    @inline(__always)
    private static func word(_ values: int8x16_t, _ c: Int) -> int8x16_t {
        switch c {
        case 0: martlet_dup_word0(values)
        case 1: martlet_dup_word1(values)
        case 2: martlet_dup_word2(values)
        default: martlet_dup_word3(values)
        }
    }

    // Functions of their own instead of nested ones: those capture the sums in a box on the heap.

    @inline(__always)  // the inner loop, as the rest
    private static func column<Format: InterleavedQuads>(
        _: Format.Type, _ c: Int, first: Bool, last: Bool, _ codes: UnsafeRawPointer, _ bits: UnsafeRawPointer,
        _ values: Weights32, _ sums: inout FourNarrow
    ) {
        let (low, high) = (word(values.low, c), word(values.high, c))
        add(Format.columns(codes, bits, c), low, high, first, last, c == 0, &sums.a)
        add(Format.columns(codes + 16, bits + 16, c), low, high, first, last, c == 0, &sums.b)
        add(Format.columns(codes + 32, bits + 32, c), low, high, first, last, c == 0, &sums.c)
        add(Format.columns(codes + 48, bits + 48, c), low, high, first, last, c == 0, &sums.d)
    }

    @inline(__always)
    private static func add(
        _ weights: Weights32, _ low: int8x16_t, _ high: int8x16_t, _ first: Bool, _ last: Bool, _ begins: Bool,
        _ sums: inout Narrow
    ) {
        if first { sums.add(weights.low, low, begins: begins) }
        if last { sums.add(weights.high, high, begins: begins && !first) }
    }

    @inline(__always)
    static func sums<Format: InterleavedQuads>(
        _: Format.Type, _ codes: UnsafeRawPointer, _ bits: UnsafeRawPointer, _ values: Weights32
    ) -> Words16 { sums(Format.self, first: true, last: true, codes, bits, values) }

    /// One after the other: both at once would need sixteen registers of sums.
    @inline(__always)
    static func halves<Format: InterleavedQuads>(
        _: Format.Type, _ codes: UnsafeRawPointer, _ bits: UnsafeRawPointer, _ values: Weights32
    ) -> (Words16, Words16) {
        (
            sums(Format.self, first: true, last: false, codes, bits, values),
            sums(Format.self, first: false, last: true, codes, bits, values)
        )
    }

    @inline(__always)
    private static func sums<Format: InterleavedQuads>(
        _: Format.Type, first: Bool, last: Bool, _ codes: UnsafeRawPointer, _ bits: UnsafeRawPointer,
        _ values: Weights32
    ) -> Words16 {
        if Format.largest > 32 {
            let low = pair(Format.self, codes, bits, values)
            let high = pair(Format.self, codes + 32, bits + 32, values)
            return Words16(low.0, low.1, high.0, high.1)
        }
        var sums = FourNarrow()
        column(Format.self, 0, first: first, last: last, codes, bits, values, &sums)
        column(Format.self, 1, first: first, last: last, codes, bits, values, &sums)
        column(Format.self, 2, first: first, last: last, codes, bits, values, &sums)
        column(Format.self, 3, first: first, last: last, codes, bits, values, &sums)
        let products = first && last ? 8 : 4
        return Words16(
            sums.a.sums(products, largest: Format.largest), sums.b.sums(products, largest: Format.largest),
            sums.c.sums(products, largest: Format.largest), sums.d.sums(products, largest: Format.largest))
    }

    /// Two quads of whole bytes: two products fit 16 bits, 2 · 128 · 127 = 32,512, and are widened at once.
    @inline(__always)
    private static func pair<Format: InterleavedQuads>(
        _: Format.Type, _ codes: UnsafeRawPointer, _ bits: UnsafeRawPointer, _ values: Weights32
    ) -> (int32x4_t, int32x4_t) {
        var (a, b) = (Wide(), Wide())
        bytes(Format.self, 0, codes, bits, values, &a, &b)
        bytes(Format.self, 1, codes, bits, values, &a, &b)
        bytes(Format.self, 2, codes, bits, values, &a, &b)
        bytes(Format.self, 3, codes, bits, values, &a, &b)
        return (vpaddq_s32(a.low, a.high), vpaddq_s32(b.low, b.high))
    }

    @inline(__always)
    private static func bytes<Format: InterleavedQuads>(
        _: Format.Type, _ c: Int, _ codes: UnsafeRawPointer, _ bits: UnsafeRawPointer, _ values: Weights32,
        _ a: inout Wide, _ b: inout Wide
    ) {
        let (low, high) = (word(values.low, c), word(values.high, c))
        a.add(Format.columns(codes, bits, c), low, high)
        b.add(Format.columns(codes + 16, bits + 16, c), low, high)
    }
}

/// y (rows) = bands of Q4_0 × one quantised activation vector.
@inline(never)  // entry of a tier
public func neonGemvInterleavedQ4_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemvInterleaved(InterleavedQ4_0.self, NEONBand.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = bands of Q4_1 × one quantised activation vector.
@inline(never)  // entry of a tier
public func neonGemvInterleavedQ4_1(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemvInterleaved(InterleavedQ4_1.self, NEONBand.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = bands of Q5_0 × one quantised activation vector.
@inline(never)  // entry of a tier
public func neonGemvInterleavedQ5_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemvInterleaved(InterleavedQ5_0.self, NEONBand.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = bands of Q5_1 × one quantised activation vector.
@inline(never)  // entry of a tier
public func neonGemvInterleavedQ5_1(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemvInterleaved(InterleavedQ5_1.self, NEONBand.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = bands of Q8_0 × one quantised activation vector.
@inline(never)  // entry of a tier
public func neonGemvInterleavedQ8_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemvInterleaved(InterleavedQ8_0.self, NEONBand.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = bands of Q4_K × one quantised activation vector.
@inline(never)  // entry of a tier
public func neonGemvInterleavedQ4_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemvInterleaved(InterleavedQ4_K.self, NEONBand.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = bands of Q5_K × one quantised activation vector.
@inline(never)  // entry of a tier
public func neonGemvInterleavedQ5_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemvInterleaved(InterleavedQ5_K.self, NEONBand.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = bands of Q6_K × one quantised activation vector.
@inline(never)  // entry of a tier
public func neonGemvInterleavedQ6_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemvInterleaved(InterleavedQ6_K.self, NEONBand.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = bands of IQ4_NL × one quantised activation vector.
@inline(never)  // entry of a tier
public func neonGemvInterleavedIQ4_NL(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemvInterleaved(InterleavedIQ4_NL.self, NEONBand.self, w, rowBytes, rows, k, q, ds, y) }
#endif
