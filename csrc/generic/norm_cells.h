// The cells of norm.h: each is as its own without normalisation, whose record it begins with.
#pragma once

#include "gru.h"
#include "lstm.h"
#include "norm.h"
#include "simple_rnn.h"

namespace sunhwan {
namespace SUNHWAN_ISA_NAMESPACE {

// What a step forward is for each of the cells below.
template <class Cell, bool Scaled>
SUNHWAN_INLINE void normalized_step(const Context& x, int64_t s) {
  recurrent_sums<Scaled>(x, s, Cell::kRecurrent);
  x.team.sync();  // the mean needs the sums of every unit
  const int64_t first = x.chunk.offset[s], live = x.chunk.offset[s + 1] - first;
  Cell::finish(x, s, first + x.team.begin(live), first + x.team.end(live));
  x.team.sync();  // zoneout goes by units
}

// gain * normal + bias at unit u of block `gate`.
SUNHWAN_INLINE vf normal_sum(const Context& x, const float* normal, int row, int gate, int64_t u) {
  const int64_t at = gate * x.l.Hp + u;
  return load(norm_row(x, row) + at) * load(normal + at) + load(norm_row(x, 3) + at);
}

struct NormSimpleRnn {
  static constexpr int kInput = 1, kRecurrent = 1, kRecurrentBlocks = 1;
  static constexpr Span kSpans[] = {{1, 1, 0, 0, 0}};

  template <bool Keep, bool Scaled>
  SUNHWAN_INLINE void step(const Context& x, int64_t s) {
    normalized_step<NormSimpleRnn, Scaled>(x, s);
  }

  SUNHWAN_OUTLINE void finish(const Context& x, int64_t s, int64_t begin, int64_t end) {
    const Chunk& c = x.chunk;
    const int64_t Hp = x.l.Hp;
    for (int64_t q = begin; q < end; ++q) {
      float* const h = c.z + q * x.l.ld;
      float* const sum = h + Hp;
      for (int64_t u = 0; u < Hp; u += kLanes) {
        store(sum + u, load(sum + u) + load(c.wx_row[q] + u));
      }
      *inverse_deviations(x, q) = normalize(x, sum, sum, 1);
      float* next = c.h + c.next(x.l, s, q);
      for (int64_t u = 0; u < Hp; u += kLanes) {
        const vf y = apply(x.activation, normal_sum(x, sum, 0, 0, u));
        store(next + u, y);
        store(h + u, y);
      }
    }
  }

  SUNHWAN_INLINE void step_back(const Context& x, int64_t s) {
    SimpleRnn::step_back(x, s);
    back_through_sums<NormSimpleRnn>(x, s);
  }
};

// Records: as Lstm's, then the sums i f c o of the input, the recurrent ones, and the cell.
struct NormLstm {
  static constexpr int kInput = 5, kRecurrent = 9, kRecurrentBlocks = 4, kCell = 13;
  static constexpr Span kSpans[] = {{kInput, 4, 0, 0, 0}, {kRecurrent, 4, 1, 0, 0}};
  static constexpr int kCellDeviation = 2;

  template <bool Keep, bool Scaled>
  SUNHWAN_INLINE void step(const Context& x, int64_t s) {
    normalized_step<NormLstm, Scaled>(x, s);
  }

  SUNHWAN_INLINE vf sum(const Context& x, const float* z, int gate, int64_t u) {
    const int64_t at = gate * x.l.Hp + u;
    return normal_sum(x, z + kInput * x.l.Hp, 0, gate, u) +
           load(norm_row(x, 1) + at) * load(z + kRecurrent * x.l.Hp + at);
  }

