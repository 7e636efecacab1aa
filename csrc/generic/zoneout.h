// Zoneout (Krueger et al. 2017, equations 6 and 7): after a step an element of a state keeps its
// old value with a probability p; by expectation, where there is no noise, h = p h' + (1 - p) h~.
#pragma once

#include "segment.h"

namespace sunhwan {
namespace SUNHWAN_ISA_NAMESPACE {

// The last mixing of MurmurHash3: every bit of the input moves every bit of the result.
SUNHWAN_INLINE vu mixed(vu v) {
  v ^= v >> 16;
  v *= std::uint32_t{0x85ebca6b};
  v ^= v >> 13;
  v *= std::uint32_t{0xc2b2ae35};
  return v ^ (v >> 16);
}

// How one of the states, h or c, is zoned out.
struct Zone {
  float rate;
  std::uint32_t limit, salt;  // of the random numbers
  int64_t units;              // of the state
};

SUNHWAN_INLINE Zone zone_of(double rate, std::uint32_t salt, int64_t units) {
  return {float(rate), std::uint32_t(rate * 4294967296.0), salt, units};
}
SUNHWAN_INLINE Zone zone_of_h(const Problem& p) { return zone_of(p.zoneout_h, 0, p.P); }
SUNHWAN_INLINE Zone zone_of_c(const Problem& p) { return zone_of(p.zoneout_c, 0x9E3779B9u, p.H); }

// -1 in the lanes of units u, u + 1, ... that keep the value from before step t of batch row b.
SUNHWAN_INLINE vi chosen(const Problem& p, const Zone& zone, int64_t b, int64_t t, int64_t u) {
  vu index;
  for (int i = 0; i < kLanes; ++i) index[i] = std::uint32_t(i);
  const std::uint32_t* key = p.noise + 2 * b;
  index += std::uint32_t(t * zone.units + u) + key[0];
  return mixed(mixed(index) ^ (key[1] + zone.salt)) < zone.limit;
}

// Mixes the old state into the new one for the live rows of step s; `state` is the chunk's h or c.
SUNHWAN_OUTLINE void mix_old_state(const Context& x, int64_t s, const Zone& zone, float* state) {
  const Chunk& c = x.chunk;
  if (zone.rate == 0.0f) return;
  // the units whose step this member has taken, or that it has projected to
  const Panels& own = x.p.projects() && state == c.h ? x.l.outputs : x.l.units;
  const int64_t begin = own.begin(x.team.begin(own.count)) * kLanes;
  const int64_t end = own.begin(x.team.end(own.count)) * kLanes;
  const int64_t t = time_of(x.p, c.first + s);
  const vf keep = splat(zone.rate), rest = splat(1.0f - zone.rate);
  for (int64_t q = c.offset[s]; q < c.offset[s + 1]; ++q) {
    const float* from = state + (c.h_row[q] - c.h);
    float* to = state + c.next(x.l, s, q);
    for (int64_t u = begin; u < end; u += kLanes) {
      const vf before = load(from + u), after = load(to + u);
      store(to + u, x.p.noise != nullptr
                        ? select(chosen(x.p, zone, c.batch_rows[c.live[q]], t, u), before, after)
                        : keep * before + rest * after);
    }
  }
}

// Parts the gradient of a state after step s into what goes through the step, `gradient` in place,
// and what passes by it, `kept`; live rows, this member's part of the state's vectors.
SUNHWAN_OUTLINE void part_gradient(const Context& x, int64_t s, const Zone& zone, float* gradient,
                                   float* kept) {
  const Chunk& c = x.chunk;
  const int64_t begin = x.team.begin(x.l.states.vectors) * kLanes;
  const int64_t end = x.team.end(x.l.states.vectors) * kLanes;
  const int64_t t = time_of(x.p, c.first + s);
  const vf keep = splat(zone.rate), rest = splat(1.0f - zone.rate);
  for (int64_t q = c.offset[s]; q < c.offset[s + 1]; ++q) {
    const int64_t row = c.live[q] * x.l.Hp;
    for (int64_t u = row + begin; u < row + end; u += kLanes) {
      const vf all = load(gradient + u);
      if (x.p.noise == nullptr || zone.rate == 0.0f) {
        store(kept + u, keep * all);
        store(gradient + u, rest * all);
        continue;
      }
      const vi is_kept = chosen(x.p, zone, c.batch_rows[c.live[q]], t, u - row);
      store(kept + u, select(is_kept, all, vf{}));
      store(gradient + u, select(is_kept, vf{}, all));
    }
  }
}

// What passed by step s joins what came through it, and a reset lets nothing through.
SUNHWAN_OUTLINE void join_gradient(const Context& x, int64_t s, float* gradient,
                                   const float* kept) {
  const Chunk& c = x.chunk;
  const int64_t begin = x.team.begin(x.l.states.vectors) * kLanes;
  const int64_t end = x.team.end(x.l.states.vectors) * kLanes;
  for (int64_t q = c.offset[s]; q < c.offset[s + 1]; ++q) {
    const int64_t row = c.live[q] * x.l.Hp;
    const bool is_reset = x.p.reset != nullptr && x.p.reset[c.cell[q]];
    for (int64_t u = row + begin; u < row + end; u += kLanes) {
      if (is_reset) {
        store(gradient + u, vf{});
      } else if (x.p.zones()) {
        store(gradient + u, load(gradient + u) + load(kept + u));
      }
    }
  }
}

}  // namespace SUNHWAN_ISA_NAMESPACE
}  // namespace sunhwan
