// The ids that a call looks up, found once and used on the way there and back.
//
// Where the same rows of a table are read again and again, W x + b needs to be computed only once
// for each id. And what their gradients have in common is W: dW and the gradient of the table need
// only the sum of the gate gradients of each id. Summing takes one addition where the two products
// take 2 * D multiply-adds, so texts, whose words repeat, cost a fraction of it. Each slot sums for
// its own rows of the batch, and the slots' sums are added in their order: results depend on the
// sizes and the number of threads, as all sums do.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "arena.h"
#include "problem.h"
#include "threads.h"

namespace sunhwan {

class Groups {
 public:
  // Of the live steps of rows[slot_begin[s]] .. rows[slot_begin[s + 1] - 1] for each slot s; null
  // where nothing is looked up, and where a scaled input makes every row another one.
  static std::shared_ptr<const Groups> of(const Problem& p, const std::vector<int32_t>& rows,
                                          const std::vector<int64_t>& slot_begin, Pool& pool);

  const std::vector<int32_t>& ids() const { return ids_; }   // of all slots, ascending
  const int32_t* place() const { return of_slot(slots()); }  // [V] of each id in ids(), or -1
  // [V] of each id among those of the slot, or -1; and how many those are.
  const int32_t* place(int64_t slot) const { return of_slot(slot); }
  int64_t count(int64_t slot) const { return count_[slot]; }

  int64_t slots() const { return int64_t(count_.size()); }
  int64_t bytes() const { return int64_t(places_.wanted() * sizeof(float)); }
  // Whether ids are clearly fewer than steps: in all, to multiply once for each, and within the
  // slots, to sum gradients by id.
  bool spare_products() const { return 4 * int64_t(ids_.size()) <= 3 * steps_; }
  bool spare_sums() const { return 4 * slot_ids_ <= 3 * steps_; }

 private:
  Groups(int64_t slots, int64_t V);
  int32_t* of_slot(int64_t slot) const {
    return reinterpret_cast<int32_t*>(places_.data()) + slot * V_;
  }
  int64_t V_, steps_ = 0, slot_ids_ = 0;
  Lease places_;  // [slots + 1, V] integers
  std::vector<int64_t> count_;
  std::vector<int32_t> ids_;
};

}  // namespace sunhwan