  SUNHWAN_OUTLINE void finish(const Context& x, int64_t s, int64_t begin, int64_t end) {
    const Chunk& c = x.chunk;
    const int64_t Hp = x.l.Hp;
    for (int64_t q = begin; q < end; ++q) {
      normalize_sums<NormLstm>(x, q);
      float* const z = c.z + q * x.l.ld;
      float* const cell = c.c + c.next(x.l, s, q);
      for (int64_t u = 0; u < Hp; u += kLanes) gates(x, q, cell, u);
      float* const normal = z + kCell * Hp;
      inverse_deviations(x, q)[kCellDeviation] = normalize(x, cell, normal, 1);
      const float* gain = norm_row(x, 2);
      float* next = c.h + c.next(x.l, s, q);
      for (int64_t u = 0; u < Hp; u += kLanes) {
        const vf sum = load(gain + u) * load(normal + u) + load(gain + Hp + u);
        const vf out = apply(x.activation, sum);
        store(z + 4 * Hp + u, out);
        store(next + u, load(z + 3 * Hp + u) * out);
      }
    }
  }

  // The gates of row-step q at unit u, and the new cell.
  SUNHWAN_INLINE void gates(const Context& x, int64_t q, float* cell, int64_t u) {
    float* const z = x.chunk.z + q * x.l.ld;
    const vf before = load(Lstm::cell_before(x.chunk, q) + u);
    const Lstm::Peepholes peep = Lstm::peepholes(x, u);
    vf gate[2] = {sum(x, z, 0, u), sum(x, z, 1, u)};
    vf output = sum(x, z, 3, u);
    if (x.p.peephole != nullptr) {
      gate[0] += peep.i * before;
      gate[1] += peep.f * before;
    }
    apply<2>(x.recurrent_activation, gate);
    const vf candidate = apply(x.activation, sum(x, z, 2, u));
    const vf after = gate[1] * before + gate[0] * candidate;
    if (x.p.peephole != nullptr) output += peep.o * after;
    store(cell + u, after);
    float* const at = z + u;
    store(at, gate[0]);
    store(at + x.l.Hp, gate[1]);
    store(at + 2 * x.l.Hp, candidate);
    store(at + 3 * x.l.Hp, apply(x.recurrent_activation, output));
  }

  SUNHWAN_OUTLINE void step_back(const Context& x, int64_t s) {
    const Chunk& c = x.chunk;
    const int64_t first = c.offset[s], live = c.offset[s + 1] - first;
    x.team.sync();  // dh and dc of every unit
    for (int64_t q = first + x.team.begin(live); q < first + x.team.end(live); ++q) {
      gates_back(x, q);
    }
    x.team.sync();
    cell_gradient(x, s);
    back_through_sums<NormLstm>(x, s);
  }

  // As Lstm::step_back, but dh becomes the gradient of the normalised cell, in front of t.
  SUNHWAN_INLINE void gates_back(const Context& x, int64_t q) {
    const Chunk& c = x.chunk;
    const int64_t Hp = x.l.Hp;
    const Gate ra = x.recurrent_activation, a = x.activation;
    float* const z = c.z + q * x.l.ld;
    float* const dh = c.dh + c.live[q] * Hp;
    float* const dc = c.dc + c.live[q] * Hp;
    const float* before = Lstm::cell_before(c, q);
    float* const through = z + 4 * Hp;
    for (int64_t u = 0; u < Hp; u += kLanes) {
      const vf o = load(z + 3 * Hp + u), out = load(through + u), dy = load(dh + u);
      store(z + 3 * Hp + u, dy * out * slope(ra, o));
      store(dh + u, dy * o * slope(a, out));
    }
    normalize_back(x, dh, norm_row(x, 2), z + kCell * Hp, inverse_deviations(x, q)[kCellDeviation],
                   1, through);
    for (int64_t u = 0; u < Hp; u += kLanes) {
      float* at = z + u;
      const vf i = load(at), f = load(at + Hp), g = load(at + 2 * Hp), old = load(before + u);
      const Lstm::Peepholes peep = Lstm::peepholes(x, u);
      const vf d_o = load(at + 3 * Hp);
      vf dcell = load(dc + u) + load(through + u);
      if (x.p.peephole != nullptr) dcell += d_o * peep.o;
      const vf d_i = dcell * g * slope(ra, i), d_f = dcell * old * slope(ra, f);
      vf d_old = dcell * f;
      if (x.p.peephole != nullptr) {
        d_old += d_i * peep.i + d_f * peep.f;
        store(through + u, d_o * (f * old + i * g));
      }
      store(at, d_i);
      store(at + Hp, d_f);
      store(at + 2 * Hp, dcell * i * slope(a, g));
      store(dc + u, d_old);
    }
  }

