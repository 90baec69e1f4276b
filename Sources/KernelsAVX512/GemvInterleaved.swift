#if arch(x86_64)
import CIntrinsics
import QuantBlocks

// Decode: one activation vector against interleaved rows, sixteen at a time, a row a lane. The activations' words are
// broadcast from memory by the instruction that multiplies them.
//
// The instruction wants unsigned weights: signed ones are moved up by 128, which the activations' sums take back, as
// they do for the offsets of Q4_0 and Q5_0.

/// A format of interleaved rows, as unsigned bytes.
private protocol Interleaved512: InterleavedFormat {
    /// A weight is d q + lift · m, with m the minimum, or d where there is none.
    static var lift: Float { get }
    /// Column `c` (0…3): weights 4 c … of the group, and weights 16 + 4 c ….
    static func columns512(_ record: UnsafeRawPointer, _ g: Int, _ c: Int) -> (low: I512, high: I512)
}

extension Interleaved512 {
    static var lift: Float { 1 }
    @inline(__always)  // the body of every loop over columns, as below
    static func columns512(_ record: UnsafeRawPointer, _ g: Int, _ c: Int) -> (low: I512, high: I512) {
        let (packed, mask) = (load512(record + (codes(g) &+ c &* 64)), _mm512_set1_epi8(0x0F))
        var low = _mm512_and_si512(packed, mask)
        var high = _mm512_and_si512(_mm512_srli_epi16(packed, 4), mask)
        if bitBytes == 64 {
            let (fifth, sixteen) = (load512(record + bits(g)), _mm512_set1_epi8(16))
            // Bit c and bit 4 + c of every byte; `c` is a constant once the loop is unrolled.
            let (one, other) = (Int8(truncatingIfNeeded: 1 &<< c), Int8(truncatingIfNeeded: 16 &<< c))
            low = martlet_or_where(low, _mm512_test_epi8_mask(fifth, _mm512_set1_epi8(one)), sixteen)
            high = martlet_or_where(high, _mm512_test_epi8_mask(fifth, _mm512_set1_epi8(other)), sixteen)
        }
        return (low, high)
    }
}

extension InterleavedQ4_0: Interleaved512 { static var lift: Float { -8 } }
extension InterleavedQ4_1: Interleaved512 {}
extension InterleavedQ5_0: Interleaved512 { static var lift: Float { -16 } }
extension InterleavedQ5_1: Interleaved512 {}
extension InterleavedQ4_K: Interleaved512 { static var lift: Float { -1 } }
extension InterleavedQ5_K: Interleaved512 { static var lift: Float { -1 } }

extension InterleavedQ8_0: Interleaved512 {
    static var lift: Float { -128 }
    @inline(__always)
    static func columns512(_ record: UnsafeRawPointer, _ g: Int, _ c: Int) -> (low: I512, high: I512) {
        let (at, up) = (record + (codes(g) &+ c &* 64), _mm512_set1_epi8(-128))
        return (_mm512_xor_si512(load512(at), up), _mm512_xor_si512(load512(at + 256), up))
    }
}

extension InterleavedIQ4_NL: Interleaved512 {
    static var lift: Float { -128 }
    @inline(__always)
    static func columns512(_ record: UnsafeRawPointer, _ g: Int, _ c: Int) -> (low: I512, high: I512) {
        let (packed, mask) = (load512(record + (codes(g) &+ c &* 64)), _mm512_set1_epi8(0x0F))
        let steps = _mm512_broadcast_i32x4(unsafeBitCast(nonlinearSteps, to: SIMD2<Int64>.self))
        let table = _mm512_xor_si512(steps, _mm512_set1_epi8(-128))
        return (
            _mm512_shuffle_epi8(table, _mm512_and_si512(packed, mask)),
            _mm512_shuffle_epi8(table, _mm512_and_si512(_mm512_srli_epi16(packed, 4), mask))
        )
    }
}

extension InterleavedQ6_K: Interleaved512 {
    @inline(__always)
    static func columns512(_ record: UnsafeRawPointer, _ g: Int, _ c: Int) -> (low: I512, high: I512) {
        let (packed, mask) = (load512(record + (codes(g) &+ c &* 64)), _mm512_set1_epi8(0x0F))
        /// Field c of two bits to bits 4 and 5.
        @inline(__always) func full(_ low: I512, _ fields: I512) -> I512 {
            let moved =
                c < 2
                ? _mm512_slli_epi16(fields, UInt32(truncatingIfNeeded: 4 &- 2 &* c))
                : _mm512_srli_epi16(fields, UInt32(truncatingIfNeeded: 2 &* c &- 4))
            return _mm512_or_si512(low, _mm512_and_si512(moved, _mm512_set1_epi8(0x30)))
        }
        return (
            full(_mm512_and_si512(packed, mask), load512(record + bits(g))),
            full(_mm512_and_si512(_mm512_srli_epi16(packed, 4), mask), load512(record + (bits(g) &+ 64)))
        )
    }
}

/// Sixteen halves widened.
@inline(__always)  // one instruction
private func halves16(_ address: UnsafeRawPointer) -> F512 {
    _mm512_cvtph_ps(address.loadUnaligned(as: SIMD4<Int64>.self))
}

/// Sixteen bytes widened: 6-bit scales, or the signed ones of Q6_K.
@inline(__always)  // one instruction
private func bytes16(_ address: UnsafeRawPointer) -> I512 {
    _mm512_cvtepi8_epi32(address.loadUnaligned(as: SIMD2<Int64>.self))
}

@inline(__always)  // an operand of the instruction that uses it
private func broadcast(_ address: UnsafePointer<Int8>) -> I512 {
    _mm512_set1_epi32(UnsafeRawPointer(address).loadUnaligned(as: Int32.self))
}

