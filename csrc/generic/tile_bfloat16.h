// The products of tile.h with operands of bfloat16 and sums of float32.
//
// Operands keep 8 bits of significand, rounded to nearest, ties to even; weights when they are
// packed, rows (inputs, states, gate gradients) on their way into a tile. VDPBF16PS adds two
// products to a sum at once, each with a rounding of float32, and takes and gives 0 for a denormal
// number. So what is packed and what is read lies in pairs: 32 bits hold the values at k (low half)
// and k + 1, and a row that is missing behind an odd number of them is 0.
//
// As in tile.h, an element is summed over k in one order whatever the tile.
#pragma once

#include <immintrin.h>

#include "vec.h"

namespace sunhwan {
namespace SUNHWAN_ISA_NAMESPACE {

static_assert(kLanes == 16, "VDPBF16PS is used on whole registers");

// Rows of a matrix that a packed one has in a row of its own, and how many rows K of them make.
constexpr int kRowsPacked = 2;
SUNHWAN_INLINE constexpr int64_t packed_rows(int64_t K) { return (K + 1) / 2; }

constexpr int64_t kRounded = 256;   // floats of a row that are rounded at a time
constexpr int64_t kPairs = 64;      // pairs of row-steps that are rounded at a time
constexpr int64_t kPairRows = 256;  // and rows of a gradient of weights that they add to

// sum[lane] += the two products of the pairs in a[lane] and b[lane].
SUNHWAN_INLINE vf dot_pairs(vf sum, vf a, vf b) {
  return (vf)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
}

// The pair at `from` in all lanes.
SUNHWAN_INLINE vf splat_pair(const uint32_t* from) { return (vf)_mm512_set1_epi32(int(*from)); }

// Lane by lane the pair of both, rounded.
SUNHWAN_INLINE vf pair_lanes(vf first, vf second) {
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24,
                                         8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  const __m512bh rounded = _mm512_cvtne2ps_pbh((__m512)second, (__m512)first);
  return (vf)_mm512_permutexvar_epi16(order, (__m512i)rounded);
}

SUNHWAN_INLINE vf packed(vf row, vf next) { return pair_lanes(row, next); }

// `value` of row k into the packed row that holds it.
SUNHWAN_INLINE void put_packed(float* row, int64_t k, int64_t column, float value) {
  typedef uint16_t half __attribute__((may_alias));
  const __m128bh rounded = _mm_cvtneps_pbh(_mm_set_ss(value));
  reinterpret_cast<half*>(row + column)[k % 2] = half(_mm_cvtsi128_si32((__m128i)rounded));
}

// The first n lanes from memory, 0 in the others, for any n.
SUNHWAN_INLINE vf load_first(const float* from, int64_t n) {
  if (n >= kLanes) return load(from);
  if (n <= 0) return vf{};
  return (vf)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), from);
}

// from[0] .. from[n - 1] in pairs, and zeros up to a whole register.
SUNHWAN_INLINE void round_row(const float* from, int64_t n, uint32_t* to) {
  for (int64_t k = 0; k < n; k += 2 * kLanes) {
    const vf low = load_first(from + k, n - k),
             high = load_first(from + k + kLanes, n - k - kLanes);
    _mm512_store_si512(to + k / 2, (__m512i)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low));
  }
}

// sum[r][n] += pairs of a[r] times those of `panel`, packed [pair][N][lane].
template <int M, int N>
SUNHWAN_INLINE void multiply_pairs(vf (&sum)[M][N], const uint32_t* const (&a)[M], int64_t step,
                                   int64_t pairs, const float* panel) {
  for (int64_t k = 0; k < pairs; ++k, panel += N * kLanes) {
    if constexpr (N <= M) {
      vf w[N];
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n) w[n] = load(panel + n * kLanes);
#pragma GCC unroll 8
      for (int r = 0; r < M; ++r) {
        const vf x = splat_pair(a[r] + k * step);
#pragma GCC unroll 8
        for (int n = 0; n < N; ++n) sum[r][n] = dot_pairs(sum[r][n], x, w[n]);
      }
    } else {
      vf x[M];
#pragma GCC unroll 8
      for (int r = 0; r < M; ++r) x[r] = splat_pair(a[r] + k * step);
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n) {
        const vf w = load(panel + n * kLanes);
#pragma GCC unroll 8
        for (int r = 0; r < M; ++r) sum[r][n] = dot_pairs(sum[r][n], x[r], w);
      }
    }
  }
}

// sum[r][n] += sum over k < K of a[r][k] * panel[k][n], panel packed [K / 2][N][lane] in pairs.
template <int M, int N>
SUNHWAN_INLINE void multiply(vf (&sum)[M][N], const float* const (&a)[M], int64_t K,
                             const float* panel) {
  alignas(64) uint32_t rounded[M][kRounded / 2];
  const uint32_t* rows[M];
  for (int r = 0; r < M; ++r) rows[r] = rounded[r];
  for (int64_t k = 0; k < K; k += kRounded) {
    const int64_t n = K - k < kRounded ? K - k : kRounded;
    for (int r = 0; r < M; ++r) round_row(a[r] + k, n, rounded[r]);
    multiply_pairs<M, N>(sum, rows, 1, packed_rows(n), panel + k / 2 * N * kLanes);
  }
}

