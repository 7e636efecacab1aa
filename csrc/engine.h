// Whole calls: from tensors to tensors, on the threads of a pool.
//
// Both functions expect arguments that were checked (xla_ffi.cc does): sizes agree, pointers are
// valid for them. They allocate nothing but arena blocks and may be called from several threads at
// once. Results depend on the sizes, the instruction set and the pool's number of threads, never on
// which thread did what: same machine, same bits.
#pragma once

#include "kernels.h"
#include "problem.h"
#include "threads.h"

namespace sunhwan {

void forward(const Kernels& kernels, const Problem& p, const ForwardResult& result, Pool& pool);
void backward(const Kernels& kernels, const Problem& p, const BackwardArgs& args, Pool& pool);

// How a call is shared out. Exposed for tests and for `explain`.
struct Plan {
  bool by_units;       // a team shares the units of every step; else each slot has rows of its own
  int64_t slots;       // parts of the batch, one thread each (by units: 1)
  int64_t chunk_rows;  // rows that go through the sequence together
  static Plan of(const Problem& p, const Kernels& kernels, int threads);
};

}  // namespace sunhwan
