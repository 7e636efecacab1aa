// From XLA's buffers to the engine's structs: every rank, size and dtype is checked before a byte
// is read. An argument or result that a call does without has the shape (0,).
#include "xla_ffi.h"

#include <functional>
#include <initializer_list>
#include <string>
#include <type_traits>
#include <vector>

#include "arena.h"
#include "embedding.h"
#include "engine.h"
#include "xla_check.h"

namespace ffi = xla::ffi;

namespace sunhwan {
namespace {

class XlaPool final : public Pool {
 public:
  explicit XlaPool(ffi::ThreadPool pool) : pool_(pool) {}
  int threads() const override { return int(pool_.num_threads()); }
  void schedule(std::function<void()> task) override { pool_.Schedule(std::move(task)); }

 private:
  ffi::ThreadPool pool_;
};

struct Options {
  int64_t kind, activation, recurrent_activation, segment;
  bool reset_after, zero_output;
  int64_t backwards;  // bit n: problem n runs from the last step to the first
  double zoneout_h, zoneout_c, norm_epsilon;
  bool bfloat16;  // what goes into products is rounded to bfloat16
};

constexpr size_t kShared = 15;  // arguments that both calls begin with
constexpr size_t kForwardArgs = kShared + 2, kForwardResults = 6;
constexpr size_t kBackwardArgs = kShared + 6, kBackwardResults = 11;

// Buffers of problem n: `count` after the other, from n * count on.
template <class Buffers>
ffi::AnyBuffer buffer(const Buffers& all, size_t problem, size_t count, size_t i) {
  if constexpr (std::is_same_v<Buffers, ffi::RemainingArgs>) {
    return *all.template get<ffi::AnyBuffer>(problem * count + i);
  } else {
    return **all.template get<ffi::AnyBuffer>(problem * count + i);
  }
}

// What an id outside the table is told; `steps` ids make a row of the batch.
std::string wrong_id_text(const int32_t* ids, int64_t n, int64_t steps, int64_t V) {
  return "embedding id " + std::to_string(ids[n]) + " in row " + std::to_string(n / steps) +
         ", step " + std::to_string(n % steps) +
         " of the batch is outside the table, whose ids are 0 to " + std::to_string(V - 1);
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

// Reads every problem of a call with `read`, then hands them all to `run`.
template <class Task, class Read, class Run>
ffi::Error run_tasks(ffi::ThreadPool threads, const ffi::RemainingArgs& args,
                     const ffi::RemainingRets& results, size_t args_each, size_t results_each,
                     const Options& options, const Read& read, const Run& run) {
  Checker check;
  const size_t count = args.size() / args_each;
  if (count * args_each != args.size() || count * results_each != results.size()) {
    check.fail("the numbers of arguments and results do not belong together");
  }
  if (count > 63 || options.backwards >> count != 0)
    check.fail("`backwards` names no such problem");
  std::vector<Task> tasks;
  for (size_t n = 0; n < count && check.error().empty(); ++n) {
    tasks.push_back(read(check, options, args, results, n));
  }
  std::string error;
  const Kernels* kernels = active_kernels(&error);
  if (kernels == nullptr) check.fail(error);
  if (options.bfloat16 && kernels != nullptr) {
    kernels = bfloat16_kernels();
    if (kernels == nullptr) check.fail("this machine has no products of bfloat16");
  }
  if (!check.error().empty()) return check.result();
  XlaPool pool(threads);
  run(*kernels, tasks, pool);
  return ffi::Error::Success();
}

ffi::Error run_forward(ffi::ThreadPool threads, ffi::RemainingArgs args, ffi::RemainingRets results,
                       int64_t kind, int64_t activation, int64_t recurrent_activation,
                       int64_t segment, bool reset_after, bool zero_output, int64_t backwards,
                       double zoneout_h, double zoneout_c, double norm_epsilon, bool bfloat16) {
  const Options options{
      kind,      activation, recurrent_activation, segment, reset_after, zero_output, backwards,
      zoneout_h, zoneout_c,  norm_epsilon,         bfloat16};
  return run_tasks<Forward>(threads, args, results, kForwardArgs, kForwardResults, options,
                            read_forward, forward);
}

ffi::Error run_backward(ffi::ThreadPool threads, ffi::RemainingArgs args,
                        ffi::RemainingRets results, int64_t kind, int64_t activation,
                        int64_t recurrent_activation, int64_t segment, bool reset_after,
                        bool zero_output, int64_t backwards, double zoneout_h, double zoneout_c,
                        double norm_epsilon, bool bfloat16) {
  const Options options{
      kind,      activation, recurrent_activation, segment, reset_after, zero_output, backwards,
      zoneout_h, zoneout_c,  norm_epsilon,         bfloat16};
  return run_tasks<Backward>(threads, args, results, kBackwardArgs, kBackwardResults, options,
                             read_backward, backward);
}

ffi::Error run_lookup(ffi::ThreadPool threads, ffi::AnyBuffer table, ffi::AnyBuffer ids,
                      ffi::Result<ffi::AnyBuffer> out, int64_t steps) {
  Checker check;
  const auto dims = table.dimensions();
  const auto shape = ids.dimensions();
  if (dims.size() != 2) check.fail("`table` must be a matrix, received " + shape_text(dims));
  if (shape.size() != 1) check.fail("`ids` must be flat, received " + shape_text(shape));
  if (!check.error().empty()) return check.result();
  const int64_t V = dims[0], D = dims[1], N = shape[0];
  const float* from = check.floats("table", table, {V, D});
  const auto* id = static_cast<const int32_t*>(check.expect("ids", ids, ffi::S32, {N}));
  float* to = check.floats("rows", *out, {N, D});
  if (!check.error().empty()) return check.result();
  if (poison_wanted()) poison(to, N * D);
  XlaPool pool(threads);
  const int64_t wrong = embedding_lookup(from, V, D, id, N, to, pool);
  if (wrong < 0) return ffi::Error::Success();
  check.fail(wrong_id_text(id, wrong, steps < 1 ? 1 : steps, V));
  return check.result();
}

ffi::Error run_lookup_gradient(ffi::ThreadPool threads, ffi::AnyBuffer ids, ffi::AnyBuffer dout,
                               ffi::Result<ffi::AnyBuffer> dtable) {
  Checker check;
  const auto dims = dtable->dimensions();
  const auto shape = ids.dimensions();
  if (dims.size() != 2) check.fail("`table` must be a matrix, received " + shape_text(dims));
  if (shape.size() != 1) check.fail("`ids` must be flat, received " + shape_text(shape));
  if (!check.error().empty()) return check.result();
  const int64_t V = dims[0], D = dims[1], N = shape[0];
  float* to = check.floats("gradient of table", *dtable, {V, D});
  const auto* id = static_cast<const int32_t*>(check.expect("ids", ids, ffi::S32, {N}));
  const float* from = check.floats("gradient of rows", dout, {N, D});
  if (!check.error().empty()) return check.result();
  if (poison_wanted()) poison(to, V * D);
  XlaPool pool(threads);
  embedding_gradient(id, N, from, V, D, to, pool);
  return ffi::Error::Success();
}

}  // namespace
}  // namespace sunhwan

// Arguments and results come in groups, one for each problem:
//   shared    x [B, T, D] or table [V, D] and ids int32[B, T], mask [B, T], reset [B, T],
//             kernel [D, G*H], recurrent_kernel [P, G*H], bias, peephole [3, H],
//             projection [H, P], norm [2 or 1, G*H], norm_cell [2, H], input_scale [B, G, D],
//             state_scale [B, G, P], noise uint32[B, 2]
//   forward   shared, h0, c0
//             -> y [B, T, P], h [B, P], c [B, H], checkpoints, record uint32[B, 2],
//                c_sequence [B, T, H]
//   backward  shared, checkpoints, record, dy, dh, dc, dc_sequence
//             -> dx, dtable, dkernel, drecurrent, dbias, dpeephole, dprojection, dnorm,
//                dnorm_cell, dh0, dc0
#define SUNHWAN_BINDING()                    \
  ffi::Ffi::Bind()                           \
      .Ctx<ffi::ThreadPool>()                \
      .RemainingArgs()                       \
      .RemainingRets()                       \
      .Attr<int64_t>("kind")                 \
      .Attr<int64_t>("activation")           \
      .Attr<int64_t>("recurrent_activation") \
      .Attr<int64_t>("segment")              \
      .Attr<bool>("reset_after")             \
      .Attr<bool>("zero_output")             \
      .Attr<int64_t>("backwards")            \
      .Attr<double>("zoneout_h")             \
      .Attr<double>("zoneout_c")             \
      .Attr<double>("norm_epsilon")          \
      .Attr<bool>("bfloat16")

XLA_FFI_DEFINE_HANDLER_SYMBOL(sunhwan_forward, sunhwan::run_forward, SUNHWAN_BINDING());
XLA_FFI_DEFINE_HANDLER_SYMBOL(sunhwan_backward, sunhwan::run_backward, SUNHWAN_BINDING());

XLA_FFI_DEFINE_HANDLER_SYMBOL(sunhwan_embedding_lookup, sunhwan::run_lookup,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<ffi::AnyBuffer>()     // table [V, D]
                                  .Arg<ffi::AnyBuffer>()     // ids [N]
                                  .Ret<ffi::AnyBuffer>()     // rows [N, D]
                                  .Attr<int64_t>("steps"));  // ids that make a row of the batch

XLA_FFI_DEFINE_HANDLER_SYMBOL(sunhwan_embedding_gradient, sunhwan::run_lookup_gradient,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<ffi::AnyBuffer>()    // ids [N]
                                  .Arg<ffi::AnyBuffer>()    // gradient of rows [N, D]
                                  .Ret<ffi::AnyBuffer>());  // gradient of table [V, D]
