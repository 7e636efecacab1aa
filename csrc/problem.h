// What a caller asks of the engine. Plain structs: no templates, nothing that depends on the
// instruction set, so every part of the engine may include this file.
//
// Sizes: B rows of the batch, T steps, D input features, H units, P units of the output h (H, or
// fewer where an LSTM projects), G gates. All tensors are float32, row-major and contiguous. Inputs
// are never written, outputs never read, and no output may overlap an input or another output.
#pragma once

#include <cstdint>

namespace sunhwan {

enum class Kind : int { simple_rnn = 0, lstm = 1, gru = 2 };

// The gates of a kind: 1 (h), 4 (i f c o), 3 (z r h); Keras's column order.
inline int gate_count(Kind kind) { return kind == Kind::lstm ? 4 : kind == Kind::gru ? 3 : 1; }

struct Problem {
  Kind kind;
  int activation;            // generic/gates.h: Gate, of the candidate (and of an LSTM's cell)
  int recurrent_activation;  // of i f o, or z r
  bool reset_after;          // GRU: the reset gate acts after the recurrent product
  bool go_backwards;         // steps run from T-1 to 0; outputs stay in order of processing
  bool zero_output;          // outputs of masked steps are 0 instead of the state carried over
  int64_t B, T, D, H, P;
  int64_t segment;  // steps between two state checkpoints, >= 1

  const float* x;             // [B, T, D]; null: looked up, x[b, t] = table[ids[b, t]]
  const float* table;         // [V, D]
  const int32_t* ids;         // [B, T], each in 0 .. V-1
  int64_t V;                  // rows of the table; 0 with x
  const unsigned char* mask;  // [B, T], 0 = step is skipped; null: no step is
  // [B, T], 1 = the states before the step are zeros (a masked step does nothing, this included);
  // null: none are.
  const unsigned char* reset;
  const float* kernel;      // [D, G*H]
  const float* recurrent;   // [P, G*H]; null where only the input product is wanted
  const float* bias;        // [G*H], or [2, G*H] for a GRU that resets after; null: no bias
  const float* peephole;    // [3, H] of an LSTM, from the cell to i f o; null: none
  const float* projection;  // [H, P] of an LSTM, from o * t(c) to the output h; null: none
  // Layer normalisation of the sums before they are gates; 0: there is none, and no gains.
  double norm_epsilon;
  const float* norm;  // [norm_rows(), G*H] gains of the input's sums, and of the recurrent ones
  const float* norm_cell;  // [2, H] of an LSTM: gain and offset of the cell on its way out
  // What multiplies the input, and the state before a step, on their way into each gate (Keras's
  // order of gates), the same in all steps; null: nothing.
  const float* input_scale;  // [B, G, D]
  const float* state_scale;  // [B, G, P]
  // Zoneout: an element of h, of c, keeps its old value with this probability, 0 <= p < 1; by the
  // noise [B, 2], keys of the random choices, or where that is null by expectation.
  double zoneout_h, zoneout_c;
  const uint32_t* noise;
  const float* h0;  // [B, P]
  const float* c0;  // [B, H] for an LSTM, else null

  bool is_lookup() const { return x == nullptr; }
  // The input of cell b * T + t: float[D].
  const float* input(int64_t cell) const {
    return is_lookup() ? table + ids[cell] * D : x + cell * D;
  }
  int64_t segments() const { return T == 0 ? 0 : (T + segment - 1) / segment; }
  bool has_cell_state() const { return kind == Kind::lstm; }
  bool zones() const { return zoneout_h > 0 || zoneout_c > 0; }
  bool normalizes() const { return norm_epsilon > 0; }
  // A SimpleRNN's two sums are normalised as one.
  int64_t norm_rows() const { return kind == Kind::simple_rnn ? 1 : 2; }
  bool projects() const { return projection != nullptr; }
  bool has_two_biases() const { return kind == Kind::gru && reset_after; }
};

struct ForwardResult {
  float* y;            // [B, T, P] every output, in order of processing; null: not written
  float* h;            // [B, P] last state
  float* c;            // [B, H] last cell state of an LSTM, else null
  float* checkpoints;  // [segments, states, B, H] states before each segment (h: P of H); or null
  uint32_t* record;    // [B, 2] written with the checkpoints: where backward may find the gates
  float* c_sequence;   // [B, T, H] the cell after every step, in order of processing; or null
};

struct BackwardArgs {
  const float* checkpoints;  // as forward wrote them
  const uint32_t* record;    // [B, 2] as forward wrote it
  const float* dy;           // [B, T, P]; null: outputs had no influence
  const float* dh;           // [B, P] gradient of the last state
  const float* dc;           // [B, H] for an LSTM, else null
  const float* dc_sequence;  // [B, T, H] of the cells after every step; null: they had no influence
  // Each result may be null: not wanted, never computed.
  float* dx;           // [B, T, D]; where the input is looked up, the engine's own
  float* dtable;       // [V, D] where the input is looked up, else null
  float* dkernel;      // [D, G*H]
  float* drecurrent;   // [P, G*H]
  float* dbias;        // as Problem::bias
  float* dpeephole;    // [3, H]
  float* dprojection;  // [H, P]
  float* dnorm;        // as Problem::norm
  float* dnorm_cell;   // [2, H]
  float* dh0;          // [B, P]
  float* dc0;          // [B, H]
};

}  // namespace sunhwan
