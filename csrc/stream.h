// A chain of layers that is run one step at a time, all memory taken beforehand.
//
// Weights are packed when a stage is added and kept; afterwards nothing is allocated. A recurrent
// stage runs `Kernels::forward` for one step, so its numbers have the bits of a whole call.
//
// A stream is for one thread at a time; different streams may be used from different threads.
// Sizes are those of problem.h: `rows` of the batch, each with the features of one step. Pointers
// handed to `add_...` are read during that call only, and must hold what their comments say.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "arena.h"
#include "kernels.h"
#include "problem.h"

namespace sunhwan {

// One layer: what it keeps from step to step, and its scratch.
class Stage {
 public:
  virtual ~Stage() = default;
  // From x, float[rows, features before], to float[rows, features after], which is the stage's own
  // and valid until its next step. x may not overlap it.
  virtual const float* step(const float* x) = 0;
  // State n < states() as it is now, float[rows, features after]; the pointer is valid until the
  // next step.
  virtual int64_t states() const { return 0; }
  virtual float* state(int64_t) { return nullptr; }
};

class Stream {
 public:
  // features: floats of an input, or 0 where it is an id and the first stage a lookup.
  Stream(const Kernels& kernels, int64_t rows, int64_t features);
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  int64_t rows() const { return rows_; }
  int64_t inputs() const { return inputs_; }      // features of the input
  int64_t features() const { return features_; }  // of what comes out so far
  double work() const { return work_; }           // multiply-adds of a step
  bool is_empty() const { return stages_.empty(); }

  // Rows of table [V, D] by id. skips_zero: id 0 is a step that recurrent stages skip.
  void add_lookup(const float* table, int64_t V, int64_t D, bool skips_zero);
  // A row whose features are all `value` is a step that recurrent stages skip.
  void add_masking(float value);
  // kind, gates, zero_output, H, the weights (of D = features() inputs) and zoneout, which acts by
  // expectation, of the problem count.
  void add_recurrent(const Problem& problem);
  // gate(W x + b); kernel [features(), H], bias [H] or null; `gate` as for Kernels::apply_gate.
  void add_dense(const float* kernel, const float* bias, int64_t H, int gate);
  void add_gate(int gate);
  void add_softmax();
  // scale x + shift; both [features()].
  void add_affine(const float* scale, const float* shift);
  // scale (x - mean) / sqrt(variance + epsilon) + shift, over the features of a row.
  void add_normalization(const float* scale, const float* shift, double epsilon);

  // Where the caller writes the next step's input and reads its output; kept as long as the stream.
  int64_t* ids() { return ids_.data(); }    // [rows], where the input is an id
  float* input() { return input_.data(); }  // [rows, inputs()], else
  // [rows, features()]. Needs a stage; no other one can be added afterwards (std::logic_error).
  float* output();

  // One step; needs a stage. Returns the first row whose id is outside the table, nothing having
  // changed, or -1.
  int64_t step();
  void reset();  // all states become 0

  int64_t states() const { return int64_t(states_.size()); }
  int64_t state_size(int64_t n) const { return states_[n].size; }  // floats
  float* state(int64_t n) { return states_[n].stage->state(states_[n].number); }

 private:
  struct State {
    Stage* stage;
    int64_t number, size;
  };
  void add(std::unique_ptr<Stage> stage, int64_t features);

  const Kernels& kernels_;
  int64_t rows_, inputs_, features_;
  int64_t table_rows_ = 0;  // of the lookup; 0: the input is no id
  double work_ = 0;
  bool is_masked_ = false;
  std::vector<unsigned char> live_;  // [rows] 0: this step is skipped
  std::vector<int64_t> ids_;         // [rows]
  Lease input_;
  std::unique_ptr<Lease> output_;  // null while stages may still be added
  std::vector<std::unique_ptr<Stage>> stages_;
  std::vector<State> states_;
};

}  // namespace sunhwan
