// Memory of one device of a pipeline on the host, filled as a run begins.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "stagecraft/core/units.hpp"
#include "stagecraft/execute/stage_compute.hpp"

namespace stagecraft {

/// Bytes that begin at a multiple of 256, all zero.
class AlignedBytes {
 public:
  explicit AlignedBytes(Bytes bytes)
      : bytes_(bytes),
        data_(static_cast<std::byte*>(
            ::operator new(static_cast<std::size_t>(bytes), std::align_val_t{256}))) {
    std::memset(data_.get(), 0, static_cast<std::size_t>(bytes));
  }
  [[nodiscard]] std::byte* data() const { return data_.get(); }
  [[nodiscard]] Bytes bytes() const { return bytes_; }

 private:
  struct Free {
    void operator()(std::byte* data) const { ::operator delete(data, std::align_val_t{256}); }
  };
  Bytes bytes_;
  std::unique_ptr<std::byte, Free> data_;
};

/// Weights of one replica of a stage with their optimizer state.
struct HostWeights {
  explicit HostWeights(std::vector<float> initial)
      : values(std::move(initial)),
        gradients(values.size(), 0.0F),
        first_moment(values.size(), 0.0F),
        second_moment(values.size(), 0.0F) {}

  [[nodiscard]] StageWeights view() {
    return {values.data(), gradients.data(), first_moment.data(), second_moment.data()};
  }
  [[nodiscard]] Bytes bytes() const {
    return static_cast<Bytes>(values.size() * 4 * sizeof(float));
  }

  std::vector<float> values, gradients, first_moment, second_moment;
};

/// Both replicas of a stage get the sum of their gradients, in place.
inline void sum_gradients(TensorOps& ops, HostWeights& down, HostWeights& up) {
  ops.add(0, static_cast<std::int64_t>(down.gradients.size()), up.gradients.data(),
          down.gradients.data());
  std::copy(down.gradients.begin(), down.gradients.end(), up.gradients.begin());
}

/// Largest workspace of the stages on a device.
[[nodiscard]] inline Bytes device_workspace(const StageModel& model, const Pipeline& pipeline,
                                            std::int32_t device, std::int32_t element_size) {
  Bytes bytes = 0;
  for (std::int32_t s = 0; s < pipeline.stages; ++s) {
    const bool here = pipeline.device(s) == device ||
                      (pipeline.bidirectional() && pipeline.device(s, Direction::kUp) == device);
    bytes = here ? std::max(bytes, workspace_bytes(model, s, element_size)) : bytes;
  }
  return bytes;
}

}  // namespace stagecraft
