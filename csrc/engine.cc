#include "engine.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "arena.h"
#include "call.h"
#include "embedding.h"
#include "groups.h"
#include "records.h"

namespace sunhwan {
namespace {

constexpr int64_t kMostRows = 32;         // of a chunk: enough to fill tiles, few enough for cache
constexpr int64_t kTileRows = 16;         // enough to keep tiles full
constexpr double kLeastWork = 1e6;        // multiply-adds that are worth another thread
constexpr double kLeastStepWork = 1.5e5;  // multiply-adds of a step that are worth a barrier
constexpr double kMultiplyAddsPerSecond = 5e10;  // of a fast core

int64_t private_cache_bytes() {
  static const int64_t bytes = [] {
    const long size = sysconf(_SC_LEVEL2_CACHE_SIZE);
    return size > 0 ? int64_t(size) : int64_t(1) << 20;
  }();
  return bytes;
}

int64_t shared_cache_bytes() {
  static const int64_t bytes = std::max<int64_t>(0, sysconf(_SC_LEVEL3_CACHE_SIZE));
  return bytes;
}

// Of a way there; a way back has two to three times as many.
double multiply_adds(const Problem& p) {
  return double(p.B) * p.T * gate_count(p.kind) * p.H * (p.D + p.P);
}

using Calls = std::vector<std::unique_ptr<Call>>;

// run(call, chunk, team, slot, is_first) for every chunk of every call: one slot a thread, of
// whichever call, then those calls whose units a whole team shares, one after the other.
template <class Run>
void for_each_chunk(const Calls& calls, Pool& pool, const Run& run) {
  std::vector<std::pair<int64_t, int64_t>> jobs;  // call, slot
  const auto work = [&](int64_t n, int64_t slot, Team& team) {
    calls[n]->for_each_chunk(slot, team, [&](Chunk& chunk, Team& all, int64_t s, bool is_first) {
      run(n, chunk, all, s, is_first);
    });
  };
  for (size_t n = 0; n < calls.size(); ++n) {
    if (calls[n]->plan.by_units) continue;
    for (int64_t slot = 0; slot < calls[n]->plan.slots; ++slot) jobs.emplace_back(n, slot);
  }
  parallel_for(pool, int64_t(jobs.size()), [&](int64_t i) {
    Team alone;
    work(jobs[i].first, jobs[i].second, alone);
  });
  for (size_t n = 0; n < calls.size(); ++n) {
    if (!calls[n]->plan.by_units) continue;
    const double seconds = multiply_adds(calls[n]->p) / kMultiplyAddsPerSecond;
    run_team(pool, usable_threads(pool), seconds, [&](Team& team) { work(int64_t(n), 0, team); });
  }
}

// Remembering costs a write and a read of the record, computing again two products and the gate
// functions. Rates of one core: about 8 GB/s to memory that all share and 25 to a cache that holds
// the record and as much else, 100 GFLOP/s, 0.1 ns a gate.
bool is_worth_a_record(const Call& call) {
  const Problem& p = call.p;
  const double gates = gate_count(p.kind), units = double(p.H);
  const double rate = 2 * call.gate_bytes() <= shared_cache_bytes() ? 25e9 : 8e9;
  const double remember = 2 * sizeof(float) * double(call.record_row_floats()) / double(p.T) / rate;
  const double compute = 2 * gates * units * double(p.D + p.P) / 1e11 + gates * units * 1e-10;
  return compute > 2 * remember;
}

// The record whose token all rows bear, in order; empty if they come from different calls (a batch
// that was cut or joined in between) or the record is gone or of another size.
Record find_record(const Call& call, const uint32_t* tokens) {
  if (tokens == nullptr || tokens[0] == 0) return {};
  const int64_t B = call.p.B;
  for (int64_t b = 0; b < B; ++b) {
    if (tokens[2 * b] != tokens[0] || tokens[2 * b + 1] != uint32_t(b)) return {};
  }
  const Record found = take_record(tokens[0]);
  const bool fits =
      (found.gates == nullptr || int64_t(found.gates->wanted()) == B * call.record_row_floats()) &&
      (found.groups == nullptr || found.groups->slots() == call.plan.slots);
  return fits ? found : Record{};
}

void copy_state(float* to, const float* from, int64_t floats) {
  if (to != nullptr && from != nullptr) std::memcpy(to, from, floats * sizeof(float));
}

}  // namespace

Plan Plan::of(const Problem& p, const Kernels& kernels, int threads) {
  const double gates = gate_count(p.kind);
  const double step_work = double(p.B) * p.H * gates * p.H;
  const int64_t worth = int64_t(std::min(multiply_adds(p) / kLeastWork, 1e6)) + 1;
  Plan plan;
  // Two slots a thread where both still fill tiles: a core that is busy elsewhere then holds up
  // less.
  const int64_t wanted = p.B >= 2 * kTileRows * threads ? 2 * threads : threads;
  plan.slots = std::max<int64_t>(1, std::min<int64_t>({wanted, p.B, worth}));
  const double recurrent_bytes = double(p.H) * p.H * gates * double(kernels.operand_bytes);
  const bool spills = recurrent_bytes > private_cache_bytes();
  plan.by_units = threads > 1 && p.H >= 2 * kernels.lanes && step_work >= kLeastStepWork &&
                  (spills || p.B < threads);
  if (plan.by_units) plan.slots = 1;
  const int64_t slot_rows = (p.B + plan.slots - 1) / plan.slots;
  const int64_t chunks = std::max<int64_t>(1, (slot_rows + kMostRows - 1) / kMostRows);
  plan.chunk_rows = std::max<int64_t>(1, (slot_rows + chunks - 1) / chunks);
  return plan;
}

namespace {

void forward_empty(const Problem& p, const ForwardResult& result) {
  copy_state(result.h, p.h0, p.B * p.P);
  copy_state(result.c, p.c0, p.B * p.H);
}

void backward_empty(const Problem& p, const BackwardArgs& args) {
  const auto zero = [](float* to, int64_t n) {
    if (to != nullptr) std::memset(to, 0, n * sizeof(float));
  };
  const auto pass_on = [&](float* to, const float* from, int64_t floats) {
    from == nullptr ? zero(to, floats) : copy_state(to, from, floats);
  };
  const int64_t columns = gate_count(p.kind) * p.H;
  zero(args.dtable, p.V * p.D);
  zero(args.dkernel, p.D * columns);
  zero(args.drecurrent, p.P * columns);
  zero(args.dbias, (p.has_two_biases() ? 2 : 1) * columns);
  zero(args.dpeephole, 3 * p.H);
  zero(args.dprojection, p.H * p.P);
  zero(args.dnorm, p.norm_rows() * columns);
  zero(args.dnorm_cell, 2 * p.H);
  pass_on(args.dh0, args.dh, p.B * p.P);
  pass_on(args.dc0, args.dc, p.B * p.H);
}

// A call on its way back: where its slots add up, and what is left to do when all have come back.
struct WayBack {
  Call& call;
  BackwardArgs args;
  const Groups* groups;           // null: gradients are not summed by id
  std::unique_ptr<Lease> inputs;  // [B, T, D] gradients of inputs that are looked up, not grouped
  int64_t areas;                  // of `sums`: one for each slot, and each part of the groups
  Lease sums;
  std::vector<std::unique_ptr<Lease>> by_id;  // of each slot, [ids of the slot, gates * Hp]
  std::vector<const float*> by_id_data;

