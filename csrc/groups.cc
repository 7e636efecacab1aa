#include "groups.h"

#include <algorithm>
#include <cstring>

namespace sunhwan {

std::unique_ptr<Groups> Groups::of(const Problem& p, const Layout& l,
                                   const std::vector<int32_t>& rows,
                                   const std::vector<int64_t>& slot_begin, Pool& pool) {
  // a scaled input is another one in every row
  if (!p.is_lookup() || p.input_scale != nullptr) return nullptr;
  const auto slots = int64_t(slot_begin.size()) - 1;
  std::unique_ptr<Groups> groups(new Groups(slots, p.V, l.gates * l.Hp));
  std::vector<int64_t> steps(slots, 0);
  parallel_for(pool, slots, [&](int64_t slot) {
    int32_t* const place = groups->place_.data() + slot * p.V;
    int64_t count = 0, live = 0;
    for (int64_t r = slot_begin[slot]; r < slot_begin[slot + 1]; ++r) {
      for (int64_t cell = rows[r] * p.T; cell < (rows[r] + 1) * p.T; ++cell) {
        if (p.mask != nullptr && !p.mask[cell]) continue;
        ++live;
        int32_t& at = place[p.ids[cell]];
        if (at < 0) at = int32_t(count++);
      }
    }
    groups->count_[slot] = count;
    steps[slot] = live;
  });
  int64_t all_ids = 0, all_steps = 0;
  for (int64_t slot = 0; slot < slots; ++slot) {
    all_ids += groups->count_[slot];
    all_steps += steps[slot];
  }
  if (4 * all_ids > 3 * all_steps) return nullptr;
  for (int64_t slot = 0; slot < slots; ++slot) {
    groups->memory_.push_back(std::make_unique<Lease>(groups->count_[slot] * groups->width_));
    groups->sums_.push_back(groups->memory_.back()->data());
  }
  for (int64_t v = 0; v < p.V; ++v) {
    for (int64_t slot = 0; slot < slots; ++slot) {
      if (groups->place(slot)[v] < 0) continue;
      groups->ids_.push_back(int32_t(v));
      break;
    }
  }
  return groups;
}

void Groups::clear(int64_t slot) {
  std::memset(sums(slot), 0, count_[slot] * width_ * sizeof(float));
}

}  // namespace sunhwan
