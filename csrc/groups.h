// Gradients of inputs that were looked up, summed by id before they meet W.
//
// Where the same rows of a table are read again and again, what their gradients have in common is
// W: dW and the gradient of the table need only the sum of the gate gradients of each id. Summing
// takes one addition where the two products take 2 * D multiply-adds, so texts, whose words repeat,
// cost a fraction of it. Each slot sums for its own rows of the batch, and the slots' sums are
// added in their order: results depend on the sizes and the number of threads, as all sums do.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "arena.h"
#include "chunk.h"
#include "layout.h"
#include "problem.h"
#include "threads.h"

namespace sunhwan {

class Groups {
 public:
  // Of the live steps of rows[slot_begin[s]] .. rows[slot_begin[s + 1] - 1] for each slot s; null
  // where ids repeat too little within the slots to be worth it, or where nothing is looked up.
  static std::unique_ptr<Groups> of(const Problem& p, const Layout& l,
                                    const std::vector<int32_t>& rows,
                                    const std::vector<int64_t>& slot_begin, Pool& pool);

  const int32_t* place(int64_t slot) const { return place_.data() + slot * V_; }  // [V], or -1
  float* sums(int64_t slot) { return memory_[slot]->data(); }  // [ids of the slot, gates * Hp]
  void clear(int64_t slot);                                    // before a slot's first sum
  const std::vector<int32_t>& ids() const { return ids_; }     // of all slots, ascending

  // Some of the ids, from `first` on.
  SummedIds some(int64_t first, int64_t count) const {
    return {ids_.data() + first, count, int64_t(sums_.size()), V_, place_.data(), sums_.data()};
  }

 private:
  Groups(int64_t slots, int64_t V, int64_t width)
      : V_(V), width_(width), place_(slots * V, -1), count_(slots, 0) {}
  int64_t V_, width_;
  std::vector<int32_t> place_;
  std::vector<int64_t> count_;  // ids of each slot
  std::vector<int32_t> ids_;
  std::vector<std::unique_ptr<Lease>> memory_;
  std::vector<const float*> sums_;
};

}  // namespace sunhwan
