// Sharing work among the threads of a pool that the engine does not own.
//
// Rule: never wait for work that has not begun. The pool may be the very one whose thread we run on
// (XLA calls us from its own), so a task we scheduled may not start until we return. Whoever calls
// therefore takes part itself, takes whatever no helper has claimed, and waits only for helpers
// that are already running, none of which ever blocks on the pool.
#pragma once

#include <cstdint>
#include <functional>

namespace sunhwan {

// A pool: `schedule` hands a task to some thread, now or later, or runs it at once.
class Pool {
 public:
  virtual ~Pool() = default;
  virtual int threads() const = 0;  // the caller's included, >= 1
  virtual void schedule(std::function<void()> task) = 0;
};

// Threads to use: the pool's, or fewer if the variable SUNHWAN_THREADS says so.
int usable_threads(const Pool& pool);

// Runs body(i) once for every i < n; returns when all are done. Which thread runs which i is left
// to chance, so results must not depend on it.
void parallel_for(Pool& pool, int64_t n, const std::function<void(int64_t)>& body);

// Members of a team run the same function at the same time and may meet at a barrier.
class Team {
 public:
  virtual ~Team() = default;
  int id = 0;
  int size = 1;
  // Waits until every member has called sync. Spins: members are threads that run right now.
  virtual void sync() {}
  // The part [begin, end) of n items that is this member's.
  int64_t begin(int64_t n) const { return n * id / size; }
  int64_t end(int64_t n) const { return n * (id + 1) / size; }
};

// Runs body(team) on as many threads as check in at once, `most` at most, and returns when all are
// done. How many that is is left to chance (the pool may be busy), so results must not depend on
// it. `seconds`: about how long one thread alone would take, which decides how long to wait for
// others.
void run_team(Pool& pool, int most, double seconds, const std::function<void(Team&)>& body);

// Sets denormals to flush to zero on this thread while in scope: they are a hundred times slower,
// and a state that decays towards zero meets them.
class FlushDenormals {
 public:
  FlushDenormals();
  ~FlushDenormals();

 private:
  std::uint64_t before_;
};

}  // namespace sunhwan
