// SimpleRNN (Elman 1990): h' = f(W x + U h + b).
#pragma once

#include "segment.h"

namespace sunhwan {
namespace SUNHWAN_ISA_NAMESPACE {

struct SimpleRnn {
  static constexpr int kInput = 0, kRecurrent = 0, kRecurrentBlocks = 1;  // segment.h

  template <bool Keep, bool Scaled>
  SUNHWAN_INLINE void step(const Context& x, int64_t s) {
    const Layout& l = x.l;
    const Chunk& c = x.chunk;
    const int64_t first = c.offset[s], live = c.offset[s + 1] - first;
    const bool keeps = Keep && x.l.remembers_z;  // zoneout may change what lies at `next`
    for (int64_t j = x.team.begin(l.units.count); j < x.team.end(l.units.count); ++j) {
      const int64_t begin = l.units.begin(j) * kLanes;
      const float* panel = x.w.recurrent + packed_rows(x.p.H) * begin;
      with_const<4>(l.units.width(j), [&](auto n) __attribute__((always_inline)) {
        constexpr int N = decltype(n)::value;
        row_groups<kMostRows<N>>(live, [&](auto m, int64_t i) __attribute__((always_inline)) {
          constexpr int M = decltype(m)::value;
          const float* rows[M];
          vf sum[M][N];
          for (int r = 0; r < M; ++r) {
            rows[r] = recurrent_row<Scaled>(x, first + i + r);
            const float* wx = c.wx_row[first + i + r] + begin;
            for (int v = 0; v < N; ++v) sum[r][v] = load(wx + v * kLanes);
          }
          multiply<M, N>(sum, rows, x.p.H, panel);
          for (int r = 0; r < M; ++r) {
            apply<N>(x.activation, sum[r]);
            const int64_t q = first + i + r;
            float* next = c.h + c.next(l, s, q) + begin;
            for (int v = 0; v < N; ++v) {
              store(next + v * kLanes, sum[r][v]);
              if (keeps) store(c.z + q * l.ld + begin + v * kLanes, sum[r][v]);
            }
          }
        });
      });
    }
  }

  // dh of live rows becomes the gradient of the gate sums, in z; what flows on directly is 0.
  SUNHWAN_INLINE void step_back(const Context& x, int64_t s) {
    const Layout& l = x.l;
    const Chunk& c = x.chunk;
    const int64_t begin = x.team.begin(l.states.vectors) * kLanes;
    const int64_t end = x.team.end(l.states.vectors) * kLanes;
    for (int64_t q = c.offset[s]; q < c.offset[s + 1]; ++q) {
      float* dh = c.dh + c.live[q] * l.Hp;
      float* z = c.z + q * l.ld;
      const float* made = l.remembers_z ? z : c.h + c.next(l, s, q);
      for (int64_t u = begin; u < end; u += kLanes) {
        store(z + u, load(dh + u) * slope(x.activation, load(made + u)));
        store(dh + u, vf{});
      }
    }
  }
};

}  // namespace SUNHWAN_ISA_NAMESPACE
}  // namespace sunhwan
