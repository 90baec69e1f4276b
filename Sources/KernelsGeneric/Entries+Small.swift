import QuantBlocks

// The entries of the portable tier for the formats of Decoders+Small.swift: three functions a format.

// MARK: Q2_K

/// y (rows) = rows of Q2_K blocks × one quantised activation vector of length k.
public func genericGemvQ2_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(DecodeQ2_K.self, w, rowBytes, rows, k, q, ds, y) }

/// Unpacks up to `tileRows` rows of Q2_K blocks.
public func genericUnpackQ2_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int,
    _ tile: UnsafeMutableRawPointer, _ meta: UnsafeMutablePointer<Float>
) { unpack(DecodeQ2_K.self, w, rowBytes, rows, k, tile, meta) }

/// Row `r` of Q2_K blocks as floats.
public func genericDequantizeQ2_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ r: Int, _ k: Int, _ y: UnsafeMutablePointer<Float>
) { dequantize(DecodeQ2_K.self, w, rowBytes, r, k, y) }

// MARK: Q3_K

/// y (rows) = rows of Q3_K blocks × one quantised activation vector of length k.
public func genericGemvQ3_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(DecodeQ3_K.self, w, rowBytes, rows, k, q, ds, y) }

/// Unpacks up to `tileRows` rows of Q3_K blocks.
public func genericUnpackQ3_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int,
    _ tile: UnsafeMutableRawPointer, _ meta: UnsafeMutablePointer<Float>
) { unpack(DecodeQ3_K.self, w, rowBytes, rows, k, tile, meta) }

/// Row `r` of Q3_K blocks as floats.
public func genericDequantizeQ3_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ r: Int, _ k: Int, _ y: UnsafeMutablePointer<Float>
) { dequantize(DecodeQ3_K.self, w, rowBytes, r, k, y) }

// MARK: IQ4_XS

/// y (rows) = rows of IQ4_XS blocks × one quantised activation vector of length k.
public func genericGemvIQ4_XS(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(DecodeIQ4_XS.self, w, rowBytes, rows, k, q, ds, y) }

/// Unpacks up to `tileRows` rows of IQ4_XS blocks.
public func genericUnpackIQ4_XS(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int,
    _ tile: UnsafeMutableRawPointer, _ meta: UnsafeMutablePointer<Float>
) { unpack(DecodeIQ4_XS.self, w, rowBytes, rows, k, tile, meta) }

/// Row `r` of IQ4_XS blocks as floats.
public func genericDequantizeIQ4_XS(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ r: Int, _ k: Int, _ y: UnsafeMutablePointer<Float>
) { dequantize(DecodeIQ4_XS.self, w, rowBytes, r, k, y) }

// MARK: MXFP4

/// y (rows) = rows of MXFP4 blocks × one quantised activation vector of length k.
public func genericGemvMXFP4(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(DecodeMXFP4.self, w, rowBytes, rows, k, q, ds, y) }

/// Unpacks up to `tileRows` rows of MXFP4 blocks.
public func genericUnpackMXFP4(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int,
    _ tile: UnsafeMutableRawPointer, _ meta: UnsafeMutablePointer<Float>
) { unpack(DecodeMXFP4.self, w, rowBytes, rows, k, tile, meta) }

/// Row `r` of MXFP4 blocks as floats.
public func genericDequantizeMXFP4(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ r: Int, _ k: Int, _ y: UnsafeMutablePointer<Float>
) { dequantize(DecodeMXFP4.self, w, rowBytes, r, k, y) }
