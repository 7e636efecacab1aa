#include "stream.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "threads.h"

namespace sunhwan {
namespace {

void fill_poison(const Lease& block) {
  if (poison_wanted()) poison(block.data(), block.wanted());
}

void copy(float* to, const float* from, int64_t n) { std::memcpy(to, from, n * sizeof(float)); }

class Lookup final : public Stage {
 public:
  // live: null, or [rows], where id 0 is written as 0.
  Lookup(const float* table, int64_t V, int64_t D, const std::vector<int64_t>& ids,
         unsigned char* live)
      : D_(D), ids_(ids), live_(live), table_(V * D), y_(int64_t(ids.size()) * D) {
    copy(table_.data(), table, V * D);
  }
  const float* step(const float*) override {
    for (size_t b = 0; b < ids_.size(); ++b) {
      copy(y_.data() + b * D_, table_.data() + ids_[b] * D_, D_);
      if (live_ != nullptr) live_[b] = ids_[b] != 0;
    }
    return y_.data();
  }

 private:
  int64_t D_;
  const std::vector<int64_t>& ids_;
  unsigned char* live_;
  Lease table_, y_;
};

// Every stage below works on each row alone: y = body(x) of `features` floats.
template <class Body>
class RowByRow final : public Stage {
 public:
  RowByRow(int64_t rows, int64_t features, Body body)
      : rows_(rows), features_(features), body_(std::move(body)), y_(rows * features) {}
  const float* step(const float* x) override {
    fill_poison(y_);
    for (int64_t b = 0; b < rows_; ++b) body_(x + b * features_, y_.data() + b * features_, b);
    return y_.data();
  }

 private:
  int64_t rows_, features_;
  Body body_;
  Lease y_;
};

template <class Body>
std::unique_ptr<Stage> row_by_row(int64_t rows, int64_t features, Body body) {
  return std::make_unique<RowByRow<Body>>(rows, features, std::move(body));
}

// Packed weights of a problem that never goes back, and their layout.
struct Packed {
  Layout layout;
  Lease memory;
  Weights weights{};

  Packed(const Kernels& kernels, const Problem& p)
      : layout(Layout::of(p, kernels.lanes, p.B)),
        memory(layout.kernel_size(p) + recurrent_size(p) + layout.bias_size()) {
    weights.kernel = memory.data();
    weights.recurrent = weights.kernel + layout.kernel_size(p);
    weights.bias = weights.recurrent + recurrent_size(p);
    const int64_t parts = kernels.pack_parts(p, layout, false);
    for (int64_t part = 0; part < parts; ++part) kernels.pack(p, layout, weights, false, part);
  }
  int64_t recurrent_size(const Problem& p) const {
    return p.recurrent == nullptr ? 0 : layout.recurrent_size(p);
  }
};

class Recurrent final : public Stage {
 public:
  // live: null, or [rows], which is read in each step: 0 = the row keeps its state.
  Recurrent(const Kernels& kernels, const Problem& problem, const unsigned char* live)
      : kernels_(kernels),
        p_(problem),
        packed_(kernels, problem),
        size_(p_.B * p_.H),
        memory_(2 * states() * size_),
        y_(p_.zero_output ? size_ : 0),
        scratch_(Chunk::scratch_floats(packed_.layout, false)),
        rows_(p_.B) {
    p_.kernel = p_.recurrent = p_.bias = nullptr;                    // the caller's
    if (p_.peephole != nullptr) p_.peephole = packed_.weights.bias;  // there, and packed
    p_.norm = p_.norm_cell = nullptr;
    p_.mask = live;
    std::iota(rows_.begin(), rows_.end(), 0);
    chunk_.batch_rows = rows_.data();
    chunk_.rows = p_.B;
    chunk_.carve(packed_.layout, scratch_.data());
  }
  int64_t states() const override { return p_.has_cell_state() ? 2 : 1; }
  float* state(int64_t n) override { return memory_.data() + (now_ * states() + n) * size_; }

  const float* step(const float* x) override {
    fill_poison(scratch_);
    fill_poison(y_);
    p_.x = x;
    p_.h0 = state(0);
    p_.c0 = p_.has_cell_state() ? state(1) : nullptr;
    now_ = 1 - now_;
    ForwardResult result{};
    result.y = p_.zero_output ? y_.data() : nullptr;
    result.h = state(0);
    result.c = p_.has_cell_state() ? state(1) : nullptr;
    Team alone;
    kernels_.forward(p_, packed_.layout, packed_.weights, chunk_, alone, result);
    return p_.zero_output ? result.y : result.h;
  }

 private:
  const Kernels& kernels_;
  Problem p_;
  Packed packed_;
  int64_t size_;     // floats of a state
  int64_t now_ = 0;  // which half of the memory holds the states; a step writes the other
  Lease memory_, y_, scratch_;
  std::vector<int32_t> rows_;
  Chunk chunk_{};
};

// The input product of a SimpleRNN without its recurrence.
class Dense final : public Stage {
 public:
  Dense(const Kernels& kernels, const Problem& problem, int gate)
      : kernels_(kernels),
        p_(problem),
        packed_(kernels, problem),
        gate_(gate),
        rows_(p_.B),
        sums_(p_.B * packed_.layout.Hp),
        y_(p_.B * p_.H) {
    p_.kernel = p_.bias = nullptr;  // the caller's
  }
  const float* step(const float* x) override {
    fill_poison(y_);
    const int64_t width = packed_.layout.Hp;
    for (int64_t b = 0; b < p_.B; ++b) rows_[b] = x + b * p_.D;
    kernels_.project(p_, packed_.layout, packed_.weights, rows_.data(), p_.B, sums_.data());
    for (int64_t b = 0; b < p_.B; ++b) {
      kernels_.apply_gate(gate_, sums_.data() + b * width, y_.data() + b * p_.H, p_.H);
    }
    return y_.data();
  }

