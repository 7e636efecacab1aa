// GRU (Cho et al. 2014): z, r = s(W x + U h + b)   h' = z h + (1 - z) h~, with
//   reset after (cuDNN's form)   h~ = t(W x + b + r (U h + b'))
//   reset before (the paper's)   h~ = t(W x + b + U (r h))
#pragma once

#include "segment.h"

namespace sunhwan {
namespace SUNHWAN_ISA_NAMESPACE {

SUNHWAN_INLINE vf one() { return splat(1.0f); }

struct GruResetAfter {
  static constexpr int kInput = 0, kRecurrent = 1, kRecurrentBlocks = 3;  // segment.h

  template <bool Keep, bool Scaled>
  SUNHWAN_INLINE void step(const Context& x, int64_t s) {
    const Layout& l = x.l;
    const Chunk& c = x.chunk;
    const int64_t first = c.offset[s], live = c.offset[s + 1] - first;
    for (int64_t j = x.team.begin(l.units.count); j < x.team.end(l.units.count); ++j) {
      const int64_t u = j * kLanes;
      const float* panel = x.w.recurrent + packed_rows(x.p.H) * u * 3;
      const vf bias = load(x.w.bias + l.gates * l.Hp + u);  // recurrent bias of h
      row_groups<kMostRows<3>>(live, [&](auto m, int64_t i) __attribute__((always_inline)) {
        constexpr int M = decltype(m)::value;
        const float* rows[M];
        vf sum[M][3], zr[2 * M], candidate[M];
        for (int r = 0; r < M; ++r) {
          rows[r] = recurrent_row<Scaled>(x, first + i + r);
          const float* wx = c.wx_row[first + i + r] + u;
          sum[r][0] = load(wx + l.Hp);
          sum[r][1] = load(wx + 2 * l.Hp);
          sum[r][2] = bias;
        }
        recurrent_product<Scaled>(x, sum, rows, panel);
        for (int r = 0; r < M; ++r) {
          zr[r] = sum[r][0];
          zr[M + r] = sum[r][1];
        }
        apply<2 * M>(x.recurrent_activation, zr);
        for (int r = 0; r < M; ++r) {
          candidate[r] = load(c.wx_row[first + i + r] + u) + zr[M + r] * sum[r][2];
        }
        apply<M>(x.activation, candidate);
        for (int r = 0; r < M; ++r) {
          const vf h = load(c.h_row[first + i + r] + u);
          store(c.h + c.next(l, s, first + i + r) + u, zr[r] * h + (one() - zr[r]) * candidate[r]);
          if constexpr (Keep) {
            float* z = c.z + (first + i + r) * l.ld + u;
            store(z, candidate[r]);
            store(z + l.Hp, zr[r]);
            store(z + 2 * l.Hp, zr[M + r]);
            store(z + 3 * l.Hp, sum[r][2]);
          }
        }
      });
    }
  }

  SUNHWAN_INLINE void step_back(const Context& x, int64_t s) {
    const Layout& l = x.l;
    const Chunk& c = x.chunk;
    const Gate ra = x.recurrent_activation;
    const int64_t begin = x.team.begin(l.states.vectors) * kLanes;
    const int64_t end = x.team.end(l.states.vectors) * kLanes;
    for (int64_t q = c.offset[s]; q < c.offset[s + 1]; ++q) {
      float* dh = c.dh + c.live[q] * l.Hp;
      for (int64_t u = begin; u < end; u += kLanes) {
        float* at = c.z + q * l.ld + u;
        const vf g = load(at), z = load(at + l.Hp), r = load(at + 2 * l.Hp),
                 recurrent = load(at + 3 * l.Hp), dy = load(dh + u), h = load(c.h_row[q] + u);
        const vf dg = dy * (one() - z) * slope(x.activation, g);
        store(at, dg);
        store(at + l.Hp, dy * (h - g) * slope(ra, z));
        store(at + 2 * l.Hp, dg * recurrent * slope(ra, r));
        store(at + 3 * l.Hp, dg * r);
        store(dh + u, dy * z);
      }
    }
  }
};

struct GruResetBefore {
  // segment.h; h's part of the state gradient is done in step_back
  static constexpr int kInput = 0, kRecurrent = 1, kRecurrentBlocks = 2;

  template <bool Keep, bool Scaled>
  SUNHWAN_INLINE void step(const Context& x, int64_t s) {
    gates<Scaled>(x, s);
    x.team.sync();  // the candidate needs r * h of every unit
    candidate<Keep>(x, s);
  }

  // What of the state before row-step q the reset gate multiplies.
  SUNHWAN_INLINE const float* candidate_row(const Context& x, int64_t q) {
    return x.l.state_ld == 0 ? x.chunk.h_row[q] : x.chunk.scaled_h + q * x.l.state_ld + 2 * x.l.Hp;
  }