/// Sums over the first and over the last half of a group.
@inline(__always)  // the inner loop
private func sums<Format: Interleaved512>(
    _: Format.Type, _ record: UnsafeRawPointer, _ g: Int, _ q: UnsafePointer<Int8>
) -> (I512, I512) {
    var (first, last) = (I512.zero, I512.zero)
    // Q6_K's halves have scales of their own, so what 32 adds to its weights is taken from each.
    var (firstLift, lastLift) = (I512.zero, I512.zero)
    @inline(__always) func column(_ c: Int) {
        let (low, high) = Format.columns512(record, g, c)
        let (one, other) = (broadcast(q + c &* 4), broadcast(q + (16 &+ c &* 4)))
        first = _mm512_dpbusd_epi32(first, low, one)
        last = _mm512_dpbusd_epi32(last, high, other)
        if Format.bitBytes == 128 {
            firstLift = _mm512_dpbusd_epi32(firstLift, _mm512_set1_epi8(32), one)
            lastLift = _mm512_dpbusd_epi32(lastLift, _mm512_set1_epi8(32), other)
        }
    }
    column(0)
    column(1)
    column(2)
    column(3)
    guard Format.bitBytes == 128 else { return (first, last) }
    return (_mm512_sub_epi32(first, firstLift), _mm512_sub_epi32(last, lastLift))
}

/// Adds group `g` of a record to sixteen rows' totals.
@inline(__always)  // the inner loop
private func add<Format: Interleaved512>(
    _: Format.Type, _ record: UnsafeRawPointer, _ g: Int, _ q: UnsafePointer<Int8>, _ d: Float, _ s: Float,
    _ total: inout F512
) {
    let (first, last) = sums(Format.self, record, g, q)
    let row = halves16(record)
    let scale = row * F512(repeating: d)
    guard Format.hasGroupScales else {
        var sum = _mm512_cvtepi32_ps(_mm512_add_epi32(first, last))
        if Format.lift == -128 {
            // Whole numbers below 2^24: exact where the sums cancel, which 128 times too large they often do.
            let values = (s / max(d, .leastNormalMagnitude)).rounded()
            sum = _mm512_add_ps(sum, F512(repeating: Format.lift * values))
            total = _mm512_fmadd_ps(sum, scale, total)
            return
        }
        total = _mm512_fmadd_ps(sum, scale, total)
        let minimum = Format.halves == 2 ? halves16(record + 32) : row
        total = _mm512_fmadd_ps(minimum, F512(repeating: Format.lift * s), total)
        return
    }
    let (one, other) = (bytes16(record + Format.scales(g)), bytes16(record + (Format.scales(g) &+ 16)))
    if Format.halves == 1 {
        let sum = _mm512_add_epi32(_mm512_mullo_epi32(first, one), _mm512_mullo_epi32(last, other))
        total = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), scale, total)
    } else {
        let sum = _mm512_mullo_epi32(_mm512_add_epi32(first, last), one)
        total = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), scale, total)
        let minima = halves16(record + 32) * F512(repeating: Format.lift * s)
        total = _mm512_fmadd_ps(minima, _mm512_cvtepi32_ps(other), total)
    }
}

@inline(__always)  // specialised by each entry below
private func gemv<Format: Interleaved512>(
    _: Format.Type, _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) {
    let groups = k / 32
    prefetchStart(w, bytes: rows &* rowBytes)
    var r = 0
    while r < rows {
        var record = w + r &* rowBytes
        var total = F512.zero
        var n = 0
        while n < groups {
            for line in 0..<((Format.recordBytes &+ 63) / 64) {
                martlet_prefetch(record + (prefetchDistance &+ line &* 64))
            }
            for g in 0..<Format.groups {
                let at = n &+ g
                add(Format.self, record, g, q + at &* 32, ds[2 &* at], ds[2 &* at &+ 1], &total)
            }
            record += Format.recordBytes
            n &+= Format.groups
        }
        if rows &- r >= 16 {
            _mm512_storeu_ps(y + r, total)
        } else {
            for i in 0..<(rows &- r) { y[r &+ i] = total[i] }
        }
        r &+= tileRows
    }
}

/// y (rows) = bands of Q4_0 × one quantised activation vector.
@inline(never)  // entry of a tier
public func avx512GemvInterleavedQ4_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(InterleavedQ4_0.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = bands of Q4_1 × one quantised activation vector.
@inline(never)  // entry of a tier
public func avx512GemvInterleavedQ4_1(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(InterleavedQ4_1.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = bands of Q5_0 × one quantised activation vector.
@inline(never)  // entry of a tier
public func avx512GemvInterleavedQ5_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(InterleavedQ5_0.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = bands of Q5_1 × one quantised activation vector.
@inline(never)  // entry of a tier
public func avx512GemvInterleavedQ5_1(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(InterleavedQ5_1.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = bands of Q8_0 × one quantised activation vector.
@inline(never)  // entry of a tier
public func avx512GemvInterleavedQ8_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(InterleavedQ8_0.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = bands of Q4_K × one quantised activation vector.
@inline(never)  // entry of a tier
public func avx512GemvInterleavedQ4_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(InterleavedQ4_K.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = bands of Q5_K × one quantised activation vector.
@inline(never)  // entry of a tier
public func avx512GemvInterleavedQ5_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(InterleavedQ5_K.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = bands of Q6_K × one quantised activation vector.
@inline(never)  // entry of a tier
public func avx512GemvInterleavedQ6_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(InterleavedQ6_K.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = bands of IQ4_NL × one quantised activation vector.
@inline(never)  // entry of a tier
public func avx512GemvInterleavedIQ4_NL(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(InterleavedIQ4_NL.self, w, rowBytes, rows, k, q, ds, y) }
#endif
