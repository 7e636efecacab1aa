#include "groups.h"

#include <algorithm>

namespace sunhwan {

Groups::Groups(int64_t slots, int64_t V) : V_(V), places_((slots + 1) * V), count_(slots, 0) {}

std::shared_ptr<const Groups> Groups::of(const Problem& p, const std::vector<int32_t>& rows,
                                         const std::vector<int64_t>& slot_begin, Pool& pool) {
  if (!p.is_lookup() || p.input_scale != nullptr) return nullptr;
  const auto slots = int64_t(slot_begin.size()) - 1;
  const std::shared_ptr<Groups> groups(new Groups(slots, p.V));
  std::vector<std::vector<int32_t>> found(slots);
  std::vector<int64_t> steps(slots, 0);
  parallel_for(pool, slots, [&](int64_t slot) {
    int32_t* const place = groups->of_slot(slot);
    std::fill(place, place + p.V, -1);
    std::vector<int32_t> ids;
    int64_t live = 0;
    for (int64_t r = slot_begin[slot]; r < slot_begin[slot + 1]; ++r) {
      for (int64_t cell = rows[r] * p.T; cell < (rows[r] + 1) * p.T; ++cell) {
        if (p.mask != nullptr && !p.mask[cell]) continue;
        ++live;
        int32_t& at = place[p.ids[cell]];
        if (at >= 0) continue;
        at = int32_t(ids.size());
        ids.push_back(p.ids[cell]);
      }
    }
    steps[slot] = live;
    groups->count_[slot] = int64_t(ids.size());
    found[slot] = std::move(ids);
  });
  int32_t* const place = groups->of_slot(slots);
  std::fill(place, place + p.V, -1);
  for (int64_t slot = 0; slot < slots; ++slot) {
    groups->steps_ += steps[slot];
    groups->slot_ids_ += groups->count_[slot];
    for (const int32_t id : found[slot]) place[id] = 0;
  }
  for (int64_t v = 0; v < p.V; ++v) {
    if (place[v] < 0) continue;
    place[v] = int32_t(groups->ids_.size());
    groups->ids_.push_back(int32_t(v));
  }
  return groups;
}

}  // namespace sunhwan
