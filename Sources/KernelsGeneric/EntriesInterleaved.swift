import QuantBlocks

// The entries of the portable tier for interleaved rows: four functions a format.

// MARK: Q4_0

/// y (rows) = bands of Q4_0 × one quantised activation vector of length k.
public func genericGemvInterleavedQ4_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(InterleavedRows<InterleavedQ4_0>.self, w, rowBytes, rows, k, q, ds, y) }

/// Unpacks a band of Q4_0.
public func genericUnpackInterleavedQ4_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int,
    _ tile: UnsafeMutableRawPointer, _ meta: UnsafeMutablePointer<Float>
) { unpack(InterleavedRows<InterleavedQ4_0>.self, w, rowBytes, rows, k, tile, meta) }

/// Row `r` of bands of Q4_0 as floats.
public func genericDequantizeInterleavedQ4_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ r: Int, _ k: Int, _ y: UnsafeMutablePointer<Float>
) { dequantize(InterleavedRows<InterleavedQ4_0>.self, w, rowBytes, r, k, y) }

/// Interleaves sixteen rows of Q4_0.
public func genericInterleaveQ4_0(
    _ rows: UnsafeRawPointer, _ rowBytes: Int, _ k: Int, _ band: UnsafeMutableRawPointer
) { interleave(InterleavedQ4_0.self, rows, rowBytes, k, band) }

// MARK: Q4_1

/// y (rows) = bands of Q4_1 × one quantised activation vector of length k.
public func genericGemvInterleavedQ4_1(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(InterleavedRows<InterleavedQ4_1>.self, w, rowBytes, rows, k, q, ds, y) }

/// Unpacks a band of Q4_1.
public func genericUnpackInterleavedQ4_1(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int,
    _ tile: UnsafeMutableRawPointer, _ meta: UnsafeMutablePointer<Float>
) { unpack(InterleavedRows<InterleavedQ4_1>.self, w, rowBytes, rows, k, tile, meta) }

/// Row `r` of bands of Q4_1 as floats.
public func genericDequantizeInterleavedQ4_1(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ r: Int, _ k: Int, _ y: UnsafeMutablePointer<Float>
) { dequantize(InterleavedRows<InterleavedQ4_1>.self, w, rowBytes, r, k, y) }

/// Interleaves sixteen rows of Q4_1.
public func genericInterleaveQ4_1(
    _ rows: UnsafeRawPointer, _ rowBytes: Int, _ k: Int, _ band: UnsafeMutableRawPointer
) { interleave(InterleavedQ4_1.self, rows, rowBytes, k, band) }

// MARK: Q5_0

/// y (rows) = bands of Q5_0 × one quantised activation vector of length k.
public func genericGemvInterleavedQ5_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(InterleavedRows<InterleavedQ5_0>.self, w, rowBytes, rows, k, q, ds, y) }

/// Unpacks a band of Q5_0.
public func genericUnpackInterleavedQ5_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int,
    _ tile: UnsafeMutableRawPointer, _ meta: UnsafeMutablePointer<Float>
) { unpack(InterleavedRows<InterleavedQ5_0>.self, w, rowBytes, rows, k, tile, meta) }

/// Row `r` of bands of Q5_0 as floats.
public func genericDequantizeInterleavedQ5_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ r: Int, _ k: Int, _ y: UnsafeMutablePointer<Float>
) { dequantize(InterleavedRows<InterleavedQ5_0>.self, w, rowBytes, r, k, y) }

/// Interleaves sixteen rows of Q5_0.
public func genericInterleaveQ5_0(
    _ rows: UnsafeRawPointer, _ rowBytes: Int, _ k: Int, _ band: UnsafeMutableRawPointer
) { interleave(InterleavedQ5_0.self, rows, rowBytes, k, band) }

// MARK: Q5_1

/// y (rows) = bands of Q5_1 × one quantised activation vector of length k.
public func genericGemvInterleavedQ5_1(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(InterleavedRows<InterleavedQ5_1>.self, w, rowBytes, rows, k, q, ds, y) }

/// Unpacks a band of Q5_1.
public func genericUnpackInterleavedQ5_1(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int,
    _ tile: UnsafeMutableRawPointer, _ meta: UnsafeMutablePointer<Float>
) { unpack(InterleavedRows<InterleavedQ5_1>.self, w, rowBytes, rows, k, tile, meta) }

/// Row `r` of bands of Q5_1 as floats.
public func genericDequantizeInterleavedQ5_1(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ r: Int, _ k: Int, _ y: UnsafeMutablePointer<Float>
) { dequantize(InterleavedRows<InterleavedQ5_1>.self, w, rowBytes, r, k, y) }

/// Interleaves sixteen rows of Q5_1.
public func genericInterleaveQ5_1(
    _ rows: UnsafeRawPointer, _ rowBytes: Int, _ k: Int, _ band: UnsafeMutableRawPointer
) { interleave(InterleavedQ5_1.self, rows, rowBytes, k, band) }

// MARK: Q8_0

/// y (rows) = bands of Q8_0 × one quantised activation vector of length k.
public func genericGemvInterleavedQ8_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(InterleavedRows<InterleavedQ8_0>.self, w, rowBytes, rows, k, q, ds, y) }

/// Unpacks a band of Q8_0.
public func genericUnpackInterleavedQ8_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int,
    _ tile: UnsafeMutableRawPointer, _ meta: UnsafeMutablePointer<Float>
) { unpack(InterleavedRows<InterleavedQ8_0>.self, w, rowBytes, rows, k, tile, meta) }

