// A chunk's way through the whole sequence and back.
#pragma once

#include "gradients.h"

namespace sunhwan {
namespace SUNHWAN_ISA_NAMESPACE {

SUNHWAN_INLINE float* checkpoint(const Context& x, float* all, int64_t n, int state) {
  const int64_t states = x.p.has_cell_state() ? 2 : 1;
  return all + (n * states + state) * x.p.B * x.p.H;
}

// States after each step of the open segment into y [B, T, columns], one row after the other so
// that each write is to one page; `states` is the chunk's h or c. With `zeroes`, 0 where a step was
// masked.
SUNHWAN_OUTLINE void emit_states(const Context& x, const float* states, int64_t columns,
                                 bool zeroes, float* y) {
  const Chunk& c = x.chunk;
  const int64_t state = c.rows * x.l.Hp;
  for (int64_t r = x.team.begin(c.rows); r < x.team.end(c.rows); ++r) {
    const int64_t row = c.batch_rows[r];
    float* out = y + (row * x.p.T + c.first) * columns;
    for (int64_t s = 0; s < c.steps; ++s, out += columns) {
      const int64_t t = time_of(x.p, c.first + s);
      if (zeroes && x.p.mask != nullptr && !x.p.mask[row * x.p.T + t]) {
        __builtin_memset(out, 0, columns * sizeof(float));
      } else {
        copy_floats(out, states + (s + 1) * state + r * x.l.Hp, columns);
      }
    }
  }
}

// Moves on to segment n, the states before it being known: in the record they already lie where
// they belong, in scratch the last ones become the first. One thread.
SUNHWAN_INLINE void next_segment(const Context& x, int64_t n) {
  Chunk& c = x.chunk;
  if (c.record != nullptr) {
    c.place(x.l, x.p.T, n);
  } else if (n > 0) {
    const int64_t state = c.rows * x.l.Hp;
    copy_floats(c.h, c.h + c.steps * state, state);
    if (x.p.has_cell_state()) copy_floats(c.c, c.c + c.steps * state, state);
  }
}

// All steps of the open segment. With Keep the gate records stay, for going back.
template <class Cell, bool Keep, bool Scaled>
SUNHWAN_OUTLINE void run_steps(const Context& x) {
  const Chunk& c = x.chunk;
  project_inputs(x);
  for (int64_t s = 0; s < c.steps; ++s) {
    if constexpr (Scaled) {
      scale_states(x, s, s + 1);
      x.team.sync();
    }
    Cell::template step<Keep, Scaled>(x, s);
    if (x.p.projects()) project_states(x, s);
    if (x.p.zones()) {
      mix_old_state(x, s, zone_of_h(x.p), c.h);
      if (x.p.has_cell_state()) mix_old_state(x, s, zone_of_c(x.p), c.c);
    }
    carry_over(x, s);
    x.team.sync();
  }
}

// What is scaled is always kept too: one copy of the code for both.
template <class Cell, bool Keep>
SUNHWAN_INLINE void run_any_steps(const Context& x) {
  if (x.l.state_ld != 0) return run_steps<Cell, true, true>(x);
  run_steps<Cell, Keep, false>(x);
}

template <class Cell>
void forward_pass(const Context& x, const ForwardResult& result) {
  Chunk& c = x.chunk;
  const bool has_cell = x.p.has_cell_state();
  const int64_t P = x.p.P, H = x.p.H;
  for (int64_t n = 0; n < x.p.segments(); ++n) {
    if (x.team.id == 0) {
      next_segment(x, n);
      if (n == 0) {
        load_state(x, x.p.h0, P, P, c.h);
        if (has_cell) load_state(x, x.p.c0, H, H, c.c);
      }
      open_segment(x, n);
      if (result.checkpoints != nullptr) {
        store_state(x, c.h, P, H, checkpoint(x, result.checkpoints, n, 0));
        if (has_cell) store_state(x, c.c, H, H, checkpoint(x, result.checkpoints, n, 1));
      }
    }
    x.team.sync();
    if (c.record != nullptr) {
      run_any_steps<Cell, true>(x);
    } else {
      run_any_steps<Cell, false>(x);
    }
    if (result.y != nullptr) emit_states(x, c.h, P, x.p.zero_output, result.y);
    if (result.c_sequence != nullptr) emit_states(x, c.c, H, false, result.c_sequence);
    x.team.sync();
  }
  if (x.team.id == 0) {
    const int64_t last = c.steps * c.rows * x.l.Hp;
    store_state(x, c.h + last, P, P, result.h);
    if (has_cell) store_state(x, c.c + last, H, H, result.c);
  }
}
// The inputs and states of a segment whose gates were remembered, scaled again.
SUNHWAN_INLINE void scale_again(const Context& x) {
  if (x.l.input_ld != 0) scale_inputs(x);
  if (x.l.state_ld != 0) scale_states(x, 0, x.chunk.steps);
  if (x.l.input_ld != 0 || x.l.state_ld != 0) x.team.sync();
}

template <class Cell>
void backward_pass(const Context& x, const BackwardArgs& g, const SlotSums& sums) {
  Chunk& c = x.chunk;
  const bool has_cell = x.p.has_cell_state();
  const int64_t P = x.p.P, H = x.p.H;
  if (x.team.id == 0) {
    load_state(x, g.dh, P, P, c.dh);
    if (has_cell) load_state(x, g.dc, H, H, c.dc);
    const bool wants_gains = g.dnorm != nullptr || g.dnorm_cell != nullptr;
    float* const behind_biases = sums.parameters + (x.p.D + P + 2) * x.l.gates * x.l.Hp;
    c.norm_sums = wants_gains ? behind_biases : nullptr;
  }
  for (int64_t n = x.p.segments() - 1; n >= 0; --n) {
    if (x.team.id == 0) {
      if (c.record != nullptr) {
        c.place(x.l, x.p.T, n);
      } else {
        float* from = const_cast<float*>(g.checkpoints);
        load_state(x, checkpoint(x, from, n, 0), P, H, c.h);
        if (has_cell) load_state(x, checkpoint(x, from, n, 1), H, H, c.c);
      }
      open_segment(x, n);
    }
    x.team.sync();
    c.record == nullptr ? run_any_steps<Cell, true>(x) : scale_again(x);
    for (int64_t s = c.steps - 1; s >= 0; --s) {
      if (g.dy != nullptr) add_gradient(x, g.dy, P, s, x.p.zero_output, c.dh);
      if (g.dc_sequence != nullptr) add_gradient(x, g.dc_sequence, H, s, false, c.dc);
      before_step_back(x, s);
      if (x.p.projects()) unproject_gradient(x, s);
      Cell::step_back(x, s);
      x.team.sync();
      state_gradient(x, s, c.z + Cell::kRecurrent * x.l.Hp, Cell::kRecurrentBlocks);
      x.team.sync();
      after_step_back(x, s);
    }
    parameter_gradients<Cell>(x, g, sums);
    if (g.dx != nullptr && sums.place == nullptr) {
      input_gradient(x, c.z + Cell::kInput * x.l.Hp, g.dx);
    }
    x.team.sync();
  }
  if (x.team.id == 0) {
    store_state(x, c.dh, P, P, g.dh0);
    if (has_cell) store_state(x, c.dc, H, H, g.dc0);
  }
}

}  // namespace SUNHWAN_ISA_NAMESPACE
}  // namespace sunhwan
