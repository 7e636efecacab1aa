// Collects the generic source into one table. Included by each isa_*.cc after it has set
// SUNHWAN_LANES, SUNHWAN_ISA_NAMESPACE and SUNHWAN_ISA_NAME.
#pragma once

#include <type_traits>

#include "../kernels.h"
#include "passes.h"

namespace sunhwan {
namespace SUNHWAN_ISA_NAMESPACE {
namespace {

bool resets_before(const Problem& p) { return p.kind == Kind::gru && !p.reset_after; }

GateColumns input_columns(const Problem& p, const Layout& l) {
  return {p.kernel, p.D, 0, l.gates, true};
}
GateColumns recurrent_columns(const Problem& p, const Layout& l) {
  return {p.recurrent, p.P, 0, resets_before(p) ? 2 : l.gates, false};
}
GateColumns candidate_columns(const Problem& p) { return {p.recurrent, p.H, 2, 1, false}; }

int64_t pack_parts(const Problem&, const Layout& l, bool backward) {
  return 1 + l.units.count + (backward ? l.states.vectors + l.inputs.count : 0);
}

void pack(const Problem& p, const Layout& l, const Weights& w, bool backward, int64_t part) {
  if (part == 0) {
    pack_bias(p, l, w.bias);
    if (p.normalizes()) pack_norm(p, l, w.bias);
    if (p.projects()) pack_projection(p, l, w, backward);
    return;
  }
  part -= 1;
  if (part < l.units.count) {
    if (w.kernel == nullptr) return;
    pack_tile(p, l, input_columns(p, l), part, w.kernel);
    if (p.recurrent == nullptr) return;
    pack_tile(p, l, recurrent_columns(p, l), part, w.recurrent);
    if (resets_before(p)) {
      pack_tile(p, l, candidate_columns(p), part, w.recurrent + 2 * p.H * l.Hp);
    }
    return;
  }
  part -= l.units.count;
  if (!backward) return;
  if (part < l.states.vectors) {
    if (part < l.outputs.count) {
      pack_transposed(p, l, recurrent_columns(p, l), l.outputs, part, w.recurrent_t);
    }
    if (resets_before(p)) {  // in panels of one vector
      const Panels single = Panels::over(p.H, kLanes, 1);
      pack_transposed(p, l, candidate_columns(p), single, part, w.recurrent_t + 2 * l.Hp * l.Hp);
    }
    return;
  }
  pack_transposed(p, l, input_columns(p, l), l.inputs, part - l.states.vectors, w.kernel_t);
}

void project(const Problem& p, const Layout& l, const Weights& w, const float* const* rows,
             int64_t n, float* out) {
  input_product<false>(p, l, w, rows, n, 0, l.units.count, out, l.gates * l.Hp);
}

// Calls run(Cell) for the cell that the problem names.
template <class Run>
void with_cell(const Problem& p, Run&& run) {
  switch (p.kind) {
    case Kind::simple_rnn:
      return p.normalizes() ? run(static_cast<NormSimpleRnn*>(nullptr))
                            : run(static_cast<SimpleRnn*>(nullptr));
    case Kind::lstm:
      return p.normalizes() ? run(static_cast<NormLstm*>(nullptr))
                            : run(static_cast<Lstm*>(nullptr));
    case Kind::gru:
      if (p.normalizes()) return run(static_cast<NormGru*>(nullptr));
      return p.reset_after ? run(static_cast<GruResetAfter*>(nullptr))
                           : run(static_cast<GruResetBefore*>(nullptr));
  }
}

template <class T>
using Pointee = std::remove_pointer_t<T>;

Context context(const Problem& p, const Layout& l, const Weights& w, Chunk& chunk, Team& team) {
  return {p, l, w, chunk, team, Gate(p.activation), Gate(p.recurrent_activation)};
}

void forward(const Problem& p, const Layout& l, const Weights& w, Chunk& chunk, Team& team,
             const ForwardResult& result) {
  const Context x = context(p, l, w, chunk, team);
  with_cell(p, [&](auto* cell) { forward_pass<Pointee<decltype(cell)>>(x, result); });
}

void backward(const Problem& p, const Layout& l, const Weights& w, Chunk& chunk, Team& team,
              const BackwardArgs& args, const SlotSums& sums) {
  const Context x = context(p, l, w, chunk, team);
  with_cell(p, [&](auto* cell) { backward_pass<Pointee<decltype(cell)>>(x, args, sums); });
}

// z[i] = the sum over slots of what ids[i] is owed, slots in order.
void add_up(const Layout& l, const SummedIds& some, float* z) {
  constexpr int64_t kAhead = 4;  // ids between asking for sums and adding them
  const int64_t width = l.gates * l.Hp;
  const auto for_each_sum = [&](int64_t i, auto&& run) {
    for (int64_t slot = 0; slot < some.slots; ++slot) {
      const int32_t at = some.place[slot * some.V + some.ids[i]];
      if (at >= 0) run(some.sums[slot] + at * width);
    }
  };
  for (int64_t i = 0; i < some.count; ++i, z += l.ld) {
    if (i + kAhead < some.count) {
      for_each_sum(i + kAhead, [&](const float* next) {
        for (int64_t u = 0; u < width; u += 16) __builtin_prefetch(next + u);
      });
    }
    for (int64_t u = 0; u < width; u += kLanes) store(z + u, vf{});
    for_each_sum(i, [&](const float* sum) {
      for (int64_t u = 0; u < width; u += kLanes) store(z + u, load(z + u) + load(sum + u));
    });
  }
}

void finish_groups(const Problem& p, const Layout& l, const Weights& w, const SummedIds& some,
                   float* z, int64_t* pointers, const BackwardArgs& args, float* sums) {
  add_up(l, some, z);
  const int64_t n = some.count;
  // a segment of one step, of which each row-step is an id
  int64_t offset[2] = {0, n};
  Team alone;
  Chunk c{};
  c.rows = n;
  c.steps = 1;
  c.z = z;
  c.offset = offset;
  c.cell = pointers;
  c.x_row = reinterpret_cast<const float**>(pointers + n);
  for (int64_t i = 0; i < n; ++i) {
    c.cell[i] = some.ids[i];
    c.x_row[i] = p.table + some.ids[i] * p.D;
  }
  const Context x = context(p, l, w, c, alone);
  if (args.dkernel != nullptr) weight_gradients(x, c.x_row, 0, p.D, z, l.gates, sums);
  if (args.dtable != nullptr) input_gradient(x, z, args.dtable);
}

// to[gate(g) * H + u] = sum over slots of from[g * Hp + u], for `count` gates from `first` on.
void collect_row(const Problem& p, const Layout& l, const float* from, int64_t slots, int first,
                 int count, bool in_block_order, float* to) {
  const int64_t stride = l.gradient_size(p);
  for (int g = first; g < first + count; ++g) {
    float* out = to + (in_block_order ? keras_gate(p.kind, g) : g) * p.H;
    for (int64_t u = 0; u < p.H; u += kLanes) {
      vf sum = load(from + g * l.Hp + u);
      for (int64_t n = 1; n < slots; ++n) sum += load(from + n * stride + g * l.Hp + u);
      const int64_t left = p.H - u;
      store_partial(out + u, sum, left < kLanes ? int(left) : kLanes);
    }
  }
}

void collect(const Problem& p, const Layout& l, const float* sums, int64_t slots,
             const BackwardArgs& args, int64_t row) {
  const int64_t width = l.gates * l.Hp, columns = l.gates * p.H;
  const float* from = sums + row * width;
  if (row < p.D) {
    if (args.dkernel != nullptr) {
      collect_row(p, l, from, slots, 0, l.gates, true, args.dkernel + row * columns);
    }
  } else if (row < p.D + p.P) {
    if (args.drecurrent != nullptr) {
      collect_row(p, l, from, slots, 0, l.gates, false, args.drecurrent + (row - p.D) * columns);
    }
  } else if (row > p.D + p.P) {
    if (args.dprojection != nullptr) {
      const int64_t i = row - (p.D + p.P + 1);
      collect_projection(p, l, sums + l.projection_sums(p), slots, l.gradient_size(p), i,
                         args.dprojection + i * p.P);
    }
  } else {
    if (args.dbias != nullptr) {
      collect_row(p, l, from, slots, 0, l.gates, true, args.dbias);
      if (p.has_two_biases()) {
        collect_row(p, l, from + width, slots, 0, l.gates, false, args.dbias + columns);
      }
    }
    if (args.dpeephole != nullptr) {  // i f, and behind the candidate o
      collect_row(p, l, from + width, slots, 0, 2, false, args.dpeephole);
      collect_row(p, l, from + width, slots, 3, 1, false, args.dpeephole - p.H);
    }
    if (args.dnorm != nullptr) {
      collect_row(p, l, from + 2 * width, slots, 0, l.gates, true, args.dnorm);
      if (p.norm_rows() > 1) {
        collect_row(p, l, from + 3 * width, slots, 0, l.gates, false, args.dnorm + columns);
      }
    }
    if (args.dnorm_cell != nullptr) {
      collect_row(p, l, from + 4 * width, slots, 0, 2, false, args.dnorm_cell);
    }
  }
}

void apply_gate(int gate, const float* x, float* y, int64_t n) {
  for (int64_t i = 0; i < n; i += kLanes) {
    const int count = n - i < kLanes ? int(n - i) : kLanes;
    store_partial(y + i, apply(Gate(gate), load_partial(x + i, count)), count);
  }
}

}  // namespace

extern const Kernels kKernels;
const Kernels kKernels = {SUNHWAN_ISA_NAME, kLanes,  4 / kRowsPacked, pack_parts,    pack,
                          project,          forward, backward,        finish_groups, collect,
                          apply_gate};

}  // namespace SUNHWAN_ISA_NAMESPACE
}  // namespace sunhwan
