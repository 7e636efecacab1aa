// From XLA's buffers to the engine's structs: every rank, size and dtype is checked before a byte is
// read. An argument or result that a call does without has the shape (0,).
#include "xla_ffi.h"

#include <functional>
#include <initializer_list>
#include <string>

#include "arena.h"
#include "embedding.h"
#include "engine.h"
#include "xla/ffi/api/ffi.h"

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

std::string shape_text(ffi::AnyBuffer::Dimensions dims) {
  std::string text = "(";
  for (size_t i = 0; i < dims.size(); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(dims[i]);
  }
  return text + ")";
}

bool is_absent(const ffi::AnyBuffer& buffer) {
  return buffer.dimensions().size() == 1 && buffer.dimensions()[0] == 0;
}

// Collects the first thing that is wrong, so that a handler reads as a list of expectations.
class Checker {
 public:
  const std::string& error() const { return error_; }
  ffi::Error result() const { return ffi::Error::InvalidArgument("sunhwan: " + error_); }

  // The buffer's data if it has that dtype and shape, else null and an error.
  void* expect(const char* name, const ffi::AnyBuffer& buffer, ffi::DataType type,
               std::initializer_list<int64_t> shape) {
    if (!error_.empty()) return nullptr;
    const auto dims = buffer.dimensions();
    const ffi::AnyBuffer::Dimensions wanted(shape.begin(), shape.size());
    if (buffer.element_type() != type) {
      error_ = std::string("`") + name + "` has a dtype that this kernel does not take";
    } else if (!std::equal(dims.begin(), dims.end(), wanted.begin(), wanted.end())) {
      error_ = std::string("`") + name + "` must have shape " + shape_text(wanted) +
               ", received " + shape_text(dims);
    }
    return error_.empty() ? buffer.untyped_data() : nullptr;
  }
  float* floats(const char* name, const ffi::AnyBuffer& buffer,
                std::initializer_list<int64_t> shape) {
    return static_cast<float*>(expect(name, buffer, ffi::F32, shape));
  }
  // Null also if the buffer is absent.
  float* optional(const char* name, const ffi::AnyBuffer& buffer,
                  std::initializer_list<int64_t> shape) {
    return is_absent(buffer) ? nullptr : floats(name, buffer, shape);
  }
  // The same for a result, which is poisoned first if that was asked for.
  float* result(const char* name, const ffi::AnyBuffer& buffer,
                std::initializer_list<int64_t> shape) {
    float* data = optional(name, buffer, shape);
    if (data != nullptr && poison_wanted()) poison(data, buffer.element_count());
    return data;
  }
  void fail(const std::string& what) {
    if (error_.empty()) error_ = what;
  }

 private:
  std::string error_;
};

struct Options {
  int64_t kind, activation, recurrent_activation, segment;
  bool reset_after, go_backwards, zero_output;
};

// What forward and backward have in common.
Problem read_problem(Checker& check, const Options& o, const ffi::AnyBuffer& x,
                     const ffi::AnyBuffer& mask, const ffi::AnyBuffer& kernel,
                     const ffi::AnyBuffer& recurrent, const ffi::AnyBuffer& bias) {
  Problem p{};
  const auto dims = x.dimensions();
  const auto rows = recurrent.dimensions();
  if (dims.size() != 3) check.fail("`x` must have shape (B, T, D), received " + shape_text(dims));
  if (rows.size() != 2) check.fail("`recurrent_kernel` must be a matrix");
  if (o.kind < 0 || o.kind > 2 || o.activation < 0 || o.activation > 4 ||
      o.recurrent_activation < 0 || o.recurrent_activation > 4 || o.segment < 1) {
    check.fail("an option of the call is out of range");
  }
  if (!check.error().empty()) return p;
  p.kind = Kind(o.kind);
  p.activation = int(o.activation);
  p.recurrent_activation = int(o.recurrent_activation);
  p.reset_after = o.reset_after;
  p.go_backwards = o.go_backwards;
  p.zero_output = o.zero_output;
  p.segment = o.segment;
  p.B = dims[0], p.T = dims[1], p.D = dims[2], p.H = rows[0];
  if (p.D < 1 || p.H < 1) check.fail("`x` and `recurrent_kernel` must have features and units");
  const int64_t columns = gate_count(p.kind) * p.H;
  p.x = check.floats("x", x, {p.B, p.T, p.D});
  if (!is_absent(mask)) {
    p.mask = static_cast<unsigned char*>(check.expect("mask", mask, ffi::PRED, {p.B, p.T}));
  }
  p.kernel = check.floats("kernel", kernel, {p.D, columns});
  p.recurrent = check.floats("recurrent_kernel", recurrent, {p.H, columns});
  p.bias = p.has_two_biases() ? check.optional("bias", bias, {2, columns})
                              : check.optional("bias", bias, {columns});
  return p;
}

