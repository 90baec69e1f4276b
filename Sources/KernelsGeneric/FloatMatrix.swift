import QuantBlocks

// F16, BF16 and F32 weights: multiplied with the float activations, so that nothing is rounded but the sums.

/// How one element of a floating-point weight format is read.
private protocol FloatDecoder {
    static func load(_ row: UnsafeRawPointer, _ index: Int) -> Float
}

private enum DecodeF16: FloatDecoder {
    @inline(__always)  // the body of a loop over k
    static func load(_ row: UnsafeRawPointer, _ index: Int) -> Float {
        #if arch(x86_64)
        // The baseline has no conversion, and calls a function for each: by hand it is 3x faster.
        let bits = UInt32((row + index &* 2).loadUnaligned(as: UInt16.self))
        let magnitude = (bits & 0x7FFF) << 13
        // The exponent's bias is 112 less; all ones, infinity and not a number, stay all ones.
        let finite = Float(bitPattern: magnitude) * 0x1p112
        let value = magnitude >= 0x0F80_0000 ? Float(bitPattern: magnitude | 0x7F80_0000) : finite
        return Float(bitPattern: value.bitPattern | (bits & 0x8000) << 16)
        #else
        return half(row + index &* 2)
        #endif
    }
}

private enum DecodeBF16: FloatDecoder {
    @inline(__always)  // the body of a loop over k
    static func load(_ row: UnsafeRawPointer, _ index: Int) -> Float { brain(row + index &* 2) }
}

private enum DecodeF32: FloatDecoder {
    @inline(__always)  // the body of a loop over k
    static func load(_ row: UnsafeRawPointer, _ index: Int) -> Float {
        row.loadUnaligned(fromByteOffset: index &* 4, as: Float.self)
    }
}

@inline(__always)
private func gemv<Decoder: FloatDecoder>(
    _: Decoder.Type, _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int,
    _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) {
    for r in 0..<rows {
        let row = w + r &* rowBytes
        // Four sums, because one would be a chain of additions as long as the row, slow and less exact.
        var sums = SIMD4<Float>.zero
        var j = 0
        while j &+ 4 <= k {
            let weights = SIMD4(
                Decoder.load(row, j), Decoder.load(row, j &+ 1), Decoder.load(row, j &+ 2), Decoder.load(row, j &+ 3))
            sums += weights * UnsafeRawPointer(x + j).loadUnaligned(as: SIMD4<Float>.self)
            j &+= 4
        }
        var sum = (sums[0] + sums[1]) + (sums[2] + sums[3])
        while j < k {
            sum += Decoder.load(row, j) * x[j]
            j &+= 1
        }
        y[r] = sum
    }
}

/// Widens up to `tileRows` rows to floats, transposed: (k, tileRows).
@inline(__always)
private func unpack<Decoder: FloatDecoder>(
    _: Decoder.Type, _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer
) {
    let weights = tile.assumingMemoryBound(to: Float.self)
    for j in 0..<k {
        for r in 0..<tileRows { weights[j &* tileRows &+ r] = r < rows ? Decoder.load(w + r &* rowBytes, j) : 0 }
    }
}

/// Multiplies a float tile (k, tileRows) with `tokens` float activations; y is (token, tileRows).
public func genericGemmFloat(
    _ tile: UnsafeRawPointer, _ meta: UnsafePointer<Float>, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ xStride: Int, _ tokens: Int,
    _ y: UnsafeMutablePointer<Float>
) {
    for t in 0..<tokens {
        let values = x + t &* xStride
        var sums = SIMD16<Float>.zero
        for j in 0..<k {
            sums += tile.loadUnaligned(fromByteOffset: j &* 64, as: SIMD16<Float>.self) * values[j]
        }
        UnsafeMutableRawPointer(y + t &* tileRows).storeBytes(of: sums, as: SIMD16<Float>.self)
    }
}

// MARK: F16

/// y (rows) = rows of halves × one float vector of length k.
public func genericGemvF16(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(DecodeF16.self, w, rowBytes, rows, k, x, y) }

/// Unpacks up to `tileRows` rows of halves.
public func genericUnpackF16(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int,
    _ tile: UnsafeMutableRawPointer, _ meta: UnsafeMutablePointer<Float>
) { unpack(DecodeF16.self, w, rowBytes, rows, k, tile) }

/// Row `r` of halves as floats.
public func genericDequantizeF16(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ r: Int, _ k: Int, _ y: UnsafeMutablePointer<Float>
) {
    for j in 0..<k { y[j] = DecodeF16.load(w + r &* rowBytes, j) }
}

// MARK: BF16

/// y (rows) = rows of bfloat16 × one float vector of length k.
public func genericGemvBF16(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(DecodeBF16.self, w, rowBytes, rows, k, x, y) }

/// Unpacks up to `tileRows` rows of bfloat16.
public func genericUnpackBF16(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int,
    _ tile: UnsafeMutableRawPointer, _ meta: UnsafeMutablePointer<Float>
) { unpack(DecodeBF16.self, w, rowBytes, rows, k, tile) }

/// Row `r` of bfloat16 as floats.
public func genericDequantizeBF16(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ r: Int, _ k: Int, _ y: UnsafeMutablePointer<Float>
) {
    for j in 0..<k { y[j] = DecodeBF16.load(w + r &* rowBytes, j) }
}

// MARK: F32

/// y (rows) = rows of floats × one float vector of length k.
public func genericGemvF32(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(DecodeF32.self, w, rowBytes, rows, k, x, y) }

/// Unpacks up to `tileRows` rows of floats.
public func genericUnpackF32(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int,
    _ tile: UnsafeMutableRawPointer, _ meta: UnsafeMutablePointer<Float>
) { unpack(DecodeF32.self, w, rowBytes, rows, k, tile) }

/// Row `r` of floats.
public func genericDequantizeF32(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ r: Int, _ k: Int, _ y: UnsafeMutablePointer<Float>
) {
    for j in 0..<k { y[j] = DecodeF32.load(w + r &* rowBytes, j) }
}
