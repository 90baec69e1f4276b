#if arch(x86_64)
import CIntrinsics
import QuantBlocks

// Decode: one activation vector against rows of blocks as they stand in the file, four blocks of four rows at a time.
//
// Blocks are 18 to 24 bytes, so two overlapping loads hold four of them, and one permutation of words each brings
// their weights and their scales together: a lane of 128 bits belongs to one block, and one sum, one conversion and
// one multiply-add serve 128 weights. Activations are arranged once for all rows: first halves, then last halves.
//
// The last one to three blocks of a row go one at a time: reading on could leave the file.

typealias I256 = SIMD4<Int64>
typealias F256 = SIMD8<Float>
typealias Words = SIMD32<UInt16>

/// Bytes ahead of the rows in work that are asked for: they are too short for the hardware to see a stream, but
/// they follow each other, so all that is read is one.
@inline(__always)  // a constant
var prefetchDistance: Int { 4096 }

/// Asks for the first of the `bytes` that a product reads, all at once.
@inline(__always)  // once a product
func prefetchStart(_ w: UnsafeRawPointer, bytes: Int) {
    for line in 0..<(min(prefetchDistance, bytes) / 64) { martlet_prefetch(w + line &* 64) }
}

/// Asks for as many bytes ahead as a step over four rows reads.
@inline(__always)  // once a step
func prefetchStep(_ rows: UnsafeRawPointer, _ step: Int, bytes: Int) {
    let at = rows + (step &* bytes &+ prefetchDistance)
    for line in 0..<((bytes &+ 63) / 64) { martlet_prefetch(at + line &* 64) }
}

/// A format of blocks of 32 nibbles, perhaps with fifth bits.
private protocol NibbleBlocks {
    static var bytes: Int { get }
    /// Where the nibbles begin in a block.
    static var qs: Int { get }
    /// Where the fifth bits stand, or nil.
    static var qh: Int? { get }
    /// Whether a second half, the minimum, follows the scale; else the scale serves for both.
    static var hasMinimum: Bool { get }
    /// What the products of minima (or scales) with s are multiplied with.
    static var offset: Float { get }
    /// Unsigned weights of nibbles.
    static func weights(_ nibbles: I512) -> I512
    /// Whether `weights` are 128 too large.
    static var isSigned: Bool { get }
}

extension NibbleBlocks {
    @inline(__always)  // as in every loop over blocks
    static func weights(_ nibbles: I512) -> I512 { nibbles }
    static var qh: Int? { nil }
    static var hasMinimum: Bool { false }
    static var isSigned: Bool { false }
}

private enum RowQ4_0: NibbleBlocks {
    static var bytes: Int { BlockQ4_0.bytes }
    static var qs: Int { BlockQ4_0.qs }
    static var offset: Float { -8 }
}

private enum RowQ4_1: NibbleBlocks {
    static var bytes: Int { BlockQ4_1.bytes }
    static var qs: Int { BlockQ4_1.qs }
    static var hasMinimum: Bool { true }
    static var offset: Float { 1 }
}

private enum RowQ5_0: NibbleBlocks {
    static var bytes: Int { BlockQ5_0.bytes }
    static var qs: Int { BlockQ5_0.qs }
    static var qh: Int? { BlockQ5_0.qh }
    static var offset: Float { -16 }
}

private enum RowQ5_1: NibbleBlocks {
    static var bytes: Int { BlockQ5_1.bytes }
    static var qs: Int { BlockQ5_1.qs }
    static var qh: Int? { BlockQ5_1.qh }
    static var hasMinimum: Bool { true }
    static var offset: Float { 1 }
}

private enum RowIQ4_NL: NibbleBlocks {
    static var bytes: Int { BlockIQ4_NL.bytes }
    static var qs: Int { BlockIQ4_NL.qs }
    static var offset: Float { 0 }
    static var isSigned: Bool { true }
    @inline(__always)
    static func weights(_ nibbles: I512) -> I512 {
        let steps = _mm512_broadcast_i32x4(unsafeBitCast(nonlinearSteps, to: SIMD2<Int64>.self))
        return _mm512_shuffle_epi8(_mm512_xor_si512(steps, _mm512_set1_epi8(-128)), nibbles)
    }
}

