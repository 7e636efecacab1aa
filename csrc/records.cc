#include "records.h"

#include <map>
#include <mutex>
#include <utility>

namespace sunhwan {
namespace {

struct Records {
  std::mutex mutex;
  std::map<uint32_t, Record> by_token;  // tokens count up, so the first is the oldest
  uint32_t last = 0;
  int64_t bytes = 0;

  Record take(std::map<uint32_t, Record>::iterator it) {
    Record record = std::move(it->second);
    by_token.erase(it);
    bytes -= record.bytes();
    return record;
  }
};

// Never destroyed, like the arena.
Records& records() {
  static Records* const all = new Records;
  return *all;
}

}  // namespace

uint32_t keep_record(Record record) {
  const int64_t bytes = record.bytes();
  if (bytes == 0) return 0;
  Records& all = records();
  const std::lock_guard<std::mutex> lock(all.mutex);
  if (++all.last == 0) ++all.last;  // 0 means: no record
  while (!all.by_token.empty() && all.bytes + bytes > kRecordLimit) all.take(all.by_token.begin());
  all.by_token[all.last] = std::move(record);
  all.bytes += bytes;
  return all.last;
}

Record take_record(uint32_t token) {
  Records& all = records();
  const std::lock_guard<std::mutex> lock(all.mutex);
  const auto found = all.by_token.find(token);
  return found == all.by_token.end() ? Record{} : all.take(found);
}

bool has_record(uint32_t token) {
  Records& all = records();
  const std::lock_guard<std::mutex> lock(all.mutex);
  return all.by_token.count(token) != 0;
}

void drop_records() {
  Records& all = records();
  const std::lock_guard<std::mutex> lock(all.mutex);
  all.by_token.clear();
  all.bytes = 0;
}

}  // namespace sunhwan
