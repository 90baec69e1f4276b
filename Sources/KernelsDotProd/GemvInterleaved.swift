#if arch(arm64)
import CIntrinsics
import KernelsARM
import QuantBlocks

// Decode of interleaved rows with dot products: an instruction takes four weights of four rows and a word of the
// activations.

private enum DotProdBand: BandArithmetic {
    /// Word `c` of `values`, a constant once this is inlined.
    @inline(__always)
    private static func dot(_ sum: int32x4_t, _ w: int8x16_t, _ values: int8x16_t, _ c: Int) -> int32x4_t {
        switch c {
        case 0: martlet_dot_lane0(sum, w, values)
        case 1: martlet_dot_lane1(sum, w, values)
        case 2: martlet_dot_lane2(sum, w, values)
        default: martlet_dot_lane3(sum, w, values)
        }
    }

    // Functions of their own instead of nested ones: those capture the sums in a box on the heap.

    @inline(__always)  // the inner loop, as the rest
    private static func add(
        _ weights: Weights32, _ values: Weights32, _ c: Int, _ first: Bool, _ last: Bool, _ sum: inout int32x4_t
    ) {
        if first { sum = dot(sum, weights.low, values.low, c) }
        if last { sum = dot(sum, weights.high, values.high, c) }
    }

    @inline(__always)
    private static func column<Format: InterleavedQuads>(
        _: Format.Type, _ c: Int, _ first: Bool, _ last: Bool, _ codes: UnsafeRawPointer, _ bits: UnsafeRawPointer,
        _ values: Weights32, _ sums: inout Words16
    ) {
        add(Format.columns(codes, bits, c), values, c, first, last, &sums.a)
        add(Format.columns(codes + 16, bits + 16, c), values, c, first, last, &sums.b)
        add(Format.columns(codes + 32, bits + 32, c), values, c, first, last, &sums.c)
        add(Format.columns(codes + 48, bits + 48, c), values, c, first, last, &sums.d)
    }

    @inline(__always)
    private static func sums<Format: InterleavedQuads>(
        _: Format.Type, first: Bool, last: Bool, _ codes: UnsafeRawPointer, _ bits: UnsafeRawPointer,
        _ values: Weights32
    ) -> Words16 {
        var sums = Words16(.zero, .zero, .zero, .zero)
        column(Format.self, 0, first, last, codes, bits, values, &sums)
        column(Format.self, 1, first, last, codes, bits, values, &sums)
        column(Format.self, 2, first, last, codes, bits, values, &sums)
        column(Format.self, 3, first, last, codes, bits, values, &sums)
        return sums
    }

    @inline(__always)
    static func sums<Format: InterleavedQuads>(
        _: Format.Type, _ codes: UnsafeRawPointer, _ bits: UnsafeRawPointer, _ values: Weights32
    ) -> Words16 { sums(Format.self, first: true, last: true, codes, bits, values) }

    /// One after the other: both at once spill registers.
    @inline(__always)
    static func halves<Format: InterleavedQuads>(
        _: Format.Type, _ codes: UnsafeRawPointer, _ bits: UnsafeRawPointer, _ values: Weights32
    ) -> (Words16, Words16) {
        (
            sums(Format.self, first: true, last: false, codes, bits, values),
            sums(Format.self, first: false, last: true, codes, bits, values)
        )
    }
}

/// y (rows) = bands of Q4_0 × one quantised activation vector.
@inline(never)  // entry of a tier
public func dotprodGemvInterleavedQ4_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemvInterleaved(InterleavedQ4_0.self, DotProdBand.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = bands of Q4_1 × one quantised activation vector.
@inline(never)  // entry of a tier
public func dotprodGemvInterleavedQ4_1(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemvInterleaved(InterleavedQ4_1.self, DotProdBand.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = bands of Q5_0 × one quantised activation vector.
@inline(never)  // entry of a tier
public func dotprodGemvInterleavedQ5_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemvInterleaved(InterleavedQ5_0.self, DotProdBand.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = bands of Q5_1 × one quantised activation vector.
@inline(never)  // entry of a tier
public func dotprodGemvInterleavedQ5_1(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemvInterleaved(InterleavedQ5_1.self, DotProdBand.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = bands of Q8_0 × one quantised activation vector.
@inline(never)  // entry of a tier
public func dotprodGemvInterleavedQ8_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemvInterleaved(InterleavedQ8_0.self, DotProdBand.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = bands of Q4_K × one quantised activation vector.
@inline(never)  // entry of a tier
public func dotprodGemvInterleavedQ4_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemvInterleaved(InterleavedQ4_K.self, DotProdBand.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = bands of Q5_K × one quantised activation vector.
@inline(never)  // entry of a tier
public func dotprodGemvInterleavedQ5_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemvInterleaved(InterleavedQ5_K.self, DotProdBand.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = bands of Q6_K × one quantised activation vector.
@inline(never)  // entry of a tier
public func dotprodGemvInterleavedQ6_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemvInterleaved(InterleavedQ6_K.self, DotProdBand.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = bands of IQ4_NL × one quantised activation vector.
@inline(never)  // entry of a tier
public func dotprodGemvInterleavedIQ4_NL(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemvInterleaved(InterleavedIQ4_NL.self, DotProdBand.self, w, rowBytes, rows, k, q, ds, y) }
#endif