/// Where the words of four blocks stand in two loads, the second of which ends with the last block.
private struct Places {
    /// The weights: a block a quarter.
    var weights = Words()
    /// (d, m) or (d, d) of each block, eight words.
    var scales = Words()
    /// Fifth bits: the first sixteen of each block, then the last sixteen, eight words.
    var bits = Words()

    @inline(__always)  // made once a product
    init<Format: NibbleBlocks>(_: Format.Type) {
        // Words of the second load begin at index 32.
        let second = Format.bytes &* 2 &- 32
        func place(_ byte: Int) -> UInt16 {
            let word = byte / 2
            return UInt16(truncatingIfNeeded: word < 32 ? word : word &- second &+ 32)
        }
        for block in 0..<4 {
            let at = block &* Format.bytes
            for word in 0..<8 { weights[block &* 8 &+ word] = place(at &+ Format.qs &+ word &* 2) }
            scales[block &* 2] = place(at)
            scales[block &* 2 &+ 1] = place(at &+ (Format.hasMinimum ? 2 : 0))
            bits[block] = place(at &+ (Format.qh ?? 0))
            bits[block &+ 4] = place(at &+ (Format.qh ?? 0) &+ 2)
        }
    }
}

/// Four groups of activations: what their four rows share.
private struct FourGroups {
    var low: I512
    var high: I512
    /// What sums begin with: minus what weights that are 128 too large add.
    var bias: I512
    /// Four pairs (d, s).
    var ds: F256

    @inline(__always)  // once for four rows
    init<Format: NibbleBlocks>(_: Format.Type, _ q: UnsafePointer<Int8>, _ ds: UnsafePointer<Float>) {
        let (first, second) = (load512(q), load512(q + 64))
        low = _mm512_permutex2var_epi64(first, I512(0, 1, 4, 5, 8, 9, 12, 13), second)
        high = _mm512_permutex2var_epi64(first, I512(2, 3, 6, 7, 10, 11, 14, 15), second)
        self.ds = UnsafeRawPointer(ds).loadUnaligned(as: F256.self)
        bias = .zero
        if Format.isSigned {
            let shift = _mm512_set1_epi8(-128)
            let added = _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(.zero, shift, low), shift, high)
            bias = _mm512_sub_epi32(.zero, added)
        }
    }
}

/// What a row has gathered.
private struct RowSum {
    var products = F512.zero
    /// Products of minima with s in the odd lanes; the even ones are thrown away.
    var minima = F256.zero

    @inline(__always)  // the inner loop
    mutating func addFour<Format: NibbleBlocks>(
        _: Format.Type, _ block: UnsafeRawPointer, _ places: Places, _ values: FourGroups
    ) {
        let (first, second) = (load512(block), load512(block + (Format.bytes &* 4 &- 64)))
        @inline(__always) func pick(_ words: Words) -> I512 {
            _mm512_permutex2var_epi16(first, unsafeBitCast(words, to: I512.self), second)
        }
        let nibble = _mm512_set1_epi8(0x0F)
        let packed = pick(places.weights)
        var low = Format.weights(_mm512_and_si512(packed, nibble))
        var high = Format.weights(_mm512_and_si512(_mm512_srli_epi16(packed, 4), nibble))
        if Format.qh != nil {
            let bits = martlet_low128(pick(places.bits))
            let sixteen = _mm512_set1_epi8(16)
            low = martlet_or_where(low, UInt64(bitPattern: bits[0]), sixteen)
            high = martlet_or_where(high, UInt64(bitPattern: bits[1]), sixteen)
        }
        let sums = _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(values.bias, low, values.low), high, values.high)
        let scales = _mm256_cvtph_ps(martlet_low128(pick(places.scales))) * values.ds
        let each = unsafeBitCast(SIMD16<Int32>(0, 0, 0, 0, 2, 2, 2, 2, 4, 4, 4, 4, 6, 6, 6, 6), to: I512.self)
        let expanded = _mm512_permutexvar_ps(each, _mm512_castps256_ps512(scales))
        products = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums), expanded, products)
        if Format.offset != 0 { minima += scales }
    }

    @inline(__always)  // the last blocks of a row
    mutating func addOne<Format: NibbleBlocks>(
        _: Format.Type, _ block: UnsafeRawPointer, _ q: UnsafePointer<Int8>, _ ds: UnsafePointer<Float>
    ) {
        let packed = (block + Format.qs).loadUnaligned(as: SIMD2<Int64>.self)
        let nibbles = _mm256_and_si256(
            martlet_join128(packed, _mm_srli_epi16(packed, 4)), _mm256_set1_epi8(0x0F))
        var weights = Format.weights(_mm512_castsi256_si512(nibbles))
        if let qh = Format.qh {
            let bits = UInt64((block + qh).loadUnaligned(as: UInt32.self))
            weights = martlet_or_where(weights, bits, _mm512_set1_epi8(16))
        }
        let values = q.withMemoryRebound(to: I256.self, capacity: 1) {
            UnsafeRawPointer($0).loadUnaligned(as: I256.self)
        }
        var sums = I256.zero
        if Format.isSigned { sums = _mm256_sub_epi32(.zero, martlet_dot256(.zero, _mm256_set1_epi8(-128), values)) }
        sums = martlet_dot256(sums, martlet_low256(weights), values)
        let d = half(block) * ds[0]
        let lanes = _mm256_cvtepi32_ps(sums) * F256(repeating: d)
        products = products + _mm512_zextps256_ps512(lanes)
        if Format.offset != 0 { minima[1] += (Format.hasMinimum ? half(block + 2) : half(block)) * ds[1] }
    }

    @inline(__always)  // once a row
    func total(offset: Float) -> Float {
        let sum = _mm512_reduce_add_ps(products)
        return offset == 0 ? sum : sum + offset * ((minima[1] + minima[3]) + (minima[5] + minima[7]))
    }
}

