// Gate records that forward leaves for backward.
//
// Where a step is large, computing the gates again on the way back costs more than remembering
// them. They stay in the engine's arena, not in a tensor of XLA's, whose fresh pages would cost as
// much. Forward writes a token beside its checkpoints; backward takes the record that bears it. If
// it is gone (taken before, pushed out by newer ones) backward computes the gates again from the
// checkpoints, to the same bits: correctness never depends on a record.
#pragma once

#include <cstdint>
#include <memory>

#include "arena.h"

namespace sunhwan {

// Bytes that all records together may hold; the oldest go first.
constexpr int64_t kRecordLimit = int64_t{1} << 30;

// Leaves a record for whoever comes with the token that is returned (never 0). Thread-safe.
uint32_t keep_record(std::shared_ptr<Lease> record, int64_t bytes);

// The record of a token, which is then gone; null if there is none. Thread-safe.
std::shared_ptr<Lease> take_record(uint32_t token);

int64_t record_bytes();  // held for backward passes to come
void drop_records();

}  // namespace sunhwan
