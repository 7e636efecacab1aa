#include "engine.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <numeric>
#include <vector>

#include "arena.h"
#include "records.h"

namespace sunhwan {
namespace {

constexpr int64_t kMostRows = 32;          // of a chunk: enough to fill tiles, few enough for cache
constexpr double kLeastWork = 1e6;         // multiply-adds that are worth another thread
constexpr double kLeastStepWork = 1.5e5;   // multiply-adds of a step that are worth a barrier
constexpr int64_t kParallelPacking = 1 << 16;  // floats

int64_t private_cache_bytes() {
  static const int64_t bytes = [] {
    const long size = sysconf(_SC_LEVEL2_CACHE_SIZE);
    return size > 0 ? int64_t(size) : int64_t(1) << 20;
  }();
  return bytes;
}

// Rows of the batch, cut into slots and chunks.
struct Rows {
  std::vector<int32_t> order;
  std::vector<int64_t> slot_begin;  // [slots + 1]

  // Without a mask in order. With one, longest first, and dealt to the slots there and back, so that
  // slots have equal work and neighbours in a chunk are live together.
  Rows(const Problem& p, int64_t slots) : order(p.B), slot_begin(slots + 1) {
    for (int64_t s = 0; s <= slots; ++s) slot_begin[s] = p.B * s / slots;
    std::iota(order.begin(), order.end(), 0);
    if (p.mask == nullptr) return;
    std::vector<int64_t> length(p.B);
    for (int64_t b = 0; b < p.B; ++b) {
      length[b] = std::count_if(p.mask + b * p.T, p.mask + (b + 1) * p.T,
                                [](unsigned char live) { return live != 0; });
    }
    std::stable_sort(order.begin(), order.end(),
                     [&](int32_t a, int32_t b) { return length[a] > length[b]; });
    std::vector<int32_t> dealt(p.B);
    std::vector<int64_t> next(slot_begin.begin(), slot_begin.end() - 1);
    int64_t slot = 0, step = 1;
    for (const int32_t row : order) {
      while (next[slot] == slot_begin[slot + 1]) turn(slots, &slot, &step);
      dealt[next[slot]++] = row;
      turn(slots, &slot, &step);
    }
    order = dealt;
  }

 private:
  static void turn(int64_t slots, int64_t* slot, int64_t* step) {
    const int64_t to = *slot + *step;
    if (to < 0 || to >= slots) {
      *step = -*step;
    } else {
      *slot = to;
    }
  }
};

struct Call {
  const Kernels& kernels;
  const Problem& p;
  Pool& pool;
  Plan plan;
  Layout layout;
  Rows rows;
  Lease weight_memory;
  Weights weights;
  int64_t scratch_floats;
  Lease scratch;
  std::shared_ptr<Lease> record;  // null: gates are computed again on the way back

  Call(const Kernels& k, const Problem& problem, Pool& threads, bool backward)
      : kernels(k),
        p(problem),
        pool(threads),
        plan(Plan::of(problem, k, usable_threads(threads))),
        layout(Layout::of(problem, k.lanes, plan.chunk_rows)),
        rows(problem, plan.slots),
        weight_memory(weight_floats(backward)),
        weights{},
        scratch_floats((Chunk::scratch_floats(layout) + 63) / 64 * 64),
        scratch(scratch_floats * plan.slots) {
    place_weights();
    pack(backward);
  }

  int64_t record_row_floats() const { return Chunk::record_floats(layout, p.T); }
  int64_t record_bytes() const { return p.B * record_row_floats() * int64_t(sizeof(float)); }

  std::size_t weight_floats(bool backward) const {
    return layout.kernel_size(p) + layout.recurrent_size(p) + layout.bias_size() +
           (backward ? layout.kernel_t_size() + layout.recurrent_t_size() : 0);
  }

  void place_weights() {
    weights.kernel = weight_memory.data();
    weights.recurrent = weights.kernel + layout.kernel_size(p);
    weights.bias = weights.recurrent + layout.recurrent_size(p);
    weights.kernel_t = weights.bias + layout.bias_size();
    weights.recurrent_t = weights.kernel_t + layout.kernel_t_size();
  }

  void pack(bool backward) {
    const int64_t parts = kernels.pack_parts(p, layout, backward);
    const auto one = [&](int64_t part) { kernels.pack(p, layout, weights, backward, part); };
    if (int64_t(weight_floats(backward)) >= kParallelPacking) {
      parallel_for(pool, parts, one);
    } else {
      for (int64_t part = 0; part < parts; ++part) one(part);
    }
  }

  // run(chunk, team, slot, is_first) for every chunk: each slot's in order.
  template <class Run>
  void for_each_chunk(const Run& run) {
    const auto slot_chunks = [&](int64_t slot, Team& team) {
      const int64_t begin = rows.slot_begin[slot], end = rows.slot_begin[slot + 1];
      const int64_t chunks = (end - begin + plan.chunk_rows - 1) / plan.chunk_rows;
      Chunk& chunk = chunks_[slot];
      for (int64_t n = 0; n < chunks; ++n) {
        const int64_t first = begin + (end - begin) * n / chunks;
        team.sync();
        if (team.id == 0) {
          chunk.batch_rows = rows.order.data() + first;
          chunk.rows = begin + (end - begin) * (n + 1) / chunks - first;
          chunk.carve(layout, scratch.data() + slot * scratch_floats);
          chunk.record = record == nullptr ? nullptr : record->data() + first * record_row_floats();
        }
        team.sync();
        run(chunk, team, slot, n == 0);
      }
    };
    chunks_.resize(plan.slots);
    if (plan.by_units) {
      run_team(pool, usable_threads(pool), [&](Team& team) { slot_chunks(0, team); });
    } else {
      parallel_for(pool, plan.slots, [&](int64_t slot) {
        Team alone;
        slot_chunks(slot, alone);
      });
    }
  }

