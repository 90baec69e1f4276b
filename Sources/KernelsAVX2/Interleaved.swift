#if arch(x86_64)
import CIntrinsics
import QuantBlocks

// How interleaved rows are read, eight rows at a time, for decode and for the tiles alike.

/// A format of interleaved rows.
protocol Interleaved256: InterleavedFormat {
    /// Whether weights are signed; unsigned ones are at most 31.
    static var isSigned: Bool { get }
    /// Whether two columns' products overflow 16 bits.
    static var isByte: Bool { get }
    /// A weight is d q + offset · m, with m the minimum, or d where there is none.
    static var offset: Float { get }
    /// Column `c` (0…3) of eight rows: weights 4 c … of the group, and weights 16 + 4 c ….
    static func columns(_ codes: UnsafeRawPointer, _ bits: UnsafeRawPointer, _ c: Int) -> (low: I256, high: I256)
}

extension Interleaved256 {
    static var isSigned: Bool { false }
    static var isByte: Bool { false }
    static var offset: Float { 1 }
}

@inline(__always)  // four instructions in every column
private func nibbleColumns(_ codes: UnsafeRawPointer, _ c: Int) -> (low: I256, high: I256) {
    let (packed, mask) = (load256(codes + c &* 64), _mm256_set1_epi8(0x0F))
    return (_mm256_and_si256(packed, mask), _mm256_and_si256(_mm256_srli_epi16(packed, 4), mask))
}

/// Nibbles with their fifth bits.
@inline(__always)
private func fiveColumns(_ codes: UnsafeRawPointer, _ bits: UnsafeRawPointer, _ c: Int) -> (low: I256, high: I256) {
    let (low, high) = nibbleColumns(codes, c)
    let (fifth, sixteen) = (load256(bits), _mm256_set1_epi8(16))
    // Bit c to bit 4, and bit 4 + c; `c` is a constant once the loop is unrolled.
    let up = _mm256_and_si256(_mm256_slli_epi16(fifth, Int32(truncatingIfNeeded: 4 &- c)), sixteen)
    let down = _mm256_and_si256(_mm256_srli_epi16(fifth, Int32(truncatingIfNeeded: c)), sixteen)
    return (_mm256_or_si256(low, up), _mm256_or_si256(high, down))
}

extension InterleavedQ4_0: Interleaved256 {
    static var offset: Float { -8 }
    @inline(__always)  // the body of every loop over columns, as below
    static func columns(_ codes: UnsafeRawPointer, _ bits: UnsafeRawPointer, _ c: Int) -> (low: I256, high: I256) {
        nibbleColumns(codes, c)
    }
}

extension InterleavedQ4_1: Interleaved256 {
    @inline(__always)
    static func columns(_ codes: UnsafeRawPointer, _ bits: UnsafeRawPointer, _ c: Int) -> (low: I256, high: I256) {
        nibbleColumns(codes, c)
    }
}

extension InterleavedQ4_K: Interleaved256 {
    static var offset: Float { -1 }
    @inline(__always)
    static func columns(_ codes: UnsafeRawPointer, _ bits: UnsafeRawPointer, _ c: Int) -> (low: I256, high: I256) {
        nibbleColumns(codes, c)
    }
}

extension InterleavedQ5_0: Interleaved256 {
    static var offset: Float { -16 }
    @inline(__always)
    static func columns(_ codes: UnsafeRawPointer, _ bits: UnsafeRawPointer, _ c: Int) -> (low: I256, high: I256) {
        fiveColumns(codes, bits, c)
    }
}

extension InterleavedQ5_1: Interleaved256 {
    @inline(__always)
    static func columns(_ codes: UnsafeRawPointer, _ bits: UnsafeRawPointer, _ c: Int) -> (low: I256, high: I256) {
        fiveColumns(codes, bits, c)
    }
}

extension InterleavedQ5_K: Interleaved256 {
    static var offset: Float { -1 }
    @inline(__always)
    static func columns(_ codes: UnsafeRawPointer, _ bits: UnsafeRawPointer, _ c: Int) -> (low: I256, high: I256) {
        fiveColumns(codes, bits, c)
    }
}

extension InterleavedQ8_0: Interleaved256 {
    static var isSigned: Bool { true }
    static var isByte: Bool { true }
    static var offset: Float { 0 }
    @inline(__always)
    static func columns(_ codes: UnsafeRawPointer, _ bits: UnsafeRawPointer, _ c: Int) -> (low: I256, high: I256) {
        (load256(codes + c &* 64), load256(codes + (c &+ 4) &* 64))
    }
}

extension InterleavedIQ4_NL: Interleaved256 {
    static var isSigned: Bool { true }
    static var isByte: Bool { true }
    static var offset: Float { 0 }
    @inline(__always)
    static func columns(_ codes: UnsafeRawPointer, _ bits: UnsafeRawPointer, _ c: Int) -> (low: I256, high: I256) {
        let (low, high) = nibbleColumns(codes, c)
        let steps = unsafeBitCast(nonlinearSteps, to: SIMD2<Int64>.self)
        let table = martlet_join128(steps, steps)
        return (_mm256_shuffle_epi8(table, low), _mm256_shuffle_epi8(table, high))
    }
}