/// Row `r` of bands of Q8_0 as floats.
public func genericDequantizeInterleavedQ8_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ r: Int, _ k: Int, _ y: UnsafeMutablePointer<Float>
) { dequantize(InterleavedRows<InterleavedQ8_0>.self, w, rowBytes, r, k, y) }

/// Interleaves sixteen rows of Q8_0.
public func genericInterleaveQ8_0(
    _ rows: UnsafeRawPointer, _ rowBytes: Int, _ k: Int, _ band: UnsafeMutableRawPointer
) { interleave(InterleavedQ8_0.self, rows, rowBytes, k, band) }

// MARK: Q4_K

/// y (rows) = bands of Q4_K × one quantised activation vector of length k.
public func genericGemvInterleavedQ4_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(InterleavedRows<InterleavedQ4_K>.self, w, rowBytes, rows, k, q, ds, y) }

/// Unpacks a band of Q4_K.
public func genericUnpackInterleavedQ4_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int,
    _ tile: UnsafeMutableRawPointer, _ meta: UnsafeMutablePointer<Float>
) { unpack(InterleavedRows<InterleavedQ4_K>.self, w, rowBytes, rows, k, tile, meta) }

/// Row `r` of bands of Q4_K as floats.
public func genericDequantizeInterleavedQ4_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ r: Int, _ k: Int, _ y: UnsafeMutablePointer<Float>
) { dequantize(InterleavedRows<InterleavedQ4_K>.self, w, rowBytes, r, k, y) }

/// Interleaves sixteen rows of Q4_K.
public func genericInterleaveQ4_K(
    _ rows: UnsafeRawPointer, _ rowBytes: Int, _ k: Int, _ band: UnsafeMutableRawPointer
) { interleave(InterleavedQ4_K.self, rows, rowBytes, k, band) }

// MARK: Q5_K

/// y (rows) = bands of Q5_K × one quantised activation vector of length k.
public func genericGemvInterleavedQ5_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(InterleavedRows<InterleavedQ5_K>.self, w, rowBytes, rows, k, q, ds, y) }

/// Unpacks a band of Q5_K.
public func genericUnpackInterleavedQ5_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int,
    _ tile: UnsafeMutableRawPointer, _ meta: UnsafeMutablePointer<Float>
) { unpack(InterleavedRows<InterleavedQ5_K>.self, w, rowBytes, rows, k, tile, meta) }

/// Row `r` of bands of Q5_K as floats.
public func genericDequantizeInterleavedQ5_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ r: Int, _ k: Int, _ y: UnsafeMutablePointer<Float>
) { dequantize(InterleavedRows<InterleavedQ5_K>.self, w, rowBytes, r, k, y) }

/// Interleaves sixteen rows of Q5_K.
public func genericInterleaveQ5_K(
    _ rows: UnsafeRawPointer, _ rowBytes: Int, _ k: Int, _ band: UnsafeMutableRawPointer
) { interleave(InterleavedQ5_K.self, rows, rowBytes, k, band) }

// MARK: Q6_K

/// y (rows) = bands of Q6_K × one quantised activation vector of length k.
public func genericGemvInterleavedQ6_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(InterleavedRows<InterleavedQ6_K>.self, w, rowBytes, rows, k, q, ds, y) }

/// Unpacks a band of Q6_K.
public func genericUnpackInterleavedQ6_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int,
    _ tile: UnsafeMutableRawPointer, _ meta: UnsafeMutablePointer<Float>
) { unpack(InterleavedRows<InterleavedQ6_K>.self, w, rowBytes, rows, k, tile, meta) }

/// Row `r` of bands of Q6_K as floats.
public func genericDequantizeInterleavedQ6_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ r: Int, _ k: Int, _ y: UnsafeMutablePointer<Float>
) { dequantize(InterleavedRows<InterleavedQ6_K>.self, w, rowBytes, r, k, y) }

/// Interleaves sixteen rows of Q6_K.
public func genericInterleaveQ6_K(
    _ rows: UnsafeRawPointer, _ rowBytes: Int, _ k: Int, _ band: UnsafeMutableRawPointer
) { interleave(InterleavedQ6_K.self, rows, rowBytes, k, band) }

// MARK: IQ4_NL

/// y (rows) = bands of IQ4_NL × one quantised activation vector of length k.
public func genericGemvInterleavedIQ4_NL(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(InterleavedRows<InterleavedIQ4_NL>.self, w, rowBytes, rows, k, q, ds, y) }

/// Unpacks a band of IQ4_NL.
public func genericUnpackInterleavedIQ4_NL(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int,
    _ tile: UnsafeMutableRawPointer, _ meta: UnsafeMutablePointer<Float>
) { unpack(InterleavedRows<InterleavedIQ4_NL>.self, w, rowBytes, rows, k, tile, meta) }

/// Row `r` of bands of IQ4_NL as floats.
public func genericDequantizeInterleavedIQ4_NL(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ r: Int, _ k: Int, _ y: UnsafeMutablePointer<Float>
) { dequantize(InterleavedRows<InterleavedIQ4_NL>.self, w, rowBytes, r, k, y) }

/// Interleaves sixteen rows of IQ4_NL.
public func genericInterleaveIQ4_NL(
    _ rows: UnsafeRawPointer, _ rowBytes: Int, _ k: Int, _ band: UnsafeMutableRawPointer
) { interleave(InterleavedIQ4_NL.self, rows, rowBytes, k, band) }
