// LSTM (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000):
//   i, f, o = s(W x + U h + b)   c~ = t(W x + U h + b)   c' = f c + i c~   h' = o t(c')
#pragma once

#include "segment.h"

namespace sunhwan {
namespace SUNHWAN_ISA_NAMESPACE {

struct Lstm {
  template <bool Keep>
  SUNHWAN_INLINE void step(const Context& x, int64_t s) {
    const Layout& l = x.l;
    const Chunk& c = x.chunk;
    const int64_t first = c.offset[s], live = c.offset[s + 1] - first, ahead = c.rows * l.Hp;
    for (int64_t j = x.team.begin(l.units.count); j < x.team.end(l.units.count); ++j) {
      const int64_t u = j * kLanes;
      const float* panel = x.w.recurrent + x.p.H * u * 4;
      row_groups<kMostRows<4>>(live, [&](auto m, int64_t i) __attribute__((always_inline)) {
        constexpr int M = decltype(m)::value;
        const float* rows[M];
        vf sum[M][4];
        for (int r = 0; r < M; ++r) {
          rows[r] = c.h_row[first + i + r];
          const float* wx = c.wx_row[first + i + r] + u;
          for (int g = 0; g < 4; ++g) sum[r][g] = load(wx + g * l.Hp);
        }
        multiply<M, 4>(sum, rows, x.p.H, panel);
        finish<M, Keep>(x, sum, rows, first + i, u, ahead);
      });
    }
  }

  template <int M, bool Keep>
  SUNHWAN_INLINE void finish(const Context& x, vf (&sum)[M][4], const float* const (&rows)[M],
                             int64_t q, int64_t u, int64_t ahead) {
    const Chunk& c = x.chunk;
    vf gate[3 * M], candidate[M], cell[M], out[M];
    for (int r = 0; r < M; ++r) {
      gate[r] = sum[r][0];
      gate[M + r] = sum[r][1];
      gate[2 * M + r] = sum[r][3];
      candidate[r] = sum[r][2];
    }
    apply<3 * M>(x.recurrent_activation, gate);
    apply<M>(x.activation, candidate);
    for (int r = 0; r < M; ++r) {
      float* before = c.c + (rows[r] - c.h) + u;
      cell[r] = gate[M + r] * load(before) + gate[r] * candidate[r];
      store(before + ahead, cell[r]);
      out[r] = cell[r];
    }
    apply<M>(x.activation, out);
    for (int r = 0; r < M; ++r) {
      store(const_cast<float*>(rows[r]) + ahead + u, gate[2 * M + r] * out[r]);
      if constexpr (Keep) {
        float* z = c.z + (q + r) * x.l.ld + u;
        store(z, gate[r]);
        store(z + x.l.Hp, gate[M + r]);
        store(z + 2 * x.l.Hp, candidate[r]);
        store(z + 3 * x.l.Hp, gate[2 * M + r]);
        store(z + 4 * x.l.Hp, out[r]);
      }
    }
  }

  // From dh and dc of live rows to the gradients of the gate sums, in place of the gates; dc
  // becomes the gradient of the cell before the step, dh what flows on directly: 0.
  SUNHWAN_INLINE void step_back(const Context& x, int64_t s) {
    const Layout& l = x.l;
    const Chunk& c = x.chunk;
    const Gate ra = x.recurrent_activation, a = x.activation;
    const int64_t begin = x.team.begin(l.states.vectors) * kLanes;
    const int64_t end = x.team.end(l.states.vectors) * kLanes;
    for (int64_t q = c.offset[s]; q < c.offset[s + 1]; ++q) {
      float* dh = c.dh + c.live[q] * l.Hp;
      float* dc = c.dc + c.live[q] * l.Hp;
      const float* cell_before = c.c + (c.h_row[q] - c.h);
      float* z = c.z + q * l.ld;
      for (int64_t u = begin; u < end; u += kLanes) {
        float* at = z + u;
        const vf i = load(at), f = load(at + l.Hp), g = load(at + 2 * l.Hp),
                 o = load(at + 3 * l.Hp), tc = load(at + 4 * l.Hp), dy = load(dh + u);
        const vf dcell = load(dc + u) + dy * o * slope(a, tc);
        store(at, dcell * g * slope(ra, i));
        store(at + l.Hp, dcell * load(cell_before + u) * slope(ra, f));
        store(at + 2 * l.Hp, dcell * i * slope(a, g));
        store(at + 3 * l.Hp, dy * tc * slope(ra, o));
        store(dc + u, dcell * f);
        store(dh + u, vf{});
      }
    }
  }
};

}  // namespace SUNHWAN_ISA_NAMESPACE
}  // namespace sunhwan
