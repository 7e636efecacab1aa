// Weights rearranged so that a tile reads them one cache line after the other.
#pragma once

#include "../layout.h"
#include "tile.h"

namespace sunhwan {
namespace SUNHWAN_ISA_NAMESPACE {

// Keras's gate (z r h) of block g of the input product (h z r, see layout.h); others keep the
// order.
SUNHWAN_INLINE int keras_gate(Kind kind, int block) {
  return kind == Kind::gru ? (block + 2) % 3 : block;
}

// One vector of columns [column, column + kLanes) of a row of H, lanes beyond H zero.
SUNHWAN_INLINE vf load_columns(const float* row, int64_t column, int64_t H) {
  const int64_t left = H - column;
  return left <= 0 ? vf{} : load_partial(row + column, left < kLanes ? int(left) : kLanes);
}

// Some of the gates of a weight matrix float[rows, G * H]: `count` of them from position `first`,
// in the blocks' order (of the input product) or in Keras's (of the recurrent product).
struct GateColumns {
  const float* from;
  int64_t rows;
  int first, count;
  bool in_block_order;

  int64_t column(const Problem& p, int g) const {
    return (in_block_order ? keras_gate(p.kind, first + g) : first + g) * p.H;
  }
};

// Tile j over the units: to[k][gate][vector][lane], k < rows, in packed rows (tile.h).
SUNHWAN_INLINE void pack_tile(const Problem& p, const Layout& l, const GateColumns& w, int64_t j,
                              float* to) {
  const int64_t begin = l.units.begin(j), width = l.units.width(j);
  float* out = to + packed_rows(w.rows) * begin * kLanes * w.count;
  for (int64_t k = 0; k < w.rows; k += kRowsPacked) {
    const float* row = w.from + k * l.gates * p.H;
    for (int g = 0; g < w.count; ++g) {
      for (int64_t v = 0; v < width; ++v, out += kLanes) {
        const float* from = row + w.column(p, g);
        const int64_t u = (begin + v) * kLanes;
        const bool has_next = kRowsPacked == 2 && k + 1 < w.rows;
        const vf next = has_next ? load_columns(from + l.gates * p.H, u, p.H) : vf{};
        store(out, packed(load_columns(from, u, p.H), next));
      }
    }
  }
}

// Panel j of the transpose: to[gate * Hp + unit][vector][lane] = from[n][column(gate) + unit], in
// packed rows.
SUNHWAN_INLINE void pack_transposed(const Problem& p, const Layout& l, const GateColumns& w,
                                    const Panels& panels, int64_t j, float* to) {
  const int64_t columns = l.gates * p.H;
  const int64_t width = panels.width(j) * kLanes, first = panels.begin(j) * kLanes;
  float* out = to + packed_rows(w.count * l.Hp) * first;
  for (int g = 0; g < w.count; ++g) {
    for (int64_t u = 0; u < l.Hp; ++u) {
      const float* from = w.from + w.column(p, g) + u;
      for (int64_t n = 0; n < width; ++n) {
        put_packed(out, u, n, u < p.H && first + n < w.rows ? from[(first + n) * columns] : 0.0f);
      }
      if ((u + 1) % kRowsPacked == 0) out += width;
    }
  }
}

// Both bias rows in the blocks' order, zero where there is none: row 0 joins the input product,
// row 1 is the recurrent bias of a GRU that resets after (z and r are already in row 0), or the
// peephole weights of an LSTM.
SUNHWAN_INLINE void pack_bias(const Problem& p, const Layout& l, float* to) {
  float* recurrent = to + l.gates * l.Hp;
  for (int g = 0; g < l.gates; ++g) {
    const int gate = keras_gate(p.kind, g);
    for (int64_t u = 0; u < l.Hp; u += kLanes) {
      vf input{}, second{};
      if (p.bias != nullptr) {
        input = load_columns(p.bias + gate * p.H, u, p.H);
        if (p.has_two_biases()) {
          second = load_columns(p.bias + (l.gates + gate) * p.H, u, p.H);
          if (g != 0) input += second;
        }
      }
      if (p.peephole != nullptr && g != 2) {
        second = load_columns(p.peephole + (g == 3 ? 2 : g) * p.H, u, p.H);
      }
      store(to + g * l.Hp + u, input);
      store(recurrent + g * l.Hp + u, second);
    }
  }
}

}  // namespace SUNHWAN_ISA_NAMESPACE
}  // namespace sunhwan
