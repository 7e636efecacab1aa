// Which instruction sets this processor AND operating system can run. Wide registers need both: the
// system has to save them when it switches threads, which XGETBV tells (GCC's and Clang's
// __builtin_cpu_supports asks both).
#include <cstdlib>
#include <cstring>

#include "kernels.h"

namespace sunhwan {

#define SUNHWAN_DECLARE(isa)     \
  namespace isa {                \
  extern const Kernels kKernels; \
  }
#if defined(__x86_64__)
SUNHWAN_DECLARE(baseline)
SUNHWAN_DECLARE(avx2)
SUNHWAN_DECLARE(avx512)
#if defined(SUNHWAN_HAS_AVX512BF16)
SUNHWAN_DECLARE(avx512bf16)
#endif
#elif defined(__aarch64__)
SUNHWAN_DECLARE(neon)
#else
SUNHWAN_DECLARE(baseline)
#endif
#undef SUNHWAN_DECLARE

namespace {

// Best first; the last runs on every processor of the architecture.
constexpr const char* kAllNames = "avx512, avx2, neon, baseline";

std::vector<const Kernels*> detect() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  std::vector<const Kernels*> found;
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")) {
    found.push_back(&avx512::kKernels);
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    found.push_back(&avx2::kKernels);
  }
  found.push_back(&baseline::kKernels);
  return found;
#elif defined(__aarch64__)
  return {&neon::kKernels};
#else
  return {&baseline::kKernels};
#endif
}

struct Choice {
  const Kernels* kernels = nullptr;
  std::string error;
};

Choice choose(const char* wanted) {
  Choice choice;
  if (wanted == nullptr || *wanted == '\0') {
    choice.kernels = available_kernels().front();
    return choice;
  }
  std::string names;
  for (const Kernels* kernels : available_kernels()) {
    if (std::strcmp(kernels->name, wanted) == 0) choice.kernels = kernels;
    names += names.empty() ? kernels->name : std::string(", ") + kernels->name;
  }
  if (choice.kernels == nullptr) {
    choice.error = std::string("SUNHWAN_ISA must name an instruction set that this machine has (") +
                   names + ") or be `none`, received '" + wanted + "' (known: " + kAllNames + ")";
  }
  return choice;
}

}  // namespace

const std::vector<const Kernels*>& available_kernels() {
  static const std::vector<const Kernels*> found = detect();
  return found;
}

const Kernels* bfloat16_kernels() {
#if defined(SUNHWAN_HAS_AVX512BF16)
  if (active_kernels(nullptr) == &avx512::kKernels && __builtin_cpu_supports("avx512bf16")) {
    return &avx512bf16::kKernels;
  }
#endif
  return nullptr;
}

const Kernels* active_kernels(std::string* error) {
  // Read once: what forward leaves for backward has the layout of one instruction set.
  static const Choice choice = choose(std::getenv("SUNHWAN_ISA"));
  if (choice.kernels == nullptr && error != nullptr) *error = choice.error;
  return choice.kernels;
}

}  // namespace sunhwan
