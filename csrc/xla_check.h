// Checks of XLA's buffers: each expectation is a line, and the first that fails is what is told.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "arena.h"
#include "xla/ffi/api/ffi.h"

namespace sunhwan {

namespace ffi = xla::ffi;

inline std::string shape_text(ffi::AnyBuffer::Dimensions dims) {
  std::string text = "(";
  for (size_t i = 0; i < dims.size(); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(dims[i]);
  }
  return text + ")";
}

inline bool is_absent(const ffi::AnyBuffer& buffer) {
  return buffer.dimensions().size() == 1 && buffer.dimensions()[0] == 0;
}

// Collects the first thing that is wrong, so that a handler reads as a list of expectations.
class Checker {
 public:
  const std::string& error() const { return error_; }
  ffi::Error result() const { return ffi::Error::InvalidArgument("sunhwan: " + error_); }

  // The buffer's data if it has that dtype and shape, else null and an error.
  void* expect(const char* name, const ffi::AnyBuffer& buffer, ffi::DataType type,
               std::initializer_list<int64_t> shape) {
    if (!error_.empty()) return nullptr;
    const auto dims = buffer.dimensions();
    const ffi::AnyBuffer::Dimensions wanted(shape.begin(), shape.size());
    if (buffer.element_type() != type) {
      error_ = std::string("`") + name + "` has a dtype that this kernel does not take";
    } else if (!std::equal(dims.begin(), dims.end(), wanted.begin(), wanted.end())) {
      error_ = std::string("`") + name + "` must have shape " + shape_text(wanted) + ", received " +
               shape_text(dims);
    }
    return error_.empty() ? buffer.untyped_data() : nullptr;
  }
  float* floats(const char* name, const ffi::AnyBuffer& buffer,
                std::initializer_list<int64_t> shape) {
    return static_cast<float*>(expect(name, buffer, ffi::F32, shape));
  }
  // Null also if the buffer is absent.
  float* optional(const char* name, const ffi::AnyBuffer& buffer,
                  std::initializer_list<int64_t> shape) {
    return is_absent(buffer) ? nullptr : floats(name, buffer, shape);
  }
  // The same for a result, which is poisoned first if that was asked for.
  float* result(const char* name, const ffi::AnyBuffer& buffer,
                std::initializer_list<int64_t> shape) {
    float* data = optional(name, buffer, shape);
    if (data != nullptr && poison_wanted()) poison(data, buffer.element_count());
    return data;
  }
  void expect_absent(const char* name, const ffi::AnyBuffer& buffer) {
    if (!is_absent(buffer))
      fail(std::string("`") + name + "` has no meaning for this kind of cell");
  }
  void fail(const std::string& what) {
    if (error_.empty()) error_ = what;
  }

 private:
  std::string error_;
};

}  // namespace sunhwan
