import QuantBlocks

// The entries of the portable tier: three functions a format, specialised from its decoder.

// MARK: Q4_0

/// y (rows) = rows of Q4_0 blocks × one quantised activation vector of length k.
public func genericGemvQ4_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(DecodeQ4_0.self, w, rowBytes, rows, k, q, ds, y) }

/// Unpacks up to `tileRows` rows of Q4_0 blocks.
public func genericUnpackQ4_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int,
    _ tile: UnsafeMutableRawPointer, _ meta: UnsafeMutablePointer<Float>
) { unpack(DecodeQ4_0.self, w, rowBytes, rows, k, tile, meta) }

/// Row `r` of Q4_0 blocks as floats.
public func genericDequantizeQ4_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ r: Int, _ k: Int, _ y: UnsafeMutablePointer<Float>
) { dequantize(DecodeQ4_0.self, w, rowBytes, r, k, y) }

// MARK: Q4_1

/// y (rows) = rows of Q4_1 blocks × one quantised activation vector of length k.
public func genericGemvQ4_1(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(DecodeQ4_1.self, w, rowBytes, rows, k, q, ds, y) }

/// Unpacks up to `tileRows` rows of Q4_1 blocks.
public func genericUnpackQ4_1(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int,
    _ tile: UnsafeMutableRawPointer, _ meta: UnsafeMutablePointer<Float>
) { unpack(DecodeQ4_1.self, w, rowBytes, rows, k, tile, meta) }

/// Row `r` of Q4_1 blocks as floats.
public func genericDequantizeQ4_1(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ r: Int, _ k: Int, _ y: UnsafeMutablePointer<Float>
) { dequantize(DecodeQ4_1.self, w, rowBytes, r, k, y) }

// MARK: Q5_0

/// y (rows) = rows of Q5_0 blocks × one quantised activation vector of length k.
public func genericGemvQ5_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(DecodeQ5_0.self, w, rowBytes, rows, k, q, ds, y) }

/// Unpacks up to `tileRows` rows of Q5_0 blocks.
public func genericUnpackQ5_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int,
    _ tile: UnsafeMutableRawPointer, _ meta: UnsafeMutablePointer<Float>
) { unpack(DecodeQ5_0.self, w, rowBytes, rows, k, tile, meta) }

/// Row `r` of Q5_0 blocks as floats.
public func genericDequantizeQ5_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ r: Int, _ k: Int, _ y: UnsafeMutablePointer<Float>
) { dequantize(DecodeQ5_0.self, w, rowBytes, r, k, y) }

// MARK: Q5_1

/// y (rows) = rows of Q5_1 blocks × one quantised activation vector of length k.
public func genericGemvQ5_1(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(DecodeQ5_1.self, w, rowBytes, rows, k, q, ds, y) }

/// Unpacks up to `tileRows` rows of Q5_1 blocks.
public func genericUnpackQ5_1(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int,
    _ tile: UnsafeMutableRawPointer, _ meta: UnsafeMutablePointer<Float>
) { unpack(DecodeQ5_1.self, w, rowBytes, rows, k, tile, meta) }

/// Row `r` of Q5_1 blocks as floats.
public func genericDequantizeQ5_1(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ r: Int, _ k: Int, _ y: UnsafeMutablePointer<Float>
) { dequantize(DecodeQ5_1.self, w, rowBytes, r, k, y) }

// MARK: Q8_0

/// y (rows) = rows of Q8_0 blocks × one quantised activation vector of length k.
public func genericGemvQ8_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(DecodeQ8_0.self, w, rowBytes, rows, k, q, ds, y) }

/// Unpacks up to `tileRows` rows of Q8_0 blocks.
public func genericUnpackQ8_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int,
    _ tile: UnsafeMutableRawPointer, _ meta: UnsafeMutablePointer<Float>
) { unpack(DecodeQ8_0.self, w, rowBytes, rows, k, tile, meta) }

/// Row `r` of Q8_0 blocks as floats.
public func genericDequantizeQ8_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ r: Int, _ k: Int, _ y: UnsafeMutablePointer<Float>
) { dequantize(DecodeQ8_0.self, w, rowBytes, r, k, y) }

// MARK: Q4_K

/// y (rows) = rows of Q4_K blocks × one quantised activation vector of length k.
public func genericGemvQ4_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(DecodeQ4_K.self, w, rowBytes, rows, k, q, ds, y) }

/// Unpacks up to `tileRows` rows of Q4_K blocks.
public func genericUnpackQ4_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int,
    _ tile: UnsafeMutableRawPointer, _ meta: UnsafeMutablePointer<Float>
) { unpack(DecodeQ4_K.self, w, rowBytes, rows, k, tile, meta) }

/// Row `r` of Q4_K blocks as floats.
public func genericDequantizeQ4_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ r: Int, _ k: Int, _ y: UnsafeMutablePointer<Float>
) { dequantize(DecodeQ4_K.self, w, rowBytes, r, k, y) }

// MARK: Q5_K

/// y (rows) = rows of Q5_K blocks × one quantised activation vector of length k.
public func genericGemvQ5_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(DecodeQ5_K.self, w, rowBytes, rows, k, q, ds, y) }

/// Unpacks up to `tileRows` rows of Q5_K blocks.
public func genericUnpackQ5_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int,
    _ tile: UnsafeMutableRawPointer, _ meta: UnsafeMutablePointer<Float>
) { unpack(DecodeQ5_K.self, w, rowBytes, rows, k, tile, meta) }

/// Row `r` of Q5_K blocks as floats.
public func genericDequantizeQ5_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ r: Int, _ k: Int, _ y: UnsafeMutablePointer<Float>
) { dequantize(DecodeQ5_K.self, w, rowBytes, r, k, y) }

// MARK: Q6_K

/// y (rows) = rows of Q6_K blocks × one quantised activation vector of length k.
public func genericGemvQ6_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(DecodeQ6_K.self, w, rowBytes, rows, k, q, ds, y) }

/// Unpacks up to `tileRows` rows of Q6_K blocks.
public func genericUnpackQ6_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int,
    _ tile: UnsafeMutableRawPointer, _ meta: UnsafeMutablePointer<Float>
) { unpack(DecodeQ6_K.self, w, rowBytes, rows, k, tile, meta) }

/// Row `r` of Q6_K blocks as floats.
public func genericDequantizeQ6_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ r: Int, _ k: Int, _ y: UnsafeMutablePointer<Float>
) { dequantize(DecodeQ6_K.self, w, rowBytes, r, k, y) }

// MARK: IQ4_NL

/// y (rows) = rows of IQ4_NL blocks × one quantised activation vector of length k.
public func genericGemvIQ4_NL(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(DecodeIQ4_NL.self, w, rowBytes, rows, k, q, ds, y) }

/// Unpacks up to `tileRows` rows of IQ4_NL blocks.
public func genericUnpackIQ4_NL(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int,
    _ tile: UnsafeMutableRawPointer, _ meta: UnsafeMutablePointer<Float>
) { unpack(DecodeIQ4_NL.self, w, rowBytes, rows, k, tile, meta) }

/// Row `r` of IQ4_NL blocks as floats.
public func genericDequantizeIQ4_NL(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ r: Int, _ k: Int, _ y: UnsafeMutablePointer<Float>
) { dequantize(DecodeIQ4_NL.self, w, rowBytes, r, k, y) }
