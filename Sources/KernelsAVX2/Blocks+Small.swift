#if arch(x86_64)
import CIntrinsics
import QuantBlocks

// How the weights of two and three bits and of tables are read, for decode and for the tiles alike.

enum RowMXFP4: Block32 {
    static var bytes: Int { BlockMXFP4.bytes }
    static var isSigned: Bool { true }
    static var offset: Float { 0 }
    @inline(__always)  // the body of every loop over blocks, as below
    static func weights(_ block: UnsafeRawPointer) -> I256 {
        lookUp(microscalingSteps, nibbles(block + BlockMXFP4.qs))
    }
    @inline(__always)
    static func scales(_ block: UnsafeRawPointer) -> SIMD4<Float> { SIMD4(repeating: microscalingScale(block)) }
}

/// Two bits of the 32 weights of group `sub` (0…7), from the 64 bytes of a block.
@inline(__always)
private func twoBits(_ qs: UnsafeRawPointer, _ sub: Int) -> I256 {
    let shift = _mm_cvtsi32_si128(Int32(truncatingIfNeeded: 2 &* (sub & 3)))
    return _mm256_and_si256(_mm256_srl_epi16(load256(qs + (sub >> 2) &* 32), shift), _mm256_set1_epi8(3))
}

/// The 32 weights of group `sub` (0…7) of a Q2_K block, 0…3.
@inline(__always)
func weightsQ2_K(_ block: UnsafeRawPointer, _ sub: Int) -> I256 { twoBits(block + BlockQ2_K.qs, sub) }

/// Rows of blocks of 256 weights without minima, with a scale for every sixteen weights.
protocol Block256 {
    static var bytes: Int { get }
    static func d(_ block: UnsafeRawPointer) -> Float
    /// Signed bytes: the scales of groups 0…3, two each, and those of groups 4…7.
    static func scales(_ block: UnsafeRawPointer) -> (UInt64, UInt64)
    /// The 32 signed weights of group `sub` (0…7).
    static func weights(_ block: UnsafeRawPointer, _ sub: Int) -> I256
}

enum RowQ3_K: Block256 {
    static var bytes: Int { BlockQ3_K.bytes }
    @inline(__always)
    static func d(_ block: UnsafeRawPointer) -> Float { half(block + BlockQ3_K.d) }
    @inline(__always)
    static func scales(_ block: UnsafeRawPointer) -> (UInt64, UInt64) { scalesQ3_K(block) }
    @inline(__always)
    static func weights(_ block: UnsafeRawPointer, _ sub: Int) -> I256 {
        // Four less where the third bit is not set.
        let shift = _mm_cvtsi32_si128(Int32(truncatingIfNeeded: sub))
        let third = _mm256_andnot_si256(_mm256_srl_epi16(load256(block), shift), _mm256_set1_epi8(1))
        return _mm256_sub_epi8(twoBits(block + BlockQ3_K.qs, sub), _mm256_slli_epi16(third, 2))
    }
}

enum RowIQ4_XS: Block256 {
    static var bytes: Int { BlockIQ4_XS.bytes }
    @inline(__always)
    static func d(_ block: UnsafeRawPointer) -> Float { half(block) }
    /// Each twice.
    @inline(__always)
    static func scales(_ block: UnsafeRawPointer) -> (UInt64, UInt64) {
        let scales = _mm_cvtsi64_si128(Int64(bitPattern: scalesIQ4_XS(block)))
        let twice = _mm_unpacklo_epi8(scales, scales)
        return (UInt64(bitPattern: twice[0]), UInt64(bitPattern: twice[1]))
    }
    @inline(__always)
    static func weights(_ block: UnsafeRawPointer, _ sub: Int) -> I256 {
        lookUp(nonlinearSteps, nibbles(block + (BlockIQ4_XS.qs &+ sub &* 16)))
    }
}

enum RowQ6_K: Block256 {
    static var bytes: Int { BlockQ6_K.bytes }
    @inline(__always)
    static func d(_ block: UnsafeRawPointer) -> Float { half(block + BlockQ6_K.d) }
    @inline(__always)
    static func scales(_ block: UnsafeRawPointer) -> (UInt64, UInt64) {
        let at = block + BlockQ6_K.scales
        return (at.loadUnaligned(as: UInt64.self), (at + 8).loadUnaligned(as: UInt64.self))
    }
    @inline(__always)
    static func weights(_ block: UnsafeRawPointer, _ sub: Int) -> I256 { weightsQ6_K(block, sub) }
}
#endif
