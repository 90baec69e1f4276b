#if arch(arm64)
import CIntrinsics
import KernelsARM
import QuantBlocks

// Decode with dot products: four neighbouring bytes a lane, summed in 32 bits.

private struct DotProd: RowArithmetic {
    /// Sums since the rows began. A group's sums are differences: that spares clearing four registers each time, and
    /// stays exact when the sums wrap.
    private var (r0, r1) = (int32x4_t.zero, int32x4_t.zero)
    private var (r2, r3) = (int32x4_t.zero, int32x4_t.zero)
    private var before = int32x4_t.zero

    @inline(__always)
    init() {}

    @inline(__always)  // the inner loop
    mutating func sums(
        _ w0: Weights32, _ w1: Weights32, _ w2: Weights32, _ w3: Weights32, _ a: Weights32, largest: Int
    ) -> int32x4_t {
        r0 = vdotq_s32(vdotq_s32(r0, w0.low, a.low), w0.high, a.high)
        r1 = vdotq_s32(vdotq_s32(r1, w1.low, a.low), w1.high, a.high)
        r2 = vdotq_s32(vdotq_s32(r2, w2.low, a.low), w2.high, a.high)
        r3 = vdotq_s32(vdotq_s32(r3, w3.low, a.low), w3.high, a.high)
        let now = vpaddq_s32(vpaddq_s32(r0, r1), vpaddq_s32(r2, r3))
        defer { before = now }
        return vsubq_s32(now, before)
    }

    @inline(__always)
    static func halves(_ w: Weights32, _ a: Weights32) -> (int32x4_t, int32x4_t) {
        (vdotq_s32(.zero, w.low, a.low), vdotq_s32(.zero, w.high, a.high))
    }
}

/// y (rows) = rows of Q4_0 blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func dotprodGemvQ4_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(RowQ4_0.self, DotProd.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = rows of Q4_1 blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func dotprodGemvQ4_1(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(RowQ4_1.self, DotProd.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = rows of Q5_0 blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func dotprodGemvQ5_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(RowQ5_0.self, DotProd.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = rows of Q5_1 blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func dotprodGemvQ5_1(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(RowQ5_1.self, DotProd.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = rows of Q8_0 blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func dotprodGemvQ8_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(RowQ8_0.self, DotProd.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = rows of Q4_K blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func dotprodGemvQ4_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) {
    gemvOfScaled(
        DotProd.self, w, rowBytes, rows, k, q, ds, y, blockBytes: BlockQ4_K.bytes, largest: 15
    ) { weightsQ4_K($0, $1) }
}

/// y (rows) = rows of Q5_K blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func dotprodGemvQ5_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) {
    gemvOfScaled(
        DotProd.self, w, rowBytes, rows, k, q, ds, y, blockBytes: BlockQ5_K.bytes, largest: 31
    ) { weightsQ5_K($0, $1) }
}

/// y (rows) = rows of Q6_K blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func dotprodGemvQ6_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemvOfHalves(RowQ6_K.self, DotProd.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = rows of IQ4_NL blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func dotprodGemvIQ4_NL(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(RowIQ4_NL.self, DotProd.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = rows of IQ4_XS blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func dotprodGemvIQ4_XS(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemvOfHalves(RowIQ4_XS.self, DotProd.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = rows of MXFP4 blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func dotprodGemvMXFP4(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(RowMXFP4.self, DotProd.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = rows of Q2_K blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func dotprodGemvQ2_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemvQ2_K(DotProd.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = rows of Q3_K blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func dotprodGemvQ3_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemvOfHalves(RowQ3_K.self, DotProd.self, w, rowBytes, rows, k, q, ds, y) }
#endif
