// Where everything lies in the engine's scratch memory, for one problem and one vector width.
//
// All sizes are in floats. `Hp` is H rounded up to whole vectors; lanes beyond H hold finite values
// that no result depends on. A *row-step* is one live (row, step) pair of a segment; its gate
// record is `ld` floats: `blocks` blocks of Hp.
//
//   SimpleRNN          [h], of which only the gradient is kept unless zoneout changes the state
//   LSTM               [i f c o | tanh(c)], where it projects and m = o tanh(c) then [.. | m | dh]
//   GRU, reset after   [h z r | recurrent part of h]
//   GRU, reset before  [h z r | r * h]
//   normalised         the same, then what was normalised: SimpleRNN [h], LSTM [i f c o] twice and
//                      [c], GRU [h z r | z r h]; behind the blocks a vector of factors (norm.h)
//
// Where what goes into the gates is scaled, rows hold it once for each gate: [gates][D] of the
// input in the blocks' order, [gates][Hp] of the state in Keras's.
//
// Rows of h are Hp long too where only P units are projected to.
//
// GRU puts h first so that what meets W^T (h z r) and what meets U^T (z r e) are both contiguous.
#pragma once

#include <cstdint>

#include "problem.h"

namespace sunhwan {

// The columns of a matrix, in whole vectors, cut into panels of nearly equal width.
// A packed panel j of a matrix of K rows starts at K * begin(j) * lanes floats.
struct Panels {
  int64_t vectors = 0;  // in all
  int64_t count = 0;    // panels

  static Panels over(int64_t columns, int64_t lanes, int64_t widest) {
    Panels p;
    p.vectors = (columns + lanes - 1) / lanes;
    p.count = (p.vectors + widest - 1) / widest;
    return p;
  }
  int64_t begin(int64_t j) const { return vectors * j / count; }
  int64_t width(int64_t j) const { return begin(j + 1) - begin(j); }
};

struct Layout {
  int64_t lanes, segment, rows;  // segment: steps at most; rows: of one chunk at most
  int gates, blocks;
  bool normalizes, has_cell;
  bool remembers_z;            // a record holds gates too; if not, states say it all
  int64_t input_ld, state_ld;  // floats of a scaled row; 0: nothing is scaled
  Panels units;    // unit tiles: each of one vector of every gate (SimpleRNN: of up to 4 vectors)
  Panels states;   // columns of a state
  Panels outputs;  // columns of U^T, P
  Panels inputs;   // columns of W^T
  int64_t Hp, Dp, ld;

  static Layout of(const Problem& p, int64_t lanes, int64_t rows) {
    Layout l;
    l.lanes = lanes;
    l.rows = rows;
    l.segment = p.segment < p.T ? p.segment : (p.T > 0 ? p.T : 1);
    l.gates = gate_count(p.kind);
    l.blocks = l.gates + (p.kind == Kind::simple_rnn ? 0 : 1) + (p.projects() ? 2 : 0);
    l.normalizes = p.normalizes();
    l.has_cell = p.has_cell_state();
    l.remembers_z = p.kind != Kind::simple_rnn || p.zones() || l.normalizes;
    if (l.normalizes) l.blocks += p.kind == Kind::lstm ? 9 : p.kind == Kind::gru ? 6 : 1;
    l.units = Panels::over(p.H, lanes, p.kind == Kind::simple_rnn ? 4 : 1);
    l.states = Panels::over(p.H, lanes, 4);
    l.outputs = Panels::over(p.P, lanes, 4);
    l.inputs = Panels::over(p.D, lanes, 4);
    l.Hp = l.states.vectors * lanes;
    l.Dp = l.inputs.vectors * lanes;
    l.ld = l.blocks * l.Hp + (l.normalizes ? lanes : 0);
    l.input_ld = p.input_scale == nullptr ? 0 : l.gates * p.D;
    l.state_ld = p.state_scale == nullptr ? 0 : l.gates * l.Hp;
    return l;
  }

  // Packed weights: written once a call, then only read, by every thread.
  int64_t kernel_size(const Problem& p) const { return p.D * gates * Hp; }
  int64_t recurrent_size(const Problem& p) const { return p.P * gates * Hp; }
  int64_t bias_size() const { return (normalizes ? 6 : 2) * gates * Hp; }
  int64_t kernel_t_size() const { return gates * Hp * Dp; }
  int64_t recurrent_t_size() const { return gates * Hp * outputs.vectors * lanes; }
  int64_t projection_size(const Problem& p) const {
    return p.projects() ? p.H * outputs.vectors * lanes : 0;
  }
  int64_t projection_t_size(const Problem& p) const { return p.projects() ? p.P * Hp : 0; }

  // Gradient sums of one slot: dW[D], dU[P] and rows as Weights::bias but the last, each gates * Hp
  // wide; behind them those of the projection, [H] rows of whole vectors.
  int64_t projection_sums(const Problem& p) const {
    return (p.D + p.P + (normalizes ? 5 : 2)) * gates * Hp;
  }
  int64_t gradient_size(const Problem& p) const { return projection_sums(p) + projection_size(p); }
};

// Packed weights of a call. Those that end in `_t` only for backward, which does without the others
// but for the bias where it finds a record: they are then null.
struct Weights {
  float* kernel;       // tiles of W: [D][gate][lane] each
  float* recurrent;    // tiles of U: [P][gate][lane] each
  float* bias;         // [2][gates * Hp]: input and recurrent bias rows; of an LSTM the second row
                       // holds the peephole weights, at the places of their gates. Where sums
                       // are normalised the first is zero, and behind them come the gains of the
                       // input's sums, of the recurrent ones (Keras's order), gain and offset of an
                       // LSTM's cell, and the input bias
  float* kernel_t;     // panels of W^T, K = gates * Hp
  float* recurrent_t;  // panels of U^T, K = gates * Hp
  float* projection;   // panels of the projection, K = H
  float* projection_t;  // panels of its transpose, K = P

  // Where inputs are looked up and repeat: W x + b of each id that occurs, multiplied once a call
  // instead of once a step. Row place[id] of [ids that occur, gates * Hp]; both null otherwise.
  const float* projected;
  const int32_t* place;  // [V]
};

}  // namespace sunhwan
