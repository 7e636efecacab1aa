// The table of functions that each instruction set offers, and the choice among them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "chunk.h"
#include "layout.h"
#include "problem.h"
#include "threads.h"

namespace sunhwan {

struct Kernels {
  const char* name;       // as SUNHWAN_ISA names it
  int64_t lanes;          // floats in a vector
  int64_t operand_bytes;  // of a number that goes into a product

  // Part `part` of 0 .. pack_parts(...)-1 of packing the weights; parts are independent.
  int64_t (*pack_parts)(const Problem&, const Layout&, bool backward);
  void (*pack)(const Problem&, const Layout&, const Weights&, bool backward, int64_t part);

  // out[i] = W rows[i] + b for i < n, with packed W and b; rows of out: gates * Hp floats, in the
  // blocks' order.
  void (*project)(const Problem&, const Layout&, const Weights&, const float* const* rows,
                  int64_t n, float* out);

  // One chunk through the sequence. All members of a team call with the same arguments, and alone
  // add to `sums`.
  void (*forward)(const Problem&, const Layout&, const Weights&, Chunk&, Team&,
                  const ForwardResult&);
  void (*backward)(const Problem&, const Layout&, const Weights&, Chunk&, Team&,
                   const BackwardArgs&, const SlotSums& sums);

  // The gradients of some rows of a table, dtable[id], and their part of dW in `sums`. Scratch:
  // `z` of count * l.ld floats, `pointers` of 2 * count.
  void (*finish_groups)(const Problem&, const Layout&, const Weights&, const SummedIds&, float* z,
                        int64_t* pointers, const BackwardArgs&, float* sums);

  // Row `row` (of D + P + 1, and H of a projection) of the parameters' gradients: adds the `slots`
  // sums in order, writes Keras's layout.
  void (*collect)(const Problem&, const Layout&, const float* sums, int64_t slots,
                  const BackwardArgs&, int64_t row);

  // y[i] = gate(x[i]), for tests of accuracy.
  void (*apply_gate)(int gate, const float* x, float* y, int64_t n);
};

// Instruction sets that were built and that this processor and operating system can run, best
// first. Never empty.
const std::vector<const Kernels*>& available_kernels();

// Those of the one in use whose products take bfloat16 operands (generic/tile_bfloat16.h); null
// where the processor or the choice has none. Lanes and layouts are the same.
const Kernels* bfloat16_kernels();

// The one in use: the best, or what SUNHWAN_ISA names. Null with a reason in `error` if that one
// cannot run here.
const Kernels* active_kernels(std::string* error);

}  // namespace sunhwan
