// Float vectors of SUNHWAN_LANES lanes on the vector types of GCC and Clang.
//
// The file is compiled once per instruction set: the including translation unit defines
//   SUNHWAN_LANES          4 (SSE2, NEON), 8 (AVX2 + FMA) or 16 (AVX-512 F, DQ, BW, VL)
//   SUNHWAN_ISA_NAMESPACE  a name of its own, for instance avx512
// Everything lies in that namespace, and nothing of the standard library is used: a function
// emitted out of line here could be merged by the linker with the copy of another instruction set
// and then run on a processor that lacks it.

#ifndef SUNHWAN_GENERIC_VEC_H_
#define SUNHWAN_GENERIC_VEC_H_

#include <cstdint>

#if !defined(SUNHWAN_LANES) || !defined(SUNHWAN_ISA_NAMESPACE)
#error "define SUNHWAN_LANES and SUNHWAN_ISA_NAMESPACE before including vec.h"
#endif

#define SUNHWAN_INLINE static inline __attribute__((always_inline))

// For a function of many tiles, called once a step or a segment: one copy serves all its callers.
// Compiling takes as long as there are tiles, most of a build, so none should be there twice.
#define SUNHWAN_OUTLINE static __attribute__((noinline))

// Before a loop of a constant number of turns (at most 32): it is unrolled whatever its size.
#if defined(__clang__)
#define SUNHWAN_UNROLL _Pragma("unroll")
#else
#define SUNHWAN_UNROLL _Pragma("GCC unroll 32")
#endif

namespace sunhwan {
namespace SUNHWAN_ISA_NAMESPACE {

constexpr int kLanes = SUNHWAN_LANES;

typedef float vf __attribute__((vector_size(SUNHWAN_LANES * 4)));
typedef std::int32_t vi __attribute__((vector_size(SUNHWAN_LANES * 4)));
typedef std::uint32_t vu __attribute__((vector_size(SUNHWAN_LANES * 4)));

// The same vectors as they lie in memory: at any address of a float, over objects of any type.
typedef float vf_memory __attribute__((vector_size(SUNHWAN_LANES * 4), aligned(4), may_alias));

// Subtracting 0 keeps every value, -0 and NaN too, and costs nothing.
SUNHWAN_INLINE vf splat(float value) { return value - vf{}; }

SUNHWAN_INLINE vf load(const float* from) { return *reinterpret_cast<const vf_memory*>(from); }

SUNHWAN_INLINE void store(float* to, vf value) { *reinterpret_cast<vf_memory*>(to) = value; }

// The first n lanes from memory, 0 in the others; memory from from[n] on is not read.
SUNHWAN_INLINE vf load_partial(const float* from, int n) {
  if (n >= kLanes) return load(from);
  float lanes[kLanes] = {};
  for (int i = 0; i < n; ++i) lanes[i] = from[i];
  return load(lanes);
}

// Only to[0] .. to[n - 1] are written.
SUNHWAN_INLINE void store_partial(float* to, vf value, int n) {
  if (n >= kLanes) return store(to, value);
  float lanes[kLanes];
  store(lanes, value);
  for (int i = 0; i < n; ++i) to[i] = lanes[i];
}

// a in the lanes where mask is -1 (the result of a comparison), b where it is 0.
SUNHWAN_INLINE vf select(vi mask, vf a, vf b) { return mask ? a : b; }

// a * b + c; -ffp-contract=fast makes one rounding of it where the instruction set has FMA.
SUNHWAN_INLINE vf fma(vf a, vf b, vf c) { return a * b + c; }

// The same value, no longer known to be a constant. GCC makes one min or max instruction of a
// comparison and a selection only when both sides are registers, and two or four otherwise.
SUNHWAN_INLINE vf opaque(vf value) {
#if defined(__AVX512F__)
  __asm__("" : "+v"(value));
#elif defined(__SSE2__)
  __asm__("" : "+x"(value));
#elif defined(__aarch64__)
  __asm__("" : "+w"(value));
#endif
  return value;
}

// Smaller and larger of two; a NaN in `a` comes through, one in `b` is dropped.
SUNHWAN_INLINE vf vmin(vf a, vf b) {
  b = opaque(b);
  return select(b < a, b, a);
}
SUNHWAN_INLINE vf vmax(vf a, vf b) {
  b = opaque(b);
  return select(b > a, b, a);
}

}  // namespace SUNHWAN_ISA_NAMESPACE
}  // namespace sunhwan

#endif  // SUNHWAN_GENERIC_VEC_H_
