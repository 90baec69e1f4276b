import QuantBlocks

// Portable matrix kernels: the oracle that every other tier is tested against.
//
// Activations come quantised as Q8: `q[k]` signed bytes and per 32 values a pair in `ds`: the scale d, and
// s = d Σ q, which multiplies a block's minimum. Floating weights use the float activations `x` instead.

/// Quantises `count` (a multiple of 32) floats to signed bytes with one scale per 32.
public func genericQuantize(
    _ x: UnsafePointer<Float>, _ count: Int, _ q: UnsafeMutablePointer<Int8>, _ ds: UnsafeMutablePointer<Float>
) {
    for block in 0..<(count / 32) {
        let from = x + block &* 32
        let to = q + block &* 32
        var largest: Float = 0
        for j in 0..<32 { largest = max(largest, abs(from[j])) }
        let d = largest / 127
        let inverse = largest > 0 ? 127 / largest : 0
        var sum: Int32 = 0
        for j in 0..<32 {
            let value = Int32((from[j] * inverse).rounded(.toNearestOrEven))
            to[j] = Int8(truncatingIfNeeded: value)
            sum &+= value
        }
        // s from the rounded scale: tiles that shift weights by a constant rely on s = d Σ q to the last bit.
        ds[2 &* block] = roundedToHalfPrecision(d)
        ds[2 &* block &+ 1] = ds[2 &* block] * Float(sum)
    }
}

@inline(__always)  // the body of both kernels below
private func dot16(_ a: UnsafePointer<Int8>, _ b: UnsafePointer<Int8>) -> Float {
    var sum: Int32 = 0
    for j in 0..<16 { sum &+= Int32(a[j]) &* Int32(b[j]) }
    return Float(sum)
}

@inline(__always)
private func gemv<Decoder: GroupDecoder>(
    _: Decoder.Type, _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int,
    _ q: UnsafePointer<Int8>, _ ds: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) {
    var storage: (SIMD16<Int8>, SIMD16<Int8>) = (.zero, .zero)
    withUnsafeMutableBytes(of: &storage) { bytes in
        guard let weights = bytes.baseAddress?.assumingMemoryBound(to: Int8.self) else { return }
        for r in 0..<rows {
            let row = w + r &* rowBytes
            var sum: Float = 0
            for g in 0..<(k / 32) {
                let group = Decoder.decode(row, g, weights)
                let values = q + g &* 32
                let scaled = group.low * dot16(weights, values) + group.high * dot16(weights + 16, values + 16)
                sum += scaled * ds[2 &* g] + group.minimum * ds[2 &* g &+ 1]
            }
            y[r] = sum
        }
    }
}

/// Decodes up to `tileRows` rows to bytes: q (row, k), and per group of 32 and row a triple low, high, minimum.
@inline(__always)
private func unpack<Decoder: GroupDecoder>(
    _: Decoder.Type, _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int,
    _ tile: UnsafeMutableRawPointer, _ meta: UnsafeMutablePointer<Float>
) {
    let q = tile.assumingMemoryBound(to: Int8.self)
    for r in 0..<rows {
        for g in 0..<(k / 32) {
            let group = Decoder.decode(w + r &* rowBytes, g, q + (r &* k &+ g &* 32))
            let to = meta + (g &* tileRows &+ r) &* 3
            to[0] = group.low
            to[1] = group.high
            to[2] = group.minimum
        }
    }
    for r in rows..<tileRows {
        for j in 0..<k { q[r &* k &+ j] = 0 }
        for g in 0..<(k / 32) {
            let to = meta + (g &* tileRows &+ r) &* 3
            to[0] = 0
            to[1] = 0
            to[2] = 0
        }
    }
}

/// Multiplies an unpacked tile with `tokens` quantised activations; y is (token, tileRows).
public func genericGemm(
    _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int,
    _ q: UnsafePointer<Int8>, _ qStride: Int, _ ds: UnsafePointer<Float>, _ dsStride: Int,
    _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int, _ y: UnsafeMutablePointer<Float>
) {
    let weights = tile.assumingMemoryBound(to: Int8.self)
    for t in 0..<tokens {
        let values = q + t &* qStride
        let pairs = ds + t &* dsStride
        for r in 0..<tileRows {
            var sum: Float = 0
            for g in 0..<(k / 32) {
                let from = weights + (r &* k &+ g &* 32)
                let scales = meta + (g &* tileRows &+ r) &* 3
                let a = values + g &* 32
                let scaled = scales[0] * dot16(from, a) + scales[1] * dot16(from + 16, a + 16)
                sum += scaled * pairs[2 &* g] + scales[2] * pairs[2 &* g &+ 1]
            }
            y[t &* tileRows &+ r] = sum
        }
    }
}

@inline(__always)
private func dequantize<Decoder: GroupDecoder>(
    _: Decoder.Type, _ row: UnsafeRawPointer, _ k: Int, _ y: UnsafeMutablePointer<Float>
) {
    var storage: (SIMD16<Int8>, SIMD16<Int8>) = (.zero, .zero)
    withUnsafeMutableBytes(of: &storage) { bytes in
        guard let q = bytes.baseAddress?.assumingMemoryBound(to: Int8.self) else { return }
        for g in 0..<(k / 32) {
            let group = Decoder.decode(row, g, q)
            for j in 0..<32 { y[g &* 32 &+ j] = (j < 16 ? group.low : group.high) * Float(q[j]) + group.minimum }
        }
    }
}

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

/// One row of Q4_0 blocks as floats.
public func genericDequantizeQ4_0(_ row: UnsafeRawPointer, _ k: Int, _ y: UnsafeMutablePointer<Float>) {
    dequantize(DecodeQ4_0.self, row, k, y)
}

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

/// One row of Q4_1 blocks as floats.
public func genericDequantizeQ4_1(_ row: UnsafeRawPointer, _ k: Int, _ y: UnsafeMutablePointer<Float>) {
    dequantize(DecodeQ4_1.self, row, k, y)
}

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

/// One row of Q8_0 blocks as floats.
public func genericDequantizeQ8_0(_ row: UnsafeRawPointer, _ k: Int, _ y: UnsafeMutablePointer<Float>) {
    dequantize(DecodeQ8_0.self, row, k, y)
}

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

/// One row of Q4_K blocks as floats.
public func genericDequantizeQ4_K(_ row: UnsafeRawPointer, _ k: Int, _ y: UnsafeMutablePointer<Float>) {
    dequantize(DecodeQ4_K.self, row, k, y)
}

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

/// One row of Q6_K blocks as floats.
public func genericDequantizeQ6_K(_ row: UnsafeRawPointer, _ k: Int, _ y: UnsafeMutablePointer<Float>) {
    dequantize(DecodeQ6_K.self, row, k, y)
}