  WayBack(Call& c, const BackwardArgs& given)
      : call(c),
        args(given),
        groups(sums_by_id() ? c.record.groups.get() : nullptr),
        areas(std::max<int64_t>(c.plan.slots, groups ? usable_threads(c.pool) : 1)),
        sums(c.layout.gradient_size(c.p) * areas) {
    if (groups != nullptr) {
      for (int64_t slot = 0; slot < groups->slots(); ++slot) {
        by_id.push_back(std::make_unique<Lease>(by_id_floats(slot)));
        by_id_data.push_back(by_id.back()->data());
      }
    } else if (args.dtable != nullptr) {
      inputs = std::make_unique<Lease>(c.p.B * c.p.T * c.p.D);
      args.dx = inputs->data();
    }
  }

  bool sums_by_id() const {
    const Groups* found = call.record.groups.get();
    return (args.dtable != nullptr || args.dkernel != nullptr) && found != nullptr &&
           found->spare_sums();
  }
  int64_t by_id_floats(int64_t slot) const {
    return groups->count(slot) * call.layout.gates * call.layout.Hp;
  }
  float* area(int64_t n) const { return sums.data() + n * call.layout.gradient_size(call.p); }
  void clear(int64_t n) {
    std::memset(area(n), 0, call.layout.gradient_size(call.p) * sizeof(float));
    if (groups == nullptr || n >= call.plan.slots) return;
    std::memset(by_id[n]->data(), 0, by_id_floats(n) * sizeof(float));
  }
  SlotSums of_slot(int64_t slot) {
    if (groups == nullptr) return {area(slot), nullptr, nullptr};
    return {area(slot), groups->place(slot), by_id[slot]->data()};
  }
  // Some of the groups' ids, from `first` on.
  SummedIds some(int64_t first, int64_t count) const {
    return {groups->ids().data() + first,
            count,
            groups->slots(),
            call.p.V,
            groups->place(0),
            by_id_data.data()};
  }

