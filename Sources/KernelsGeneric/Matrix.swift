import QuantBlocks

// Portable matrix kernels: the oracle that every other tier is tested against.
//
// Activations come quantised as Q8: `q[k]` signed bytes and per 32 values a pair in `ds`: the scale d, and
// s = d Σ q, which multiplies a block's minimum. Floating weights use the float activations `x` instead.

/// The scale of 32 floats, what each is multiplied with, and their quantised sum.
@inline(__always)  // the body of both kernels below
private func scale(_ x: UnsafePointer<Float>) -> (d: Float, inverse: Float) {
    var largest: Float = 0
    for j in 0..<32 { largest = max(largest, abs(x[j])) }
    return (roundedToHalfPrecision(largest / 127), largest > 0 ? 127 / largest : 0)
}

/// Quantises `count` (a multiple of 32) floats to signed bytes with a pair (d, s) per 32.
public func genericQuantize(
    _ x: UnsafePointer<Float>, _ count: Int, _ q: UnsafeMutablePointer<Int8>, _ ds: UnsafeMutablePointer<Float>
) {
    for block in 0..<(count / 32) {
        let from = x + block &* 32
        let (d, inverse) = scale(from)
        var sum: Int32 = 0
        for j in 0..<32 {
            let value = Int32((from[j] * inverse).rounded(.toNearestOrEven))
            q[block &* 32 &+ j] = Int8(truncatingIfNeeded: value)
            sum &+= value
        }
        // s from the rounded scale: tiles that shift weights by a constant rely on s = d Σ q to the last bit.
        ds[2 &* block] = d
        ds[2 &* block &+ 1] = d * Float(sum)
    }
}

/// Quantises up to four tokens of `count` floats into a panel.
public func genericQuantizePanel(
    _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int, _ count: Int, _ q: UnsafeMutablePointer<Int8>,
    _ ds: UnsafeMutablePointer<Float>
) {
    for t in 0..<tokens {
        for block in 0..<(count / 32) {
            let from = x + (t &* xStride &+ block &* 32)
            let (d, inverse) = scale(from)
            var sums: (Int32, Int32) = (0, 0)
            for j in 0..<32 {
                let value = Int32((from[j] * inverse).rounded(.toNearestOrEven))
                q[(block &* 8 &+ j >> 2) &* 16 &+ t &* 4 &+ j & 3] = Int8(truncatingIfNeeded: value)
                if j < 16 { sums.0 &+= value } else { sums.1 &+= value }
            }
            let to = ds + (block &* panelScales &+ t)
            to[0] = d
            to[4] = d * Float(sums.0 &+ sums.1)
            to[8] = Float(bitPattern: UInt32(bitPattern: -128 &* sums.0))
            to[12] = Float(bitPattern: UInt32(bitPattern: -128 &* sums.1))
            to[16] = Float(bitPattern: UInt32(bitPattern: -8 &* (sums.0 &+ sums.1)))
        }
    }
}

@inline(__always)  // the body of a loop over groups
private func dot16(_ a: UnsafePointer<Int8>, _ b: UnsafePointer<Int8>) -> Float {
    var sum: Int32 = 0
    for j in 0..<16 { sum &+= Int32(a[j]) &* Int32(b[j]) }
    return Float(sum)
}

@inline(__always)  // as above
private func sum16(_ a: UnsafePointer<Int8>) -> Float {
    var sum: Int32 = 0
    for j in 0..<16 { sum &+= Int32(a[j]) }
    return Float(sum)
}

@inline(__always)  // specialised by each entry
func gemv<Decoder: RowsDecoder>(
    _: Decoder.Type, _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int,
    _ q: UnsafePointer<Int8>, _ ds: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) {
    var storage: (SIMD16<Int8>, SIMD16<Int8>) = (.zero, .zero)
    withUnsafeMutableBytes(of: &storage) { bytes in
        guard let weights = bytes.baseAddress?.assumingMemoryBound(to: Int8.self) else { return }
        for r in 0..<rows {
            var sum: Float = 0
            for g in 0..<(k / 32) {
                let group = Decoder.decode(w, rowBytes, r, g, weights)
                let values = q + g &* 32
                let scaled = group.low * dot16(weights, values) + group.high * dot16(weights + 16, values + 16)
                if Decoder.hasHalfMinima {
                    let minima = group.minimum * sum16(values) + group.highMinimum * sum16(values + 16)
                    sum += (scaled + minima) * ds[2 &* g]
                } else {
                    sum += scaled * ds[2 &* g] + group.minimum * ds[2 &* g &+ 1]
                }
            }
            y[r] = sum
        }
    }
}