 private:
  const Kernels& kernels_;
  Problem p_;
  Packed packed_;
  int gate_;
  std::vector<const float*> rows_;
  Lease sums_, y_;
};

void softmax(const float* x, float* y, int64_t n) {
  const float top = *std::max_element(x, x + n);
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += y[i] = std::exp(x[i] - top);
  const float scale = float(1 / sum);
  for (int64_t i = 0; i < n; ++i) y[i] *= scale;
}

void normalize(const float* x, const std::vector<float>& scale, const std::vector<float>& shift,
               double epsilon, float* y) {
  const auto n = int64_t(scale.size());
  double mean = 0, variance = 0;
  for (int64_t i = 0; i < n; ++i) mean += x[i];
  mean /= double(n);
  for (int64_t i = 0; i < n; ++i) variance += (x[i] - mean) * (x[i] - mean);
  const double factor = 1 / std::sqrt(variance / double(n) + epsilon);
  for (int64_t i = 0; i < n; ++i) y[i] = float((x[i] - mean) * factor) * scale[i] + shift[i];
}

}  // namespace

Stream::Stream(const Kernels& kernels, int64_t rows, int64_t features)
    : kernels_(kernels),
      rows_(rows),
      inputs_(features),
      features_(features),
      live_(rows, 1),
      ids_(rows),
      input_(rows * features) {}

void Stream::add(std::unique_ptr<Stage> stage, int64_t features) {
  if (output_ != nullptr) throw std::logic_error("the stream has its output already");
  for (int64_t n = 0; n < stage->states(); ++n) {
    states_.push_back({stage.get(), n, rows_ * features});
    std::memset(stage->state(n), 0, rows_ * features * sizeof(float));
  }
  features_ = features;
  stages_.push_back(std::move(stage));
}

void Stream::add_lookup(const float* table, int64_t V, int64_t D, bool skips_zero) {
  table_rows_ = V;
  is_masked_ = skips_zero;
  unsigned char* live = skips_zero ? live_.data() : nullptr;
  add(std::make_unique<Lookup>(table, V, D, ids_, live), D);
}

void Stream::add_masking(float value) {
  is_masked_ = true;
  const int64_t n = features_;
  unsigned char* live = live_.data();
  add(row_by_row(rows_, n,
                 [=](const float* x, float* y, int64_t b) {
                   live[b] = std::any_of(x, x + n, [=](float v) { return v != value; });
                   for (int64_t i = 0; i < n; ++i) y[i] = live[b] != 0 ? x[i] : 0.0f;
                 }),
      n);
}

void Stream::add_recurrent(const Problem& problem) {
  Problem p = problem;
  p.B = rows_, p.T = p.segment = 1, p.D = features_;
  p.go_backwards = false;
  work_ += double(rows_) * double(gate_count(p.kind)) * double(p.H) * double(p.D + p.H);
  add(std::make_unique<Recurrent>(kernels_, p, is_masked_ ? live_.data() : nullptr), p.H);
}

void Stream::add_dense(const float* kernel, const float* bias, int64_t H, int gate) {
  Problem p{};
  p.kind = Kind::simple_rnn;
  p.B = rows_, p.T = p.segment = 1, p.D = features_, p.H = p.P = H;
  p.kernel = kernel, p.bias = bias;
  work_ += double(rows_) * double(p.D) * double(H);
  add(std::make_unique<Dense>(kernels_, p, gate), H);
}

void Stream::add_gate(int gate) {
  const Kernels& kernels = kernels_;
  const int64_t n = features_;
  add(row_by_row(
          rows_, n,
          [=, &kernels](const float* x, float* y, int64_t) { kernels.apply_gate(gate, x, y, n); }),
      n);
}

void Stream::add_softmax() {
  const int64_t n = features_;
  add(row_by_row(rows_, n, [=](const float* x, float* y, int64_t) { softmax(x, y, n); }), n);
}

void Stream::add_affine(const float* scale, const float* shift) {
  const std::vector<float> a(scale, scale + features_), b(shift, shift + features_);
  add(row_by_row(rows_, features_,
                 [a, b](const float* x, float* y, int64_t) {
                   for (size_t i = 0; i < a.size(); ++i) y[i] = a[i] * x[i] + b[i];
                 }),
      features_);
}

void Stream::add_normalization(const float* scale, const float* shift, double epsilon) {
  const std::vector<float> a(scale, scale + features_), b(shift, shift + features_);
  add(row_by_row(rows_, features_,
                 [=](const float* x, float* y, int64_t) { normalize(x, a, b, epsilon, y); }),
      features_);
}

float* Stream::output() {
  if (output_ == nullptr) output_ = std::make_unique<Lease>(rows_ * features_);
  return output_->data();
}

int64_t Stream::step() {
  if (table_rows_ > 0) {
    const auto wrong = std::find_if(ids_.begin(), ids_.end(),
                                    [this](int64_t id) { return id < 0 || id >= table_rows_; });
    if (wrong != ids_.end()) return wrong - ids_.begin();
  }
  float* y = output();
  const FlushDenormals flush;
  const float* x = input_.data();
  for (const std::unique_ptr<Stage>& stage : stages_) x = stage->step(x);
  copy(y, x, rows_ * features_);
  return -1;
}

void Stream::reset() {
  for (int64_t n = 0; n < states(); ++n) std::memset(state(n), 0, state_size(n) * sizeof(float));
}

}  // namespace sunhwan
