// Gate functions on vectors, and their slopes.
//
// NaN comes out as NaN, the infinities give the limits, |tanh| <= 1 and 0 <= sigmoid <= 1 for every
// input, and tanh is odd bit for bit. There is no branch, no table and no call, and each of tanh
// and sigmoid has one division. The constants come from csrc/tests/fit_gates.py; the bounds below
// were measured over all 2^32 float32 inputs with csrc/tests/gates_accuracy.cc, which checks them.
//
// Never compile with -ffast-math: sums are written in the order in which they are exact, and NaN
// must survive.

#ifndef SUNHWAN_GENERIC_GATES_H_
#define SUNHWAN_GENERIC_GATES_H_

#include "vec.h"

namespace sunhwan {
namespace SUNHWAN_ISA_NAMESPACE {

enum class Gate : int { linear = 0, tanh = 1, sigmoid = 2, relu = 3, hard_sigmoid = 4 };

// Largest error in units in the last place of the true value, where that is a normal number:
//                                      tanh               sigmoid
//   with FMA (AVX2, AVX-512)     2.5395 at 0.520    2.5391 at -1.952
//   without (SSE2)               2.5395 at 0.520    2.6442 at -1.104
// Where a compiler keeps the product w of sigmoid instead of fusing it twice (Clang does), the
// second row also holds with FMA.
constexpr float kTanhUlp = 2.54f;
constexpr float kSigmoidUlp = 2.65f;

// A whole number n as the float 1.5 * 2^23 + bias + n has n + bias in its low bits, so these bits
// moved to the exponent are the float 2^(n + bias - 127). Adding that constant to a float also
// rounds it to a whole number.
constexpr float kRound = 12582912.0f;

SUNHWAN_INLINE vf exponent_from_low_bits(vf shifted) { return (vf)((vu)shifted << 23); }

// With n = round(2 x / ln 2), s = 2^n and t = tanh(h), h = x - n ln(2) / 2, |h| <= ln(2) / 4:
//
//   tanh x = (t (s + 1) - (1 - s)) / (t (s - 1) + (s + 1)),   t = h + h (a h^2 + b h^4),
//
// the addition theorem, as tanh(n ln(2) / 2) = (s - 1) / (s + 1). The polynomial is the minimax of
// the relative error, 0.93 * 2^-24. Near 0, s = 1 and the quotient is 2 t / 2: no digit is lost,
// and x itself comes out where x^2 does not count. Replacing x by -x turns s into 1 / s, which
// scales both parts of the quotient by a power of two: hence odd. The sign of 0 is kept by 1 - s
// instead of s - 1, and by 1e-20 (far below the last place), which leaves h times it the sign of h.
// From 9.02 on the result rounds to 1.
SUNHWAN_INLINE vf tanh(vf x) {
  const vf one = splat(1.0f);
  const vf round = splat(kRound + 127.0f);
  x = vmax(vmin(x, splat(9.02f)), splat(-9.02f));
  const vf shifted = fma(x, splat(2.88539008f), round);
  const vf n = shifted - round;
  const vf s = exponent_from_low_bits(shifted);
  const vf h = fma(n, splat(-0.34657359f), x);
  const vf h2 = h * h;
  const vf bend = fma(h2, splat(0.131104544f), splat(-0.33331269f));
  const vf t = fma(h, fma(h2, bend, splat(1e-20f)), h);
  return (t * (s + one) - (one - s)) / fma(t, s - one, s + one);
}

// With n = round(-x / ln 2), s = 2^n and exp(-g) = p / q, g = x + n ln 2, |g| <= ln(2) / 2:
//
//   sigmoid x = 1 / (1 + s p / q) = q / (q + s p),
//   q, p = e +- w,   e = 2 c + d g^2,   w = g (g^2 + c),
//
// minimax, 0.003 * 2^-24 relative. ln 2 is split so that n times its first part is exact. The
// result stays good relative to itself down to the smallest normal number, x = -87.3; below that it
// goes to 0, through s p = infinity. p is about 2^7: q and s carry a factor of 2^-7 so that s p
// does not overflow before; the exponent of q is lowered as an integer because that takes no
// multiplier.
SUNHWAN_INLINE vf sigmoid(vf x) {
  constexpr int kScale = 7;
  const vf round = splat(kRound + 127.0f - kScale);
  x = vmax(vmin(x, splat(80.0f)), splat(-89.0f));
  const vf shifted = fma(x, splat(-1.44269504f), round);
  const vf n = shifted - round;
  const vf s = exponent_from_low_bits(shifted);
  const vf g = fma(n, splat(1.42860677e-06f), fma(n, splat(0.693145751953125f), x));
  const vf g2 = g * g;
  const vf e = fma(g2, splat(12.012785f), splat(120.153526f));
  const vf odd = g2 + splat(60.0767632f);
  const vf p = fma(-g, odd, e);
  const vf q = (vf)((vu)fma(g, odd, e) - (std::uint32_t{kScale} << 23));
  return q / fma(s, p, q);
}

SUNHWAN_INLINE vf relu(vf x) { return vmax(x, splat(0.0f)); }

// relu6(x + 3) / 6, as in Keras 3.
SUNHWAN_INLINE vf hard_sigmoid(vf x) {
  const vf ramp = vmax(vmin(x + splat(3.0f), splat(6.0f)), splat(0.0f));
  return ramp * splat(1.0f / 6.0f);
}

SUNHWAN_INLINE vf apply(Gate gate, vf x) {
  switch (gate) {
    case Gate::tanh:
      return tanh(x);
    case Gate::sigmoid:
      return sigmoid(x);
    case Gate::relu:
      return relu(x);
    case Gate::hard_sigmoid:
      return hard_sigmoid(x);
    case Gate::linear:
      break;
  }
  return x;
}

// The same for N vectors, in place. One decision for all of them: their chains, each of which
// mostly waits for itself, run side by side.
template <int N>
SUNHWAN_INLINE void apply(Gate gate, vf (&v)[N]) {
  switch (gate) {
    case Gate::tanh:
      SUNHWAN_UNROLL
      for (int i = 0; i < N; ++i) v[i] = tanh(v[i]);
      return;
    case Gate::sigmoid:
      SUNHWAN_UNROLL
      for (int i = 0; i < N; ++i) v[i] = sigmoid(v[i]);
      return;
    case Gate::relu:
      SUNHWAN_UNROLL
      for (int i = 0; i < N; ++i) v[i] = relu(v[i]);
      return;
    case Gate::hard_sigmoid:
      SUNHWAN_UNROLL
      for (int i = 0; i < N; ++i) v[i] = hard_sigmoid(v[i]);
      return;
    case Gate::linear:
      return;
  }
}

// The derivative at x in terms of y = apply(gate, x), so that x need not be kept. At the corners of
// relu and hard_sigmoid it is 0.
SUNHWAN_INLINE vf slope(Gate gate, vf y) {
  const vf zero = splat(0.0f);
  const vf one = splat(1.0f);
  switch (gate) {
    case Gate::tanh:
      return one - y * y;
    case Gate::sigmoid:
      return y * (one - y);
    case Gate::relu:
      return select(y > zero, one, zero);
    case Gate::hard_sigmoid:
      return select((y > zero) & (y < one), splat(1.0f / 6.0f), zero);
    case Gate::linear:
      break;
  }
  return one;
}

}  // namespace SUNHWAN_ISA_NAMESPACE
}  // namespace sunhwan

#endif  // SUNHWAN_GENERIC_GATES_H_
