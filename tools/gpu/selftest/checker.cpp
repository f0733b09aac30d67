#include "selftest/checker.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "execute/cuda/bf16.hpp"

namespace stagecraft::selftest {
namespace {

constexpr std::size_t kGuard = 256;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

void encode(double value, std::size_t size, std::byte* to) {
  const auto single = static_cast<float>(value);
  if (size == sizeof(float)) {
    std::memcpy(to, &single, size);
  } else {
    const Bf16 half = to_bf16(single);
    std::memcpy(to, &half, size);
  }
}

double decode(std::size_t size, const std::byte* from) {
  if (size == sizeof(float)) {
    float single = 0.0F;
    std::memcpy(&single, from, size);
    return static_cast<double>(single);
  }
  Bf16 half{};
  std::memcpy(&half, from, size);
  return static_cast<double>(to_float(half));
}

std::vector<double> decode_all(std::size_t size, const std::byte* from, std::size_t count) {
  std::vector<double> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    values[i] = decode(size, from + i * size);
  }
  return values;
}

}  // namespace

double Checker::draw() {
  return static_cast<double>(random_.next() >> 11U) / static_cast<double>(std::uint64_t{1} << 52U) -
         1.0;
}

std::vector<double> Checker::draw(std::size_t count, double amplitude) {
  std::vector<double> values(count);
  for (double& value : values) {
    value = amplitude * draw();
  }
  return values;
}

std::size_t Checker::size_of(Type type) const {
  return type == Type::kFloats ? sizeof(float)
                               : static_cast<std::size_t>(device_.ops().element_size());
}

Tensor Checker::holding(std::vector<double> values, Type type, std::size_t shift) {
  const std::size_t size = size_of(type);
  Slot slot;
  slot.begin = kGuard + shift * size;
  slot.end = slot.begin + values.size() * size;
  slot.bytes = slot.end + kGuard;
  slot.before.resize(slot.bytes);
  // 0xFF in every byte is a NaN of both types.
  std::memset(slot.before.data(), 0xFF, slot.bytes);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!std::isnan(values[i])) {
      encode(values[i], size, slot.before.data() + slot.begin + i * size);
    }
  }
  slot.base = device_.allocate(slot.bytes);
  Tensor tensor;
  tensor.count = values.size();
  tensor.type = type;
  tensor.slot = slots_.size();
  tensor.values = decode_all(size, slot.before.data() + slot.begin, values.size());
  if (slot.base != nullptr) {
    device_.upload(slot.base, slot.before.data(), slot.bytes);
    tensor.data = static_cast<std::byte*>(slot.base) + slot.begin;
  }
  slots_.push_back(std::move(slot));
  return tensor;
}

Tensor Checker::poisoned(std::size_t count, Type type, std::size_t shift) {
  return holding(std::vector<double>(count, kNan), type, shift);
}

std::vector<double> Checker::read(const Tensor& tensor) {
  const std::size_t size = size_of(tensor.type);
  std::vector<std::byte> bytes(tensor.count * size);
  if (tensor.data == nullptr) {
    return std::vector<double>(tensor.count, kNan);
  }
  device_.download(bytes.data(), tensor.data, bytes.size());
  return decode_all(size, bytes.data(), tensor.count);
}

Bounds Checker::rounding(Type type) const {
  // bf16 has 8 significant bits: rounding moves a number by at most 2^-8 of it. Sums in float32 add
  // little to that.
  return size_of(type) == 2 ? Bounds{4e-3, 4e-3} : Bounds{1e-5, 1e-4};
}

void Checker::compare(const std::string& name, const Tensor& tensor,
                      const std::vector<double>& want, const Bounds& bounds) {
  Check check;
  check.name = name;
  check.bounds = bounds;
  slots_[tensor.slot].written = true;
  const std::vector<double> got = read(tensor);
  double squares = 0.0;
  std::size_t count = 0;
  for (const double value : want) {
    if (!std::isnan(value)) {
      squares += value * value;
      ++count;
    }
  }
  const auto wanted = static_cast<double>(std::max(count, std::size_t{1}));
  double mean = std::max(std::sqrt(squares / wanted), bounds.size);
  mean = mean > 0.0 ? mean : 1.0;  // all should be 0
  double errors = 0.0;
  for (std::size_t i = 0; i < want.size() && check.problem.empty(); ++i) {
    if (std::isnan(got[i]) != std::isnan(want[i])) {
      check.problem = "element " + std::to_string(i) + " of " + std::to_string(want.size()) +
                      (std::isnan(got[i]) ? " is NaN" : " was written");
    } else if (!std::isnan(want[i]) && got[i] != want[i]) {
      const double error = std::abs(got[i] - want[i]);
      errors += error * error;
      check.worst_error = std::max(check.worst_error, error / (std::abs(want[i]) + mean));
    }
  }
  check.norm_error = std::sqrt(errors / wanted) / mean;
  checks_.push_back(std::move(check));
}

void Checker::end(const std::string& name) {
  Check check;
  check.name = name + ": surroundings and inputs";
  check.problem = device_.failures();
  for (std::size_t s = 0; s < slots_.size() && check.problem.empty(); ++s) {
    const Slot& slot = slots_[s];
    std::vector<std::byte> after(slot.bytes);
    if (slot.base == nullptr) {
      check.problem = "no memory";
      break;
    }
    device_.download(after.data(), slot.base, slot.bytes);
    for (std::size_t i = 0; i < slot.bytes; ++i) {
      const bool inside = i >= slot.begin && i < slot.end;
      if (after[i] != slot.before[i] && !(inside && slot.written)) {
        check.problem =
            "byte " +
            std::to_string(static_cast<std::int64_t>(i) - static_cast<std::int64_t>(slot.begin)) +
            " of tensor " + std::to_string(s) + " (" + std::to_string(slot.end - slot.begin) +
            " bytes) was overwritten";
        break;
      }
    }
  }
  slots_.clear();
  device_.release();
  checks_.push_back(std::move(check));
}

}  // namespace stagecraft::selftest