extension InterleavedQ6_K: Interleaved256 {
    static var isSigned: Bool { true }
    static var offset: Float { 0 }
    @inline(__always)
    static func columns(_ codes: UnsafeRawPointer, _ bits: UnsafeRawPointer, _ c: Int) -> (low: I256, high: I256) {
        let (low, high) = nibbleColumns(codes, c)
        /// Field c of two bits to bits 4 and 5, less 32.
        @inline(__always) func full(_ low: I256, _ bits: UnsafeRawPointer) -> I256 {
            let fields = load256(bits)
            let moved =
                c < 2
                ? _mm256_slli_epi16(fields, Int32(truncatingIfNeeded: 4 &- 2 &* c))
                : _mm256_srli_epi16(fields, Int32(truncatingIfNeeded: 2 &* c &- 4))
            let high = _mm256_and_si256(moved, _mm256_set1_epi8(0x30))
            return _mm256_sub_epi8(_mm256_or_si256(low, high), _mm256_set1_epi8(32))
        }
        return (full(low, bits), full(high, bits + 64))
    }
}

/// Eight halves widened.
@inline(__always)  // one instruction
func halves8(_ address: UnsafeRawPointer) -> F256 {
    _mm256_cvtph_ps(address.loadUnaligned(as: SIMD2<Int64>.self))
}

/// Eight bytes widened: 6-bit scales, or the signed ones of Q6_K.
@inline(__always)  // one instruction
func bytes8(_ address: UnsafeRawPointer) -> I256 {
    _mm256_cvtepi8_epi32(_mm_cvtsi64_si128(address.loadUnaligned(as: Int64.self)))
}

// MARK: Tiles

/// (scales, minima) or (scales of the first, of the last half) of eight rows of group `g`; `half` is 0 or 1.
@inline(__always)  // twice a group
private func meta<Format: Interleaved256>(
    _: Format.Type, _ record: UnsafeRawPointer, _ g: Int, _ half: Int
) -> (F256, F256) {
    let d = halves8(record + half &* 16)
    guard Format.hasGroupScales else {
        if Format.halves == 2 { return (d, halves8(record + (32 &+ half &* 16))) }
        return (d, d * F256(repeating: Format.offset))
    }
    let scales = record + (Format.scales(g) &+ half &* 8)
    let (first, second) = (_mm256_cvtepi32_ps(bytes8(scales)), _mm256_cvtepi32_ps(bytes8(scales + 16)))
    if Format.halves == 1 { return (d * first, d * second) }
    return (d * first, halves8(record + (32 &+ half &* 16)) * second * F256(repeating: -1))
}

/// Unpacks a band: its layout is the tile's already.
@inline(__always)  // specialised by each entry below
private func unpack<Format: Interleaved256>(
    _: Format.Type, _ band: UnsafeRawPointer, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ to: UnsafeMutablePointer<Float>
) {
    for b in 0..<(k / (32 &* Format.groups)) {
        let record = band + b &* Format.recordBytes
        for g in 0..<Format.groups {
            let n = b &* Format.groups &+ g
            for half in 0..<2 {
                let (codes, bits) = (record + (Format.codes(g) &+ half &* 32), record + (Format.bits(g) &+ half &* 32))
                let at = tile + (n &* 512 &+ half &* 32)
                @inline(__always) func column(_ c: Int) {
                    let (low, high) = Format.columns(codes, bits, c)
                    (at + c &* 64).storeBytes(of: low, as: I256.self)
                    (at + (c &+ 4) &* 64).storeBytes(of: high, as: I256.self)
                }
                column(0)
                column(1)
                column(2)
                column(3)
                let (first, second) = meta(Format.self, record, g, half)
                storeFloats(first, to + (n &* 32 &+ half &* 8))
                storeFloats(second, to + (n &* 32 &+ 16 &+ half &* 8))
            }
        }
    }
}

/// Unpacks a band of Q4_0.
@inline(never)  // entry of a tier
public func avx2UnpackInterleavedQ4_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(InterleavedQ4_0.self, w, k, tile, meta) }

/// Unpacks a band of Q4_1.
@inline(never)  // entry of a tier
public func avx2UnpackInterleavedQ4_1(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(InterleavedQ4_1.self, w, k, tile, meta) }

/// Unpacks a band of Q5_0.
@inline(never)  // entry of a tier
public func avx2UnpackInterleavedQ5_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(InterleavedQ5_0.self, w, k, tile, meta) }

/// Unpacks a band of Q5_1.
@inline(never)  // entry of a tier
public func avx2UnpackInterleavedQ5_1(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(InterleavedQ5_1.self, w, k, tile, meta) }

/// Unpacks a band of Q8_0.
@inline(never)  // entry of a tier
public func avx2UnpackInterleavedQ8_0(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(InterleavedQ8_0.self, w, k, tile, meta) }

/// Unpacks a band of Q4_K.
@inline(never)  // entry of a tier
public func avx2UnpackInterleavedQ4_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(InterleavedQ4_K.self, w, k, tile, meta) }

/// Unpacks a band of Q5_K.
@inline(never)  // entry of a tier
public func avx2UnpackInterleavedQ5_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(InterleavedQ5_K.self, w, k, tile, meta) }

/// Unpacks a band of Q6_K.
@inline(never)  // entry of a tier
public func avx2UnpackInterleavedQ6_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(InterleavedQ6_K.self, w, k, tile, meta) }

/// Unpacks a band of IQ4_NL.
@inline(never)  // entry of a tier
public func avx2UnpackInterleavedIQ4_NL(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(InterleavedIQ4_NL.self, w, k, tile, meta) }
#endif
