// The handlers: they read a call's problems, run them on XLA's threads, and tell what was wrong.
#include "xla_ffi.h"

#include <functional>
#include <string>
#include <vector>

#include "arena.h"
#include "embedding.h"
#include "engine.h"
#include "xla_arguments.h"
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
