// LSTM (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000):
//   i, f, o = s(W x + U h + b)   c~ = t(W x + U h + b)   c' = f c + i c~   h' = o t(c')
// With peepholes (Gers et al. 2002) i and f see c too, and o sees c'. Where h is projected
// (projection.h) a step ends with o t(c'), and a step back begins with its gradient in dh.
#pragma once

#include "projection.h"

namespace sunhwan {
namespace SUNHWAN_ISA_NAMESPACE {

struct Lstm {
  static constexpr int kInput = 0, kRecurrent = 0, kRecurrentBlocks = 4;  // segment.h

  template <bool Keep, bool Scaled>
  SUNHWAN_INLINE void step(const Context& x, int64_t s) {
    const Layout& l = x.l;
    const Chunk& c = x.chunk;
    const int64_t first = c.offset[s], live = c.offset[s + 1] - first;
    for (int64_t j = x.team.begin(l.units.count); j < x.team.end(l.units.count); ++j) {
      const int64_t u = j * kLanes;
      const float* panel = x.w.recurrent + packed_rows(x.p.P) * u * 4;
      row_groups<kMostRows<4>>(live, [&](auto m, int64_t i) __attribute__((always_inline)) {
        constexpr int M = decltype(m)::value;
        const float* rows[M];
        vf sum[M][4];
        for (int r = 0; r < M; ++r) {
          rows[r] = recurrent_row<Scaled>(x, first + i + r);
          const float* wx = c.wx_row[first + i + r] + u;
          for (int g = 0; g < 4; ++g) sum[r][g] = load(wx + g * l.Hp);
        }
        recurrent_product<Scaled>(x, sum, rows, panel);
        finish<M, Keep>(x, sum, s, first + i, u);
      });
    }
  }

  template <int M, bool Keep>
  SUNHWAN_INLINE void finish(const Context& x, vf (&sum)[M][4], int64_t s, int64_t q, int64_t u) {
    const Chunk& c = x.chunk;
    const bool peeps = x.p.peephole != nullptr;
    const Peepholes peep = peepholes(x, u);
    vf gate[2 * M], candidate[M], output[M], out[M];
    for (int r = 0; r < M; ++r) {
      gate[r] = sum[r][0];
      gate[M + r] = sum[r][1];
      candidate[r] = sum[r][2];
      output[r] = sum[r][3];
    }
    if (peeps) {
      for (int r = 0; r < M; ++r) {
        const vf before = load(cell_before(c, q + r) + u);
        gate[r] += peep.i * before;
        gate[M + r] += peep.f * before;
      }
    }
    apply<2 * M>(x.recurrent_activation, gate);
    apply<M>(x.activation, candidate);
    for (int r = 0; r < M; ++r) {
      out[r] = gate[M + r] * load(cell_before(c, q + r) + u) + gate[r] * candidate[r];
      if (peeps) output[r] += peep.o * out[r];
      store(c.c + c.next(x.l, s, q + r) + u, out[r]);
    }
    apply<M>(x.recurrent_activation, output);
    apply<M>(x.activation, out);
    for (int r = 0; r < M; ++r) {
      float* to = x.p.projects() ? before_projection(x, q + r) : c.h + c.next(x.l, s, q + r);
      store(to + u, output[r] * out[r]);
      if constexpr (Keep) {
        float* z = c.z + (q + r) * x.l.ld + u;
        store(z, gate[r]);
        store(z + x.l.Hp, gate[M + r]);
        store(z + 2 * x.l.Hp, candidate[r]);
        store(z + 3 * x.l.Hp, output[r]);
        store(z + 4 * x.l.Hp, out[r]);
      }
    }
  }

  // The cell of row-step q before the step, float[Hp].
  SUNHWAN_INLINE float* cell_before(const Chunk& c, int64_t q) { return c.c + (c.h_row[q] - c.h); }

  // Weights from the cell to the gates, zero without peepholes.
  struct Peepholes {
    vf i, f, o;
  };
  SUNHWAN_INLINE Peepholes peepholes(const Context& x, int64_t u) {
    const float* second = x.w.bias + 4 * x.l.Hp + u;
    return {load(second), load(second + x.l.Hp), load(second + 3 * x.l.Hp)};
  }

  // From dh and dc of live rows to the gradients of the gate sums, in place of the gates; dc
  // becomes the gradient of the cell before the step, dh what flows on directly: 0. With peepholes
  // the last block then holds the gradient of o's sum times the new cell.
  SUNHWAN_INLINE void step_back(const Context& x, int64_t s) {
    const Layout& l = x.l;
    const Chunk& c = x.chunk;
    const Gate ra = x.recurrent_activation, a = x.activation;
    const bool peeps = x.p.peephole != nullptr;
    const int64_t begin = x.team.begin(l.states.vectors) * kLanes;
    const int64_t end = x.team.end(l.states.vectors) * kLanes;
    for (int64_t q = c.offset[s]; q < c.offset[s + 1]; ++q) {
      float* dh = c.dh + c.live[q] * l.Hp;
      float* dc = c.dc + c.live[q] * l.Hp;
      const float* before = cell_before(c, q);
      float* z = c.z + q * l.ld;
      for (int64_t u = begin; u < end; u += kLanes) {
        float* at = z + u;
        const vf i = load(at), f = load(at + l.Hp), g = load(at + 2 * l.Hp),
                 o = load(at + 3 * l.Hp), tc = load(at + 4 * l.Hp), dy = load(dh + u);
        const vf d_o = dy * tc * slope(ra, o), old = load(before + u);
        vf dcell = load(dc + u) + dy * o * slope(a, tc);
        if (peeps) dcell += d_o * peepholes(x, u).o;
        const vf d_i = dcell * g * slope(ra, i), d_f = dcell * old * slope(ra, f);
        vf d_old = dcell * f;
        if (peeps) {
          d_old += d_i * peepholes(x, u).i + d_f * peepholes(x, u).f;
          store(at + 4 * l.Hp, d_o * (f * old + i * g));
        }
        store(at, d_i);
        store(at + l.Hp, d_f);
        store(at + 2 * l.Hp, dcell * i * slope(a, g));
        store(at + 3 * l.Hp, d_o);
        store(dc + u, d_old);
        store(dh + u, vf{});
      }
    }
  }
};

}  // namespace SUNHWAN_ISA_NAMESPACE
}  // namespace sunhwan
