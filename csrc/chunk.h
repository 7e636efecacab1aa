// A chunk: rows of the batch that one team takes through the whole sequence, and its scratch
// memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "layout.h"

namespace sunhwan {

// What one slot sums up on the way back, and nobody else adds to.
struct SlotSums {
  float* parameters;  // [Layout::gradient_size]
  // Where inputs are looked up and grouped by id (groups.h), else null: what W x + b is owed, row
  // place[id] of [ids of the slot, gates * Hp]. dW and the input's gradient are then left out.
  const int32_t* place;  // [V]
  float* by_id;
};

// Ids of a table and what W x + b of each is owed, over the slots that looked it up.
struct SummedIds {
  const int32_t* ids;  // [count]
  int64_t count, slots, V;
  const int32_t* place;      // [slots, V] as SlotSums::place, -1 where a slot has none
  const float* const* sums;  // [slots] as SlotSums::by_id
};

struct Chunk {
  const int32_t* batch_rows;  // [rows] which rows of the batch
  int64_t rows;

  // Scratch, carved from one block, shared by the team. With a record, h, c and z (where it
  // remembers z) lie there instead and move on with each segment, so that all of them are still
  // there on the way back; scratch then has no room for them.
  float* h;         // [segment + 1, rows, Hp] state before each step, and after the last
  float* c;         // the same for an LSTM's cell
  float* z;         // [row-step, ld] gate records
  float* dh;        // [rows, Hp] gradient of the state (backward only)
  float* dc;        // [rows, Hp]
  float* kept_dh;   // [rows, Hp] what zoneout passes on past a step (backward only)
  float* kept_dc;   // [rows, Hp]
  float* scaled_x;  // [row-step, input_ld]
  float* scaled_h;  // [row-step, state_ld]
  float* zero;      // [Hp] zeros; as far behind them there are some for c, as c is behind h

  // Where gains are owed what the way back adds up, rows as Weights::bias from the third on; null:
  // nobody wants it.
  float* norm_sums;

  float* record;  // record_floats(...) floats, or null

  // The open segment: live (row, step) pairs in order of step, then row.
  int64_t first, steps;
  int64_t* offset;      // [segment + 1] where step s begins
  int64_t* cell;        // [row-step] its place in the batch, b * T + t
  int32_t* live;        // [row-step] row of the chunk
  const float** x_row;  // [row-step] its input, float[D]
  const float**
      wx_row;           // [row-step] W x + b, float[gates * Hp]: at its record, or projected before
  const float** h_row;  // [row-step] its state before the step, float[Hp]; c lies c - h behind it

  // Where row-step q of step s writes its new state, in floats behind h, or behind c.
  int64_t next(const Layout& l, int64_t s, int64_t q) const {
    return ((s + 1) * rows + live[q]) * l.Hp;
  }

  static std::size_t scratch_floats(const Layout& l, bool has_record) {
    const std::size_t steps = l.segment, rows = l.rows, row_steps = steps * rows;
    const std::size_t states = has_record ? 0 : 2 * ((steps + 1) * rows + 1) * l.Hp;
    const std::size_t gates = has_record && l.remembers_z ? 0 : row_steps * l.ld;
    return states + gates + row_steps * (l.input_ld + l.state_ld) + 4 * rows * l.Hp +
           (2 * (steps + 1) + row_steps + 8 * row_steps) + 64;
  }

  // Everything that backward needs, for one row of the batch and all T steps, and a row of zeros.
  static int64_t record_floats(const Layout& l, int64_t T) {
    return (l.remembers_z ? T * l.ld : 0) + (l.has_cell ? 2 : 1) * (T + 2) * l.Hp;
  }

  // Points h, c and z at segment n of the record.
  void place(const Layout& l, int64_t T, int64_t n) {
    const int64_t done = n * l.segment * rows;
    if (l.remembers_z) z = record + done * l.ld;
    float* const first_h = record + (l.remembers_z ? T * rows * l.ld : 0);
    zero = first_h + (T + 1) * rows * l.Hp;
    h = first_h + done * l.Hp;
    c = h + (T + 2) * rows * l.Hp;
  }

  // Lays the arrays out in `scratch` (64-byte aligned, scratch_floats(l, record != null) floats).
  void carve(const Layout& l, float* scratch) {
    const int64_t state = l.rows * l.Hp, row_steps = l.segment * l.rows;
    z = scratch;
    if (record == nullptr) {
      h = scratch;
      zero = h + (l.segment + 1) * state;
      c = zero + l.Hp;
      z = c + (l.segment + 1) * state + l.Hp;
    }
    dh = record != nullptr && l.remembers_z ? z : z + row_steps * l.ld;
    dc = dh + state;
    kept_dh = dc + state;
    kept_dc = kept_dh + state;
    scaled_h = kept_dc + state;
    scaled_x = scaled_h + row_steps * l.state_ld;
    // pointers come first behind an even number of floats
    x_row = reinterpret_cast<const float**>(scaled_x + (row_steps * l.input_ld + 1) / 2 * 2);
    wx_row = x_row + row_steps;
    h_row = wx_row + row_steps;
    offset = reinterpret_cast<int64_t*>(h_row + row_steps);
    cell = offset + l.segment + 1;
    live = reinterpret_cast<int32_t*>(cell + row_steps);
  }
};

}  // namespace sunhwan