  // What the cell's gain and offset are owed; dh, which nothing passes by, becomes 0.
  SUNHWAN_INLINE void cell_gradient(const Context& x, int64_t s) {
    const Chunk& c = x.chunk;
    const int64_t Hp = x.l.Hp;
    float* const sums = c.norm_sums == nullptr ? nullptr : c.norm_sums + 2 * x.l.gates * Hp;
    const int64_t begin = x.team.begin(x.l.states.vectors) * kLanes;
    const int64_t end = x.team.end(x.l.states.vectors) * kLanes;
    for (int64_t q = c.offset[s]; q < c.offset[s + 1]; ++q) {
      float* dh = c.dh + c.live[q] * Hp;
      const float* normal = c.z + q * x.l.ld + kCell * Hp;
      for (int64_t u = begin; u < end; u += kLanes) {
        if (sums != nullptr) {
          const vf d = load(dh + u);
          store(sums + u, load(sums + u) + d * load(normal + u));
          store(sums + Hp + u, load(sums + Hp + u) + d);
        }
        store(dh + u, vf{});
      }
    }
  }
};

// Records: as GruResetAfter's, then the sums h z r of the input and z r h of the state.
struct NormGru {
  static constexpr int kInput = 4, kRecurrent = 7, kRecurrentBlocks = 3;
  static constexpr Span kSpans[] = {{kInput, 1, 0, 0, 0},
                                    {kInput + 1, 2, 0, 1, 1},
                                    {kRecurrent, 2, 1, 0, 1},
                                    {kRecurrent + 2, 1, 1, 2, 3}};

  template <bool Keep, bool Scaled>
  SUNHWAN_INLINE void step(const Context& x, int64_t s) {
    normalized_step<NormGru, Scaled>(x, s);
  }

  SUNHWAN_OUTLINE void finish(const Context& x, int64_t s, int64_t begin, int64_t end) {
    const Chunk& c = x.chunk;
    const int64_t Hp = x.l.Hp;
    const float* second = x.w.bias + x.l.gates * Hp;  // recurrent bias of h
    const float* gain = norm_row(x, 1);
    for (int64_t q = begin; q < end; ++q) {
      normalize_sums<NormGru>(x, q);
      float* const z = c.z + q * x.l.ld;
      const float* of_input = z + kInput * Hp;
      const float* of_state = z + kRecurrent * Hp;
      float* next = c.h + c.next(x.l, s, q);
      for (int64_t u = 0; u < Hp; u += kLanes) {
        vf zr[2];
        for (int g = 0; g < 2; ++g) {
          zr[g] = normal_sum(x, of_input, 0, g + 1, u) +
                  load(gain + g * Hp + u) * load(of_state + g * Hp + u);
        }
        apply<2>(x.recurrent_activation, zr);
        const vf recurrent =
            load(gain + 2 * Hp + u) * load(of_state + 2 * Hp + u) + load(second + u);
        const vf candidate =
            apply(x.activation, normal_sum(x, of_input, 0, 0, u) + zr[1] * recurrent);
        store(next + u, zr[0] * load(c.h_row[q] + u) + (one() - zr[0]) * candidate);
        store(z + u, candidate);
        store(z + Hp + u, zr[0]);
        store(z + 2 * Hp + u, zr[1]);
        store(z + 3 * Hp + u, recurrent);
      }
    }
  }

  SUNHWAN_INLINE void step_back(const Context& x, int64_t s) {
    GruResetAfter::step_back(x, s);
    back_through_sums<NormGru>(x, s);
  }
};

}  // namespace SUNHWAN_ISA_NAMESPACE
}  // namespace sunhwan
