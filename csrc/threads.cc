#include "threads.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

namespace sunhwan {
namespace {

inline void pause_briefly() {
#if defined(__SSE2__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Spins, then gives the core away now and then in case the thread waited for is not running.
template <class Condition>
void spin_until(const Condition& holds) {
  for (int n = 0; !holds(); ++n) {
    if (n % 4096 == 4095) {
      sched_yield();
    } else {
      pause_briefly();
    }
  }
}

// Outlives the call: a helper that starts late finds nothing left to claim and touches no more.
struct Shares {
  std::atomic<int64_t> next{0};
  std::atomic<int64_t> done{0};
  int64_t n = 0;
  const std::function<void(int64_t)>* body = nullptr;

  void work() {
    const FlushDenormals flush;
    for (int64_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < n;) {
      (*body)(i);
      done.fetch_add(1, std::memory_order_release);
    }
  }
};

// Membership is a count; closing it adds kClosed, and whoever comes then is turned away.
constexpr int kClosed = 1 << 20;

struct Roll {
  std::atomic<int> members{1};  // the caller is member 0
  std::atomic<int> size{0};     // set when closed
  std::atomic<int> arrived{0};
  std::atomic<int> generation{0};
  std::atomic<int> finished{0};
  const std::function<void(Team&)>* body = nullptr;
};

class Member final : public Team {
 public:
  Member(Roll& roll, int id, int size) : roll_(roll) {
    this->id = id;
    this->size = size;
  }
  void sync() override {
    if (size == 1) return;
    const int now = roll_.generation.load(std::memory_order_relaxed);
    if (roll_.arrived.fetch_add(1, std::memory_order_acq_rel) == size - 1) {
      roll_.arrived.store(0, std::memory_order_relaxed);
      roll_.generation.store(now + 1, std::memory_order_release);
    } else {
      spin_until([&] { return roll_.generation.load(std::memory_order_acquire) != now; });
    }
  }

 private:
  Roll& roll_;
};

void join(Roll& roll, int most) {
  int count = roll.members.load(std::memory_order_acquire);
  do {
    if (count >= most) return;  // closed, or full
  } while (!roll.members.compare_exchange_weak(count, count + 1, std::memory_order_acq_rel));
  spin_until([&] { return roll.size.load(std::memory_order_acquire) != 0; });
  const FlushDenormals flush;
  Member member(roll, count, roll.size.load(std::memory_order_relaxed));
  (*roll.body)(member);
  roll.finished.fetch_add(1, std::memory_order_release);
}

}  // namespace

int usable_threads(const Pool& pool) {
  // Read once: forward and backward of one step must share the work out alike.
  static const int wanted = [] {
    const char* text = std::getenv("SUNHWAN_THREADS");
    return text == nullptr ? 0 : std::atoi(text);
  }();
  const int available = std::max(1, pool.threads());
  return wanted > 0 ? std::min(wanted, available) : available;
}

void parallel_for(Pool& pool, int64_t n, const std::function<void(int64_t)>& body) {
  const auto shares = std::make_shared<Shares>();
  shares->n = n;
  shares->body = &body;
  const int64_t helpers = std::min<int64_t>(usable_threads(pool), n) - 1;
  for (int64_t i = 0; i < helpers; ++i) pool.schedule([shares] { shares->work(); });
  shares->work();
  spin_until([&] { return shares->done.load(std::memory_order_acquire) == n; });
}

void run_team(Pool& pool, int most, double seconds, const std::function<void(Team&)>& body) {
  const auto roll = std::make_shared<Roll>();
  roll->body = &body;
  most = std::min(most, usable_threads(pool));
  for (int i = 1; i < most; ++i) pool.schedule([roll, most] { join(*roll, most); });
  // a thread that sleeps takes some tenths of a millisecond to come, and is worth waiting for where
  // there is much to do
  const auto wait = std::chrono::duration<double>(std::min(std::max(0.02 * seconds, 1e-4), 5e-3));
  const auto patience = std::chrono::steady_clock::now() + wait;
  while (roll->members.load(std::memory_order_acquire) < most &&
         std::chrono::steady_clock::now() < patience) {
    pause_briefly();
  }
  const int size = roll->members.fetch_add(kClosed, std::memory_order_acq_rel);
  roll->size.store(size, std::memory_order_release);
  const FlushDenormals flush;
  Member member(*roll, 0, size);
  body(member);
  spin_until([&] { return roll->finished.load(std::memory_order_acquire) == size - 1; });
}

#if defined(__SSE2__)
constexpr unsigned kFlushToZeroAndDenormalsAreZero = 0x8040;
FlushDenormals::FlushDenormals() : before_(_mm_getcsr()) {
  _mm_setcsr(static_cast<unsigned>(before_) | kFlushToZeroAndDenormalsAreZero);
}
FlushDenormals::~FlushDenormals() { _mm_setcsr(static_cast<unsigned>(before_)); }
#elif defined(__aarch64__)
FlushDenormals::FlushDenormals() {
  asm volatile("mrs %0, fpcr" : "=r"(before_));
  asm volatile("msr fpcr, %0" : : "r"(before_ | (1ull << 24)));
}
FlushDenormals::~FlushDenormals() { asm volatile("msr fpcr, %0" : : "r"(before_)); }
#else
FlushDenormals::FlushDenormals() : before_(0) {}
FlushDenormals::~FlushDenormals() = default;
#endif

}  // namespace sunhwan
