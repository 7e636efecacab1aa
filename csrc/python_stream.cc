// The class Stream of the extension module: every size is checked before a float is read.
#include "python_stream.h"

#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>

#include <cstring>
#include <optional>
#include <stdexcept>
#include <string>

#include "kernels.h"
#include "stream.h"

namespace nb = nanobind;
using sunhwan::Problem;
using sunhwan::Stream;

namespace {

using Row = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Matrix = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Flat = nb::ndarray<float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

constexpr double kWorthReleasing = 1e5;  // multiply-adds for which others may have Python

void require(bool holds, const char* what) {
  if (!holds) throw std::invalid_argument(what);
}

void require_gate(int64_t gate) { require(gate >= 0 && gate <= 4, "a gate must be 0..4"); }

int64_t size(const Row& row) { return int64_t(row.shape(0)); }
int64_t rows(const Matrix& matrix) { return int64_t(matrix.shape(0)); }
int64_t columns(const Matrix& matrix) { return int64_t(matrix.shape(1)); }

const float* data(const std::optional<Row>& row) { return row ? row->data() : nullptr; }

void construct(Stream* self, int64_t rows, int64_t features) {
  std::string error;
  const sunhwan::Kernels* kernels = sunhwan::active_kernels(&error);
  if (kernels == nullptr) throw std::runtime_error(error);
  require(rows >= 1 && features >= 0, "a stream needs rows");
  new (self) Stream(*kernels, rows, features);
}

void lookup(Stream& self, Matrix table, bool skips_zero) {
  require(self.features() == 0, "a lookup must come first, and read ids");
  require(rows(table) >= 1 && columns(table) >= 1, "`table` must not be empty");
  self.add_lookup(table.data(), rows(table), columns(table), skips_zero);
}

void recurrent(Stream& self, int64_t kind, int64_t activation, int64_t recurrent_activation,
               bool reset_after, bool zero_output, Matrix kernel, Matrix recurrent_kernel,
               std::optional<Row> bias, std::optional<Matrix> peephole, std::optional<Matrix> norm,
               std::optional<Matrix> norm_cell, double zoneout_h, double zoneout_c,
               double norm_epsilon) {
  require(kind >= 0 && kind <= 2, "`kind` must be 0..2");
  require_gate(activation);
  require_gate(recurrent_activation);
  Problem p{};
  p.kind = sunhwan::Kind(kind);
  p.activation = int(activation);
  p.recurrent_activation = int(recurrent_activation);
  p.reset_after = reset_after;
  p.zero_output = zero_output;
  p.H = p.P = rows(recurrent_kernel);
  const int64_t width = gate_count(p.kind) * p.H;
  require(p.H >= 1 && columns(recurrent_kernel) == width, "`recurrent_kernel` must be [H, G*H]");
  require(self.features() >= 1 && rows(kernel) == self.features() && columns(kernel) == width,
          "`kernel` must be [D, G*H]");
  require(!bias || size(*bias) == (p.has_two_biases() ? 2 : 1) * width,
          "`bias` must have G*H floats, or twice as many for a GRU that resets after");
  p.kernel = kernel.data();
  p.recurrent = recurrent_kernel.data();
  p.bias = data(bias);
  const bool is_lstm = p.kind == sunhwan::Kind::lstm;
  require(!peephole || (is_lstm && rows(*peephole) == 3 && columns(*peephole) == p.H),
          "`peephole` must be [3, H], and only an LSTM has it");
  p.peephole = peephole ? peephole->data() : nullptr;
  require(zoneout_h >= 0 && zoneout_h < 1 && zoneout_c >= 0 && zoneout_c < (is_lstm ? 1 : 1e-300),
          "zoneout must be a probability below 1, of the states that there are");
  p.norm_epsilon = norm_epsilon;
  require(norm_epsilon >= 0 && norm_epsilon < 1e30 && p.normalizes() == norm.has_value() &&
              (p.normalizes() && is_lstm) == norm_cell.has_value(),
          "gains, and an LSTM's norm_cell, belong to a norm_epsilon above 0");
  require(!norm || (rows(*norm) == p.norm_rows() && columns(*norm) == width),
          "`norm` must be [2, G*H], of a SimpleRNN [1, H]");
  require(!norm_cell || (rows(*norm_cell) == 2 && columns(*norm_cell) == p.H),
          "`norm_cell` must be [2, H]");
  require(!norm || p.kind != sunhwan::Kind::gru || reset_after,
          "a GRU that is normalised must reset after");
  p.norm = norm ? norm->data() : nullptr;
  p.norm_cell = norm_cell ? norm_cell->data() : nullptr;
  p.zoneout_h = zoneout_h;
  p.zoneout_c = zoneout_c;
  self.add_recurrent(p);
}

void dense(Stream& self, Matrix kernel, std::optional<Row> bias, int64_t gate) {
  require_gate(gate);
  require(self.features() >= 1 && rows(kernel) == self.features() && columns(kernel) >= 1,
          "`kernel` must be [D, H]");
  require(!bias || size(*bias) == columns(kernel), "`bias` must have H floats");
  self.add_dense(kernel.data(), data(bias), columns(kernel), int(gate));
}

// For stages that need features but no weights.
void require_features(const Stream& self) {
  require(self.features() >= 1, "a stage must follow features, or a lookup");
}

void require_pair(const Stream& self, const Row& scale, const Row& shift) {
  require_features(self);
  require(size(scale) == self.features() && size(shift) == self.features(),
          "`scale` and `shift` must have a float for each feature");
}

int64_t step(Stream& self) {
  require(!self.is_empty(), "a stream needs a stage");
  std::optional<nb::gil_scoped_release> released;
  if (self.work() > kWorthReleasing) released.emplace();
  return self.step();
}

int64_t checked_state(const Stream& self, int64_t n, int64_t floats) {
  require(n >= 0 && n < self.states(), "there is no such state");
  require(floats == self.state_size(n), "the state has another size");
  return n;
}

// A view of the stream's own memory, which lives as long as the view.
template <class Number>
nb::object view(nb::handle owner, Number* data, int64_t rows, int64_t columns) {
  const std::size_t shape[] = {std::size_t(rows), std::size_t(columns)};
  return nb::cast(nb::ndarray<nb::numpy, Number, nb::ndim<2>>(data, 2, shape, owner));
}

}  // namespace