 private:
  std::vector<Chunk> chunks_;
};

// Remembering costs a write and a read of the record, computing again two products and the gate
// functions. Rates of one core: about 8 GB/s to memory it shares, 100 GFLOP/s, 1 ns a gate.
bool is_worth_a_record(const Problem& p) {
  const double gates = gate_count(p.kind), units = double(p.H);
  const double remember = 2 * sizeof(float) * (gates + 3) * units / 8e9;
  const double compute = 2 * gates * units * double(p.D + p.H) / 1e11 + gates * units * 1e-10;
  return compute > 2 * remember;
}

// The record whose token all rows bear, in order; null if they come from different calls (a batch
// that was cut or joined in between) or the record is gone or of another size.
std::shared_ptr<Lease> find_record(const Problem& p, const uint32_t* tokens, int64_t row_floats) {
  if (tokens == nullptr || tokens[0] == 0) return nullptr;
  for (int64_t b = 0; b < p.B; ++b) {
    if (tokens[2 * b] != tokens[0] || tokens[2 * b + 1] != uint32_t(b)) return nullptr;
  }
  std::shared_ptr<Lease> found = take_record(tokens[0]);
  const bool fits = found != nullptr && found->wanted() == std::size_t(p.B * row_floats);
  return fits ? found : nullptr;
}

void copy_state(float* to, const float* from, const Problem& p) {
  if (to != nullptr && from != nullptr) std::memcpy(to, from, p.B * p.H * sizeof(float));
}

}  // namespace

Plan Plan::of(const Problem& p, const Kernels& kernels, int threads) {
  const double gates = gate_count(p.kind);
  const double step_work = double(p.B) * p.H * gates * p.H;
  const double work = double(p.B) * p.T * gates * p.H * (p.D + p.H);
  const int64_t worth = int64_t(std::min(work / kLeastWork, 1e6)) + 1;
  Plan plan;
  plan.slots = std::max<int64_t>(1, std::min<int64_t>({threads, p.B, worth}));
  const double recurrent_bytes = double(p.H) * p.H * gates * sizeof(float);
  const bool spills = recurrent_bytes > private_cache_bytes();
  plan.by_units = threads > 1 && p.H >= 2 * kernels.lanes && step_work >= kLeastStepWork &&
                  (spills || p.B < threads);
  if (plan.by_units) plan.slots = 1;
  const int64_t slot_rows = (p.B + plan.slots - 1) / plan.slots;
  const int64_t chunks = std::max<int64_t>(1, (slot_rows + kMostRows - 1) / kMostRows);
  plan.chunk_rows = std::max<int64_t>(1, (slot_rows + chunks - 1) / chunks);
  return plan;
}

void forward(const Kernels& kernels, const Problem& p, const ForwardResult& result, Pool& pool) {
  if (p.B == 0) return;
  if (p.T == 0) {
    copy_state(result.h, p.h0, p);
    copy_state(result.c, p.c0, p);
    return;
  }
  Call call(kernels, p, pool, false);
  const bool keeps = result.checkpoints != nullptr && is_worth_a_record(p) &&
                     call.record_bytes() <= kRecordLimit;
  if (keeps) call.record = std::make_shared<Lease>(p.B * call.record_row_floats());
  call.for_each_chunk([&](Chunk& chunk, Team& team, int64_t, bool) {
    kernels.forward(p, call.layout, call.weights, chunk, team, result);
  });
  if (result.record == nullptr) return;
  const uint32_t token = keeps ? keep_record(call.record, call.record_bytes()) : 0;
  for (int64_t b = 0; b < p.B; ++b) {
    result.record[2 * b] = token;
    result.record[2 * b + 1] = uint32_t(b);
  }
}

void backward(const Kernels& kernels, const Problem& p, const BackwardArgs& args, Pool& pool) {
  const int64_t gates = gate_count(p.kind);
  if (p.B == 0 || p.T == 0) {
    const auto zero = [](float* to, int64_t n) {
      if (to != nullptr) std::memset(to, 0, n * sizeof(float));
    };
    zero(args.dkernel, p.D * gates * p.H);
    zero(args.drecurrent, p.H * gates * p.H);
    zero(args.dbias, (p.has_two_biases() ? 2 : 1) * gates * p.H);
    copy_state(args.dh0, args.dh, p);
    copy_state(args.dc0, args.dc, p);
    return;
  }
  Call call(kernels, p, pool, true);
  const int64_t size = call.layout.gradient_size(p), slots = call.plan.slots;
  const Lease sums(size * slots);
  call.record = find_record(p, args.record, call.record_row_floats());
  call.for_each_chunk([&](Chunk& chunk, Team& team, int64_t slot, bool is_first) {
    if (is_first && team.id == 0) {  // the pass begins with a barrier before anyone adds
      std::memset(sums.data() + slot * size, 0, size * sizeof(float));
    }
    kernels.backward(p, call.layout, call.weights, chunk, team, args, sums.data() + slot * size);
  });
  const auto collect = [&](int64_t row) {
    kernels.collect(p, call.layout, sums.data(), slots, args, row);
  };
  if (size * slots >= kParallelPacking) {
    constexpr int64_t kParts = 64;
    const int64_t all = p.D + p.H + 1;
    parallel_for(pool, kParts, [&](int64_t part) {
      for (int64_t row = all * part / kParts; row < all * (part + 1) / kParts; ++row) collect(row);
    });
  } else {
    for (int64_t row = 0; row <= p.D + p.H; ++row) collect(row);
  }
}

}  // namespace sunhwan
