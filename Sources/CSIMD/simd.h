// Vector operations that Swift's SIMD types would lower to scalar code, each as one clang builtin.
// Swift imports the types as SIMD16<Float>, SIMD16<Int32>, SIMD8<Float>, SIMD8<Double> and SIMD8<Int>.
#pragma once

typedef float f32x16 __attribute__((ext_vector_type(16)));
typedef float f32x8 __attribute__((ext_vector_type(8)));
typedef float f32x4 __attribute__((ext_vector_type(4)));
typedef int i32x16 __attribute__((ext_vector_type(16)));
typedef double f64x8 __attribute__((ext_vector_type(8)));
typedef long i64x8 __attribute__((ext_vector_type(8)));

#define SIMD_INLINE static inline __attribute__((always_inline))

SIMD_INLINE f32x16 simd_max(f32x16 a, f32x16 b) { return __builtin_elementwise_max(a, b); }
SIMD_INLINE f32x16 simd_min(f32x16 a, f32x16 b) { return __builtin_elementwise_min(a, b); }
/// The larger; b where either is not a number, so that bounding b keeps a NaN.
SIMD_INLINE f32x16 simd_bound_below(f32x16 a, f32x16 b) { return a > b ? a : b; }
SIMD_INLINE f32x16 simd_bound_above(f32x16 a, f32x16 b) { return a < b ? a : b; }
SIMD_INLINE f32x16 simd_abs(f32x16 a) { return __builtin_elementwise_abs(a); }
/// 1 or −1 with the sign of a; 0 and what is no number stay as they are.
SIMD_INLINE f32x16 simd_sign(f32x16 a) { return a > 0 ? (f32x16)1.0f : a < 0 ? (f32x16)-1.0f : a; }
SIMD_INLINE f32x16 simd_sqrt(f32x16 a) { return __builtin_elementwise_sqrt(a); }
SIMD_INLINE f32x16 simd_round(f32x16 a) { return __builtin_elementwise_roundeven(a); }
SIMD_INLINE f32x16 simd_fma(f32x16 a, f32x16 b, f32x16 c) { return __builtin_elementwise_fma(a, b, c); }

/// a · 2ⁿ for integral n with −126 ≤ n ≤ 127.
SIMD_INLINE f32x16 simd_scale_by_power_of_two(f32x16 a, f32x16 n) {
  i32x16 exponent = (__builtin_convertvector(n, i32x16) + 127) << 23;
  return a * (f32x16)exponent;
}

/// Sum of the lanes in a fixed tree order.
SIMD_INLINE float simd_sum(f32x16 a) {
  f32x8 b = a.lo + a.hi;
  f32x4 c = b.lo + b.hi;
  return (c.x + c.z) + (c.y + c.w);
}

SIMD_INLINE float simd_max_lane(f32x16 a) { return __builtin_reduce_max(a); }

/// Rounds to the nearest integer, ties to even; the caller has checked the range.
SIMD_INLINE i64x8 simd_to_int64(f32x8 a) { return __builtin_convertvector(__builtin_elementwise_roundeven(a), i64x8); }
SIMD_INLINE f64x8 simd_int64_to_double(i64x8 a) { return __builtin_convertvector(a, f64x8); }
SIMD_INLINE f32x8 simd_double_to_float(f64x8 a) { return __builtin_convertvector(a, f32x8); }
SIMD_INLINE f64x8 simd_float_to_double(f32x8 a) { return __builtin_convertvector(a, f64x8); }
SIMD_INLINE f64x8 simd_fma_double(f64x8 a, f64x8 b, f64x8 c) { return __builtin_elementwise_fma(a, b, c); }
SIMD_INLINE f64x8 simd_max_double(f64x8 a, f64x8 b) { return __builtin_elementwise_max(a, b); }
SIMD_INLINE double simd_max_lane_double(f64x8 a) { return __builtin_reduce_max(a); }
SIMD_INLINE f64x8 simd_round_double(f64x8 a) { return __builtin_elementwise_roundeven(a); }
/// The larger or smaller; b where either is not a number.
SIMD_INLINE f64x8 simd_bound_below_double(f64x8 a, f64x8 b) { return a > b ? a : b; }
SIMD_INLINE f64x8 simd_bound_above_double(f64x8 a, f64x8 b) { return a < b ? a : b; }

/// a · 2ⁿ for integral n with −1022 ≤ n ≤ 1023. The exponent is read off a sum's low bits, because AVX2 cannot convert
/// to 64-bit integers.
SIMD_INLINE f64x8 simd_scale_double_by_power_of_two(f64x8 a, f64x8 n) {
  i64x8 exponent = (i64x8)(n + (0x1.8p52 + 1023)) << 52;
  return a * (f64x8)exponent;
}

/// a · (−1)ⁿ for integral |n| < 2⁵¹.
SIMD_INLINE f64x8 simd_alternate_sign(f64x8 a, f64x8 n) {
  i64x8 sign = (i64x8)(n + 0x1.8p52) << 63;
  return (f64x8)((i64x8)a ^ sign);
}

/// a in the lanes where x < bound, 0 in the others.
SIMD_INLINE f32x16 simd_keep_below(f32x16 a, f32x16 x, f32x16 bound) { return x < bound ? a : (f32x16)0; }
SIMD_INLINE f32x16 simd_keep_from(f32x16 a, f32x16 x, f32x16 bound) { return x >= bound ? a : (f32x16)0; }

typedef _Bool b1x16 __attribute__((ext_vector_type(16)));

/// One bit for each lane with lower <= x < upper.
SIMD_INLINE unsigned simd_bits_between(f32x16 x, f32x16 lower, f32x16 upper) {
  b1x16 inside = __builtin_convertvector((x >= lower) & (x < upper), b1x16);
  unsigned short bits;
  __builtin_memcpy(&bits, &inside, sizeof bits);
  return bits;
}

/// The lanes that a bit names, moved to the front; the other lanes are undefined.
SIMD_INLINE f32x16 simd_compress(f32x16 a, unsigned bits) {
#ifdef __AVX512F__
  return __builtin_ia32_compresssf512_mask(a, a, (unsigned short)bits);
#else
  f32x16 front = a;
  for (int lane = 0, next = 0; lane < 16; lane++)
    if (bits >> lane & 1) front[next++] = a[lane];
  return front;
#endif
}

/// Whether sixteen vectors of sixteen floats and what they are multiplied by fit into registers.
SIMD_INLINE int simd_has_many_registers(void) {
#ifdef __AVX512F__
  return 1;
#else
  return 0;
#endif
}

SIMD_INLINE void simd_prefetch(const float *address) { __builtin_prefetch(address); }

/// The 16 x 16 transpose of rows that lie `source_stride` floats apart, by four perfect shuffles of the rows.
SIMD_INLINE void simd_transpose(const float *source, long source_stride, float *target, long target_stride) {
  typedef float unaligned __attribute__((ext_vector_type(16), aligned(4)));
  f32x16 rows[16], shuffled[16];
#pragma unroll
  for (int i = 0; i < 16; i++) rows[i] = *(const unaligned *)(source + i * source_stride);
#pragma unroll
  for (int round = 0; round < 4; round++) {
#pragma unroll
    for (int i = 0; i < 8; i++) {
      f32x16 a = rows[i], b = rows[i + 8];
      shuffled[2 * i] =
          __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
      shuffled[2 * i + 1] =
          __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    }
#pragma unroll
    for (int i = 0; i < 16; i++) rows[i] = shuffled[i];
  }
#pragma unroll
  for (int i = 0; i < 16; i++) *(unaligned *)(target + i * target_stride) = rows[i];
}
