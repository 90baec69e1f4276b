#if arch(arm64)
import CIntrinsics
import QuantBlocks

// Decode: one activation vector against rows of blocks as they stand in the file.
//
// Four rows go side by side: they share the loads of the activations, their chains hide each other's latency, and
// their sums are added across lanes together, into a vector with a row a lane, where one conversion, one scaling and
// one multiply-add serve all four.

/// A tier's products of bytes with four rows.
public protocol RowArithmetic {
    /// Begins four rows.
    init()
    /// Sums of 32 products for each of four rows; `largest` bounds the magnitude of the weights.
    mutating func sums(
        _ w0: Weights32, _ w1: Weights32, _ w2: Weights32, _ w3: Weights32, _ a: Weights32, largest: Int
    ) -> int32x4_t
    /// Sums of the products of the first and of the last sixteen, each spread over four lanes.
    static func halves(_ w: Weights32, _ a: Weights32) -> (int32x4_t, int32x4_t)
}

/// Bytes ahead of the rows that are asked for: the hardware sees no stream in four short rows. Rows follow each other,
/// so one line for every four blocks covers nearly all that the next four rows need.
@inlinable @inline(__always)  // a constant
var prefetchDistance: Int { 2048 }

@inlinable @inline(__always)  // a pair of loads
func activations(_ q: UnsafePointer<Int8>, _ group: Int) -> Weights32 {
    Weights32(low: loadBytes(q + group &* 32), high: loadBytes(q + (group &* 32 &+ 16)))
}

/// Four rows of blocks of 32 weights, and what they have gathered.
@usableFromInline
struct FourRows<Format: Block32, Arithmetic: RowArithmetic> {
    @usableFromInline var (at0, at1): (UnsafeRawPointer, UnsafeRawPointer)
    @usableFromInline var (at2, at3): (UnsafeRawPointer, UnsafeRawPointer)
    @usableFromInline var (total, minima) = (float32x4_t.zero, float32x4_t.zero)
    @usableFromInline var arithmetic = Arithmetic()

    /// Rows 0 … `last` at `row`; missing ones repeat the last, so that they need no loop of their own.
    @inlinable @inline(__always)
    init(_ row: UnsafeRawPointer, _ rowBytes: Int, last: Int) {
        at0 = row
        at1 = row + min(1, last) &* rowBytes
        at2 = row + min(2, last) &* rowBytes
        at3 = row + min(3, last) &* rowBytes
    }

    /// The next block of each row.
    @inlinable @inline(__always)  // the inner loop
    mutating func add(_ values: Weights32, _ d: Float, _ s: Float) {
        martlet_prefetch(at0 + prefetchDistance)
        let sums = arithmetic.sums(
            Format.weights(at0), Format.weights(at1), Format.weights(at2), Format.weights(at3), values,
            largest: Format.largest)
        let scales: float32x4_t
        if Format.hasMinimum {
            let pairs = SIMD4<UInt32>(
                at0.loadUnaligned(as: UInt32.self), at1.loadUnaligned(as: UInt32.self),
                at2.loadUnaligned(as: UInt32.self), at3.loadUnaligned(as: UInt32.self))
            scales = martlet_widen_half4(vmovn_u32(pairs))
            minima = minima.addingProduct(martlet_widen_half4(martlet_high_words(pairs)), s)
        } else if Format.hasExponent {
            // The exponents' bytes shifted to their place: see `microscalingScale`.
            scales =
                martlet_exponents(
                    SIMD4<UInt32>(
                        UInt32(at0.load(as: UInt8.self)), UInt32(at1.load(as: UInt8.self)),
                        UInt32(at2.load(as: UInt8.self)), UInt32(at3.load(as: UInt8.self)))) * 0.5
        } else {
            scales = martlet_widen_half4(
                SIMD4<UInt16>(
                    at0.loadUnaligned(as: UInt16.self), at1.loadUnaligned(as: UInt16.self),
                    at2.loadUnaligned(as: UInt16.self), at3.loadUnaligned(as: UInt16.self)))
            if Format.offset != 0 { minima = minima.addingProduct(scales, s) }
        }
        total = total.addingProduct(vcvtq_f32_s32(sums), scales * d)
        at0 += Format.bytes
        at1 += Format.bytes
        at2 += Format.bytes
        at3 += Format.bytes
    }

    @inlinable @inline(__always)  // once a row
    var result: float32x4_t { Format.offset == 0 ? total : total.addingProduct(minima, Format.offset) }
}

/// Rows of blocks of 32 weights × one quantised activation vector, eight at a time.
@inlinable @inline(__always)  // specialised by each entry of the tiers
public func gemv<Format: Block32, Arithmetic: RowArithmetic>(
    _: Format.Type, _: Arithmetic.Type, _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int,
    _ q: UnsafePointer<Int8>, _ ds: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) {
    let groups = k / 32
    var r = 0
    while r &+ 8 <= rows {
        var first = FourRows<Format, Arithmetic>(w + r &* rowBytes, rowBytes, last: 3)
        var second = FourRows<Format, Arithmetic>(w + (r &+ 4) &* rowBytes, rowBytes, last: 3)
        var g = 0
        // Tests at the end, which saves a branch a turn; a row has at least one group.
        repeat {
            let values = activations(q, g)
            let (d, s) = (ds[2 &* g], ds[2 &* g &+ 1])
            first.add(values, d, s)
            second.add(values, d, s)
            g &+= 1
        } while g < groups
        storeFloats4(first.result, y + r)
        storeFloats4(second.result, y + (r &+ 4))
        r &+= 8
    }
    while r < rows {
        let last = rows &- 1 &- r
        var four = FourRows<Format, Arithmetic>(w + r &* rowBytes, rowBytes, last: last)
        for g in 0..<groups { four.add(activations(q, g), ds[2 &* g], ds[2 &* g &+ 1]) }
        store(four.result, y + r, last)
        r &+= 4
    }
}

