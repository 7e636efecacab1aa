// One problem of a whole call: its plan, packed weights, scratch and the rows of each thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <numeric>
#include <vector>

#include "arena.h"
#include "chunk.h"
#include "engine.h"
#include "groups.h"
#include "kernels.h"
#include "layout.h"
#include "records.h"
#include "threads.h"

namespace sunhwan {

constexpr int64_t kParallelPacking = 1 << 16;  // floats
constexpr int64_t kProjectedRows = 256;        // of a table, that a thread takes at a time

// Rows of the batch, cut into slots and chunks.
struct Rows {
  std::vector<int32_t> order;
  std::vector<int64_t> slot_begin;  // [slots + 1]

  // Without a mask in order. With one, longest first, and dealt to the slots there and back, so
  // that slots have equal work and neighbours in a chunk are live together.
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
  Record record;  // what is known from the way there, or found for the way back
  std::unique_ptr<Lease> weight_memory;
  Weights weights;
  int64_t scratch_floats = 0;
  std::unique_ptr<Lease> scratch;

  Call(const Kernels& k, const Problem& problem, Pool& threads)
      : kernels(k),
        p(problem),
        pool(threads),
        plan(Plan::of(problem, k, usable_threads(threads))),
        layout(Layout::of(problem, k.lanes, plan.chunk_rows)),
        rows(problem, plan.slots),
        weights{},
        chunks_(plan.slots) {}

  // Takes memory and packs the weights, as much of them as is needed with the record or without.
  void begin(bool backward) {
    weight_memory = std::make_unique<Lease>(weight_floats(backward));
    scratch_floats = (Chunk::scratch_floats(layout, record.gates != nullptr) + 63) / 64 * 64;
    scratch = std::make_unique<Lease>(scratch_floats * plan.slots);
    place_weights(backward);
    pack(backward);
  }

  int64_t record_row_floats() const { return Chunk::record_floats(layout, p.T); }
  int64_t gate_bytes() const { return p.B * record_row_floats() * int64_t(sizeof(float)); }

  // Gates that were remembered are not computed again.
  bool computes_gates(bool backward) const { return !backward || record.gates == nullptr; }

  std::size_t weight_floats(bool backward) const {
    const int64_t there =
        layout.kernel_size(p) + layout.recurrent_size(p) + layout.projection_size(p);
    const int64_t back =
        layout.kernel_t_size() + layout.recurrent_t_size() + layout.projection_t_size(p);
    return layout.bias_size() + (computes_gates(backward) ? there : 0) + (backward ? back : 0);
  }

  void place_weights(bool backward) {
    weights.bias = weight_memory->data();
    weights.kernel_t = weights.bias + layout.bias_size();
    if (computes_gates(backward)) {
      weights.kernel = weights.kernel_t;
      weights.recurrent = weights.kernel + layout.kernel_size(p);
      weights.projection = weights.recurrent + layout.recurrent_size(p);
      weights.kernel_t = weights.projection + layout.projection_size(p);
    }
    weights.recurrent_t = weights.kernel_t + layout.kernel_t_size();
    weights.projection_t = weights.recurrent_t + layout.recurrent_t_size();
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

  void find_groups() { record.groups = Groups::of(p, rows.order, rows.slot_begin, pool); }

  // W x + b of each id that occurs, where those are clearly fewer than the steps.
  void project() {
    if (record.groups == nullptr || !record.groups->spare_products()) return;
    if (record.projected == nullptr) record.projected = product_of_ids(record.groups->ids());
    weights.projected = record.projected->data();
    weights.place = record.groups->place();
  }

  // run(chunk, team, slot, is_first) for the chunks of a slot, in order.
  template <class Run>
  void for_each_chunk(int64_t slot, Team& team, const Run& run) {
    const int64_t begin = rows.slot_begin[slot], end = rows.slot_begin[slot + 1];
    const int64_t chunks = (end - begin + plan.chunk_rows - 1) / plan.chunk_rows;
    Chunk& chunk = chunks_[slot];
    for (int64_t n = 0; n < chunks; ++n) {
      const int64_t first = begin + (end - begin) * n / chunks;
      team.sync();
      if (team.id == 0) {
        chunk.batch_rows = rows.order.data() + first;
        chunk.rows = begin + (end - begin) * (n + 1) / chunks - first;
        float* const gates = record.gates == nullptr ? nullptr : record.gates->data();
        chunk.record = gates == nullptr ? nullptr : gates + first * record_row_floats();
        chunk.carve(layout, scratch->data() + slot * scratch_floats);
      }
      team.sync();
      run(chunk, team, slot, n == 0);
    }
  }

 private:
  std::shared_ptr<Lease> product_of_ids(const std::vector<int32_t>& ids) const {
    const auto count = int64_t(ids.size());
    const int64_t width = layout.gates * layout.Hp;
    const auto product = std::make_shared<Lease>(count * width);
    std::vector<const float*> inputs(count);
    for (int64_t i = 0; i < count; ++i) inputs[i] = p.table + ids[i] * p.D;
    const int64_t parts = (count + kProjectedRows - 1) / kProjectedRows;
    parallel_for(pool, parts, [&](int64_t part) {
      const int64_t first = count * part / parts, last = count * (part + 1) / parts;
      kernels.project(p, layout, weights, inputs.data() + first, last - first,
                      product->data() + first * width);
    });
    return product;
  }

  std::vector<Chunk> chunks_;
};

}  // namespace sunhwan
