// Scratch memory that the engine keeps from call to call.
//
// Fresh pages are the largest cost of a training step once the arithmetic is fast: the kernel of
// the operating system zeroes each page on first touch. Blocks are therefore never given back
// before `release_arena`, and the next call that asks for as much gets a block that is already
// mapped.
#pragma once

#include <cstddef>

namespace sunhwan {

// A block of at least `floats` floats, aligned to 64 bytes, contents undefined (all NaN when the
// variable SUNHWAN_POISON is set). Returned to the arena when the lease ends. Thread-safe; a block
// is never in two leases at once. Throws std::bad_alloc.
class Lease {
 public:
  explicit Lease(std::size_t floats);
  ~Lease();
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  float* data() const { return data_; }
  std::size_t wanted() const { return wanted_; }  // floats asked for

 private:
  std::size_t wanted_;
  float* data_;
  std::size_t floats_;
};

// True when SUNHWAN_POISON asks for scratch and outputs to be filled with NaN before use, so that a
// read of something never written shows.
bool poison_wanted();
void poison(float* data, std::size_t floats);

std::size_t arena_bytes();  // held, leased or free
void release_arena();       // gives back all blocks that are not leased

}  // namespace sunhwan
