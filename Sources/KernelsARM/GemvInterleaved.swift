#if arch(arm64)
import CIntrinsics
import QuantBlocks

// Decode: one activation vector against interleaved rows, sixteen at a time, a row a lane. A vector holds four
// neighbouring weights of four rows; the group's activations stay in two vectors, whose words meet all rows.

/// A tier's products of bytes with sixteen interleaved rows.
public protocol BandArithmetic {
    /// Sums of the products of a group with its 32 activations.
    static func sums<Format: InterleavedQuads>(
        _: Format.Type, _ codes: UnsafeRawPointer, _ bits: UnsafeRawPointer, _ values: Weights32
    ) -> Words16
    /// The same over the first and over the last half of the group.
    static func halves<Format: InterleavedQuads>(
        _: Format.Type, _ codes: UnsafeRawPointer, _ bits: UnsafeRawPointer, _ values: Weights32
    ) -> (Words16, Words16)
}

@inlinable @inline(__always)  // the inner loop
func add<Format: InterleavedQuads, Arithmetic: BandArithmetic>(
    _: Format.Type, _: Arithmetic.Type, _ record: UnsafeRawPointer, _ g: Int, _ values: Weights32, _ d: Float,
    _ s: Float, _ total: inout Floats16
) {
    let (codes, bits) = (record + Format.codes(g), record + Format.bits(g))
    let scale = Floats16(halves: record)
    guard Format.hasGroupScales else {
        let sums = Arithmetic.sums(Format.self, codes, bits, values)
        total.add(Floats16(sums), scale, d)
        if Format.halves == 2 {
            total.add(Floats16(halves: record + 32), s)
        } else if Format.offset != 0 {
            total.add(scale, Format.offset * s)
        }
        return
    }
    let first = Words16(bytes: record + Format.scales(g))
    let second = Words16(bytes: record + (Format.scales(g) &+ 16))
    if Format.halves == 1 {
        let (low, high) = Arithmetic.halves(Format.self, codes, bits, values)
        let sums = Words16(
            vmlaq_s32(vmulq_s32(low.a, first.a), high.a, second.a),
            vmlaq_s32(vmulq_s32(low.b, first.b), high.b, second.b),
            vmlaq_s32(vmulq_s32(low.c, first.c), high.c, second.c),
            vmlaq_s32(vmulq_s32(low.d, first.d), high.d, second.d))
        total.add(Floats16(sums), scale, d)
    } else {
        let sums = Arithmetic.sums(Format.self, codes, bits, values)
        let scaled = Words16(
            vmulq_s32(sums.a, first.a), vmulq_s32(sums.b, first.b), vmulq_s32(sums.c, first.c),
            vmulq_s32(sums.d, first.d))
        total.add(Floats16(scaled), scale, d)
        total.add(Floats16(second), Floats16(halves: record + 32), -s)
    }
}

/// Interleaved rows × one quantised activation vector.
@inlinable @inline(__always)  // specialised by each entry of the tiers
public func gemvInterleaved<Format: InterleavedQuads, Arithmetic: BandArithmetic>(
    _: Format.Type, _: Arithmetic.Type, _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int,
    _ q: UnsafePointer<Int8>, _ ds: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) {
    let groups = k / 32
    var r = 0
    while r < rows {
        var record = w + r &* rowBytes
        var total = Floats16()
        var n = 0
        // No prefetches: unlike short rows this is one stream, which every core here follows by itself.
        // Tests at the end, which spares a branch a turn; a row has at least one block.
        repeat {
            for g in 0..<Format.groups {
                let at = n &+ g
                add(
                    Format.self, Arithmetic.self, record, g, activations(q, at), ds[2 &* at], ds[2 &* at &+ 1], &total)
            }
            record += Format.recordBytes
            n &+= Format.groups
        } while n < groups
        storeQuad(total.a, y + r, rows &- r)
        storeQuad(total.b, y + (r &+ 4), rows &- r &- 4)
        storeQuad(total.c, y + (r &+ 8), rows &- r &- 8)
        storeQuad(total.d, y + (r &+ 12), rows &- r &- 12)
        r &+= tileRows
    }
}

/// Stores the first `count` lanes; none for zero or less.
@inlinable @inline(__always)  // once for four rows
func storeQuad(_ values: float32x4_t, _ y: UnsafeMutablePointer<Float>, _ count: Int) {
    if count > 0 { store(values, y, count &- 1) }
}
#endif