/// Decodes up to `tileRows` rows to bytes: q (row, k), and per group of 32 and row low, high, minimum, highMinimum.
@inline(__always)  // specialised by each entry
func unpack<Decoder: RowsDecoder>(
    _: Decoder.Type, _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int,
    _ tile: UnsafeMutableRawPointer, _ meta: UnsafeMutablePointer<Float>
) {
    let q = tile.assumingMemoryBound(to: Int8.self)
    for r in 0..<rows {
        for g in 0..<(k / 32) {
            let group = Decoder.decode(w, rowBytes, r, g, q + (r &* k &+ g &* 32))
            let to = meta + (g &* tileRows &+ r) &* 4
            to[0] = group.low
            to[1] = group.high
            to[2] = group.minimum
            to[3] = group.highMinimum
        }
    }
    for r in rows..<tileRows {
        for j in 0..<k { q[r &* k &+ j] = 0 }
        for g in 0..<(k / 32) {
            let to = meta + (g &* tileRows &+ r) &* 4
            for i in 0..<4 { to[i] = 0 }
        }
    }
}

@inline(__always)  // specialised by the two entries below
private func gemm(
    hasHalfMinima: Bool, _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ tokens: Int, _ y: UnsafeMutablePointer<Float>
) {
    let weights = tile.assumingMemoryBound(to: Int8.self)
    var storage: (SIMD16<Int8>, SIMD16<Int8>) = (.zero, .zero)
    withUnsafeMutableBytes(of: &storage) { bytes in
        guard let values = bytes.baseAddress else { return }
        for t in 0..<tokens {
            let panel = UnsafeRawPointer(q) + (t / panelTokens &* k &* panelTokens &+ t % panelTokens &* 4)
            let scales = ds + (t / panelTokens &* (k / 32) &* panelScales &+ t % panelTokens)
            let to = y + t &* tileRows
            for r in 0..<tileRows { to[r] = 0 }
            for g in 0..<(k / 32) {
                for j in 0..<8 {
                    let four = panel.loadUnaligned(fromByteOffset: (g &* 8 &+ j) &* 16, as: UInt32.self)
                    values.storeBytes(of: four, toByteOffset: j &* 4, as: UInt32.self)
                }
                let a = UnsafePointer(values.assumingMemoryBound(to: Int8.self))
                let (d, s) = (scales[g &* panelScales], scales[g &* panelScales &+ 4])
                let (first, last) = hasHalfMinima ? (sum16(a), sum16(a + 16)) : (0, 0)
                for r in 0..<tileRows {
                    let from = weights + (r &* k &+ g &* 32)
                    let row = meta + (g &* tileRows &+ r) &* 4
                    let scaled = row[0] * dot16(from, a) + row[1] * dot16(from + 16, a + 16)
                    to[r] += hasHalfMinima ? (scaled + row[2] * first + row[3] * last) * d : scaled * d + row[2] * s
                }
            }
        }
    }
}

/// Multiplies an unpacked tile with the panels of `tokens` activations; y is (token, tileRows).
public func genericGemm(
    _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int,
    _ y: UnsafeMutablePointer<Float>
) { gemm(hasHalfMinima: false, tile, meta, k, q, ds, tokens, y) }

/// The same where the minima of the first and of the last sixteen weights differ.
public func genericGemmHalfMinima(
    _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int,
    _ y: UnsafeMutablePointer<Float>
) { gemm(hasHalfMinima: true, tile, meta, k, q, ds, tokens, y) }

@inline(__always)  // specialised by each entry
func dequantize<Decoder: RowsDecoder>(
    _: Decoder.Type, _ w: UnsafeRawPointer, _ rowBytes: Int, _ r: Int, _ k: Int, _ y: UnsafeMutablePointer<Float>
) {
    var storage: (SIMD16<Int8>, SIMD16<Int8>) = (.zero, .zero)
    withUnsafeMutableBytes(of: &storage) { bytes in
        guard let q = bytes.baseAddress?.assumingMemoryBound(to: Int8.self) else { return }
        for g in 0..<(k / 32) {
            let group = Decoder.decode(w, rowBytes, r, g, q)
            for j in 0..<16 { y[g &* 32 &+ j] = group.low * Float(q[j]) + group.minimum }
            for j in 16..<32 { y[g &* 32 &+ j] = group.high * Float(q[j]) + group.highMinimum }
        }
    }
}
