// The extension module sunhwan.engine._kernels: XLA's handlers, and what Python asks of the engine.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <stdexcept>

#include "arena.h"
#include "engine.h"
#include "python_stream.h"
#include "records.h"
#include "xla_ffi.h"

namespace nb = nanobind;

namespace {

using Floats = nb::ndarray<float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

nb::capsule handler(XLA_FFI_Error* (*function)(XLA_FFI_CallFrame*)) {
  return nb::capsule(reinterpret_cast<void*>(function));
}

const sunhwan::Kernels& active() {
  std::string error;
  const sunhwan::Kernels* kernels = sunhwan::active_kernels(&error);
  if (kernels == nullptr) throw std::runtime_error(error);
  return *kernels;
}

void apply_gate(int gate, Floats x, Floats y) {
  if (gate < 0 || gate > 4 || x.size() != y.size()) {
    throw std::invalid_argument("`gate` must be 0..4 and `y` as long as `x`");
  }
  active().apply_gate(gate, x.data(), y.data(), int64_t(x.size()));
}

}  // namespace

NB_MODULE(_kernels, m) {
  m.def("registrations", [] {
    nb::dict handlers;
    handlers["sunhwan_forward"] = handler(sunhwan_forward);
    handlers["sunhwan_backward"] = handler(sunhwan_backward);
    handlers["sunhwan_embedding_lookup"] = handler(sunhwan_embedding_lookup);
    handlers["sunhwan_embedding_gradient"] = handler(sunhwan_embedding_gradient);
    return handlers;
  });
  m.def("available", [] {
    std::vector<std::string> names;
    for (const auto* kernels : sunhwan::available_kernels()) names.emplace_back(kernels->name);
    return names;
  });
  m.def("active", [] { return std::string(active().name); });
  m.def("lanes", [] { return active().lanes; });
  m.def("has_bfloat16", [] { return sunhwan::bfloat16_kernels() != nullptr; });
  m.def("apply_gate", &apply_gate);
  m.def("arena_bytes", &sunhwan::arena_bytes);
  m.def("release_arena", [] {
    sunhwan::drop_records();
    sunhwan::release_arena();
  });
  m.def("has_record", &sunhwan::has_record);
  bind_stream(m);
}
