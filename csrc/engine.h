// Whole calls: from tensors to tensors, on the threads of a pool.
//
// A call takes several problems that do not depend on each other (the two directions of a
// Bidirectional layer) and shares the threads among them; bits are those of one call for each.
//
// Both functions expect arguments that were checked (xla_arguments.cc does): sizes agree, pointers
// are valid for them. They allocate nothing but arena blocks and may be called from several threads
// at once. Results depend on the sizes, the instruction set and the pool's number of threads, never
// on which thread did what: same machine, same bits.
#pragma once

#include <vector>

#include "kernels.h"
#include "problem.h"
#include "threads.h"

namespace sunhwan {

struct Forward {
  Problem problem;
  ForwardResult result;
};
struct Backward {
  Problem problem;
  BackwardArgs args;
};

void forward(const Kernels& kernels, const std::vector<Forward>& tasks, Pool& pool);
void backward(const Kernels& kernels, const std::vector<Backward>& tasks, Pool& pool);

// How a call is shared out. Exposed for tests and for `explain`.
struct Plan {
  bool by_units;       // a team shares the units of every step; else each slot has rows of its own
  int64_t slots;       // parts of the batch, one thread each (by units: 1)
  int64_t chunk_rows;  // rows that go through the sequence together
  static Plan of(const Problem& p, const Kernels& kernels, int threads);
};

}  // namespace sunhwan
