#if arch(x86_64)
import CIntrinsics
import QuantBlocks

// Decode: one activation vector against interleaved rows, a row a lane.

/// Bytes ahead of the stream that are asked for.
@inline(__always)  // a constant
private var prefetchDistance: Int { 2048 }

/// Eight rows' integer sums over the first and over the last half of a group.
@inline(__always)  // the inner loop
private func sums<Format: Interleaved256>(
    _: Format.Type, _ codes: UnsafeRawPointer, _ bits: UnsafeRawPointer, _ q: UnsafePointer<Int8>
) -> (I256, I256) {
    let ones = _mm256_set1_epi16(1)
    var (first, last) = (I256.zero, I256.zero)
    @inline(__always) func products(_ weights: I256, _ at: Int) -> I256 {
        let values = broadcastBytes(q + at)
        let pairs =
            Format.isSigned
            ? _mm256_maddubs_epi16(_mm256_abs_epi8(weights), _mm256_sign_epi8(values, weights))
            : _mm256_maddubs_epi16(weights, values)
        return Format.isByte ? _mm256_madd_epi16(pairs, ones) : pairs
    }
    @inline(__always) func column(_ c: Int) {
        let (low, high) = Format.columns(codes, bits, c)
        if Format.isByte {
            first = _mm256_add_epi32(first, products(low, c &* 4))
            last = _mm256_add_epi32(last, products(high, 16 &+ c &* 4))
        } else {
            // 16 bits hold eight products of 32 · 127.
            first = _mm256_add_epi16(first, products(low, c &* 4))
            last = _mm256_add_epi16(last, products(high, 16 &+ c &* 4))
        }
    }
    column(0)
    column(1)
    column(2)
    column(3)
    return Format.isByte ? (first, last) : (_mm256_madd_epi16(first, ones), _mm256_madd_epi16(last, ones))
}

/// Eight rows and what they have gathered.
private struct EightRows {
    var total = F256.zero

    /// Group `g` of a record; `half` says which eight of its rows.
    @inline(__always)  // the inner loop
    mutating func add<Format: Interleaved256>(
        _: Format.Type, _ record: UnsafeRawPointer, _ g: Int, _ half: Int, _ q: UnsafePointer<Int8>, _ d: Float,
        _ s: Float
    ) {
        let (first, last) = sums(
            Format.self, record + (Format.codes(g) &+ half &* 32), record + (Format.bits(g) &+ half &* 32), q)
        let row = halves8(record + half &* 16)
        let scale = row * F256(repeating: d)
        guard Format.hasGroupScales else {
            total = _mm256_fmadd_ps(_mm256_cvtepi32_ps(_mm256_add_epi32(first, last)), scale, total)
            guard Format.offset != 0 else { return }
            let minimum = Format.halves == 2 ? halves8(record + (32 &+ half &* 16)) : row
            total = _mm256_fmadd_ps(minimum, F256(repeating: Format.offset * s), total)
            return
        }
        let scales = record + (Format.scales(g) &+ half &* 8)
        let (one, other) = (bytes8(scales), bytes8(scales + 16))
        if Format.halves == 1 {
            let sum = _mm256_add_epi32(_mm256_mullo_epi32(first, one), _mm256_mullo_epi32(last, other))
            total = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), scale, total)
        } else {
            let sum = _mm256_mullo_epi32(_mm256_add_epi32(first, last), one)
            total = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), scale, total)
            let minima = halves8(record + (32 &+ half &* 16)) * F256(repeating: Format.offset * s)
            total = _mm256_fmadd_ps(minima, _mm256_cvtepi32_ps(other), total)
        }
    }
}

@inline(__always)  // specialised by each entry below
private func gemv<Format: Interleaved256>(
    _: Format.Type, _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) {
    let groups = k / 32
    var r = 0
    while r < rows {
        var record = w + r &* rowBytes
        var (first, second) = (EightRows(), EightRows())
        var n = 0
        while n < groups {
            for line in 0..<(Format.recordBytes / 64) { martlet_prefetch(record + (prefetchDistance &+ line &* 64)) }
            for g in 0..<Format.groups {
                let values = q + (n &+ g) &* 32
                let (d, s) = (ds[2 &* (n &+ g)], ds[2 &* (n &+ g) &+ 1])
                first.add(Format.self, record, g, 0, values, d, s)
                second.add(Format.self, record, g, 1, values, d, s)
            }
            record += Format.recordBytes
            n &+= Format.groups
        }
        store(first.total, y + r, rows &- r)
        store(second.total, y + (r &+ 8), rows &- r &- 8)
        r &+= tileRows
    }
}

/// Stores the first `count` of eight lanes; none for zero or less.
@inline(__always)  // twice a band
private func store(_ values: F256, _ y: UnsafeMutablePointer<Float>, _ count: Int) {
    if count >= 8 { return storeFloats(values, y) }
    var i = 0
    while i < count {
        y[i] = values[i]
        i &+= 1
    }
}

/// y (rows) = bands of Q4_0 × one quantised activation vector.
@inline(never)  // entry of a tier
public func avx2GemvInterleavedQ4_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(InterleavedQ4_0.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = bands of Q4_1 × one quantised activation vector.
@inline(never)  // entry of a tier
public func avx2GemvInterleavedQ4_1(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(InterleavedQ4_1.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = bands of Q5_0 × one quantised activation vector.
@inline(never)  // entry of a tier
public func avx2GemvInterleavedQ5_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(InterleavedQ5_0.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = bands of Q5_1 × one quantised activation vector.
@inline(never)  // entry of a tier
public func avx2GemvInterleavedQ5_1(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(InterleavedQ5_1.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = bands of Q8_0 × one quantised activation vector.
@inline(never)  // entry of a tier
public func avx2GemvInterleavedQ8_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(InterleavedQ8_0.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = bands of Q4_K × one quantised activation vector.
@inline(never)  // entry of a tier
public func avx2GemvInterleavedQ4_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(InterleavedQ4_K.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = bands of Q5_K × one quantised activation vector.
@inline(never)  // entry of a tier
public func avx2GemvInterleavedQ5_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(InterleavedQ5_K.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = bands of Q6_K × one quantised activation vector.
@inline(never)  // entry of a tier
public func avx2GemvInterleavedQ6_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(InterleavedQ6_K.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = bands of IQ4_NL × one quantised activation vector.
@inline(never)  // entry of a tier
public func avx2GemvInterleavedIQ4_NL(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(InterleavedIQ4_NL.self, w, rowBytes, rows, k, q, ds, y) }
#endif
