// Small matrix products whose sums stay in registers.
//
// A tile is M rows by N vectors: M * N accumulators, enough independent chains to hide the latency
// of the multiply-add. Every element is summed over k = 0, 1, 2, ... in that order whatever M and N
// are, so results do not depend on how rows are grouped, nor on the batch size.
#pragma once

#include "vec.h"

namespace sunhwan {
namespace SUNHWAN_ISA_NAMESPACE {

#if SUNHWAN_LANES == 16 || defined(__aarch64__)
constexpr int kRegisters = 32;
#else
constexpr int kRegisters = 16;
#endif

// Most rows of a tile that is N vectors wide, so that accumulators and operands fit the registers.
template <int N>
constexpr int kMostRows = (kRegisters - 1 - N) / N > 8   ? 8
                          : (kRegisters - 1 - N) / N < 3 ? 3
                                                         : (kRegisters - 1 - N) / N;

template <int Value>
struct Const {
  static constexpr int value = Value;
};

// Calls body(Const<n>) for the run-time n in 1..Most.
template <int Most, class Body>
SUNHWAN_INLINE void with_const(int64_t n, Body&& body) {
  if constexpr (Most == 1) {
    body(Const<1>{});
  } else {
    if (n == Most) {
      body(Const<Most>{});
    } else {
      with_const<Most - 1>(n, body);
    }
  }
}

// Cuts n rows into groups of nearly equal size, at most Most, and calls body(Const<size>, first).
template <int Most, class Body>
SUNHWAN_INLINE void row_groups(int64_t n, Body&& body) {
  int64_t groups = (n + Most - 1) / Most;
  for (int64_t first = 0; groups > 0; --groups) {
    const int64_t size = (n - first + groups - 1) / groups;
    with_const<Most>(size, [&](auto m) __attribute__((always_inline)) { body(m, first); });
    first += size;
  }
}

#if defined(SUNHWAN_BFLOAT16)
}  // namespace SUNHWAN_ISA_NAMESPACE
}  // namespace sunhwan
#include "tile_bfloat16.h"
#else

// Rows of a matrix that a packed one has in a row of its own, and how many rows K of them make.
constexpr int kRowsPacked = 1;
SUNHWAN_INLINE constexpr int64_t packed_rows(int64_t K) { return K; }
SUNHWAN_INLINE vf packed(vf row, vf) { return row; }
SUNHWAN_INLINE void put_packed(float* row, int64_t, int64_t column, float value) {
  row[column] = value;
}

// sum[r][n] += sum over k < K of a[r][k] * panel[k][n], panel packed [K][N][lane].
template <int M, int N>
SUNHWAN_INLINE void multiply(vf (&sum)[M][N], const float* const (&a)[M], int64_t K,
                             const float* panel) {
  for (int64_t k = 0; k < K; ++k, panel += N * kLanes) {
    if constexpr (N <= M) {
      vf w[N];
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n) w[n] = load(panel + n * kLanes);
#pragma GCC unroll 8
      for (int r = 0; r < M; ++r) {
        const vf x = splat(a[r][k]);
#pragma GCC unroll 8
        for (int n = 0; n < N; ++n) sum[r][n] += x * w[n];
      }
    } else {
      vf x[M];
#pragma GCC unroll 8
      for (int r = 0; r < M; ++r) x[r] = splat(a[r][k]);
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n) {
        const vf w = load(panel + n * kLanes);
#pragma GCC unroll 8
        for (int r = 0; r < M; ++r) sum[r][n] += x[r] * w;
      }
    }
  }
}

// sum[r][n] += sum over k < K of a[r][n * stride + k] * panel[k][n]: each column has rows of its
// own.
template <int M, int N>
SUNHWAN_INLINE void multiply_each(vf (&sum)[M][N], const float* const (&a)[M], int64_t stride,
                                  int64_t K, const float* panel) {
  for (int64_t k = 0; k < K; ++k, panel += N * kLanes) {
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) {
      const vf w = load(panel + n * kLanes);
#pragma GCC unroll 8
      for (int r = 0; r < M; ++r) sum[r][n] += splat(a[r][n * stride + k]) * w;
    }
  }
}

// out[i][0 .. N) += sum over q < Q of a[q][i] * b[q * ldb + 0 .. N vectors), i < M: a gradient of
// weights, a[q] the input of row-step q and b its gate gradients. `out` rows are `ldo` apart.
template <int M, int N>
SUNHWAN_INLINE void multiply_transposed(const float* const* a, int64_t first, const float* b,
                                        int64_t ldb, int64_t Q, float* out, int64_t ldo) {
  vf sum[M][N];
#pragma GCC unroll 8
  for (int i = 0; i < M; ++i)
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) sum[i][n] = load(out + i * ldo + n * kLanes);
  for (int64_t q = 0; q < Q; ++q, b += ldb) {
    const float* row = a[q] + first;
    vf w[N];
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) w[n] = load(b + n * kLanes);
#pragma GCC unroll 8
    for (int i = 0; i < M; ++i) {
      const vf x = splat(row[i]);
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n) sum[i][n] += x * w[n];
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < M; ++i)
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) store(out + i * ldo + n * kLanes, sum[i][n]);
}

// out[i][column] += sum over q < Q of a[q][at + i] * z[q][column], i < rows, columns of `vectors`
// vectors, in panels of up to 4. Rows of z are ld apart, those of out ldo.
SUNHWAN_OUTLINE void add_products(const float* const* a, int64_t at, int64_t rows, const float* z,
                                  int64_t ld, int64_t vectors, int64_t Q, float* out, int64_t ldo) {
  const int64_t panels = (vectors + 3) / 4;
  for (int64_t j = 0; j < panels; ++j) {
    const int64_t v = vectors * j / panels, width = vectors * (j + 1) / panels - v;
    with_const<4>(width, [&](auto n) __attribute__((always_inline)) {
      constexpr int N = decltype(n)::value;
      row_groups<kMostRows<N>>(rows, [&](auto m, int64_t i) __attribute__((always_inline)) {
        multiply_transposed<decltype(m)::value, N>(a, at + i, z + v * kLanes, ld, Q,
                                                   out + i * ldo + v * kLanes, ldo);
      });
    });
  }
}

}  // namespace SUNHWAN_ISA_NAMESPACE
}  // namespace sunhwan
#endif
