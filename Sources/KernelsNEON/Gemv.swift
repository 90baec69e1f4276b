#if arch(arm64)
import CIntrinsics
import QuantBlocks

// Decode: one activation vector against rows of blocks as they stand in the file. Four rows go side by side, which
// hides the multiply's latency on the in-order A53 and shares the loads of the activations.

/// Bytes ahead of a row that are asked for; see the AVX2 twin.
@inline(__always)  // a constant
private var prefetchDistance: Int { 1024 }

/// y (rows) = rows of Q4_0 blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func neonGemvQ4_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) {
    @inline(__always) func block(
        _ at: UnsafeRawPointer, _ a: int8x16_t, _ b: int8x16_t, _ ds: UnsafePointer<Float>, _ sum: float32x4_t
    ) -> float32x4_t {
        martlet_prefetch(at + prefetchDistance)
        let (low, high) = nibbles(at + BlockQ4_0.qs)
        let weights = (vsubq_s8(low, vdupq_n_s8(8)), vsubq_s8(high, vdupq_n_s8(8)))
        return sum.addingProduct(float(dot32(weights, a, b)), float32x4_t(repeating: half(at) * ds[0]))
    }
    var r = 0
    while r &+ 4 <= rows {
        var at = w + r &* rowBytes
        var (s0, s1, s2, s3) = (float32x4_t.zero, float32x4_t.zero, float32x4_t.zero, float32x4_t.zero)
        for g in 0..<(k / 32) {
            let (a, b) = (loadBytes(q + g &* 32), loadBytes(q + (g &* 32 &+ 16)))
            s0 = block(at, a, b, ds + 2 &* g, s0)
            s1 = block(at + rowBytes, a, b, ds + 2 &* g, s1)
            s2 = block(at + 2 &* rowBytes, a, b, ds + 2 &* g, s2)
            s3 = block(at + 3 &* rowBytes, a, b, ds + 2 &* g, s3)
            at += BlockQ4_0.bytes
        }
        y[r] = vaddvq_f32(s0)
        y[r &+ 1] = vaddvq_f32(s1)
        y[r &+ 2] = vaddvq_f32(s2)
        y[r &+ 3] = vaddvq_f32(s3)
        r &+= 4
    }
    while r < rows {
        var at = w + r &* rowBytes
        var s = float32x4_t.zero
        for g in 0..<(k / 32) {
            s = block(at, loadBytes(q + g &* 32), loadBytes(q + (g &* 32 &+ 16)), ds + 2 &* g, s)
            at += BlockQ4_0.bytes
        }
        y[r] = vaddvq_f32(s)
        r &+= 1
    }
}

/// y (rows) = rows of Q4_1 blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func neonGemvQ4_1(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) {
    @inline(__always) func block(
        _ at: UnsafeRawPointer, _ a: int8x16_t, _ b: int8x16_t, _ ds: UnsafePointer<Float>, _ sum: float32x4_t
    ) -> float32x4_t {
        martlet_prefetch(at + prefetchDistance)
        let products = float(dot32(nibbles(at + BlockQ4_1.qs), a, b))
        // A quarter of the minimum's share to each lane; the lanes are added at the end.
        let minimum = half(at + BlockQ4_1.m) * ds[1] * 0.25
        return (sum + float32x4_t(repeating: minimum)).addingProduct(
            products, float32x4_t(repeating: half(at) * ds[0]))
    }
    var r = 0
    while r &+ 4 <= rows {
        var at = w + r &* rowBytes
        var (s0, s1, s2, s3) = (float32x4_t.zero, float32x4_t.zero, float32x4_t.zero, float32x4_t.zero)
        for g in 0..<(k / 32) {
            let (a, b) = (loadBytes(q + g &* 32), loadBytes(q + (g &* 32 &+ 16)))
            s0 = block(at, a, b, ds + 2 &* g, s0)
            s1 = block(at + rowBytes, a, b, ds + 2 &* g, s1)
            s2 = block(at + 2 &* rowBytes, a, b, ds + 2 &* g, s2)
            s3 = block(at + 3 &* rowBytes, a, b, ds + 2 &* g, s3)
            at += BlockQ4_1.bytes
        }
        y[r] = vaddvq_f32(s0)
        y[r &+ 1] = vaddvq_f32(s1)
        y[r &+ 2] = vaddvq_f32(s2)
        y[r &+ 3] = vaddvq_f32(s3)
        r &+= 4
    }
    while r < rows {
        var at = w + r &* rowBytes
        var s = float32x4_t.zero
        for g in 0..<(k / 32) {
            s = block(at, loadBytes(q + g &* 32), loadBytes(q + (g &* 32 &+ 16)), ds + 2 &* g, s)
            at += BlockQ4_1.bytes
        }
        y[r] = vaddvq_f32(s)
        r &+= 1
    }
}

