// Vector intrinsics for Swift: the architecture's own header, and wrappers for what does not import (macros).
// A wrapper names the feature it needs, so that this header also compiles in targets that lack it; using one
// there is a compiler error at the call.
#pragma once

#include <stdint.h>

#if defined(__x86_64__)
#include <immintrin.h>

#define MARTLET_AVX2 static inline __attribute__((always_inline, target("avx2,fma,f16c")))

MARTLET_AVX2 __m256i martlet_join128(__m128i low, __m128i high) { return _mm256_set_m128i(high, low); }
MARTLET_AVX2 __m128 martlet_high128_ps(__m256 a) { return _mm256_extractf128_ps(a, 1); }
/// The low halves of a and b side by side.
MARTLET_AVX2 __m256i martlet_low_halves(__m256i a, __m256i b) { return _mm256_permute2x128_si256(a, b, 0x20); }
/// The high halves of a and b side by side.
MARTLET_AVX2 __m256i martlet_high_halves(__m256i a, __m256i b) { return _mm256_permute2x128_si256(a, b, 0x31); }
/// Eight floats narrowed to halves, to the nearest even.
MARTLET_AVX2 __m128i martlet_to_half(__m256 a) { return _mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT); }

#define MARTLET_AVX512 \
    static inline __attribute__((always_inline, target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")))

/// Two runs of 32 bytes side by side.
MARTLET_AVX512 __m512i martlet_pair256(const void *low, const void *high) {
    return _mm512_inserti64x4(
        _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)low)), _mm256_loadu_si256((const __m256i *)high), 1);
}
MARTLET_AVX512 __m128i martlet_low128(__m512i a) { return _mm512_castsi512_si128(a); }
MARTLET_AVX512 __m256i martlet_low256(__m512i a) { return _mm512_castsi512_si256(a); }
MARTLET_AVX512 __m256i martlet_high256(__m512i a) { return _mm512_extracti64x4_epi64(a, 1); }
MARTLET_AVX512 __m128i martlet_high128(__m256i a) { return _mm256_extracti128_si256(a, 1); }
/// Sums of four products of unsigned and signed bytes, added to each lane of `sum`.
MARTLET_AVX512 __m256i martlet_dot256(__m256i sum, __m256i a, __m256i b) { return _mm256_dpbusd_epi32(sum, a, b); }
/// a, with `value` or-ed into the bytes whose bit of `mask` is set (the others are or-ed with zero).
MARTLET_AVX512 __m512i martlet_or_where(__m512i a, uint64_t mask, __m512i value) {
    return _mm512_or_si512(a, _mm512_maskz_mov_epi8(mask, value));
}

/// Asks for the line at `address`; never faults.
static inline __attribute__((always_inline)) void martlet_prefetch(const void *address) {
    _mm_prefetch((const char *)address, _MM_HINT_T0);
}

#elif defined(__aarch64__)
#include <arm_neon.h>

#define MARTLET_NEON static inline __attribute__((always_inline))

/// Halves widened and narrowed: Swift 6.2 calls an unspecialised initialiser for SIMD8<Float16>.
MARTLET_NEON float32x4_t martlet_widen_low(uint16x8_t a) { return vcvt_f32_f16(vget_low_f16(vreinterpretq_f16_u16(a))); }
MARTLET_NEON float32x4_t martlet_widen_high(uint16x8_t a) { return vcvt_high_f32_f16(vreinterpretq_f16_u16(a)); }
MARTLET_NEON uint16x8_t martlet_narrow(float32x4_t low, float32x4_t high) {
    return vreinterpretq_u16_f16(vcvt_high_f16_f32(vcvt_f16_f32(low), high));
}

/// Four words each as the upper halves of floats: bfloat16 widened.
MARTLET_NEON float32x4_t martlet_raise_low(uint16x8_t a) {
    return vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(a), 16));
}
MARTLET_NEON float32x4_t martlet_raise_high(uint16x8_t a) { return vreinterpretq_f32_u32(vshll_high_n_u16(a, 16)); }

/// a · 2^n, with n in the low bits of `exponent`.
MARTLET_NEON float32x4_t martlet_raise(float32x4_t a, float32x4_t exponent) {
    int32x4_t shifted = vshlq_n_s32(vreinterpretq_s32_f32(exponent), 23);
    return vreinterpretq_f32_s32(vaddq_s32(shifted, vreinterpretq_s32_f32(a)));
}
/// Four halves widened.
MARTLET_NEON float32x4_t martlet_widen_half4(uint16x4_t a) { return vcvt_f32_f16(vreinterpret_f16_u16(a)); }
/// The upper halves of four words.
MARTLET_NEON uint16x4_t martlet_high_words(uint32x4_t a) { return vshrn_n_u32(a, 16); }

/// Powers of two from their exponents.
MARTLET_NEON float32x4_t martlet_exponents(uint32x4_t a) { return vreinterpretq_f32_u32(vshlq_n_u32(a, 23)); }

/// Four unsigned bytes widened.
MARTLET_NEON int32x4_t martlet_widen_bytes4(uint32_t bytes) {
    uint16x8_t words = vmovl_u8(vcreate_u8(bytes));
    return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(words)));
}

MARTLET_NEON uint8x16_t martlet_high_nibbles(uint8x16_t a) { return vshrq_n_u8(a, 4); }
/// Lane `i` of a in all lanes. `i` must be a constant after inlining; dup takes it as an immediate.
#define MARTLET_DUP(i) \
    MARTLET_NEON int8x16_t martlet_dup##i(int8x16_t a) { return vdupq_laneq_s8(a, i); }