void bind_stream(nb::module_& module) {
  nb::class_<Stream>(module, "Stream")
      .def("__init__", &construct)
      .def("lookup", &lookup)
      .def("recurrent", &recurrent, nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(),
           nb::arg(), nb::arg(), nb::arg().none(), nb::arg().none(), nb::arg().none(),
           nb::arg().none(), nb::arg(), nb::arg(), nb::arg())
      .def("dense", &dense, nb::arg(), nb::arg().none(), nb::arg())
      .def("masking",
           [](Stream& self, float value) {
             require_features(self);
             self.add_masking(value);
           })
      .def("gate",
           [](Stream& self, int64_t gate) {
             require_features(self);
             require_gate(gate);
             self.add_gate(int(gate));
           })
      .def("softmax",
           [](Stream& self) {
             require_features(self);
             self.add_softmax();
           })
      .def("affine",
           [](Stream& self, Row scale, Row shift) {
             require_pair(self, scale, shift);
             self.add_affine(scale.data(), shift.data());
           })
      .def("normalization",
           [](Stream& self, Row scale, Row shift, double epsilon) {
             require_pair(self, scale, shift);
             self.add_normalization(scale.data(), shift.data(), epsilon);
           })
      .def("step", &step)
      .def("reset", &Stream::reset)
      .def("states", &Stream::states)
      .def("read_state",
           [](Stream& self, int64_t n, Flat to) {
             checked_state(self, n, int64_t(to.size()));
             std::memcpy(to.data(), self.state(n), to.size() * sizeof(float));
           })
      .def("write_state",
           [](Stream& self, int64_t n, Row from) {
             checked_state(self, n, size(from));
             std::memcpy(self.state(n), from.data(), from.size() * sizeof(float));
           })
      .def("ids",
           [](nb::handle self) {
             Stream& stream = nb::cast<Stream&>(self);
             return view(self, stream.ids(), stream.rows(), 1);
           })
      .def("input",
           [](nb::handle self) {
             Stream& stream = nb::cast<Stream&>(self);
             return view(self, stream.input(), stream.rows(), stream.inputs());
           })
      .def("output", [](nb::handle self) {
        Stream& stream = nb::cast<Stream&>(self);
        require(!stream.is_empty(), "a stream needs a stage");
        return view(self, stream.output(), stream.rows(), stream.features());
      });
}