  // The table's gradient, and the kernel's where that went by id.
  void finish_table() {
    const Problem& p = call.p;
    if (groups == nullptr) {
      if (args.dtable == nullptr) return;
      return embedding_gradient(p.ids, p.B * p.T, args.dx, p.V, p.D, args.dtable, call.pool);
    }
    const int64_t ld = call.layout.ld, near = kProjectedRows;
    const auto count = int64_t(groups->ids().size());
    const int64_t floats = near * ld + 4 * near;  // pointers take two floats each
    const Lease scratch(floats * areas);
    // a part has the rows from its first id to the next part's
    const auto row_of = [&](int64_t n) { return n < count ? groups->ids()[n] : p.V; };
    parallel_for(call.pool, areas, [&](int64_t part) {
      if (part >= call.plan.slots) clear(part);
      float* z = scratch.data() + part * floats;
      const int64_t begin = count * part / areas, end = count * (part + 1) / areas;
      if (args.dtable != nullptr) {
        const int64_t from = part == 0 ? 0 : row_of(begin), to = row_of(end);
        std::memset(args.dtable + from * p.D, 0, (to - from) * p.D * sizeof(float));
      }
      for (int64_t first = begin; first < end; first += near) {
        const int64_t n = std::min(near, end - first);
        call.kernels.finish_groups(p, call.layout, call.weights, some(first, n), z,
                                   reinterpret_cast<int64_t*>(z + near * ld), args, area(part));
      }
    });
  }
};

// Gradient sums of all areas into the results, shared among threads where that is worth it.
void collect(const WayBack& back) {
  const Call& call = back.call;
  const Problem& p = call.p;
  const int64_t rows = p.D + p.P + 1 + (p.projects() ? p.H : 0);
  const bool is_large = call.layout.gradient_size(p) * back.areas >= kParallelPacking;
  const int64_t parts = is_large ? std::min<int64_t>(64, rows) : 1;
  const auto collect_part = [&](int64_t part) {
    for (int64_t row = rows * part / parts; row < rows * (part + 1) / parts; ++row) {
      call.kernels.collect(p, call.layout, back.sums.data(), back.areas, back.args, row);
    }
  };
  if (parts == 1) return collect_part(0);
  parallel_for(call.pool, parts, collect_part);
}

}  // namespace

void forward(const Kernels& kernels, const std::vector<Forward>& tasks, Pool& pool) {
  Calls calls;
  std::vector<const ForwardResult*> results;
  for (const Forward& task : tasks) {
    const Problem& p = task.problem;
    if (p.B == 0 || p.T == 0) {
      forward_empty(p, task.result);
      continue;
    }
    calls.push_back(std::make_unique<Call>(kernels, p, pool));
    results.push_back(&task.result);
    Call& call = *calls.back();
    const bool keeps = task.result.checkpoints != nullptr && call.gate_bytes() <= kRecordLimit &&
                       is_worth_a_record(call);
    if (keeps) call.record.gates = std::make_shared<Lease>(p.B * call.record_row_floats());
    call.begin(false);
    call.find_groups();
    call.project();
  }
  for_each_chunk(calls, pool, [&](int64_t n, Chunk& chunk, Team& team, int64_t, bool) {
    const Call& call = *calls[n];
    kernels.forward(call.p, call.layout, call.weights, chunk, team, *results[n]);
  });
  for (size_t n = 0; n < calls.size(); ++n) {
    if (results[n]->record == nullptr) continue;
    Record& record = calls[n]->record;
    if (record.gates != nullptr) record.projected = nullptr;  // gates are all that it is good for
    const uint32_t token = keep_record(std::move(record));
    for (int64_t b = 0; b < calls[n]->p.B; ++b) {
      results[n]->record[2 * b] = token;
      results[n]->record[2 * b + 1] = uint32_t(b);
    }
  }
}

void backward(const Kernels& kernels, const std::vector<Backward>& tasks, Pool& pool) {
  Calls calls;
  std::vector<std::unique_ptr<WayBack>> backs;
  for (const Backward& task : tasks) {
    const Problem& p = task.problem;
    if (p.B == 0 || p.T == 0) {
      backward_empty(p, task.args);
      continue;
    }
    calls.push_back(std::make_unique<Call>(kernels, p, pool));
    Call& call = *calls.back();
    call.record = find_record(call, task.args.record);
    call.begin(true);
    if (call.record.groups == nullptr) call.find_groups();
    if (call.record.gates == nullptr) call.project();
    backs.push_back(std::make_unique<WayBack>(call, task.args));
  }
  for_each_chunk(calls, pool, [&](int64_t n, Chunk& chunk, Team& team, int64_t slot, bool first) {
    const Call& call = *calls[n];
    // the pass begins with a barrier before anyone adds
    if (first && team.id == 0) backs[n]->clear(slot);
    kernels.backward(call.p, call.layout, call.weights, chunk, team, backs[n]->args,
                     backs[n]->of_slot(slot));
  });
  for (const auto& back : backs) {
    back->finish_table();
    collect(*back);
  }
}

}  // namespace sunhwan
