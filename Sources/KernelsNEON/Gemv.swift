#if arch(arm64)
import CIntrinsics
import KernelsARM
import QuantBlocks

// Decode without dot-product instructions: bytes are multiplied to 16 bits, and 16 bits hold several products.

private struct NEON: RowArithmetic {
    @inline(__always)  // holds nothing
    init() {}

    /// Four products a lane of 16 bits: 4 · 31 · 127 = 15,748.
    @inline(__always)  // the inner loop, as the rest
    static func chain(_ w: Weights32, _ a: Weights32) -> int16x8_t {
        var sum = vmull_s8(vget_low_s8(w.low), vget_low_s8(a.low))
        sum = vmlal_high_s8(sum, w.low, a.low)
        sum = vmlal_s8(sum, vget_low_s8(w.high), vget_low_s8(a.high))
        return vmlal_high_s8(sum, w.high, a.high)
    }

    /// Two products a lane of 16 bits at most: 2 · 128 · 127 = 32,512.
    @inline(__always)
    static func pairs(_ w: int8x16_t, _ a: int8x16_t) -> int16x8_t {
        vmlal_high_s8(vmull_s8(vget_low_s8(w), vget_low_s8(a)), w, a)
    }

    @inline(__always)
    mutating func sums(
        _ w0: Weights32, _ w1: Weights32, _ w2: Weights32, _ w3: Weights32, _ a: Weights32, largest: Int
    ) -> int32x4_t {
        if largest > 31 {
            @inline(__always) func row(_ w: Weights32) -> int32x4_t {
                vpadalq_s16(vpaddlq_s16(Self.pairs(w.low, a.low)), Self.pairs(w.high, a.high))
            }
            return vpaddq_s32(vpaddq_s32(row(w0), row(w1)), vpaddq_s32(row(w2), row(w3)))
        }
        // A lane of eight products.
        let (first, second) = (
            vpaddq_s16(Self.chain(w0, a), Self.chain(w1, a)), vpaddq_s16(Self.chain(w2, a), Self.chain(w3, a))
        )
        // Sixteen fit as well when the weights are nibbles: 16 · 15 · 127 = 30,480.
        if largest <= 15 { return vpaddlq_s16(vpaddq_s16(first, second)) }
        return vpaddq_s32(vpaddlq_s16(first), vpaddlq_s16(second))
    }

    @inline(__always)
    static func halves(_ w: Weights32, _ a: Weights32) -> (int32x4_t, int32x4_t) {
        (vpaddlq_s16(pairs(w.low, a.low)), vpaddlq_s16(pairs(w.high, a.high)))
    }
}

/// y (rows) = rows of Q4_0 blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func neonGemvQ4_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(RowQ4_0.self, NEON.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = rows of Q4_1 blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func neonGemvQ4_1(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(RowQ4_1.self, NEON.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = rows of Q5_0 blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func neonGemvQ5_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(RowQ5_0.self, NEON.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = rows of Q5_1 blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func neonGemvQ5_1(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(RowQ5_1.self, NEON.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = rows of Q8_0 blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func neonGemvQ8_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(RowQ8_0.self, NEON.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = rows of Q4_K blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func neonGemvQ4_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) {
    gemvOfScaled(
        NEON.self, w, rowBytes, rows, k, q, ds, y, blockBytes: BlockQ4_K.bytes, largest: 15
    ) { weightsQ4_K($0, $1) }
}

/// y (rows) = rows of Q5_K blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func neonGemvQ5_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) {
    gemvOfScaled(
        NEON.self, w, rowBytes, rows, k, q, ds, y, blockBytes: BlockQ5_K.bytes, largest: 31
    ) { weightsQ5_K($0, $1) }
}

/// y (rows) = rows of Q6_K blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func neonGemvQ6_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemvOfHalves(RowQ6_K.self, NEON.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = rows of IQ4_NL blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func neonGemvIQ4_NL(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(RowIQ4_NL.self, NEON.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = rows of IQ4_XS blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func neonGemvIQ4_XS(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemvOfHalves(RowIQ4_XS.self, NEON.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = rows of MXFP4 blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func neonGemvMXFP4(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(RowMXFP4.self, NEON.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = rows of Q2_K blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func neonGemvQ2_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemvQ2_K(NEON.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = rows of Q3_K blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func neonGemvQ3_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemvOfHalves(RowQ3_K.self, NEON.self, w, rowBytes, rows, k, q, ds, y) }
#endif