@inline(__always)  // specialised by each entry below
private func gemv<Format: NibbleBlocks>(
    _: Format.Type, _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) {
    let groups = k / 32
    let fours = groups / 4
    let places = Places(Format.self)
    prefetchStart(w, bytes: rows &* rowBytes)
    var r = 0
    while r < rows {
        // Missing rows repeat the last one: no second loop for them.
        let at = w + r &* rowBytes
        let last = rows &- 1 &- r
        let (at1, at2) = (at + min(1, last) &* rowBytes, at + min(2, last) &* rowBytes)
        let at3 = at + min(3, last) &* rowBytes
        var (s0, s1, s2, s3) = (RowSum(), RowSum(), RowSum(), RowSum())
        for f in 0..<fours {
            let values = FourGroups(Format.self, q + f &* 128, ds + f &* 8)
            let offset = f &* 4 &* Format.bytes
            prefetchStep(at, f, bytes: 16 &* Format.bytes)
            s0.addFour(Format.self, at + offset, places, values)
            s1.addFour(Format.self, at1 + offset, places, values)
            s2.addFour(Format.self, at2 + offset, places, values)
            s3.addFour(Format.self, at3 + offset, places, values)
        }
        for g in (fours &* 4)..<groups {
            let offset = g &* Format.bytes
            s0.addOne(Format.self, at + offset, q + g &* 32, ds + 2 &* g)
            s1.addOne(Format.self, at1 + offset, q + g &* 32, ds + 2 &* g)
            s2.addOne(Format.self, at2 + offset, q + g &* 32, ds + 2 &* g)
            s3.addOne(Format.self, at3 + offset, q + g &* 32, ds + 2 &* g)
        }
        y[r] = s0.total(offset: Format.offset)
        if last > 0 { y[r &+ 1] = s1.total(offset: Format.offset) }
        if last > 1 { y[r &+ 2] = s2.total(offset: Format.offset) }
        if last > 2 { y[r &+ 3] = s3.total(offset: Format.offset) }
        r &+= 4
    }
}

/// y (rows) = rows of Q4_0 blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func avx512GemvQ4_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(RowQ4_0.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = rows of Q4_1 blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func avx512GemvQ4_1(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(RowQ4_1.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = rows of Q5_0 blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func avx512GemvQ5_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(RowQ5_0.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = rows of Q5_1 blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func avx512GemvQ5_1(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(RowQ5_1.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = rows of IQ4_NL blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func avx512GemvIQ4_NL(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(RowIQ4_NL.self, w, rowBytes, rows, k, q, ds, y) }
#endif
