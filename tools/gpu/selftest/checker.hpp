// Bookkeeping of the self-test: tensors with known contents and guarded surroundings, and
// comparisons of what an op left in them with what it should have.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "selftest/device.hpp"
#include "stagecraft/core/random.hpp"

namespace stagecraft::selftest {

enum class Type : std::uint8_t { kElements, kFloats };

/// Memory of an op. Outside of it, and in outputs before the op, all is NaN.
struct Tensor {
  void* data = nullptr;
  std::size_t count = 0;
  Type type = Type::kElements;
  std::size_t slot = 0;  // of the checker
  /// What it holds, after rounding to the device's type.
  std::vector<double> values;

  [[nodiscard]] float* floats() const { return static_cast<float*>(data); }
};

/// Errors that are accepted. `norm`: |got - want| / |want| over the whole; `worst`: over elements,
/// |got - want| / (|want| + root mean square of want), so that a single wrong element counts.
struct Bounds {
  double norm = 0.0;
  double worst = 0.0;
  /// Size of the numbers that the result is a difference of: a result that is smaller need not be
  /// more exact in absolute terms. Counts as the root mean square if that is less.
  double size = 0.0;
};

struct Check {
  std::string name;
  double norm_error = 0.0;
  double worst_error = 0.0;
  Bounds bounds;
  std::string problem;  ///< "element 3 is NaN", "wrote outside of y"; empty if none

  [[nodiscard]] bool passed() const {
    return problem.empty() && norm_error <= bounds.norm && worst_error <= bounds.worst;
  }
};

class Checker {
 public:
  Checker(Device& device, std::uint64_t seed) : device_(device), random_(seed) {}

  [[nodiscard]] Device& device() { return device_; }
  [[nodiscard]] TensorOps& ops() { return device_.ops(); }
  [[nodiscard]] Queue queue() const { return device_.queue(); }
  [[nodiscard]] Random& random() { return random_; }

  /// Uniform in [-1, 1].
  [[nodiscard]] double draw();
  [[nodiscard]] std::vector<double> draw(std::size_t count, double amplitude = 1.0);

  /// `shift` elements off alignment. Values may hold NaN: what an op must not look at.
  [[nodiscard]] Tensor holding(std::vector<double> values, Type type = Type::kElements,
                               std::size_t shift = 0);
  [[nodiscard]] Tensor random(std::size_t count, Type type = Type::kElements, std::size_t shift = 0,
                              double amplitude = 1.0) {
    return holding(draw(count, amplitude), type, shift);
  }
  [[nodiscard]] Tensor poisoned(std::size_t count, Type type = Type::kElements,
                                std::size_t shift = 0);
  [[nodiscard]] std::vector<double> read(const Tensor& tensor);

  /// What an op that computes in float32 and rounds once may be off by.
  [[nodiscard]] Bounds rounding(Type type) const;

  /// NaN in `want` stands for: not written.
  void compare(const std::string& name, const Tensor& tensor, const std::vector<double>& want,
               const Bounds& bounds);
  void compare(const std::string& name, const Tensor& tensor, const std::vector<double>& want,
               double size = 0.0) {
    Bounds bounds = rounding(tensor.type);
    bounds.size = size;
    compare(name, tensor, want, bounds);
  }
  /// The op may write all of it, with nothing to compare.
  void expect_written(const Tensor& tensor) { slots_[tensor.slot].written = true; }
  /// Ends a case: guards are whole, tensors that were not compared are as they were, nothing
  /// failed; then memory is freed.
  void end(const std::string& name);

  [[nodiscard]] const std::vector<Check>& checks() const { return checks_; }

 private:
  struct Slot {
    void* base = nullptr;
    std::size_t bytes = 0;
    std::size_t begin = 0, end = 0;  // bytes of the tensor
    std::vector<std::byte> before;   // all bytes as uploaded
    bool written = false;            // compared with something
  };
  [[nodiscard]] std::size_t size_of(Type type) const;
  [[nodiscard]] Tensor place(std::vector<double> values, Type type, std::size_t shift);

  Device& device_;
  Random random_;
  std::vector<Slot> slots_;
  std::vector<Check> checks_;
};

}  // namespace stagecraft::selftest
