#include "records.h"

#include <map>
#include <mutex>

namespace sunhwan {
namespace {

struct Kept {
  std::shared_ptr<Lease> lease;
  int64_t bytes;
};

struct Records {
  std::mutex mutex;
  std::map<uint32_t, Kept> by_token;  // tokens count up, so the first is the oldest
  uint32_t last = 0;
  int64_t bytes = 0;

  void erase(std::map<uint32_t, Kept>::iterator it) {
    bytes -= it->second.bytes;
    by_token.erase(it);
  }
};

// Never destroyed, like the arena.
Records& records() {
  static Records* const all = new Records;
  return *all;
}

}  // namespace

uint32_t keep_record(std::shared_ptr<Lease> record, int64_t bytes) {
  Records& all = records();
  const std::lock_guard<std::mutex> lock(all.mutex);
  if (++all.last == 0) ++all.last;  // 0 means: no record
  while (!all.by_token.empty() && all.bytes + bytes > kRecordLimit) all.erase(all.by_token.begin());
  all.by_token[all.last] = {std::move(record), bytes};
  all.bytes += bytes;
  return all.last;
}

std::shared_ptr<Lease> take_record(uint32_t token) {
  Records& all = records();
  const std::lock_guard<std::mutex> lock(all.mutex);
  const auto found = all.by_token.find(token);
  if (found == all.by_token.end()) return nullptr;
  std::shared_ptr<Lease> lease = std::move(found->second.lease);
  all.erase(found);
  return lease;
}

int64_t record_bytes() {
  Records& all = records();
  const std::lock_guard<std::mutex> lock(all.mutex);
  return all.bytes;
}

void drop_records() {
  Records& all = records();
  const std::lock_guard<std::mutex> lock(all.mutex);
  all.by_token.clear();
  all.bytes = 0;
}

}  // namespace sunhwan
