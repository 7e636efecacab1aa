#include "embedding.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "arena.h"

namespace sunhwan {
namespace {

constexpr int64_t kLeastFloats = 1 << 14;  // copied or added, to be worth another thread
constexpr int64_t kAhead = 24;             // rows between asking for one and adding it
constexpr int64_t kLine = 16;              // floats of a cache line

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

int64_t first_wrong_id(const int32_t* ids, int64_t N, int64_t V) {
  for (int64_t n = 0; n < N; ++n) {
    if (ids[n] < 0 || ids[n] >= V) return n;
  }
  return -1;
}

void embedding_gradient(const int32_t* ids, int64_t N, const float* dout, int64_t V, int64_t D,
                        float* dtable, Pool& pool) {
  // Positions sorted by id (counting sort, so in order of n within an id): each row of the table is
  // then written once, by one thread, and parts of the table with equally many positions are equal
  // work.
  const auto is_inside = [&](int32_t id) { return id >= 0 && id < V; };
  const Lease memory(2 * (V + 2 + N));
  auto* begin = reinterpret_cast<int64_t*>(memory.data());  // [V + 2], of each id in `order`
  int64_t* order = begin + V + 2;                           // [N]
  std::fill(begin, begin + V + 2, 0);
  for (int64_t n = 0; n < N; ++n) {
    if (is_inside(ids[n])) ++begin[ids[n] + 2];
  }
  for (int64_t v = 2; v < V + 2; ++v) begin[v] += begin[v - 1];
  for (int64_t n = 0; n < N; ++n) {
    if (is_inside(ids[n])) order[begin[ids[n] + 1]++] = n;
  }
  const int64_t parts = parts_for(V * D + N * D, pool), total = begin[V] + V;
  const auto first_of = [&](int64_t part) {  // begin[v] + v grows with v: the work before id v
    int64_t low = 0, high = V;
    while (low < high) {
      const int64_t middle = (low + high) / 2;
      if (begin[middle] + middle < total * part / parts) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  };
  parallel_for(pool, parts, [&](int64_t part) {
    const int64_t end = part + 1 == parts ? V : first_of(part + 1);
    for (int64_t v = first_of(part); v < end; ++v) {
      float* to = dtable + v * D;
      std::memset(to, 0, D * sizeof(float));
      for (int64_t i = begin[v]; i < begin[v + 1]; ++i) {
        // rows of one id lie anywhere: nobody but us can know which comes next
        if (i + kAhead < begin[V]) {
          const float* next = dout + order[i + kAhead] * D;
          for (int64_t d = 0; d < D; d += kLine) __builtin_prefetch(next + d);
        }
        const float* from = dout + order[i] * D;
        for (int64_t d = 0; d < D; ++d) to[d] += from[d];
      }
    }
  });
}

}  // namespace sunhwan
