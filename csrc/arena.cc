#include "arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <map>
#include <mutex>
#include <new>

namespace sunhwan {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

struct Blocks {
  std::mutex mutex;
  std::multimap<std::size_t, float*> free;  // by size in floats
  std::size_t held = 0;                     // bytes
};

// Never destroyed: threads of a pool may still be running when static objects go.
Blocks& blocks() {
  static Blocks* const all = new Blocks;
  return *all;
}

float* allocate(std::size_t floats) {
  const std::size_t bytes = floats * sizeof(float);
  const bool large = bytes >= kHugePage;
  void* data = std::aligned_alloc(large ? kHugePage : 64, bytes);
  if (data == nullptr) throw std::bad_alloc();
#if defined(MADV_HUGEPAGE)
  if (large) madvise(data, bytes, MADV_HUGEPAGE);  // a wish: nothing depends on it
#endif
  return static_cast<float*>(data);
}

// Powers of two in quarters, so that problems of nearly equal size share blocks.
std::size_t rounded(std::size_t floats) {
  std::size_t step = 1024;
  while (step * 8 < floats) step *= 2;
  const std::size_t size = (floats + step - 1) / step * step;
  const std::size_t unit = size * sizeof(float) >= kHugePage ? kHugePage / sizeof(float) : 16;
  return (size + unit - 1) / unit * unit;
}

}  // namespace

Lease::Lease(std::size_t floats)
    : wanted_(floats), data_(nullptr), floats_(rounded(std::max<std::size_t>(floats, 1))) {
  Blocks& all = blocks();
  {
    const std::lock_guard<std::mutex> lock(all.mutex);
    const auto found = all.free.lower_bound(floats_);
    if (found != all.free.end() && found->first <= 2 * floats_) {
      floats_ = found->first;
      data_ = found->second;
      all.free.erase(found);
    } else {
      all.held += floats_ * sizeof(float);
    }
  }
  if (data_ == nullptr) data_ = allocate(floats_);
  if (poison_wanted()) poison(data_, floats_);
}

Lease::~Lease() {
  Blocks& all = blocks();
  const std::lock_guard<std::mutex> lock(all.mutex);
  all.free.emplace(floats_, data_);
}

bool poison_wanted() {
  static const bool wanted = std::getenv("SUNHWAN_POISON") != nullptr;
  return wanted;
}

void poison(float* data, std::size_t floats) {
  std::fill(data, data + floats, std::numeric_limits<float>::quiet_NaN());
}

std::size_t arena_bytes() {
  Blocks& all = blocks();
  const std::lock_guard<std::mutex> lock(all.mutex);
  return all.held;
}

void release_arena() {
  Blocks& all = blocks();
  const std::lock_guard<std::mutex> lock(all.mutex);
  for (const auto& [floats, data] : all.free) {
    all.held -= floats * sizeof(float);
    std::free(data);
  }
  all.free.clear();
}

}  // namespace sunhwan
