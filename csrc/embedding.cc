#include "embedding.h"

#include <algorithm>
#include <atomic>
#include <cstring>

namespace sunhwan {
namespace {

constexpr int64_t kLeastFloats = 1 << 14;  // copied or added, to be worth another thread

int64_t parts_for(int64_t floats, const Pool& pool) {
  return std::min<int64_t>(usable_threads(pool), floats / kLeastFloats + 1);
}

}  // namespace

int64_t embedding_lookup(const float* table, int64_t V, int64_t D, const int32_t* ids, int64_t N,
                         float* out, Pool& pool) {
  std::atomic<int64_t> wrong{N};
  const int64_t parts = parts_for(N * D, pool);
  parallel_for(pool, parts, [&](int64_t part) {
    for (int64_t n = N * part / parts; n < N * (part + 1) / parts; ++n) {
      if (ids[n] < 0 || ids[n] >= V) {
        int64_t known = wrong.load();
        while (n < known && !wrong.compare_exchange_weak(known, n)) {
        }
        return;
      }
      std::memcpy(out + n * D, table + ids[n] * D, D * sizeof(float));
    }
  });
  const int64_t first = wrong.load();
  return first == N ? -1 : first;
}

void embedding_gradient(const int32_t* ids, int64_t N, const float* dout, int64_t V, int64_t D,
                        float* dtable, Pool& pool) {
  // Each part owns the ids that leave its remainder, so no two threads write to one row and every
  // row is summed in order. Neighbouring ids are about equally frequent (tables are often sorted by
  // count), so parts get equal work; reading all ids in every part costs little beside the sums.
  const int64_t parts = parts_for(V * D + N * D, pool);
  parallel_for(pool, parts, [&](int64_t part) {
    for (int64_t v = part; v < V; v += parts) std::memset(dtable + v * D, 0, D * sizeof(float));
    const auto divisor = static_cast<uint32_t>(parts), rest = static_cast<uint32_t>(part);
    for (int64_t n = 0; n < N; ++n) {
      const int32_t v = ids[n];
      if (static_cast<uint32_t>(v) % divisor != rest || v < 0 || v >= V) continue;
      const float* from = dout + n * D;
      float* to = dtable + int64_t{v} * D;
      for (int64_t d = 0; d < D; ++d) to[d] += from[d];
    }
  });
}

}  // namespace sunhwan
