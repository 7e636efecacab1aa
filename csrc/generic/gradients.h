// What a chunk's way back adds up: gradients of states, inputs and parameters.
#pragma once

#include "norm_cells.h"
#include "zoneout.h"

namespace sunhwan {
namespace SUNHWAN_ISA_NAMESPACE {

// The chunk's dh or dc += dy of one step, [B, T, columns]; with `zeroes`, only of rows whose output
// was not a constant zero.
SUNHWAN_OUTLINE void add_gradient(const Context& x, const float* dy, int64_t columns, int64_t s,
                                  bool zeroes, float* gradient) {
  const Chunk& c = x.chunk;
  const int64_t begin = x.team.begin(x.l.states.vectors) * kLanes;
  const int64_t end = x.team.end(x.l.states.vectors) * kLanes;
  const int64_t t = time_of(x.p, c.first + s);
  for (int64_t r = 0; r < c.rows; ++r) {
    const int64_t row = c.batch_rows[r];
    if (zeroes && x.p.mask != nullptr && !x.p.mask[row * x.p.T + t]) continue;
    const float* from = dy + (row * x.p.T + c.first + s) * columns;
    float* to = gradient + r * x.l.Hp;
    for (int64_t u = begin; u < end; u += kLanes) {
      store(to + u, load(to + u) + load_columns(from, u, columns));
    }
  }
}

// dh += gate gradients times U^T, for the live rows of step s; the first gate record's `gates`
// blocks from `z` on are what meets U^T. Where the state was scaled, gate by gate.
SUNHWAN_OUTLINE void state_gradient(const Context& x, int64_t s, const float* z, int gates) {
  const Layout& l = x.l;
  const Chunk& c = x.chunk;
  const int64_t first = c.offset[s], live = c.offset[s + 1] - first;
  const bool is_scaled = l.state_ld != 0;
  const int parts = is_scaled ? gates : 1;
  const int64_t width = gates * l.Hp / parts;
  for (int64_t j = x.team.begin(l.outputs.count); j < x.team.end(l.outputs.count); ++j) {
    const int64_t u = l.outputs.begin(j) * kLanes;
    const float* panel = x.w.recurrent_t + packed_rows(gates * l.Hp) * u;
    with_const<4>(l.outputs.width(j), [&](auto n) __attribute__((always_inline)) {
      constexpr int N = decltype(n)::value;
      row_groups<kMostRows<N>>(live, [&](auto m, int64_t i) __attribute__((always_inline)) {
        constexpr int M = decltype(m)::value;
        for (int part = 0; part < parts; ++part) {
          const float* rows[M];
          float* out[M];
          vf sum[M][N];
          for (int r = 0; r < M; ++r) {
            const int64_t q = first + i + r;
            rows[r] = z + q * l.ld + part * width;
            out[r] = c.dh + c.live[q] * l.Hp + u;
            for (int v = 0; v < N; ++v) sum[r][v] = is_scaled ? vf{} : load(out[r] + v * kLanes);
          }
          multiply<M, N>(sum, rows, width, panel + packed_rows(width) * part * N * kLanes);
          for (int r = 0; r < M; ++r) {
            for (int v = 0; v < N; ++v) {
              float* to = out[r] + v * kLanes;
              if (is_scaled) {
                const vf by = state_scale(x, c.live[first + i + r], part, u + v * kLanes);
                sum[r][v] = load(to) + sum[r][v] * by;
              }
              store(to, sum[r][v]);
            }
          }
        }
      });
    });
  }
}

// dx of the open segment, from the first gate record's blocks that meet W^T on; zero where a step
// was skipped. Where the input was scaled, gate by gate.
SUNHWAN_OUTLINE void input_gradient(const Context& x, const float* z, float* dx) {
  const Layout& l = x.l;
  const Chunk& c = x.chunk;
  const int64_t row_steps = c.offset[c.steps];
  if (x.team.id == 0 && row_steps < c.steps * c.rows) {
    for (int64_t r = 0; r < c.rows; ++r) {
      for (int64_t s = 0; s < c.steps; ++s) {
        const int64_t cell = c.batch_rows[r] * x.p.T + time_of(x.p, c.first + s);
        if (!x.p.mask[cell]) __builtin_memset(dx + cell * x.p.D, 0, x.p.D * sizeof(float));
      }
    }
  }
  const bool is_scaled = l.input_ld != 0;
  const int parts = is_scaled ? l.gates : 1;
  const int64_t width = l.gates * l.Hp / parts;
  for (int64_t j = x.team.begin(l.inputs.count); j < x.team.end(l.inputs.count); ++j) {
    const int64_t d = l.inputs.begin(j) * kLanes;
    const float* panel = x.w.kernel_t + packed_rows(l.gates * l.Hp) * d;
    with_const<4>(l.inputs.width(j), [&](auto n) __attribute__((always_inline)) {
      constexpr int N = decltype(n)::value;
      row_groups<kMostRows<N>>(row_steps, [&](auto m, int64_t q) __attribute__((always_inline)) {
        constexpr int M = decltype(m)::value;
        for (int part = 0; part < parts; ++part) {
          const float* rows[M];
          vf sum[M][N] = {};
          for (int r = 0; r < M; ++r) rows[r] = z + (q + r) * l.ld + part * width;
          multiply<M, N>(sum, rows, width, panel + packed_rows(width) * part * N * kLanes);
          for (int r = 0; r < M; ++r) {
            float* out = dx + c.cell[q + r] * x.p.D;
            for (int v = 0; v < N; ++v) {
              const int64_t at = d + v * kLanes, left = x.p.D - at;
              if (is_scaled) {
                const vf by = input_scale(x, c.live[q + r], part, at);
                sum[r][v] = sum[r][v] * by + (part == 0 ? vf{} : load_columns(out, at, x.p.D));
              }
              store_partial(out + at, sum[r][v], left < kLanes ? int(left) : kLanes);
            }
          }
        }
      });
    });
  }
}

// sums[i][column ...] += a[q][at + i] * z[q][block column ...] over the segment, `rows` rows of
// sums and `vectors` vectors of columns, this thread's part of the columns.
SUNHWAN_INLINE void weight_gradient(const Context& x, const float* const* a, int64_t at,
                                    int64_t rows, const float* z, int64_t vectors, float* sums) {
  const Layout& l = x.l;
  const int64_t begin = x.team.begin(vectors), end = x.team.end(vectors);
  add_products(a, at, rows, z + begin * kLanes, l.ld, end - begin, x.chunk.offset[x.chunk.steps],
               sums + begin * kLanes, l.gates * l.Hp);
}

// sums[column] += z[q][column] over the segment.
SUNHWAN_INLINE void bias_gradient(const Context& x, const float* z, float* sums) {
  const Layout& l = x.l;
  const int64_t row_steps = x.chunk.offset[x.chunk.steps], vectors = l.gates * l.states.vectors;
  const int64_t begin = x.team.begin(vectors) * kLanes, end = x.team.end(vectors) * kLanes;
  for (int64_t q = 0; q < row_steps; ++q, z += l.ld) {
    for (int64_t u = begin; u < end; u += kLanes) store(sums + u, load(sums + u) + load(z + u));
  }
}

// The gradients of the peephole weights, into the places of their gates i f o in `sums`.
SUNHWAN_OUTLINE void peephole_gradient(const Context& x, float* sums) {
  const Layout& l = x.l;
  const Chunk& c = x.chunk;
  const int64_t begin = x.team.begin(l.states.vectors) * kLanes;
  const int64_t end = x.team.end(l.states.vectors) * kLanes;
  for (int64_t q = 0; q < c.offset[c.steps]; ++q) {
    const float* z = c.z + q * l.ld;
    const float* before = Lstm::cell_before(c, q);
    for (int64_t u = begin; u < end; u += kLanes) {
      const vf old = load(before + u);
      store(sums + u, load(sums + u) + load(z + u) * old);
      float* f = sums + l.Hp + u;
      store(f, load(f) + load(z + l.Hp + u) * old);
      float* o = sums + 3 * l.Hp + u;
      store(o, load(o) + load(z + 4 * l.Hp + u));
    }
  }
}

// What W x + b of each id is owed, from all row-steps of the segment that look it up.
SUNHWAN_OUTLINE void add_by_id(const Context& x, const float* first, const SlotSums& sums) {
  constexpr int64_t kAhead = 8;  // row-steps between asking for a row of sums and adding to it
  const Layout& l = x.l;
  const Chunk& c = x.chunk;
  const int64_t row_steps = c.offset[c.steps], vectors = l.gates * l.states.vectors;
  const int64_t begin = x.team.begin(vectors) * kLanes, end = x.team.end(vectors) * kLanes;
  const auto row_of = [&](int64_t q) {
    return sums.by_id + sums.place[x.p.ids[c.cell[q]]] * l.gates * l.Hp;
  };
  for (int64_t q = 0; q < row_steps; ++q) {
    if (q + kAhead < row_steps) {
      const float* next = row_of(q + kAhead);
      for (int64_t u = begin; u < end; u += 16) __builtin_prefetch(next + u, 1);
    }
    float* to = row_of(q);
    const float* z = first + q * l.ld;
    for (int64_t u = begin; u < end; u += kLanes) store(to + u, load(to + u) + load(z + u));
  }
}

// Of `gates` gates side by side from `z` on. Where the rows are scaled (`stride` floats for each
// gate), each gate has its own.
SUNHWAN_INLINE void weight_gradients(const Context& x, const float* const* a, int64_t stride,
                                     int64_t rows, const float* z, int gates, float* sums) {
  const int64_t vectors = x.l.states.vectors;
  if (stride == 0) return weight_gradient(x, a, 0, rows, z, gates * vectors, sums);
  for (int g = 0; g < gates; ++g) {
    weight_gradient(x, a, g * stride, rows, z + g * x.l.Hp, vectors, sums + g * x.l.Hp);
  }
}

// Row-step q's state row becomes rows + q * ld: what U's gradient is to be multiplied with. Meets
// the team before and after, as steps back need the states themselves.
SUNHWAN_INLINE void take_rows(const Context& x, const float* rows, int64_t ld) {
  const Chunk& c = x.chunk;
  x.team.sync();
  if (x.team.id == 0) {
    for (int64_t q = 0; q < c.offset[c.steps]; ++q) c.h_row[q] = rows + q * ld;
  }
  x.team.sync();
}

// `sums`: dW [D], dU [P], then two bias rows, each row gates * Hp wide (layout.h). dU's columns and
// the second bias row are in Keras's order of gates, the others in the blocks'.
template <class Cell>
SUNHWAN_INLINE void parameter_gradients(const Context& x, const BackwardArgs& g,
                                        const SlotSums& slot) {
  const Layout& l = x.l;
  Chunk& c = x.chunk;
  float* const sums = slot.parameters;
  const float* const of_input = c.z + Cell::kInput * l.Hp;
  const int64_t width = l.gates * l.Hp;
  if (g.dpeephole != nullptr) peephole_gradient(x, sums + (x.p.D + x.p.P + 1) * width);
  if (slot.place != nullptr) {
    add_by_id(x, of_input, slot);
  } else if (g.dkernel != nullptr) {
    weight_gradients(x, c.x_row, l.input_ld / l.gates, x.p.D, of_input, l.gates, sums);
  }
  if (g.drecurrent != nullptr) {
    float* du = sums + x.p.D * width;
    if (l.state_ld != 0) take_rows(x, c.scaled_h, l.state_ld);
    weight_gradients(x, c.h_row, l.state_ld / l.gates, x.p.P, c.z + Cell::kRecurrent * l.Hp,
                     Cell::kRecurrentBlocks, du);
    if constexpr (Cell::kRecurrent == 1 && Cell::kRecurrentBlocks == 2) {
      // Reset before: the candidate's weights saw r * h, kept in the last block.
      take_rows(x, c.z + 3 * l.Hp, l.ld);
      weight_gradient(x, c.h_row, 0, x.p.H, c.z, l.states.vectors, du + 2 * l.Hp);
    }
  }
  if (g.dbias != nullptr) {
    float* db = sums + (x.p.D + x.p.P) * width;
    bias_gradient(x, c.z, db);
    if (x.p.has_two_biases()) bias_gradient(x, c.z + l.Hp, db + width);
  }
  if (g.dprojection != nullptr) {
    take_rows(x, before_projection(x, 0), l.ld);
    projection_gradient(x, c.h_row, sums + l.projection_sums(x.p));
  }
}

// What step s needs around it where states are zoned out or reset.
SUNHWAN_INLINE void before_step_back(const Context& x, int64_t s) {
  if (!x.p.zones()) return;
  part_gradient(x, s, zone_of_h(x.p), x.chunk.dh, x.chunk.kept_dh);
  if (x.p.has_cell_state()) part_gradient(x, s, zone_of_c(x.p), x.chunk.dc, x.chunk.kept_dc);
}
SUNHWAN_INLINE void after_step_back(const Context& x, int64_t s) {
  if (!x.p.zones() && x.p.reset == nullptr) return;
  join_gradient(x, s, x.chunk.dh, x.chunk.kept_dh);
  if (x.p.has_cell_state()) join_gradient(x, s, x.chunk.dc, x.chunk.kept_dc);
}

}  // namespace SUNHWAN_ISA_NAMESPACE
}  // namespace sunhwan