/// y (rows) = rows of Q8_0 blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func neonGemvQ8_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) {
    @inline(__always) func block(
        _ at: UnsafeRawPointer, _ a: int8x16_t, _ b: int8x16_t, _ ds: UnsafePointer<Float>, _ sum: float32x4_t
    ) -> float32x4_t {
        martlet_prefetch(at + prefetchDistance)
        let products = vaddq_s32(
            dot16(loadBytes(at + BlockQ8_0.qs), a), dot16(loadBytes(at + (BlockQ8_0.qs &+ 16)), b))
        return sum.addingProduct(float(products), float32x4_t(repeating: half(at) * ds[0]))
    }
    var r = 0
    while r &+ 4 <= rows {
        var at = w + r &* rowBytes
        var (s0, s1, s2, s3) = (float32x4_t.zero, float32x4_t.zero, float32x4_t.zero, float32x4_t.zero)
        for g in 0..<(k / 32) {
            let (a, b) = (loadBytes(q + g &* 32), loadBytes(q + (g &* 32 &+ 16)))
            s0 = block(at, a, b, ds + 2 &* g, s0)
            s1 = block(at + rowBytes, a, b, ds + 2 &* g, s1)
            s2 = block(at + 2 &* rowBytes, a, b, ds + 2 &* g, s2)
            s3 = block(at + 3 &* rowBytes, a, b, ds + 2 &* g, s3)
            at += BlockQ8_0.bytes
        }
        y[r] = vaddvq_f32(s0)
        y[r &+ 1] = vaddvq_f32(s1)
        y[r &+ 2] = vaddvq_f32(s2)
        y[r &+ 3] = vaddvq_f32(s3)
        r &+= 4
    }
    while r < rows {
        var at = w + r &* rowBytes
        var s = float32x4_t.zero
        for g in 0..<(k / 32) {
            s = block(at, loadBytes(q + g &* 32), loadBytes(q + (g &* 32 &+ 16)), ds + 2 &* g, s)
            at += BlockQ8_0.bytes
        }
        y[r] = vaddvq_f32(s)
        r &+= 1
    }
}

/// y (rows) = rows of Q4_K blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func neonGemvQ4_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) {
    for r in 0..<rows {
        var (even, odd) = (float32x4_t.zero, float32x4_t.zero)
        var minima: Float = 0
        for b in 0..<(k / BlockQ4_K.weights) {
            let block = w + (r &* rowBytes &+ b &* BlockQ4_K.bytes)
            let d = half(block)
            let dmin = half(block + BlockQ4_K.dmin)
            for i in 0..<4 {
                let g = b &* 8 &+ 2 &* i
                let first = nibbles(block + (BlockQ4_K.qs &+ i &* 32))
                let second = nibbles(block + (BlockQ4_K.qs &+ i &* 32 &+ 16))
                let (scale0, minimum0) = scaleAndMinimum(block + BlockQ4_K.scales, 2 &* i)
                let (scale1, minimum1) = scaleAndMinimum(block + BlockQ4_K.scales, 2 &* i &+ 1)
                let values = q + g &* 32
                let low = dot32((first.low, second.low), loadBytes(values), loadBytes(values + 16))
                let high = dot32((first.high, second.high), loadBytes(values + 32), loadBytes(values + 48))
                even = even.addingProduct(float(low), float32x4_t(repeating: d * Float(scale0) * ds[2 &* g]))
                odd = odd.addingProduct(float(high), float32x4_t(repeating: d * Float(scale1) * ds[2 &* g &+ 2]))
                minima += dmin * (Float(minimum0) * ds[2 &* g &+ 1] + Float(minimum1) * ds[2 &* g &+ 3])
            }
        }
        y[r] = vaddvq_f32(even + odd) - minima
    }
}

/// The 32 weights of group `sub` (0…7) of a Q6_K block, as signed bytes −32…31.
@inline(__always)  // shared by decode and the tile
func sixBits(_ block: UnsafeRawPointer, _ sub: Int) -> (low: int8x16_t, high: int8x16_t) {
    let within = sub & 3
    let ql = block + ((sub >> 2) &* 64 &+ (within & 1) &* 32)
    let qh = block + (BlockQ6_K.qh &+ (sub >> 2) &* 32)
    let shift = vdupq_n_s8(Int8(truncatingIfNeeded: -2 &* within))
    @inline(__always) func weights(_ offset: Int) -> int8x16_t {
        let bits = (ql + offset).loadUnaligned(as: uint8x16_t.self)
        let low = within < 2 ? vandq_u8(bits, vdupq_n_u8(15)) : martlet_high_nibbles(bits)
        let shifted = vshlq_u8((qh + offset).loadUnaligned(as: uint8x16_t.self), shift)
        let high = vshlq_u8(vandq_u8(shifted, vdupq_n_u8(3)), vdupq_n_s8(4))
        return vsubq_s8(vreinterpretq_s8_u8(vorrq_u8(low, high)), vdupq_n_s8(32))
    }
    return (weights(0), weights(16))
}

/// y (rows) = rows of Q6_K blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func neonGemvQ6_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) {
    for r in 0..<rows {
        var sum = float32x4_t.zero
        for b in 0..<(k / BlockQ6_K.weights) {
            let block = w + (r &* rowBytes &+ b &* BlockQ6_K.bytes)
            let d = half(block + BlockQ6_K.d)
            for sub in 0..<8 {
                let g = b &* 8 &+ sub
                let weights = sixBits(block, sub)
                let scales = block + (BlockQ6_K.scales &+ 2 &* sub)
                let values = q + g &* 32
                var products = vmulq_n_s32(dot16(weights.low, loadBytes(values)), Int32(scales.load(as: Int8.self)))
                products = vmlaq_n_s32(
                    products, dot16(weights.high, loadBytes(values + 16)),
                    Int32(scales.load(fromByteOffset: 1, as: Int8.self)))
                sum = sum.addingProduct(float(products), float32x4_t(repeating: d * ds[2 &* g]))
            }
        }
        y[r] = vaddvq_f32(sum)
    }
}
#endif