ffi::Error run_forward(ffi::ThreadPool threads, ffi::AnyBuffer x, ffi::AnyBuffer mask,
                       ffi::AnyBuffer kernel, ffi::AnyBuffer recurrent, ffi::AnyBuffer bias,
                       ffi::AnyBuffer h0, ffi::AnyBuffer c0, ffi::Result<ffi::AnyBuffer> y,
                       ffi::Result<ffi::AnyBuffer> h, ffi::Result<ffi::AnyBuffer> c,
                       ffi::Result<ffi::AnyBuffer> checkpoints,
                       ffi::Result<ffi::AnyBuffer> record, int64_t kind, int64_t activation,
                       int64_t recurrent_activation, int64_t segment, bool reset_after,
                       bool go_backwards, bool zero_output) {
  Checker check;
  const Options options{kind,    activation,  recurrent_activation,
                        segment, reset_after, go_backwards,
                        zero_output};
  Problem p = read_problem(check, options, x, mask, kernel, recurrent, bias);
  if (!check.error().empty()) return check.result();
  const int64_t states = p.has_cell_state() ? 2 : 1;
  p.h0 = check.floats("initial_state[0]", h0, {p.B, p.H});
  if (p.has_cell_state()) p.c0 = check.floats("initial_state[1]", c0, {p.B, p.H});
  ForwardResult result{};
  result.y = check.result("outputs", *y, {p.B, p.T, p.H});
  result.h = check.result("last state", *h, {p.B, p.H});
  if (p.has_cell_state()) result.c = check.result("last cell state", *c, {p.B, p.H});
  result.checkpoints =
      check.result("checkpoints", *checkpoints, {p.segments(), states, p.B, p.H});
  if (!is_absent(*record)) {
    result.record = static_cast<uint32_t*>(check.expect("record", *record, ffi::U32, {p.B, 2}));
  }
  std::string error;
  const Kernels* kernels = active_kernels(&error);
  if (kernels == nullptr) check.fail(error);
  if (!check.error().empty()) return check.result();
  XlaPool pool(threads);
  forward(*kernels, p, result, pool);
  return ffi::Error::Success();
}

