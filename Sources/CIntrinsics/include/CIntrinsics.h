// Vector intrinsics for Swift: the architecture's own header, and wrappers for what does not import (macros).
// A wrapper names the feature it needs, so that this header also compiles in targets that lack it; using one
// there is a compiler error at the call.
#pragma once

#include <stdint.h>

#if defined(__x86_64__)
#include <immintrin.h>

#define MARTLET_AVX2 static inline __attribute__((always_inline, target("avx2,fma,f16c")))

MARTLET_AVX2 __m256i martlet_join128(__m128i low, __m128i high) { return _mm256_set_m128i(high, low); }
MARTLET_AVX2 __m128i martlet_high128(__m256i a) { return _mm256_extracti128_si256(a, 1); }
MARTLET_AVX2 __m128 martlet_high128_ps(__m256 a) { return _mm256_extractf128_ps(a, 1); }
/// The low halves of a and b side by side.
MARTLET_AVX2 __m256i martlet_low_halves(__m256i a, __m256i b) { return _mm256_permute2x128_si256(a, b, 0x20); }
/// The high halves of a and b side by side.
MARTLET_AVX2 __m256i martlet_high_halves(__m256i a, __m256i b) { return _mm256_permute2x128_si256(a, b, 0x31); }
/// Eight floats narrowed to halves, to the nearest even.
MARTLET_AVX2 __m128i martlet_to_half(__m256 a) { return _mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT); }

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

MARTLET_NEON uint8x16_t martlet_high_nibbles(uint8x16_t a) { return vshrq_n_u8(a, 4); }
/// Lane `i` of a in all lanes. `i` must be a constant after inlining; dup takes it as an immediate.
#define MARTLET_DUP(i) \
    MARTLET_NEON int8x16_t martlet_dup##i(int8x16_t a) { return vdupq_laneq_s8(a, i); }
MARTLET_DUP(0) MARTLET_DUP(1) MARTLET_DUP(2) MARTLET_DUP(3) MARTLET_DUP(4) MARTLET_DUP(5) MARTLET_DUP(6) MARTLET_DUP(7)
MARTLET_DUP(8) MARTLET_DUP(9) MARTLET_DUP(10) MARTLET_DUP(11)
MARTLET_DUP(12) MARTLET_DUP(13) MARTLET_DUP(14) MARTLET_DUP(15)

/// Asks for the line at `address`; never faults.
MARTLET_NEON void martlet_prefetch(const void *address) { __builtin_prefetch(address); }
#endif