/// Stores the first `last` + 1 lanes.
@inlinable @inline(__always)  // once for four rows
func store(_ values: float32x4_t, _ y: UnsafeMutablePointer<Float>, _ last: Int) {
    guard last < 3 else { return storeFloats4(values, y) }
    for i in 0...last { y[i] = values[i] }
}

/// Rows of Q4_K or Q5_K blocks, which begin alike: d, dmin, and 6-bit scales and minima of eight groups.
@inlinable @inline(__always)  // specialised by two entries of each tier
public func gemvOfScaled<Arithmetic: RowArithmetic>(
    _: Arithmetic.Type, _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, blockBytes: Int, largest: Int,
    weights: (UnsafeRawPointer, Int) -> Weights32
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
            let offset = b &* blockBytes
            let (b0, b1, b2, b3) = (at0 + offset, at1 + offset, at2 + offset, at3 + offset)
            let pairs = SIMD4<UInt32>(
                b0.loadUnaligned(as: UInt32.self), b1.loadUnaligned(as: UInt32.self),
                b2.loadUnaligned(as: UInt32.self), b3.loadUnaligned(as: UInt32.self))
            let d = martlet_widen_half4(vmovn_u32(pairs))
            let dmin = martlet_widen_half4(martlet_high_words(pairs))
            var table = SixBits.Table(SixBits(b0 + 4), SixBits(b1 + 4), SixBits(b2 + 4), SixBits(b3 + 4))
            withUnsafeBytes(of: &table) { table in
                guard let scales = table.baseAddress else { return }
                @inline(__always) func group(_ sub: Int) {
                    let g = b &* 8 &+ sub
                    let sums = arithmetic.sums(
                        weights(b0, sub), weights(b1, sub), weights(b2, sub), weights(b3, sub), activations(q, g),
                        largest: largest)
                    let scale = martlet_widen_bytes4((scales + sub &* 4).load(as: UInt32.self))
                    let minimum = martlet_widen_bytes4((scales + (32 &+ sub &* 4)).load(as: UInt32.self))
                    // Integers: 32 · 31 · 127 · 63 stays far below 2^31.
                    total = total.addingProduct(vcvtq_f32_s32(sums &* scale), d * ds[2 &* g])
                    total = total.addingProduct(vcvtq_f32_s32(minimum), dmin * -ds[2 &* g &+ 1])
                }
                // In pairs, so that which nibbles a group has is known when this is compiled.
                for pair in 0..<4 {
                    group(pair &* 2)
                    group(pair &* 2 &+ 1)
                }
            }
        }
        store(total, y + r, last)
        r &+= 4
    }
}

/// The eight 6-bit scales and minima of a Q4_K or Q5_K block, a byte each.
public struct SixBits {
    @usableFromInline let scales: UInt64
    @usableFromInline let minima: UInt64

    /// Unpacks the twelve bytes at `address`: see `scaleAndMinimum`, which does one at a time.
    @inlinable @inline(__always)
    public init(_ address: UnsafeRawPointer) {
        let first = address.loadUnaligned(as: UInt32.self)
        let second = address.loadUnaligned(fromByteOffset: 4, as: UInt32.self)
        let third = address.loadUnaligned(fromByteOffset: 8, as: UInt32.self)
        let highScales = (third & 0x0F0F_0F0F) | (first >> 6 & 0x0303_0303) << 4
        let highMinima = (third >> 4 & 0x0F0F_0F0F) | (second >> 6 & 0x0303_0303) << 4
        scales = UInt64(first & 0x3F3F_3F3F) | UInt64(highScales) << 32
        minima = UInt64(second & 0x3F3F_3F3F) | UInt64(highMinima) << 32
    }

    /// Scales, then minima, of eight groups: (group, row) bytes each.
    @usableFromInline
    struct Table {
        @usableFromInline let scales: (uint8x16_t, uint8x16_t)
        @usableFromInline let minima: (uint8x16_t, uint8x16_t)

        @inlinable @inline(__always)
        init(_ a: SixBits, _ b: SixBits, _ c: SixBits, _ d: SixBits) {
            @inline(__always) func transposed(
                _ a: UInt64, _ b: UInt64, _ c: UInt64, _ d: UInt64
            ) -> (uint8x16_t, uint8x16_t) {
                let (ac, bd) = (
                    vreinterpretq_u8_u64(SIMD2(a, c)), vreinterpretq_u8_u64(SIMD2(b, d))
                )
                // Rows a b a b …, then c d c d …; pairs of them interleave to a b c d.
                let (ab, cd) = (vreinterpretq_u16_u8(vzip1q_u8(ac, bd)), vreinterpretq_u16_u8(vzip2q_u8(ac, bd)))
                return (vreinterpretq_u8_u16(vzip1q_u16(ab, cd)), vreinterpretq_u8_u16(vzip2q_u16(ab, cd)))
            }
            scales = transposed(a.scales, b.scales, c.scales, d.scales)
            minima = transposed(a.minima, b.minima, c.minima, d.minima)
        }
    }
}
#endif