ffi::Error run_backward(ffi::ThreadPool threads, ffi::AnyBuffer x, ffi::AnyBuffer mask,
                        ffi::AnyBuffer kernel, ffi::AnyBuffer recurrent, ffi::AnyBuffer bias,
                        ffi::AnyBuffer checkpoints, ffi::AnyBuffer record, ffi::AnyBuffer dy,
                        ffi::AnyBuffer dh, ffi::AnyBuffer dc, ffi::Result<ffi::AnyBuffer> dx,
                        ffi::Result<ffi::AnyBuffer> dkernel, ffi::Result<ffi::AnyBuffer> drecurrent,
                        ffi::Result<ffi::AnyBuffer> dbias, ffi::Result<ffi::AnyBuffer> dh0,
                        ffi::Result<ffi::AnyBuffer> dc0, int64_t kind, int64_t activation,
                        int64_t recurrent_activation, int64_t segment, bool reset_after,
                        bool go_backwards, bool zero_output) {
  Checker check;
  const Options options{kind,    activation,  recurrent_activation,
                        segment, reset_after, go_backwards,
                        zero_output};
  const Problem p = read_problem(check, options, x, mask, kernel, recurrent, bias);
  if (!check.error().empty()) return check.result();
  const int64_t states = p.has_cell_state() ? 2 : 1, columns = gate_count(p.kind) * p.H;
  BackwardArgs args{};
  args.checkpoints = check.floats("checkpoints", checkpoints, {p.segments(), states, p.B, p.H});
  args.record = static_cast<uint32_t*>(check.expect("record", record, ffi::U32, {p.B, 2}));
  args.dy = check.optional("gradient of outputs", dy, {p.B, p.T, p.H});
  args.dh = check.optional("gradient of last state", dh, {p.B, p.H});
  args.dx = check.result("gradient of x", *dx, {p.B, p.T, p.D});
  args.dkernel = check.result("gradient of kernel", *dkernel, {p.D, columns});
  args.drecurrent = check.result("gradient of recurrent_kernel", *drecurrent, {p.H, columns});
  args.dbias = p.has_two_biases() ? check.result("gradient of bias", *dbias, {2, columns})
                                  : check.result("gradient of bias", *dbias, {columns});
  args.dh0 = check.result("gradient of initial_state[0]", *dh0, {p.B, p.H});
  if (p.has_cell_state()) {
    args.dc = check.optional("gradient of last cell state", dc, {p.B, p.H});
    args.dc0 = check.result("gradient of initial_state[1]", *dc0, {p.B, p.H});
  }
  std::string error;
  const Kernels* kernels = active_kernels(&error);
  if (kernels == nullptr) check.fail(error);
  if (!check.error().empty()) return check.result();
  XlaPool pool(threads);
  backward(*kernels, p, args, pool);
  return ffi::Error::Success();
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
  steps = steps < 1 ? 1 : steps;
  check.fail("embedding id " + std::to_string(id[wrong]) + " in row " +
             std::to_string(wrong / steps) + ", step " + std::to_string(wrong % steps) +
             " of the batch is outside the table, whose ids are 0 to " + std::to_string(V - 1));
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

#define SUNHWAN_OPTIONS()                   \
  Attr<int64_t>("kind")                     \
      .Attr<int64_t>("activation")          \
      .Attr<int64_t>("recurrent_activation") \
      .Attr<int64_t>("segment")             \
      .Attr<bool>("reset_after")            \
      .Attr<bool>("go_backwards")           \
      .Attr<bool>("zero_output")

XLA_FFI_DEFINE_HANDLER_SYMBOL(sunhwan_forward, sunhwan::run_forward,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<ffi::AnyBuffer>()  // x [B, T, D]
                                  .Arg<ffi::AnyBuffer>()  // mask [B, T]
                                  .Arg<ffi::AnyBuffer>()  // kernel [D, G*H]
                                  .Arg<ffi::AnyBuffer>()  // recurrent_kernel [H, G*H]
                                  .Arg<ffi::AnyBuffer>()  // bias [G*H] or [2, G*H]
                                  .Arg<ffi::AnyBuffer>()  // h0 [B, H]
                                  .Arg<ffi::AnyBuffer>()  // c0 [B, H]
                                  .Ret<ffi::AnyBuffer>()  // y [B, T, H]
                                  .Ret<ffi::AnyBuffer>()  // h [B, H]
                                  .Ret<ffi::AnyBuffer>()  // c [B, H]
                                  .Ret<ffi::AnyBuffer>()  // checkpoints [segments, states, B, H]
                                  .Ret<ffi::AnyBuffer>()  // record uint32[B, 2]
                                  .SUNHWAN_OPTIONS());

XLA_FFI_DEFINE_HANDLER_SYMBOL(sunhwan_backward, sunhwan::run_backward,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<ffi::AnyBuffer>()  // x [B, T, D]
                                  .Arg<ffi::AnyBuffer>()  // mask [B, T]
                                  .Arg<ffi::AnyBuffer>()  // kernel [D, G*H]
                                  .Arg<ffi::AnyBuffer>()  // recurrent_kernel [H, G*H]
                                  .Arg<ffi::AnyBuffer>()  // bias [G*H] or [2, G*H]
                                  .Arg<ffi::AnyBuffer>()  // checkpoints
                                  .Arg<ffi::AnyBuffer>()  // record
                                  .Arg<ffi::AnyBuffer>()  // dy [B, T, H]
                                  .Arg<ffi::AnyBuffer>()  // dh [B, H]
                                  .Arg<ffi::AnyBuffer>()  // dc [B, H]
                                  .Ret<ffi::AnyBuffer>()  // dx
                                  .Ret<ffi::AnyBuffer>()  // dkernel
                                  .Ret<ffi::AnyBuffer>()  // drecurrent
                                  .Ret<ffi::AnyBuffer>()  // dbias
                                  .Ret<ffi::AnyBuffer>()  // dh0
                                  .Ret<ffi::AnyBuffer>()  // dc0
                                  .SUNHWAN_OPTIONS());

XLA_FFI_DEFINE_HANDLER_SYMBOL(sunhwan_embedding_lookup, sunhwan::run_lookup,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<ffi::AnyBuffer>()    // table [V, D]
                                  .Arg<ffi::AnyBuffer>()    // ids [N]
                                  .Ret<ffi::AnyBuffer>()    // rows [N, D]
                                  .Attr<int64_t>("steps"));  // ids that make a row of the batch

XLA_FFI_DEFINE_HANDLER_SYMBOL(sunhwan_embedding_gradient, sunhwan::run_lookup_gradient,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<ffi::AnyBuffer>()    // ids [N]
                                  .Arg<ffi::AnyBuffer>()    // gradient of rows [N, D]
                                  .Ret<ffi::AnyBuffer>());  // gradient of table [V, D]
