#if arch(x86_64)
import CIntrinsics
import QuantBlocks

// How the formats' weights are read, for decode and for the tiles alike.

/// A format of blocks of 32 weights.
protocol Block32 {
    static var bytes: Int { get }
    /// Whether `weights` are signed; unsigned ones are at most 31.
    static var isSigned: Bool { get }
    /// What `scales` lane 1 is multiplied with at the end: a weight is d q + offset · (lane 1).
    static var offset: Float { get }
    static func weights(_ block: UnsafeRawPointer) -> I256
    /// What the activations' (d, s) are multiplied with for (scale, minimum / offset), in the first two lanes.
    static func scales(_ block: UnsafeRawPointer) -> SIMD4<Float>
}

extension Block32 {
    /// d twice.
    @inline(__always)  // three instructions in every block
    static func scales(_ block: UnsafeRawPointer) -> SIMD4<Float> {
        _mm_cvtph_ps(
            _mm_cvtsi32_si128(Int32(truncatingIfNeeded: UInt32(block.loadUnaligned(as: UInt16.self)) &* 0x1_0001)))
    }

    /// d and m, two halves.
    @inline(__always)  // one instruction
    static func scaleAndMinimum(_ block: UnsafeRawPointer) -> SIMD4<Float> {
        _mm_cvtph_ps(_mm_cvtsi32_si128(block.loadUnaligned(as: Int32.self)))
    }
}

enum RowQ4_0: Block32 {
    static var bytes: Int { BlockQ4_0.bytes }
    static var isSigned: Bool { false }
    static var offset: Float { -8 }
    @inline(__always)  // the body of every loop over blocks, as below
    static func weights(_ block: UnsafeRawPointer) -> I256 { nibbles(block + BlockQ4_0.qs) }
}

enum RowQ4_1: Block32 {
    static var bytes: Int { BlockQ4_1.bytes }
    static var isSigned: Bool { false }
    static var offset: Float { 1 }
    @inline(__always)
    static func weights(_ block: UnsafeRawPointer) -> I256 { nibbles(block + BlockQ4_1.qs) }
    @inline(__always)
    static func scales(_ block: UnsafeRawPointer) -> SIMD4<Float> { scaleAndMinimum(block) }
}

enum RowQ5_0: Block32 {
    static var bytes: Int { BlockQ5_0.bytes }
    static var isSigned: Bool { false }
    static var offset: Float { -16 }
    @inline(__always)
    static func weights(_ block: UnsafeRawPointer) -> I256 {
        _mm256_or_si256(nibbles(block + BlockQ5_0.qs), fifthBits(block + BlockQ5_0.qh))
    }
}

enum RowQ5_1: Block32 {
    static var bytes: Int { BlockQ5_1.bytes }
    static var isSigned: Bool { false }
    static var offset: Float { 1 }
    @inline(__always)
    static func weights(_ block: UnsafeRawPointer) -> I256 {
        _mm256_or_si256(nibbles(block + BlockQ5_1.qs), fifthBits(block + BlockQ5_1.qh))
    }
    @inline(__always)
    static func scales(_ block: UnsafeRawPointer) -> SIMD4<Float> { scaleAndMinimum(block) }
}

enum RowQ8_0: Block32 {
    static var bytes: Int { BlockQ8_0.bytes }
    static var isSigned: Bool { true }
    static var offset: Float { 0 }
    @inline(__always)
    static func weights(_ block: UnsafeRawPointer) -> I256 { load256(block + BlockQ8_0.qs) }
}

enum RowIQ4_NL: Block32 {
    static var bytes: Int { BlockIQ4_NL.bytes }
    static var isSigned: Bool { true }
    static var offset: Float { 0 }
    @inline(__always)
    static func weights(_ block: UnsafeRawPointer) -> I256 {
        lookUp(nonlinearSteps, nibbles(block + BlockIQ4_NL.qs))
    }
}

/// Bytes below 16, looked up.
@inline(__always)  // one instruction, as above
func lookUp(_ table: SIMD16<Int8>, _ nibbles: I256) -> I256 {
    let table = unsafeBitCast(table, to: SIMD2<Int64>.self)
    return _mm256_shuffle_epi8(martlet_join128(table, table), nibbles)
}

/// The 32 weights of group `sub` (0…7) of a Q4_K block, 0…15.
@inline(__always)
func weightsQ4_K(_ block: UnsafeRawPointer, _ sub: Int) -> I256 {
    let bits = load256(block + (BlockQ4_K.qs &+ (sub >> 1) &* 32))
    return _mm256_and_si256(sub & 1 == 0 ? bits : _mm256_srli_epi16(bits, 4), _mm256_set1_epi8(0x0F))
}

/// The 32 weights of group `sub` (0…7) of a Q5_K block, 0…31.
@inline(__always)
func weightsQ5_K(_ block: UnsafeRawPointer, _ sub: Int) -> I256 {
    let bits = load256(block + (BlockQ5_K.qs &+ (sub >> 1) &* 32))
    let low = _mm256_and_si256(sub & 1 == 0 ? bits : _mm256_srli_epi16(bits, 4), _mm256_set1_epi8(0x0F))
    let shift = _mm_cvtsi32_si128(Int32(truncatingIfNeeded: sub))
    let fifth = _mm256_and_si256(_mm256_srl_epi16(load256(block + BlockQ5_K.qh), shift), _mm256_set1_epi8(1))
    return _mm256_or_si256(low, _mm256_slli_epi16(fifth, 4))
}

/// The 32 weights of group `sub` (0…7) of a Q6_K block, −32…31.
@inline(__always)
func weightsQ6_K(_ block: UnsafeRawPointer, _ sub: Int) -> I256 {
    let within = sub & 3
    let ql = load256(block + ((sub >> 2) &* 64 &+ (within & 1) &* 32))
    let qh = load256(block + (BlockQ6_K.qh &+ (sub >> 2) &* 32))
    let low = _mm256_and_si256(within < 2 ? ql : _mm256_srli_epi16(ql, 4), _mm256_set1_epi8(0x0F))
    let shift = _mm_cvtsi32_si128(Int32(truncatingIfNeeded: 2 &* within))
    let high = _mm256_and_si256(_mm256_srl_epi16(qh, shift), _mm256_set1_epi8(3))
    return _mm256_sub_epi8(_mm256_or_si256(low, _mm256_slli_epi16(high, 4)), _mm256_set1_epi8(32))
}
#endif
