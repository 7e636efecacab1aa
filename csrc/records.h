// What forward leaves for backward: gates, and what it found out about the ids it looked up.
//
// Where computing the gates again on the way back costs more than remembering them, they are
// remembered. They stay in the engine's arena, not in a tensor of XLA's, whose fresh pages would
// cost as much. Forward writes a token beside its checkpoints; backward takes the record that bears
// it. If it is gone (taken before, pushed out by newer ones) backward computes all of it again, the
// gates from the checkpoints, to the same bits: correctness never depends on a record.
#pragma once

#include <cstdint>
#include <memory>

#include "arena.h"
#include "groups.h"

namespace sunhwan {

// Bytes that all records together may hold; the oldest go first.
constexpr int64_t kRecordLimit = int64_t{1} << 30;

// Of one call; what is not known is null.
struct Record {
  std::shared_ptr<Lease> gates;          // Chunk::record_floats of each row
  std::shared_ptr<const Groups> groups;  // of its ids
  std::shared_ptr<Lease> projected;      // W x + b of each of groups->ids()

  int64_t bytes() const {
    const auto of = [](const Lease* lease) {
      return lease == nullptr ? 0 : int64_t(lease->wanted() * sizeof(float));
    };
    return of(gates.get()) + of(projected.get()) + (groups == nullptr ? 0 : groups->bytes());
  }
};

// Leaves a record for whoever comes with the token that is returned; 0 if there is nothing to
// leave. Thread-safe.
uint32_t keep_record(Record record);

// The record of a token, which is then gone; empty if there is none. Thread-safe.
Record take_record(uint32_t token);

bool has_record(uint32_t token);  // left, and neither taken nor pushed out
void drop_records();

}  // namespace sunhwan