  // z and r into their blocks, r * h into the last.
  template <bool Scaled>
  SUNHWAN_INLINE void gates(const Context& x, int64_t s) {
    const Layout& l = x.l;
    const Chunk& c = x.chunk;
    const int64_t first = c.offset[s], live = c.offset[s + 1] - first;
    for (int64_t j = x.team.begin(l.units.count); j < x.team.end(l.units.count); ++j) {
      const int64_t u = j * kLanes;
      row_groups<kMostRows<2>>(live, [&](auto m, int64_t i) __attribute__((always_inline)) {
        constexpr int M = decltype(m)::value;
        const float* rows[M];
        vf sum[M][2], zr[2 * M];
        for (int r = 0; r < M; ++r) {
          rows[r] = recurrent_row<Scaled>(x, first + i + r);
          const float* wx = c.wx_row[first + i + r] + u;
          sum[r][0] = load(wx + l.Hp);
          sum[r][1] = load(wx + 2 * l.Hp);
        }
        recurrent_product<Scaled>(x, sum, rows, x.w.recurrent + packed_rows(x.p.H) * u * 2);
        for (int r = 0; r < M; ++r) {
          zr[r] = sum[r][0];
          zr[M + r] = sum[r][1];
        }
        apply<2 * M>(x.recurrent_activation, zr);
        for (int r = 0; r < M; ++r) {
          float* z = c.z + (first + i + r) * l.ld + u;
          store(z + l.Hp, zr[r]);
          store(z + 2 * l.Hp, zr[M + r]);
          store(z + 3 * l.Hp, zr[M + r] * load(candidate_row(x, first + i + r) + u));
        }
      });
    }
  }

  template <bool Keep>
  SUNHWAN_INLINE void candidate(const Context& x, int64_t s) {
    const Layout& l = x.l;
    const Chunk& c = x.chunk;
    const int64_t first = c.offset[s], live = c.offset[s + 1] - first;
    const float* packed = x.w.recurrent + 2 * x.p.H * l.Hp;  // h's tiles come after those of z r
    for (int64_t j = x.team.begin(l.units.count); j < x.team.end(l.units.count); ++j) {
      const int64_t u = j * kLanes;
      row_groups<kMostRows<1>>(live, [&](auto m, int64_t i) __attribute__((always_inline)) {
        constexpr int M = decltype(m)::value;
        const float* rows[M];
        vf sum[M][1], g[M];
        for (int r = 0; r < M; ++r) {
          rows[r] = c.z + (first + i + r) * l.ld + 3 * l.Hp;
          sum[r][0] = load(c.wx_row[first + i + r] + u);
        }
        multiply<M, 1>(sum, rows, x.p.H, packed + packed_rows(x.p.H) * u);
        for (int r = 0; r < M; ++r) g[r] = sum[r][0];
        apply<M>(x.activation, g);
        for (int r = 0; r < M; ++r) {
          float* at = c.z + (first + i + r) * l.ld + u;
          const vf z = load(at + l.Hp), h = load(c.h_row[first + i + r] + u);
          store(c.h + c.next(l, s, first + i + r) + u, z * h + (one() - z) * g[r]);
          if constexpr (Keep) store(at, g[r]);
        }
      });
    }
  }

  SUNHWAN_INLINE void step_back(const Context& x, int64_t s) {
    const Layout& l = x.l;
    const Chunk& c = x.chunk;
    const Gate ra = x.recurrent_activation;
    const int64_t begin = x.team.begin(l.states.vectors) * kLanes;
    const int64_t end = x.team.end(l.states.vectors) * kLanes;
    const int64_t first = c.offset[s], live = c.offset[s + 1] - first;
    for (int64_t q = first; q < first + live; ++q) {
      float* dh = c.dh + c.live[q] * l.Hp;
      for (int64_t u = begin; u < end; u += kLanes) {
        float* at = c.z + q * l.ld + u;
        const vf g = load(at), z = load(at + l.Hp), dy = load(dh + u), h = load(c.h_row[q] + u);
        store(at, dy * (one() - z) * slope(x.activation, g));
        store(at + l.Hp, dy * (h - g) * slope(ra, z));
        store(dh + u, dy * z);
      }
    }
    x.team.sync();  // d(r h) needs the candidate's gradient of every unit
    const float* packed = x.w.recurrent_t + 2 * l.Hp * l.Hp;
    for (int64_t j = x.team.begin(l.states.vectors); j < x.team.end(l.states.vectors); ++j) {
      const int64_t u = j * kLanes;
      row_groups<kMostRows<1>>(live, [&](auto m, int64_t i) __attribute__((always_inline)) {
        constexpr int M = decltype(m)::value;
        const float* rows[M];
        vf sum[M][1];
        for (int r = 0; r < M; ++r) {
          rows[r] = c.z + (first + i + r) * l.ld;
          sum[r][0] = vf{};
        }
        multiply<M, 1>(sum, rows, l.Hp, packed + packed_rows(l.Hp) * u);
        for (int r = 0; r < M; ++r) {
          const int64_t q = first + i + r;
          float* at = c.z + q * l.ld + u;
          float* dh = c.dh + c.live[q] * l.Hp + u;
          const vf reset = load(at + 2 * l.Hp);
          store(at + 2 * l.Hp, sum[r][0] * load(candidate_row(x, q) + u) * slope(ra, reset));
          vf through = sum[r][0] * reset;
          if (l.state_ld != 0) through *= state_scale(x, c.live[q], 2, u);
          store(dh, load(dh) + through);
        }
      });
    }
  }
};

}  // namespace SUNHWAN_ISA_NAMESPACE
}  // namespace sunhwan
