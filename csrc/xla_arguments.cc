#include "xla_arguments.h"

#include <type_traits>

#include "embedding.h"

namespace sunhwan {
namespace {

constexpr int64_t kLongestSegment = int64_t{1} << 40;  // far below what sums of steps may reach

// Buffers of problem n: `count` after the other, from n * count on.
template <class Buffers>
ffi::AnyBuffer buffer(const Buffers& all, size_t problem, size_t count, size_t i) {
  if constexpr (std::is_same_v<Buffers, ffi::RemainingArgs>) {
    return *all.template get<ffi::AnyBuffer>(problem * count + i);
  } else {
    return **all.template get<ffi::AnyBuffer>(problem * count + i);
  }
}

// The input as it is, x [B, T, D], or rows of a table [V, D] by ids [B, T].
void read_input(Checker& check, const ffi::AnyBuffer& x, const ffi::AnyBuffer& table,
                const ffi::AnyBuffer& ids, Problem* p) {
  const auto dims = x.dimensions(), cells = ids.dimensions(), rows = table.dimensions();
  if (is_absent(ids)) {
    if (dims.size() != 3) check.fail("`x` must have shape (B, T, D), received " + shape_text(dims));
    if (!check.error().empty()) return;
    p->B = dims[0], p->T = dims[1], p->D = dims[2];
    p->x = check.floats("x", x, {p->B, p->T, p->D});
    return;
  }
  if (!is_absent(x)) check.fail("`x` and `ids` must not both be given");
  if (cells.size() != 2) check.fail("`ids` must have shape (B, T), received " + shape_text(cells));
  if (rows.size() != 2) check.fail("`table` must be a matrix, received " + shape_text(rows));
  if (!check.error().empty()) return;
  p->B = cells[0], p->T = cells[1], p->V = rows[0], p->D = rows[1];
  p->table = check.floats("table", table, {p->V, p->D});
  p->ids = static_cast<int32_t*>(check.expect("ids", ids, ffi::S32, {p->B, p->T}));
  if (!check.error().empty()) return;
  const int64_t wrong = first_wrong_id(p->ids, p->B * p->T, p->V);
  if (wrong >= 0) check.fail(wrong_id_text(p->ids, wrong, p->T, p->V));
}

const unsigned char* optional_flags(Checker& check, const char* name, const ffi::AnyBuffer& given,
                                    const Problem& p) {
  if (is_absent(given)) return nullptr;
  return static_cast<unsigned char*>(check.expect(name, given, ffi::PRED, {p.B, p.T}));
}

// What normalisation multiplies by, and adds to an LSTM's cell; both absent where there is none.
void read_norm(Checker& check, const ffi::AnyBuffer& norm, const ffi::AnyBuffer& cell, Problem* p) {
  const bool of_cell = p->normalizes() && p->kind == Kind::lstm;
  if (p->normalizes()) {
    if (p->kind == Kind::gru && !p->reset_after) {
      check.fail("a GRU that is normalised must reset after the product");
    }
    p->norm = check.floats("norm", norm, {p->norm_rows(), gate_count(p->kind) * p->H});
  } else {
    check.expect_absent("norm", norm);
  }
  if (of_cell) {
    p->norm_cell = check.floats("norm_cell", cell, {2, p->H});
  } else {
    check.expect_absent("norm_cell", cell);
  }
}

// What forward and backward have in common, kShared arguments.
Problem read_problem(Checker& check, const Options& o, const ffi::RemainingArgs& args,
                     size_t problem, size_t count) {
  const auto arg = [&](size_t i) { return buffer(args, problem, count, i); };
  Problem p{};
  const auto rows = arg(6).dimensions();
  if (rows.size() != 2) check.fail("`recurrent_kernel` must be a matrix");
  if (o.kind < 0 || o.kind > 2 || o.activation < 0 || o.activation > 4 ||
      o.recurrent_activation < 0 || o.recurrent_activation > 4 || o.segment < 1 ||
      o.segment > kLongestSegment ||
      !(o.zoneout_h >= 0 && o.zoneout_h < 1 && o.zoneout_c >= 0 && o.zoneout_c < 1) ||
      !(o.norm_epsilon >= 0 && o.norm_epsilon < 1e30)) {
    check.fail("an option of the call is out of range");
  }
  if (!check.error().empty()) return p;
  p.kind = Kind(o.kind);
  p.activation = int(o.activation);
  p.recurrent_activation = int(o.recurrent_activation);
  p.reset_after = o.reset_after;
  p.go_backwards = (o.backwards >> problem & 1) != 0;
  p.zero_output = o.zero_output;
  p.segment = o.segment;
  p.zoneout_h = o.zoneout_h;
  p.zoneout_c = o.zoneout_c;
  p.norm_epsilon = o.norm_epsilon;
  read_input(check, arg(0), arg(1), arg(2), &p);
  if (!check.error().empty()) return p;
  p.P = p.H = rows[0];
  if (!is_absent(arg(9)) && p.kind == Kind::lstm) {
    if (arg(9).dimensions().size() != 2) check.fail("`projection` must be a matrix");
    if (!check.error().empty()) return p;
    p.H = arg(9).dimensions()[0];
  }
  if (p.H < p.P) check.fail("`projection` must not have more columns than rows");
  if (p.D < 1 || p.P < 1) check.fail("`x` and `recurrent_kernel` must have features and units");
  const int64_t gates = gate_count(p.kind), columns = gates * p.H;
  p.mask = optional_flags(check, "mask", arg(3), p);
  p.reset = optional_flags(check, "reset", arg(4), p);
  p.kernel = check.floats("kernel", arg(5), {p.D, columns});
  p.recurrent = check.floats("recurrent_kernel", arg(6), {p.P, columns});
  p.bias = p.has_two_biases() ? check.optional("bias", arg(7), {2, columns})
                              : check.optional("bias", arg(7), {columns});
  if (p.kind == Kind::lstm) {
    p.peephole = check.optional("peephole", arg(8), {3, p.H});
    p.projection = check.optional("projection", arg(9), {p.H, p.P});
  } else {
    check.expect_absent("peephole", arg(8));
    check.expect_absent("projection", arg(9));
    if (p.zoneout_c != 0) check.fail("`zoneout_c` has no meaning for this kind of cell");
  }
  read_norm(check, arg(10), arg(11), &p);
  if (p.projects() && p.normalizes()) check.fail("a normalised cell has no `projection`");
  p.input_scale = check.optional("input_scale", arg(12), {p.B, gates, p.D});
  p.state_scale = check.optional("state_scale", arg(13), {p.B, gates, p.P});
  if (!is_absent(arg(14))) {
    p.noise = static_cast<uint32_t*>(check.expect("noise", arg(14), ffi::U32, {p.B, 2}));
  }
  return p;
}

}  // namespace

std::string wrong_id_text(const int32_t* ids, int64_t n, int64_t steps, int64_t V) {
  return "embedding id " + std::to_string(ids[n]) + " in row " + std::to_string(n / steps) +
         ", step " + std::to_string(n % steps) +
         " of the batch is outside the table, whose ids are 0 to " + std::to_string(V - 1);
}

Forward read_forward(Checker& check, const Options& options, const ffi::RemainingArgs& args,
                     const ffi::RemainingRets& results, size_t problem) {
  Forward task{read_problem(check, options, args, problem, kForwardArgs), {}};
  if (!check.error().empty()) return task;
  Problem& p = task.problem;
  const auto out = [&](size_t i) { return buffer(results, problem, kForwardResults, i); };
  const auto start = [&](size_t i) { return buffer(args, problem, kForwardArgs, kShared + i); };
  p.h0 = check.floats("initial_state[0]", start(0), {p.B, p.P});
  if (p.has_cell_state()) {
    p.c0 = check.floats("initial_state[1]", start(1), {p.B, p.H});
    task.result.c = check.result("last cell state", out(2), {p.B, p.H});
    task.result.c_sequence = check.result("sequence of cells", out(5), {p.B, p.T, p.H});
  } else {
    check.expect_absent("initial_state[1]", start(1));
    check.expect_absent("last cell state", out(2));
    check.expect_absent("sequence of cells", out(5));
  }
  const int64_t states = p.has_cell_state() ? 2 : 1;
  task.result.y = check.result("outputs", out(0), {p.B, p.T, p.P});
  task.result.h = check.result("last state", out(1), {p.B, p.P});
  task.result.checkpoints = check.result("checkpoints", out(3), {p.segments(), states, p.B, p.H});
  if (!is_absent(out(4))) {
    task.result.record = static_cast<uint32_t*>(check.expect("record", out(4), ffi::U32, {p.B, 2}));
  }
  return task;
}

Backward read_backward(Checker& check, const Options& options, const ffi::RemainingArgs& args,
                       const ffi::RemainingRets& results, size_t problem) {
  Backward task{read_problem(check, options, args, problem, kBackwardArgs), {}};
  if (!check.error().empty()) return task;
  const Problem& p = task.problem;
  BackwardArgs& to = task.args;
  const auto arg = [&](size_t i) { return buffer(args, problem, kBackwardArgs, kShared + i); };
  const auto out = [&](size_t i) { return buffer(results, problem, kBackwardResults, i); };
  const int64_t states = p.has_cell_state() ? 2 : 1, columns = gate_count(p.kind) * p.H;
  to.checkpoints = check.floats("checkpoints", arg(0), {p.segments(), states, p.B, p.H});
  to.record = static_cast<uint32_t*>(check.expect("record", arg(1), ffi::U32, {p.B, 2}));
  to.dy = check.optional("gradient of outputs", arg(2), {p.B, p.T, p.P});
  to.dh = check.optional("gradient of last state", arg(3), {p.B, p.P});
  if (p.is_lookup()) {
    check.expect_absent("gradient of x", out(0));
    to.dtable = check.result("gradient of table", out(1), {p.V, p.D});
  } else {
    to.dx = check.result("gradient of x", out(0), {p.B, p.T, p.D});
    check.expect_absent("gradient of table", out(1));
  }
  to.dkernel = check.result("gradient of kernel", out(2), {p.D, columns});
  to.drecurrent = check.result("gradient of recurrent_kernel", out(3), {p.P, columns});
  to.dbias = p.has_two_biases() ? check.result("gradient of bias", out(4), {2, columns})
                                : check.result("gradient of bias", out(4), {columns});
  if (p.peephole != nullptr) {
    to.dpeephole = check.result("gradient of peephole", out(5), {3, p.H});
  } else {
    check.expect_absent("gradient of peephole", out(5));
  }
  if (p.projects()) {
    to.dprojection = check.result("gradient of projection", out(6), {p.H, p.P});
  } else {
    check.expect_absent("gradient of projection", out(6));
  }
  if (p.norm != nullptr) {
    to.dnorm = check.result("gradient of norm", out(7), {p.norm_rows(), columns});
  } else {
    check.expect_absent("gradient of norm", out(7));
  }
  if (p.norm_cell != nullptr) {
    to.dnorm_cell = check.result("gradient of norm_cell", out(8), {2, p.H});
  } else {
    check.expect_absent("gradient of norm_cell", out(8));
  }
  to.dh0 = check.result("gradient of initial_state[0]", out(9), {p.B, p.P});
  if (p.has_cell_state()) {
    to.dc = check.optional("gradient of last cell state", arg(4), {p.B, p.H});
    to.dc_sequence = check.optional("gradient of cells", arg(5), {p.B, p.T, p.H});
    to.dc0 = check.result("gradient of initial_state[1]", out(10), {p.B, p.H});
  } else {
    check.expect_absent("gradient of last cell state", arg(4));
    check.expect_absent("gradient of cells", arg(5));
    check.expect_absent("gradient of initial_state[1]", out(10));
  }
  return task;
}

}  // namespace sunhwan
