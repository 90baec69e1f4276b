#if arch(arm64)
import CIntrinsics
import QuantBlocks

// Decode of the blocks of 256 weights that are not Q4_K or Q5_K.

/// Adds group `sub` of a block to `sum`, scaled by all but the block's own scale; `scales` begins with the group's.
@inlinable @inline(__always)  // the inner loop
func addGroup<Format: Block256, Arithmetic: RowArithmetic>(
    _: Format.Type, _: Arithmetic.Type, _ sum: float32x4_t, _ block: UnsafeRawPointer, _ sub: Int, _ scales: UInt64,
    _ q: UnsafePointer<Int8>, _ ds: UnsafePointer<Float>
) -> float32x4_t {
    let (low, high) = Arithmetic.halves(Format.weights(block, sub), activations(q, sub))
    let scale = Int32(Int8(truncatingIfNeeded: scales))
    let products =
        Format.hasHalves
        ? vmlaq_n_s32(vmulq_n_s32(low, scale), high, Int32(Int8(truncatingIfNeeded: scales >> 8)))
        : vmulq_n_s32(vaddq_s32(low, high), scale)
    return sum.addingProduct(vcvtq_f32_s32(products), ds[2 &* sub])
}

/// Rows of blocks of 256 weights without minima.
@inlinable @inline(__always)  // specialised by entries of each tier
public func gemvOfHalves<Format: Block256, Arithmetic: RowArithmetic>(
    _: Format.Type, _: Arithmetic.Type, _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int,
    _ q: UnsafePointer<Int8>, _ ds: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) {
    let width = UInt64(Format.hasHalves ? 16 : 8)
    for r in 0..<rows {
        var total = float32x4_t.zero
        for b in 0..<(k / 256) {
            let block = w + (r &* rowBytes &+ b &* Format.bytes)
            martlet_prefetch(block + prefetchDistance)
            let (s, t) = Format.scales(block)
            let (q, ds) = (q + b &* 256, ds + b &* 16)
            // Written out, so that which bits a group has is known when this is compiled; two sums hide latency.
            var (even, odd) = (float32x4_t.zero, float32x4_t.zero)
            even = addGroup(Format.self, Arithmetic.self, even, block, 0, s, q, ds)
            odd = addGroup(Format.self, Arithmetic.self, odd, block, 1, s >> width, q, ds)
            even = addGroup(Format.self, Arithmetic.self, even, block, 2, s >> (2 &* width), q, ds)
            odd = addGroup(Format.self, Arithmetic.self, odd, block, 3, s >> (3 &* width), q, ds)
            even = addGroup(Format.self, Arithmetic.self, even, block, 4, t, q, ds)
            odd = addGroup(Format.self, Arithmetic.self, odd, block, 5, t >> width, q, ds)
            even = addGroup(Format.self, Arithmetic.self, even, block, 6, t >> (2 &* width), q, ds)
            odd = addGroup(Format.self, Arithmetic.self, odd, block, 7, t >> (3 &* width), q, ds)
            total = total.addingProduct(vaddq_f32(even, odd), Format.d(block))
        }
        y[r] = vaddvq_f32(total)
    }
}

/// The sixteen 4-bit minima of four Q2_K blocks: (half of a group, row) bytes.
@usableFromInline
struct Minima {
    @usableFromInline let first: (uint8x16_t, uint8x16_t)
    @usableFromInline let last: (uint8x16_t, uint8x16_t)

    @inlinable @inline(__always)
    init(_ a: UnsafeRawPointer, _ b: UnsafeRawPointer, _ c: UnsafeRawPointer, _ d: UnsafeRawPointer) {
        @inline(__always) func minima(_ block: UnsafeRawPointer) -> uint8x16_t {
            martlet_high_nibbles(block.loadUnaligned(as: uint8x16_t.self))
        }
        let (a, b, c, d) = (minima(a), minima(b), minima(c), minima(d))
        let (ab0, ab1) = (vreinterpretq_u16_u8(vzip1q_u8(a, b)), vreinterpretq_u16_u8(vzip2q_u8(a, b)))
        let (cd0, cd1) = (vreinterpretq_u16_u8(vzip1q_u8(c, d)), vreinterpretq_u16_u8(vzip2q_u8(c, d)))
        first = (vreinterpretq_u8_u16(vzip1q_u16(ab0, cd0)), vreinterpretq_u8_u16(vzip2q_u16(ab0, cd0)))
        last = (vreinterpretq_u8_u16(vzip1q_u16(ab1, cd1)), vreinterpretq_u8_u16(vzip2q_u16(ab1, cd1)))
    }
}

/// Rows of Q2_K blocks, four side by side: see Gemv.swift. Weights are multiplied by their scales while they are bytes.
@inlinable @inline(__always)  // specialised by an entry of each tier
public func gemvQ2_K<Arithmetic: RowArithmetic>(
    _: Arithmetic.Type, _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) {
    var r = 0
    while r < rows {
        let last = rows &- 1 &- r
        let at0 = w + r &* rowBytes
        let (at1, at2) = (at0 + min(1, last) &* rowBytes, at0 + min(2, last) &* rowBytes)
        let at3 = at0 + min(3, last) &* rowBytes
        var total = float32x4_t.zero
        var arithmetic = Arithmetic()
        for b in 0..<(k / 256) {
            let offset = b &* BlockQ2_K.bytes
            let (b0, b1, b2, b3) = (at0 + offset, at1 + offset, at2 + offset, at3 + offset)
            martlet_prefetch(b0 + prefetchDistance)
            // d and dmin stand side by side.
            let at = BlockQ2_K.d
            let pairs = SIMD4<UInt32>(
                (b0 + at).loadUnaligned(as: UInt32.self), (b1 + at).loadUnaligned(as: UInt32.self),
                (b2 + at).loadUnaligned(as: UInt32.self), (b3 + at).loadUnaligned(as: UInt32.self))
            let d = martlet_widen_half4(vmovn_u32(pairs))
            let dmin = martlet_widen_half4(martlet_high_words(pairs))
            var table = Minima(b0, b1, b2, b3)
            withUnsafeBytes(of: &table) { table in
                guard let minima = table.baseAddress else { return }
                for sub in 0..<8 {
                    let g = b &* 8 &+ sub
                    let values = activations(q, g)
                    let sums = arithmetic.sums(
                        weightsQ2_K(b0, sub), weightsQ2_K(b1, sub), weightsQ2_K(b2, sub), weightsQ2_K(b3, sub),
                        values, largest: 45)
                    total = total.addingProduct(vcvtq_f32_s32(sums), d * ds[2 &* g])
                    let first = martlet_widen_bytes4((minima + sub &* 8).load(as: UInt32.self))
                    let last = martlet_widen_bytes4((minima + (sub &* 8 &+ 4)).load(as: UInt32.self))
                    let least = vmlaq_n_s32(
                        vmulq_n_s32(first, Int32(vaddlvq_s8(values.low))), last, Int32(vaddlvq_s8(values.high)))
                    total = total.addingProduct(vcvtq_f32_s32(least), dmin * -ds[2 &* g])
                }
            }
        }
        store(total, y + r, last)
        r &+= 4
    }
}
#endif