// sum[r][n] += sum over k < K of a[r][n * stride + k] * panel[k][n]: each column has rows of its
// own.
template <int M, int N>
SUNHWAN_INLINE void multiply_each(vf (&sum)[M][N], const float* const (&a)[M], int64_t stride,
                                  int64_t K, const float* panel) {
  alignas(64) uint32_t rounded[M][N][kRounded / 2];
  for (int64_t first = 0; first < K; first += kRounded) {
    const int64_t count = K - first < kRounded ? K - first : kRounded;
    for (int r = 0; r < M; ++r) {
      for (int n = 0; n < N; ++n) round_row(a[r] + n * stride + first, count, rounded[r][n]);
    }
    for (int64_t k = 0; k < packed_rows(count); ++k, panel += N * kLanes) {
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n) {
        const vf w = load(panel + n * kLanes);
#pragma GCC unroll 8
        for (int r = 0; r < M; ++r) {
          sum[r][n] = dot_pairs(sum[r][n], splat_pair(rounded[r][n] + k), w);
        }
      }
    }
  }
}

// Pairs of row-steps of the inputs of a gradient of weights: to[i / 16][pair][i % 16] holds what
// a[2 * pair][i] and a[2 * pair + 1][i] are, i < rows.
SUNHWAN_INLINE void pair_inputs(const float* const* a, int64_t at, int64_t rows, int64_t Q,
                                uint32_t* to) {
  const int64_t pairs = packed_rows(Q);
  for (int64_t p = 0; p < pairs; ++p) {
    const float* const even = a[2 * p] + at;
    const float* const odd = 2 * p + 1 < Q ? a[2 * p + 1] + at : nullptr;
    for (int64_t i = 0; i < rows; i += kLanes) {
      const vf second = odd == nullptr ? vf{} : load_first(odd + i, rows - i);
      _mm512_store_si512(to + (i / kLanes * pairs + p) * kLanes,
                         (__m512i)pair_lanes(load_first(even + i, rows - i), second));
    }
  }
}

// The same of `vectors` vectors of their gate gradients: to[pair][vector][lane].
SUNHWAN_INLINE void pair_gradients(const float* z, int64_t ld, int64_t vectors, int64_t Q,
                                   float* to) {
  for (int64_t q = 0; q < Q; q += 2, z += 2 * ld) {
    for (int64_t v = 0; v < vectors; ++v, to += kLanes) {
      const vf second = q + 1 < Q ? load(z + ld + v * kLanes) : vf{};
      store(to, pair_lanes(load(z + v * kLanes), second));
    }
  }
}

// out[i][0 .. N) += the pairs of row-steps of inputs i .. i + M - 1 times those of the gradients.
template <int M, int N>
SUNHWAN_INLINE void add_pairs(const uint32_t* inputs, int64_t first, const float* gradients,
                              int64_t pairs, float* out, int64_t ldo) {
  const uint32_t* rows[M];
  vf sum[M][N];
  for (int i = 0; i < M; ++i) {
    rows[i] = inputs + (first + i) / kLanes * pairs * kLanes + (first + i) % kLanes;
    for (int n = 0; n < N; ++n) sum[i][n] = load(out + i * ldo + n * kLanes);
  }
  multiply_pairs<M, N>(sum, rows, kLanes, pairs, gradients);
  for (int i = 0; i < M; ++i)
    for (int n = 0; n < N; ++n) store(out + i * ldo + n * kLanes, sum[i][n]);
}

// out[i][column] += sum over q < Q of a[q][at + i] * z[q][column], i < rows, columns of `vectors`
// vectors, in panels of up to 4. Rows of z are ld apart, those of out ldo.
SUNHWAN_OUTLINE void add_products(const float* const* a, int64_t at, int64_t rows, const float* z,
                                  int64_t ld, int64_t vectors, int64_t Q, float* out, int64_t ldo) {
  alignas(64) uint32_t inputs[kPairRows * kPairs];
  alignas(64) float gradients[kPairs * 4 * kLanes];
  const int64_t panels = (vectors + 3) / 4;
  for (int64_t q = 0; q < Q; q += 2 * kPairs) {
    const int64_t count = Q - q < 2 * kPairs ? Q - q : 2 * kPairs;
    for (int64_t i = 0; i < rows; i += kPairRows) {
      const int64_t near = rows - i < kPairRows ? rows - i : kPairRows;
      pair_inputs(a + q, at + i, near, count, inputs);
      for (int64_t j = 0; j < panels; ++j) {
        const int64_t v = vectors * j / panels, width = vectors * (j + 1) / panels - v;
        pair_gradients(z + q * ld + v * kLanes, ld, width, count, gradients);
        float* const to = out + i * ldo + v * kLanes;
        with_const<4>(width, [&](auto n) __attribute__((always_inline)) {
          constexpr int N = decltype(n)::value;
          row_groups<kMostRows<N>>(near, [&](auto m, int64_t r) __attribute__((always_inline)) {
            add_pairs<decltype(m)::value, N>(inputs, r, gradients, packed_rows(count), to + r * ldo,
                                             ldo);
          });
        });
      }
    }
  }
}

}  // namespace SUNHWAN_ISA_NAMESPACE
}  // namespace sunhwan
