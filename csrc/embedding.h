// Rows of a table by id, and the gradient of the table.
#pragma once

#include <cstdint>

#include "threads.h"

namespace sunhwan {

// The first n < N whose id is not in 0..V-1, or -1.
int64_t first_wrong_id(const int32_t* ids, int64_t N, int64_t V);

// out[n] = table[ids[n]] for n < N; table float32[V, D], out float32[N, D], which may not overlap.
// Returns the first n whose id is not in 0..V-1 (out is then incomplete), or -1.
int64_t embedding_lookup(const float* table, int64_t V, int64_t D, const int32_t* ids, int64_t N,
                         float* out, Pool& pool);

// dtable[v] = sum of dout[n] over n with ids[n] == v, in order of n whatever the number of threads.
// ids as checked by the lookup; an id outside the table adds nothing.
void embedding_gradient(const int32_t* ids, int64_t N, const float* dout, int64_t V, int64_t D,
                        float* dtable, Pool& pool);

}  // namespace sunhwan
