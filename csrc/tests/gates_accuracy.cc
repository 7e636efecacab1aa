// Measures the gate functions of generic/gates.h against libm in double precision and checks what
// gates.h promises. The exit status is the number of broken promises, 0 when all hold.
//
//   gates_accuracy [STRIDE]    every STRIDE-th of the 2^32 float32 bit patterns (default 1, all)
//
// Compiled once per instruction set, with the flags of that set and for instance
//   -DSUNHWAN_LANES=8 -DSUNHWAN_ISA_NAMESPACE=avx2 -mavx2 -mfma -ffp-contract=fast

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "../generic/gates.h"

namespace isa = sunhwan::SUNHWAN_ISA_NAMESPACE;

namespace {

using isa::Gate;
using isa::kLanes;

constexpr float kSmallestNormal = 1.17549435e-38f;
constexpr std::uint64_t kPatterns = std::uint64_t{1} << 32;

float from_bits(std::uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

std::uint32_t to_bits(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

// tanh(x); the series and the limit save most of the calls and are good to 2^-48.
double true_tanh(double x) {
  const double magnitude = std::fabs(x);
  if (magnitude < 0x1p-12) return x - x * x * x / 3.0;
  if (magnitude > 20.0) return x < 0.0 ? -1.0 : 1.0;
  return std::tanh(x);
}

double true_sigmoid(double x) {
  if (std::fabs(x) < 0x1p-12) return 0.5 + x / 4.0 - x * x * x / 48.0;
  if (x > 40.0) return 1.0;
  if (x < -110.0) return 0.0;
  return 1.0 / (1.0 + std::exp(-x));
}

double true_relu(double x) { return x > 0.0 ? x : 0.0; }

double true_hard_sigmoid(double x) {
  const double shifted = static_cast<float>(x) + 3.0f;
  return std::fmin(std::fmax(shifted, 0.0), 6.0) / 6.0;
}

double identity(double x) { return x; }

// Distance of neighbouring float32 numbers at the magnitude of `value`.
double ulp(double value) {
  const std::uint32_t exponent = to_bits(static_cast<float>(std::fabs(value))) >> 23;
  const std::uint64_t bits = std::uint64_t{exponent < 1 ? 1 : exponent} + 1023 - 127 - 23;
  double result;
  const std::uint64_t shifted = bits << 52;
  std::memcpy(&result, &shifted, sizeof result);
  return result;
}

struct Case {
  const char* name;
  Gate gate;
  double (*truth)(double);
  float low, high;  // no value may leave [low, high]
  double bound;     // ULP, for results that are normal numbers or 0
};

const Case kCases[] = {
    {"tanh", Gate::tanh, true_tanh, -1.0f, 1.0f, isa::kTanhUlp},
    {"sigmoid", Gate::sigmoid, true_sigmoid, 0.0f, 1.0f, isa::kSigmoidUlp},
    {"relu", Gate::relu, true_relu, 0.0f, INFINITY, 0.0},
    {"hard_sigmoid", Gate::hard_sigmoid, true_hard_sigmoid, 0.0f, 1.0f, 1.0},
    {"linear", Gate::linear, identity, -INFINITY, INFINITY, 0.0},
};

struct Findings {
  double worst = 0.0;           // ULP
  float worst_at = 0.0f;        // the x of it
  std::uint64_t nan_lost = 0;   // NaN that came out as a number, or the reverse
  std::uint64_t outside = 0;    // values that left [low, high]
  std::uint64_t underflow = 0;  // results below the normal numbers that are not so in truth
  std::uint64_t not_odd = 0;    // tanh(-x) != -tanh(x)
  std::uint64_t not_exact = 0;  // tanh(x) != x for |x| < 2^-13
  std::uint64_t falling = 0;    // y(x) < y of the x before it: told, not a failure
};

bool is_nan(float value) { return (to_bits(value) & 0x7fffffffu) > 0x7f800000u; }

void check(const Case& c, float x, float y, Findings& found) {
  if (is_nan(x) || is_nan(y)) {
    found.nan_lost += is_nan(x) != is_nan(y);
    return;
  }
  found.outside += !(y >= c.low && y <= c.high);
  if (c.gate == Gate::tanh && std::fabs(x) < 0x1p-13f) found.not_exact += to_bits(x) != to_bits(y);
  const double truth = c.truth(x);
  if (std::fabs(truth) < kSmallestNormal) {
    found.underflow += std::fabs(y) > kSmallestNormal;
    return;
  }
  if (static_cast<double>(y) == truth) return;
  const double error = std::fabs(y - truth) / ulp(truth);
  if (!(error <= found.worst)) {
    found.worst = error;
    found.worst_at = x;
  }
}

Findings measure(const Case& c, std::uint64_t stride) {
  constexpr int kUnroll = 6;
  constexpr int kBlock = kUnroll * kLanes;
  Findings found;
  float x[kBlock], y[kBlock], mirrored[kBlock], previous = 0.0f;
  for (std::uint64_t start = 0; start < kPatterns; start += stride * kBlock) {
    int count = 0;
    for (; count < kBlock && start + stride * count < kPatterns; ++count) {
      x[count] = from_bits(static_cast<std::uint32_t>(start + stride * count));
    }
    for (int i = count; i < kBlock; ++i) x[i] = 0.0f;
    isa::vf v[kUnroll];
    for (int k = 0; k < kUnroll; ++k) v[k] = isa::load(x + k * kLanes);
    isa::apply(c.gate, v);
    for (int k = 0; k < kUnroll; ++k) isa::store(y + k * kLanes, v[k]);
    for (int k = 0; k < kUnroll; ++k) {
      isa::store(mirrored + k * kLanes, isa::apply(c.gate, -isa::load(x + k * kLanes)));
    }
    for (int i = 0; i < count; ++i) {
      check(c, x[i], y[i], found);
      if (c.gate == Gate::tanh && !is_nan(x[i]))
        found.not_odd += to_bits(y[i]) != to_bits(-mirrored[i]);
      if (x[i] != 0.0f) found.falling += x[i] > 0.0f ? y[i] < previous : y[i] > previous;
      previous = y[i];
    }
  }
  return found;
}

int report(const Case& c, const Findings& f) {
  const bool good = f.worst <= c.bound && f.nan_lost + f.outside + f.underflow == 0 &&
                    f.not_odd + f.not_exact == 0;
  std::printf(
      "%-13s %8.4f %6.2f %15.8g %8llu %8llu %9llu %7llu %9llu %11llu  %s\n", c.name, f.worst,
      c.bound, f.worst_at, static_cast<unsigned long long>(f.nan_lost),
      static_cast<unsigned long long>(f.outside), static_cast<unsigned long long>(f.underflow),
      static_cast<unsigned long long>(f.not_odd), static_cast<unsigned long long>(f.not_exact),
      static_cast<unsigned long long>(f.falling), good ? "ok" : "BROKEN");
  std::fflush(stdout);
  return good ? 0 : 1;
}

// Derivatives where they are known by hand, the corners included.
int check_slopes() {
  struct {
    Gate gate;
    float y, slope;
  } const known[] = {
      {Gate::linear, -3.0f, 1.0f},      {Gate::tanh, -0.25f, 0.9375f},
      {Gate::tanh, 1.0f, 0.0f},         {Gate::sigmoid, 0.25f, 0.1875f},
      {Gate::sigmoid, 1.0f, 0.0f},      {Gate::relu, 2.5f, 1.0f},
      {Gate::relu, 0.0f, 0.0f},         {Gate::hard_sigmoid, 0.25f, 1.0f / 6.0f},
      {Gate::hard_sigmoid, 0.0f, 0.0f}, {Gate::hard_sigmoid, 1.0f, 0.0f},
  };
  int broken = 0;
  for (const auto& k : known) broken += isa::slope(k.gate, isa::splat(k.y))[0] != k.slope;
  std::printf("%-13s %d wrong\n", "slopes", broken);
  return broken;
}

// Partial loads and stores of every length, between guards, and the smaller and larger of two.
int check_vectors() {
  int broken = 0;
  float from[kLanes + 1], to[kLanes + 1];
  for (int i = 0; i <= kLanes; ++i) from[i] = static_cast<float>(i + 1);
  for (int n = 0; n <= kLanes; ++n) {
    for (float& lane : to) lane = -1.0f;
    const isa::vf loaded = isa::load_partial(from, n);
    isa::store_partial(to, isa::load(from), n);
    for (int i = 0; i < kLanes; ++i) broken += loaded[i] != (i < n ? from[i] : 0.0f);
    for (int i = 0; i <= kLanes; ++i) broken += to[i] != (i < n ? from[i] : -1.0f);
  }
  const isa::vf one = isa::splat(1.0f), two = isa::splat(2.0f), nan = isa::splat(NAN);
  broken += isa::vmin(one, two)[0] != 1.0f || isa::vmin(two, one)[0] != 1.0f;
  broken += isa::vmax(one, two)[0] != 2.0f || isa::vmax(two, one)[0] != 2.0f;
  broken += !is_nan(isa::vmin(nan, one)[0]) || !is_nan(isa::vmax(nan, one)[0]);
  broken += isa::vmin(one, nan)[0] != 1.0f || isa::vmax(one, nan)[0] != 1.0f;
  std::printf("%-13s %d wrong\n", "vectors", broken);
  return broken;
}

}  // namespace

int main(int argc, char** argv) {
  const long long stride = argc > 1 ? std::atoll(argv[1]) : 1;
  if (argc > 2 || stride < 1) {
    std::fprintf(stderr, "usage: gates_accuracy [STRIDE], STRIDE a whole number of at least 1\n");
    return 2;
  }
  std::printf("%d lanes, every %lld. of 2^32 float32 values\n", kLanes, stride);
  std::printf("%-13s %8s %6s %15s %8s %8s %9s %7s %9s %11s\n", "gate", "max ULP", "bound", "at x",
              "NaN lost", "outside", "underflow", "not odd", "not exact", "not rising");
  int broken = check_slopes() + check_vectors();
  for (const Case& c : kCases) broken += report(c, measure(c, static_cast<std::uint64_t>(stride)));
  return broken;
}
