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