MARTLET_DUP(0) MARTLET_DUP(1) MARTLET_DUP(2) MARTLET_DUP(3) MARTLET_DUP(4) MARTLET_DUP(5) MARTLET_DUP(6) MARTLET_DUP(7)
MARTLET_DUP(8) MARTLET_DUP(9) MARTLET_DUP(10) MARTLET_DUP(11)
MARTLET_DUP(12) MARTLET_DUP(13) MARTLET_DUP(14) MARTLET_DUP(15)

/// Word `i` of a in all words.
#define MARTLET_DUP_WORD(i) \
    MARTLET_NEON int8x16_t martlet_dup_word##i(int8x16_t a) { \
        return vreinterpretq_s8_s32(vdupq_laneq_s32(vreinterpretq_s32_s8(a), i)); \
    }
MARTLET_DUP_WORD(0) MARTLET_DUP_WORD(1) MARTLET_DUP_WORD(2) MARTLET_DUP_WORD(3)

/// Lanes moved down by one.
MARTLET_NEON uint16x8_t martlet_next_lane(uint16x8_t a) { return vextq_u16(a, a, 1); }

/// The low nibbles of `packed`, with the low nibbles of `bits` above them.
MARTLET_NEON uint8x16_t martlet_below(uint8x16_t packed, uint8x16_t bits) { return vsliq_n_u8(packed, bits, 4); }
/// The high nibbles of `packed`, with the high nibbles of `bits` above them.
MARTLET_NEON uint8x16_t martlet_above(uint8x16_t packed, uint8x16_t bits) { return vsriq_n_u8(bits, packed, 4); }
/// Every byte shifted by `n` to the left and to the right.
#define MARTLET_SHIFT_BITS(n) \
    MARTLET_NEON uint8x16_t martlet_raise_bits##n(uint8x16_t a) { return vshlq_n_u8(a, n); } \
    MARTLET_NEON uint8x16_t martlet_lower_bits##n(uint8x16_t a) { return vshrq_n_u8(a, n); }
MARTLET_SHIFT_BITS(1) MARTLET_SHIFT_BITS(2) MARTLET_SHIFT_BITS(3) MARTLET_SHIFT_BITS(4)

/// Two registers of zeros.
typedef struct { int32x4_t low, high; } MartletZeros;
/// Cleared by a load: clearing by an instruction takes a slot of the vector pipes, which are what a product waits for.
/// Volatile, because the compiler would see that it is zero and clear after all.
MARTLET_NEON MartletZeros martlet_load_zeros(const void *zeros) {
    MartletZeros result;
    __asm__ volatile("ldp %q0, %q1, [%2]" : "=w"(result.low), "=w"(result.high) : "r"(zeros));
    return result;
}
static const int32_t martlet_zeros[8] __attribute__((aligned(32))) = {0};
MARTLET_NEON const void *martlet_zeros_address(void) { return martlet_zeros; }

/// Four blocks of 128 floats, zeros at first.
typedef struct { float rows[4][128]; } MartletStage;
/// The upper bytes of words 256 h + l with −128 ≤ l < 128.
MARTLET_NEON int8x16_t martlet_high_bytes(int16x8_t a, int16x8_t b) {
    return vrshrn_high_n_s16(vrshrn_n_s16(a, 8), b, 8);
}
/// a + b / 256, rounded.
MARTLET_NEON int32x4_t martlet_add_256th(int32x4_t a, int32x4_t b) { return vrsraq_n_s32(a, b, 8); }

#define MARTLET_DOTPROD static inline __attribute__((always_inline, target("dotprod")))
/// Adds to each lane of `sum` four products of `a`'s lane with the bytes of lane `i` of `b`.
#define MARTLET_DOT_LANE(i) \
    MARTLET_DOTPROD int32x4_t martlet_dot_lane##i(int32x4_t sum, int8x16_t a, int8x16_t b) { \
        return vdotq_laneq_s32(sum, a, b, i); \
    }
MARTLET_DOT_LANE(0) MARTLET_DOT_LANE(1) MARTLET_DOT_LANE(2) MARTLET_DOT_LANE(3)

/// martlet_widen_high of a sum: of one the compiler takes the upper lanes first, with an instruction of its own.
MARTLET_NEON float32x4_t martlet_widen_high_sum(uint16x8_t a) {
    float32x4_t result;
    __asm__("fcvtl2 %0.4s, %1.8h" : "=w"(result) : "w"(a));
    return result;
}

#define MARTLET_HALVES static inline __attribute__((always_inline, target("dotprod,fp16")))
/// sum + a · lane `i` of b, in halves.
#define MARTLET_HALF_LANE(i) \
    MARTLET_HALVES uint16x8_t martlet_half_lane##i(uint16x8_t sum, uint16x8_t a, uint16x8_t b) { \
        return vreinterpretq_u16_f16(vfmaq_laneq_f16( \
            vreinterpretq_f16_u16(sum), vreinterpretq_f16_u16(a), vreinterpretq_f16_u16(b), i)); \
    }
MARTLET_HALF_LANE(0) MARTLET_HALF_LANE(1) MARTLET_HALF_LANE(2) MARTLET_HALF_LANE(3)
MARTLET_HALF_LANE(4) MARTLET_HALF_LANE(5) MARTLET_HALF_LANE(6) MARTLET_HALF_LANE(7)

/// Asks for the line at `address`; never faults.
MARTLET_NEON void martlet_prefetch(const void *address) { __builtin_prefetch(address); }
#endif
