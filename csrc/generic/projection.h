// Projected LSTM (Sak, Senior and Beaufays 2014): the output is r = m W_r with m = o t(c), of P
// units, and r stands for h in the next step. A step leaves m in its gate record; the way back puts
// the gradient of r behind it.
#pragma once

#include "segment.h"

namespace sunhwan {
namespace SUNHWAN_ISA_NAMESPACE {

// Of row-step q: m, and on the way back the gradient of r; float[Hp] each.
SUNHWAN_INLINE float* before_projection(const Context& x, int64_t q) {
  return x.chunk.z + q * x.l.ld + 5 * x.l.Hp;
}
SUNHWAN_INLINE float* projection_gradient_of(const Context& x, int64_t q) {
  return before_projection(x, q) + x.l.Hp;
}

// Panels of W_r, over P columns, and for the way back of its transpose, over H, in packed rows
// (tile.h); a row that one of them lacks is 0.
SUNHWAN_INLINE void pack_projection(const Problem& p, const Layout& l, const Weights& w,
                                    bool backward) {
  for (int64_t j = 0; w.projection != nullptr && j < l.outputs.count; ++j) {
    const int64_t begin = l.outputs.begin(j), end = l.outputs.begin(j + 1);
    float* out = w.projection + packed_rows(p.H) * begin * kLanes;
    for (int64_t k = 0; k < p.H; k += kRowsPacked) {
      const float* row = p.projection + k * p.P;
      const bool has_next = kRowsPacked == 2 && k + 1 < p.H;
      for (int64_t v = begin; v < end; ++v, out += kLanes) {
        const vf next = has_next ? load_columns(row + p.P, v * kLanes, p.P) : vf{};
        store(out, packed(load_columns(row, v * kLanes, p.P), next));
      }
    }
  }
  for (int64_t j = 0; backward && j < l.states.count; ++j) {
    const int64_t begin = l.states.begin(j) * kLanes, end = l.states.begin(j + 1) * kLanes;
    float* out = w.projection_t + packed_rows(p.P) * begin;
    for (int64_t k = 0; k < packed_rows(p.P) * kRowsPacked; ++k) {
      for (int64_t u = begin; u < end; ++u) {
        put_packed(out, k, u - begin, u < p.H && k < p.P ? p.projection[u * p.P + k] : 0.0f);
      }
      if ((k + 1) % kRowsPacked == 0) out += end - begin;
    }
  }
}

// to(q) = from(q) times a packed matrix of K rows, for the live rows of step s.
template <class From, class To>
SUNHWAN_INLINE void multiply_step(const Context& x, int64_t s, const Panels& panels, int64_t K,
                                  const float* packed, const From& from, const To& to) {
  const Chunk& c = x.chunk;
  const int64_t first = c.offset[s], live = c.offset[s + 1] - first;
  for (int64_t j = x.team.begin(panels.count); j < x.team.end(panels.count); ++j) {
    const int64_t u = panels.begin(j) * kLanes;
    with_const<4>(panels.width(j), [&](auto n) __attribute__((always_inline)) {
      constexpr int N = decltype(n)::value;
      row_groups<kMostRows<N>>(live, [&](auto m, int64_t i) __attribute__((always_inline)) {
        constexpr int M = decltype(m)::value;
        const float* rows[M];
        vf sum[M][N] = {};
        for (int r = 0; r < M; ++r) rows[r] = from(first + i + r);
        multiply<M, N>(sum, rows, K, packed + packed_rows(K) * u);
        for (int r = 0; r < M; ++r) {
          for (int v = 0; v < N; ++v) store(to(first + i + r) + u + v * kLanes, sum[r][v]);
        }
      });
    });
  }
}

// What step s left as m becomes its state. Meets the team before.
SUNHWAN_OUTLINE void project_states(const Context& x, int64_t s) {
  x.team.sync();
  multiply_step(
      x, s, x.l.outputs, x.p.H, x.w.projection, [&](int64_t q) { return before_projection(x, q); },
      [&](int64_t q) { return x.chunk.h + x.chunk.next(x.l, s, q); });
}

// Before a step back, dh of live rows, the gradient of r, is put aside, and becomes that of m.
// Meets the team in between and after.
SUNHWAN_OUTLINE void unproject_gradient(const Context& x, int64_t s) {
  const Chunk& c = x.chunk;
  const auto dh = [&](int64_t q) { return c.dh + c.live[q] * x.l.Hp; };
  const auto dr = [&](int64_t q) { return projection_gradient_of(x, q); };
  const int64_t begin = x.team.begin(x.l.states.vectors) * kLanes;
  const int64_t end = x.team.end(x.l.states.vectors) * kLanes;
  for (int64_t q = c.offset[s]; q < c.offset[s + 1]; ++q) {
    copy_floats(dr(q) + begin, dh(q) + begin, end - begin);
  }
  x.team.sync();
  multiply_step(x, s, x.l.states, x.p.P, x.w.projection_t, dr, dh);
  x.team.sync();
}

// sums[i][column] += m[q][i] dr[q][column] over the segment: the gradient of W_r, [H, Pp]. `m` is
// where row-steps look for their rows.
SUNHWAN_INLINE void projection_gradient(const Context& x, const float* const* m, float* sums) {
  const int64_t vectors = x.l.outputs.vectors;
  const int64_t begin = x.team.begin(vectors), end = x.team.end(vectors);
  add_products(m, 0, x.p.H, projection_gradient_of(x, 0) + begin * kLanes, x.l.ld, end - begin,
               x.chunk.offset[x.chunk.steps], sums + begin * kLanes, vectors * kLanes);
}

// Row i of the gradient of W_r: to[P] = the slots' sums, in order, each `stride` behind the last.
SUNHWAN_INLINE void collect_projection(const Problem& p, const Layout& l, const float* sums,
                                       int64_t slots, int64_t stride, int64_t i, float* to) {
  const float* from = sums + i * l.outputs.vectors * kLanes;
  for (int64_t u = 0; u < p.P; u += kLanes) {
    vf sum = load(from + u);
    for (int64_t n = 1; n < slots; ++n) sum += load(from + n * stride + u);
    const int64_t left = p.P - u;
    store_partial(to + u, sum, left < kLanes ? int(left) : kLanes);
  }
}

}  // namespace SUNHWAN_ISA_NAMESPACE
}  // namespace sunhwan
