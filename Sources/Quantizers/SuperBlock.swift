import QuantBlocks

/// Quantises 256 weights as a block of Q4_K: eight sub-blocks `x = d · sc · q − dmin · mn` with 6-bit sc and mn.
///
/// Each sub-block's own best scale and offset come first; rounded to multiples of d and dmin they are no longer the
/// best, so their neighbours are compared too, and d and dmin are fitted to all 256 weights at the end.
struct SuperBlock {
    private static let search = AffineSearch(highest: 15, storesHalves: false, offsetIsNegative: true)

    private var d: Float = 0
    private var dmin: Float = 0
    private var sc = SIMD8<Float>()
    private var mn = SIMD8<Float>()
    private var error: Float = .infinity

    /// Encodes 256 floats to 144 bytes.
    static func encode(_ x: UnsafePointer<Float>, _ out: UnsafeMutableRawPointer) {
        var scales = SIMD8<Float>()
        var offsets = SIMD8<Float>()
        for sub in 0..<8 {
            let found = search.search(Lanes(x + 32 * sub))
            scales[sub] = found.d
            offsets[sub] = -found.m
        }
        var best = SuperBlock()
        // The greatest scale need not be the greatest multiple: with a coarser d the others may fall nearer to one.
        for divisor in [Float(63), 61.5, 60, 58] {
            var block = SuperBlock()
            block.d = rounded(toHalf: scales.max() / divisor)
            block.dmin = rounded(toHalf: offsets.max() / 63)
            block.sc = multiples(scales, block.d)
            block.mn = multiples(offsets, block.dmin)
            for _ in 0..<2 {
                block.compareNeighbours(x)
                if block.error < best.error { best = block }
                block.fit(x)
            }
            block.error = block.total(x)
            if block.error < best.error { best = block }
        }
        best.write(x, out)
    }

    private static func multiples(_ values: SIMD8<Float>, _ step: Float) -> SIMD8<Float> {
        guard step > 0 else { return SIMD8() }
        return level(values * SIMD8(repeating: 1 / step), 0, 63)
    }

    /// The squared error of a sub-block with the multiples `sc` and `mn`.
    @inline(__always)  // the inner loop
    private func error(_ x: Lanes, _ sc: Float, _ mn: Float) -> Float {
        let (scale, offset) = (d * sc, dmin * mn)
        let inverse = Lanes.Vector(repeating: scale == 0 ? 0 : 1 / scale)
        let (step, base) = (Lanes.Vector(repeating: scale), Lanes.Vector(repeating: offset))
        @inline(__always) func squares(_ v: Lanes.Vector) -> Lanes.Vector {
            let e = v - (level((v + base) * inverse, 0, 15) * step - base)
            return e * e
        }
        return Lanes.sum(squares(x.a) + squares(x.b) + (squares(x.c) + squares(x.d)))
    }

    /// Takes the best of the nine pairs around each sub-block's multiples.
    private mutating func compareNeighbours(_ x: UnsafePointer<Float>) {
        var total: Float = 0
        for sub in 0..<8 {
            let lanes = Lanes(x + 32 * sub)
            var best = (sc: sc[sub], mn: mn[sub], error: Float.infinity)
            for a in -1...1 {
                for b in -1...1 {
                    let (scale, offset) = (sc[sub] + Float(a), mn[sub] + Float(b))
                    guard scale >= 0, scale <= 63, offset >= 0, offset <= 63 else { continue }
                    let error = error(lanes, scale, offset)
                    if error < best.error { best = (scale, offset, error) }
                }
            }
            (sc[sub], mn[sub]) = (best.sc, best.mn)
            total += best.error
        }
        error = total
    }

    private func total(_ x: UnsafePointer<Float>) -> Float {
        var total: Float = 0
        for sub in 0..<8 { total += error(Lanes(x + 32 * sub), sc[sub], mn[sub]) }
        return total
    }

    /// Fits d and dmin by least squares to the levels the weights have now.
    private mutating func fit(_ x: UnsafePointer<Float>) {
        // Σ (x − d a + dmin b)² over a = sc · q and b = mn; sums in double: their differences are small.
        var (aa, ab, bb, xa, xb) = (0.0, 0.0, 0.0, 0.0, 0.0)
        for sub in 0..<8 {
            let (scale, offset) = (d * sc[sub], dmin * mn[sub])
            let inverse = scale == 0 ? 0 : 1 / scale
            for j in 0..<32 {
                let value = x[32 * sub + j]
                let q = quantized(value, inverse, offset)
                let (a, b) = (Double(sc[sub] * q), Double(mn[sub]))
                aa += a * a
                ab += a * b
                bb += b * b
                xa += Double(value) * a
                xb += Double(value) * b
            }
        }
        let determinant = aa * bb - ab * ab
        if determinant > 1e-6 * aa * bb {
            let newD = (xa * bb - xb * ab) / determinant
            let newMin = (xa * ab - xb * aa) / determinant
            if newD > 0, newMin >= 0 { (d, dmin) = (rounded(toHalf: Float(newD)), rounded(toHalf: Float(newMin))) }
        } else if aa > 0, xa > 0 {
            d = rounded(toHalf: Float((xa + Double(dmin) * ab) / aa))
        }
    }

    @inline(__always)  // as `level`
    private func quantized(_ value: Float, _ inverse: Float, _ offset: Float) -> Float {
        let q = (value + offset) * inverse
        return ((q < 0 ? 0 : q > 15 ? 15 : q) + roundingMagic) - roundingMagic
    }

    private func write(_ x: UnsafePointer<Float>, _ out: UnsafeMutableRawPointer) {
        store(half: d, out)
        store(half: dmin, out + BlockQ4_K.dmin)
        let packed = out + BlockQ4_K.scales
        for sub in 0..<4 {
            let (scale, minimum) = (byte(sc[sub]), byte(mn[sub]))
            let (scale4, minimum4) = (byte(sc[sub + 4]), byte(mn[sub + 4]))
            packed.storeBytes(of: scale | (scale4 >> 4) << 6, toByteOffset: sub, as: UInt8.self)
            packed.storeBytes(of: minimum | (minimum4 >> 4) << 6, toByteOffset: sub + 4, as: UInt8.self)
            packed.storeBytes(of: (scale4 & 15) | (minimum4 & 15) << 4, toByteOffset: sub + 8, as: UInt8.self)
        }
        for pair in 0..<4 {
            let (low, high) = (2 * pair, 2 * pair + 1)
            let inverseLow = d * sc[low] == 0 ? 0 : 1 / (d * sc[low])
            let inverseHigh = d * sc[high] == 0 ? 0 : 1 / (d * sc[high])
            for j in 0..<32 {
                let first = quantized(x[32 * low + j], inverseLow, dmin * mn[low])
                let second = quantized(x[32 * high + j], inverseHigh, dmin * mn[high])
                out.storeBytes(
                    of: byte(first) | byte(second) << 4, toByteOffset: BlockQ4_K.qs + 32 * pair + j, as: UInt8.self)
            }
        }
    }

    /// A level, which is a whole number from 0 to 63.
    private func byte(_ level: Float) -> UInt8 { UInt8(level) }
}
