// Layer normalisation (Ba, Kiros & Hinton 2016) inside the cells:
//   SimpleRNN  h = f(N(W x + U h'; g) + b)
//   LSTM       sums = N(W x; g) + N(U h'; g_h) + b over all four gates, h = o t(N(c; g_c) + b_c)
//   GRU        z, r = s(N(W x; g) + N(U h'; g_h) + b) over both gates, the reset acting after
//              h~ = t(N(W x; g) + b + r (N(U h'; g_h) + e)) over the candidate
// with N(a; g) = g (a - mean) / sqrt(variance + epsilon), one mean and variance for each row.
//
// A gate needs the sums of all units, so a step multiplies first, each member of a team its units,
// and all else is shared by row. Records hold beside the gates what was normalised (its gain not
// yet applied), which on the way back becomes the gradient of the sums, and behind the blocks the
// factors 1 / sqrt(variance + epsilon), in the order of the cell's spans.
#pragma once

#include "segment.h"

namespace sunhwan {
namespace SUNHWAN_ISA_NAMESPACE {

// Blocks of a record that are normalised together.
struct Span {
  int normal, blocks;  // where, and how many
  int row, column;     // of the gains: norm_row(x, row), from its block `column` on
  int gradient;        // the first block of the gradient of what they are added to
};

// Gains of the input's sums (0), of the recurrent ones (1), gain and offset of an LSTM's cell (2),
// or the bias (3), as layout.h has them behind the bias rows.
SUNHWAN_INLINE const float* norm_row(const Context& x, int row) {
  return x.w.bias + (2 + row) * x.l.gates * x.l.Hp;
}

SUNHWAN_INLINE float* inverse_deviations(const Context& x, int64_t q) {
  return x.chunk.z + q * x.l.ld + x.l.blocks * x.l.Hp;
}

// Gains, the cell's gain and offset, and the bias into the rows behind those of the bias, whose
// first then is zero: nothing joins the input product.
SUNHWAN_INLINE void pack_norm(const Problem& p, const Layout& l, float* bias) {
  const int64_t width = l.gates * l.Hp;
  float* const rows = bias + 2 * width;
  copy_floats(rows + 3 * width, bias, width);
  __builtin_memset(bias, 0, width * sizeof(float));
  for (int g = 0; g < l.gates; ++g) {
    for (int64_t u = 0; u < l.Hp; u += kLanes) {
      float* to = rows + g * l.Hp + u;
      store(to, load_columns(p.norm + keras_gate(p.kind, g) * p.H, u, p.H));
      if (p.norm_rows() > 1) {
        store(to + width, load_columns(p.norm + (l.gates + g) * p.H, u, p.H));
      }
      if (p.norm_cell != nullptr && g < 2) {
        store(to + 2 * width, load_columns(p.norm_cell + g * p.H, u, p.H));
      }
    }
  }
}

// The lanes of units u, u + 1, ... below H; 0 in the others.
SUNHWAN_INLINE vf units_of(const Problem& p, vf value, int64_t u) {
  if (p.H - u >= kLanes) return value;
  vi lane;
  for (int i = 0; i < kLanes; ++i) lane[i] = i;
  return select(lane < std::int32_t(p.H - u), value, vf{});
}

// Always in the same order.
SUNHWAN_INLINE float sum_of_lanes(vf value) {
  float lanes[kLanes];
  store(lanes, value);
  for (int half = kLanes / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  }
  return lanes[0];
}

// to = (from - mean) / sqrt(variance + epsilon) over the units of some blocks of one row; returns
// what it was multiplied by. `to` may be `from`.
SUNHWAN_OUTLINE float normalize(const Context& x, const float* from, float* to, int blocks) {
  const int64_t Hp = x.l.Hp;
  const float count = float(blocks * x.p.H);
  vf sum{}, squares{};
  for (int64_t b = 0; b < blocks * Hp; b += Hp) {
    for (int64_t u = 0; u < Hp; u += kLanes) sum += units_of(x.p, load(from + b + u), u);
  }
  const vf mean = splat(sum_of_lanes(sum) / count);
  for (int64_t b = 0; b < blocks * Hp; b += Hp) {
    for (int64_t u = 0; u < Hp; u += kLanes) {
      const vf rest = units_of(x.p, load(from + b + u) - mean, u);
      squares += rest * rest;
      store(to + b + u, rest);
    }
  }
  const float variance = sum_of_lanes(squares) / count;
  const float inverse = 1.0f / __builtin_sqrtf(variance + float(x.p.norm_epsilon));
  const vf by = splat(inverse);
  for (int64_t u = 0; u < blocks * Hp; u += kLanes) store(to + u, load(to + u) * by);
  return inverse;
}

// The way back through gain * normalize(...): `gradient` is that of its result and `normal` what
// normalize gave. `to` may be `normal`.
SUNHWAN_OUTLINE void normalize_back(const Context& x, const float* gradient, const float* gain,
                                    const float* normal, float inverse, int blocks, float* to) {
  const int64_t Hp = x.l.Hp;
  const float share = 1.0f / float(blocks * x.p.H);
  vf sum{}, along{};
  for (int64_t b = 0; b < blocks * Hp; b += Hp) {
    for (int64_t u = 0; u < Hp; u += kLanes) {
      const vf d = units_of(x.p, load(gradient + b + u) * load(gain + b + u), u);
      sum += d;
      along += d * load(normal + b + u);
    }
  }
  const vf mean = splat(share * sum_of_lanes(sum)), slope = splat(share * sum_of_lanes(along));
  const vf by = splat(inverse);
  for (int64_t b = 0; b < blocks * Hp; b += Hp) {
    for (int64_t u = 0; u < Hp; u += kLanes) {
      const vf d = load(gradient + b + u) * load(gain + b + u) - mean;
      store(to + b + u, units_of(x.p, by * (d - load(normal + b + u) * slope), u));
    }
  }
}

// U h' of step s into the blocks from `to` on, Keras's order of gates. Shared by units.
template <bool Scaled>
SUNHWAN_OUTLINE void recurrent_sums(const Context& x, int64_t s, int to) {
  const Layout& l = x.l;
  const Chunk& c = x.chunk;
  const int64_t first = c.offset[s], live = c.offset[s + 1] - first, H = x.p.H;
  const int64_t stride = l.gates == 1 ? kLanes : l.Hp;
  for (int64_t j = x.team.begin(l.units.count); j < x.team.end(l.units.count); ++j) {
    const int64_t u = l.units.begin(j) * kLanes;
    const float* panel = x.w.recurrent + packed_rows(H) * u * l.gates;
    with_const<4>(l.units.width(j) * l.gates, [&](auto n) __attribute__((always_inline)) {
      constexpr int N = decltype(n)::value;
      row_groups<kMostRows<N>>(live, [&](auto m, int64_t i) __attribute__((always_inline)) {
        constexpr int M = decltype(m)::value;
        const float* rows[M];
        vf sum[M][N] = {};
        for (int r = 0; r < M; ++r) rows[r] = recurrent_row<Scaled>(x, first + i + r);
        if constexpr (Scaled) {
          multiply_each<M, N>(sum, rows, l.gates == 1 ? 0 : l.Hp, H, panel);
        } else {
          multiply<M, N>(sum, rows, H, panel);
        }
        for (int r = 0; r < M; ++r) {
          float* at = c.z + (first + i + r) * l.ld + to * l.Hp + u;
          for (int v = 0; v < N; ++v) store(at + v * stride, sum[r][v]);
        }
      });
    });
  }
}

// The sums of row-step q, normalised each by itself: those of the input come from where they were
// multiplied.
template <class Cell>
SUNHWAN_INLINE void normalize_sums(const Context& x, int64_t q) {
  const int64_t Hp = x.l.Hp;
  float* const z = x.chunk.z + q * x.l.ld;
  float* inverse = inverse_deviations(x, q);
  for (const Span& span : Cell::kSpans) {
    float* to = z + span.normal * Hp;
    const float* from = span.row == 0 ? x.chunk.wx_row[q] + span.column * Hp : to;
    *inverse++ = normalize(x, from, to, span.blocks);
  }
}

// sums += gradient * what was normalised, over the live rows of step s, this member's units.
SUNHWAN_OUTLINE void gain_gradient(const Context& x, int64_t s, const Span& span, float* sums) {
  const Chunk& c = x.chunk;
  const int64_t begin = x.team.begin(x.l.states.vectors) * kLanes;
  const int64_t end = x.team.end(x.l.states.vectors) * kLanes;
  for (int64_t q = c.offset[s]; q < c.offset[s + 1]; ++q) {
    const float* z = c.z + q * x.l.ld;
    for (int b = 0; b < span.blocks; ++b) {
      const float* gradient = z + (span.gradient + b) * x.l.Hp;
      const float* normal = z + (span.normal + b) * x.l.Hp;
      float* to = sums + b * x.l.Hp;
      for (int64_t u = begin; u < end; u += kLanes) {
        store(to + u, load(to + u) + load(gradient + u) * load(normal + u));
      }
    }
  }
}

// From the gradients of what the sums are added to, to those of the sums, in place of what was
// normalised; and what the gains are owed.
template <class Cell>
SUNHWAN_INLINE void back_through_sums(const Context& x, int64_t s) {
  const Chunk& c = x.chunk;
  const int64_t Hp = x.l.Hp, width = x.l.gates * Hp;
  if (c.norm_sums != nullptr) {
    for (const Span& span : Cell::kSpans) {
      gain_gradient(x, s, span, c.norm_sums + span.row * width + span.column * Hp);
    }
  }
  x.team.sync();
  const int64_t first = c.offset[s], live = c.offset[s + 1] - first;
  for (int64_t q = first + x.team.begin(live); q < first + x.team.end(live); ++q) {
    float* const z = c.z + q * x.l.ld;
    const float* inverse = inverse_deviations(x, q);
    for (const Span& span : Cell::kSpans) {
      float* normal = z + span.normal * Hp;
      normalize_back(x, z + span.gradient * Hp, norm_row(x, span.row) + span.column * Hp, normal,
                     *inverse++, span.blocks, normal);
    }
  }
}

}  // namespace SUNHWAN_ISA_NAMESPACE
}  // namespace sunhwan
