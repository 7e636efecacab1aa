// From XLA's buffers to the engine's structs: every rank, size and dtype is checked before a byte
// is read. An argument or result that a call does without has the shape (0,).
//
// Arguments and results come in groups, one for each problem:
//   shared    x [B, T, D] or table [V, D] and ids int32[B, T], mask [B, T], reset [B, T],
//             kernel [D, G*H], recurrent_kernel [P, G*H], bias, peephole [3, H],
//             projection [H, P], norm [2 or 1, G*H], norm_cell [2, H], input_scale [B, G, D],
//             state_scale [B, G, P], noise uint32[B, 2]
//   forward   shared, h0, c0
//             -> y [B, T, P], h [B, P], c [B, H], checkpoints, record uint32[B, 2],
//                c_sequence [B, T, H]
//   backward  shared, checkpoints, record, dy, dh, dc, dc_sequence
//             -> dx, dtable, dkernel, drecurrent, dbias, dpeephole, dprojection, dnorm,
//                dnorm_cell, dh0, dc0
#pragma once

#include <cstdint>
#include <string>

#include "engine.h"
#include "xla/ffi/api/ffi.h"
#include "xla_check.h"

namespace sunhwan {

struct Options {
  int64_t kind, activation, recurrent_activation, segment;
  bool reset_after, zero_output;
  int64_t backwards;  // bit n: problem n runs from the last step to the first
  double zoneout_h, zoneout_c, norm_epsilon;
  bool bfloat16;  // what goes into products is rounded to bfloat16
};

constexpr size_t kShared = 15;  // arguments that both calls begin with
constexpr size_t kForwardArgs = kShared + 2, kForwardResults = 6;
constexpr size_t kBackwardArgs = kShared + 6, kBackwardResults = 11;

// What an id outside the table is told; `steps` ids make a row of the batch.
std::string wrong_id_text(const int32_t* ids, int64_t n, int64_t steps, int64_t V);

// Problem number `problem` of a call, with its arguments and results. What is wrong is told to
// `check`; the task may then not be run.
Forward read_forward(Checker& check, const Options& options, const ffi::RemainingArgs& args,
                     const ffi::RemainingRets& results, size_t problem);
Backward read_backward(Checker& check, const Options& options, const ffi::RemainingArgs& args,
                       const ffi::RemainingRets& results, size_t problem);

}  // namespace sunhwan
