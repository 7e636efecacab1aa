// What forward and backward share: opening a segment, the input product, the steps of a segment.
#pragma once

#include "../chunk.h"
#include "../threads.h"
#include "gates.h"
#include "pack.h"
#include "tile.h"

namespace sunhwan {
namespace SUNHWAN_ISA_NAMESPACE {

// A cell tells which blocks of its gate record become gradients of sums on the way back: from
// kInput on those that meet W^T, and from kRecurrent on kRecurrentBlocks that meet U^T.

// Everything a step function needs to know; one for each thread of a team.
struct Context {
  const Problem& p;
  const Layout& l;
  const Weights& w;
  Chunk& chunk;
  Team& team;
  Gate activation, recurrent_activation;
};

SUNHWAN_INLINE int64_t time_of(const Problem& p, int64_t step) {
  return p.go_backwards ? p.T - 1 - step : step;
}

SUNHWAN_INLINE void copy_floats(float* to, const float* from, int64_t n) {
  __builtin_memcpy(to, from, n * sizeof(float));
}

// A state of the batch, float[B, ld] with so many columns in use (null: zeros), into the chunk's
// padded rows. One thread.
SUNHWAN_INLINE void load_state(const Context& x, const float* from, int64_t columns, int64_t ld,
                               float* to) {
  for (int64_t r = 0; r < x.chunk.rows; ++r, to += x.l.Hp) {
    const float* row = from == nullptr ? nullptr : from + x.chunk.batch_rows[r] * ld;
    for (int64_t u = 0; u < x.l.Hp; u += kLanes) {
      store(to + u, row == nullptr ? vf{} : load_columns(row, u, columns));
    }
  }
}

SUNHWAN_INLINE void store_state(const Context& x, const float* from, int64_t columns, int64_t ld,
                                float* to) {
  if (to == nullptr) return;
  for (int64_t r = 0; r < x.chunk.rows; ++r, from += x.l.Hp) {
    float* row = to + x.chunk.batch_rows[r] * ld;
    copy_floats(row, from, columns);
    __builtin_memset(row + columns, 0, (ld - columns) * sizeof(float));
  }
}

// Lists the live row-steps of segment n. One thread.
SUNHWAN_INLINE void open_segment(const Context& x, int64_t n) {
  Chunk& c = x.chunk;
  if (x.p.reset != nullptr) {
    __builtin_memset(c.zero, 0, x.l.Hp * sizeof(float));
    if (x.l.has_cell) __builtin_memset(c.zero + (c.c - c.h), 0, x.l.Hp * sizeof(float));
  }
  c.first = n * x.p.segment;
  c.steps = x.p.T - c.first < x.p.segment ? x.p.T - c.first : x.p.segment;
  int64_t q = 0;
  for (int64_t s = 0; s < c.steps; ++s) {
    c.offset[s] = q;
    const int64_t t = time_of(x.p, c.first + s);
    for (int64_t r = 0; r < c.rows; ++r) {
      const int64_t cell = c.batch_rows[r] * x.p.T + t;
      if (x.p.mask != nullptr && !x.p.mask[cell]) continue;
      c.cell[q] = cell;
      c.live[q] = int32_t(r);
      c.x_row[q] = x.p.input(cell);
      c.wx_row[q] = x.w.projected == nullptr
                        ? c.z + q * x.l.ld
                        : x.w.projected + x.w.place[x.p.ids[cell]] * x.l.gates * x.l.Hp;
      const bool is_reset = x.p.reset != nullptr && x.p.reset[cell];
      c.h_row[q] = is_reset ? c.zero : c.h + (s * c.rows + r) * x.l.Hp;
      ++q;
    }
  }
  c.offset[c.steps] = q;
}

// The inputs of the open segment, scaled for each gate, take their place. Shared among the team by
// row-step.
SUNHWAN_OUTLINE void scale_inputs(const Context& x) {
  const Layout& l = x.l;
  const Chunk& c = x.chunk;
  const int64_t D = x.p.D, row_steps = c.offset[c.steps];
  for (int64_t q = x.team.begin(row_steps); q < x.team.end(row_steps); ++q) {
    const float* scale = x.p.input_scale + c.batch_rows[c.live[q]] * l.input_ld;
    float* to = c.scaled_x + q * l.input_ld;
    for (int g = 0; g < l.gates; ++g) {
      const float* by = scale + keras_gate(x.p.kind, g) * D;
      for (int64_t d = 0; d < D; ++d) to[g * D + d] = c.x_row[q][d] * by[d];
    }
    c.x_row[q] = to;
  }
}

// What multiplies the state of chunk row r at unit u on its way into gate g.
SUNHWAN_INLINE vf state_scale(const Context& x, int64_t r, int g, int64_t u) {
  const int64_t row = x.chunk.batch_rows[r] * x.l.gates + g;
  return load_columns(x.p.state_scale + row * x.p.P, u, x.p.P);
}

// The same for the input at feature d, on its way into the gate of block g.
SUNHWAN_INLINE vf input_scale(const Context& x, int64_t r, int g, int64_t d) {
  const float* row = x.p.input_scale + x.chunk.batch_rows[r] * x.l.input_ld;
  return load_columns(row + keras_gate(x.p.kind, g) * x.p.D, d, x.p.D);
}

// The states before steps first .. last - 1, scaled for each gate. Shared among the team by
// row-step.
SUNHWAN_OUTLINE void scale_states(const Context& x, int64_t first, int64_t last) {
  const Layout& l = x.l;
  const Chunk& c = x.chunk;
  const int64_t begin = c.offset[first], count = c.offset[last] - begin;
  for (int64_t q = begin + x.team.begin(count); q < begin + x.team.end(count); ++q) {
    float* to = c.scaled_h + q * l.state_ld;
    for (int g = 0; g < l.gates; ++g, to += l.Hp) {
      for (int64_t u = 0; u < l.Hp; u += kLanes) {
        store(to + u, load(c.h_row[q] + u) * state_scale(x, c.live[q], g, u));
      }
    }
  }
}

// The row that row-step q multiplies with U, for gates of which each has its own where `Scaled`.
template <bool Scaled>
SUNHWAN_INLINE const float* recurrent_row(const Context& x, int64_t q) {
  return Scaled ? x.chunk.scaled_h + q * x.l.state_ld : x.chunk.h_row[q];
}

// sum += rows times U's panel of N gates, each from a row of its own where `Scaled`.
template <bool Scaled, int M, int N>
SUNHWAN_INLINE void recurrent_product(const Context& x, vf (&sum)[M][N],
                                      const float* const (&rows)[M], const float* panel) {
  if constexpr (Scaled) {
    multiply_each<M, N>(sum, rows, x.l.Hp, x.p.P, panel);
  } else {
    multiply<M, N>(sum, rows, x.p.P, panel);
  }
}

// out[q] = W rows[q] + b for q < n, unit tiles from `first` to `last`; rows of out are ldo apart.
// Where `Scaled`, rows hold the input once for each gate.
template <bool Scaled>
SUNHWAN_OUTLINE void input_product(const Problem& p, const Layout& l, const Weights& w,
                                   const float* const* rows, int64_t n, int64_t first, int64_t last,
                                   float* out, int64_t ldo) {
  // A tile is `gates` blocks of one vector each, or one block (SimpleRNN) of up to 4 vectors.
  const int64_t stride = l.gates == 1 ? kLanes : l.Hp;
  for (int64_t j = first; j < last; ++j) {
    const int64_t begin = l.units.begin(j), width = l.units.width(j) * l.gates;
    const float* panel = w.kernel + packed_rows(p.D) * begin * kLanes * l.gates;
    const float* bias = w.bias + begin * kLanes;
    with_const<4>(width, [&](auto vectors) __attribute__((always_inline)) {
      constexpr int N = decltype(vectors)::value;
      row_groups<kMostRows<N>>(n, [&](auto m, int64_t q) __attribute__((always_inline)) {
        constexpr int M = decltype(m)::value;
        const float* group[M];
        vf sum[M][N];
        for (int r = 0; r < M; ++r) group[r] = rows[q + r];
        for (int g = 0; g < N; ++g) {
          const vf b = load(bias + g * stride);
          for (int r = 0; r < M; ++r) sum[r][g] = b;
        }
        if constexpr (Scaled) {
          multiply_each<M, N>(sum, group, l.gates == 1 ? 0 : p.D, p.D, panel);
        } else {
          multiply<M, N>(sum, group, p.D, panel);
        }
        for (int r = 0; r < M; ++r)
          for (int g = 0; g < N; ++g)
            store(out + (q + r) * ldo + begin * kLanes + g * stride, sum[r][g]);
      });
    });
  }
}

// Rows that skip step s keep their state. Shared among the team by row.
SUNHWAN_INLINE void carry_over(const Context& x, int64_t s) {
  Chunk& c = x.chunk;
  const int64_t begin = c.offset[s], end = c.offset[s + 1];
  if (end - begin == c.rows) return;
  const int64_t state = c.rows * x.l.Hp;
  int64_t q = begin;
  for (int64_t r = 0; r < c.rows; ++r) {
    if (q < end && c.live[q] == r) {
      ++q;
      continue;
    }
    if (r % x.team.size != x.team.id) continue;
    const int64_t at = s * state + r * x.l.Hp;
    copy_floats(c.h + at + state, c.h + at, x.l.Hp);
    if (x.p.has_cell_state()) copy_floats(c.c + at + state, c.c + at, x.l.Hp);
  }
}

// W x + b of the open segment, to where its row-steps look for it.
SUNHWAN_INLINE void project_inputs(const Context& x) {
  if (x.w.projected != nullptr) return;
  const Chunk& c = x.chunk;
  const int64_t n = c.offset[c.steps], first = x.team.begin(x.l.units.count);
  const int64_t last = x.team.end(x.l.units.count);
  if (x.l.input_ld == 0) {
    input_product<false>(x.p, x.l, x.w, c.x_row, n, first, last, c.z, x.l.ld);
    return;
  }
  scale_inputs(x);
  x.team.sync();
  input_product<true>(x.p, x.l, x.w, c.x_row, n, first, last, c.z, x.l.ld);
}

}  // namespace SUNHWAN_ISA_NAMESPACE
}  // namespace sunhwan
