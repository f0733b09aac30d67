// One stage on the host for tests: memory for weights and blocks, and the ops of a micro-batch.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <numeric>
#include <vector>

#include "stagecraft/execute/blas_bodies.hpp"
#include "stagecraft/execute/stage_compute.hpp"

namespace stagecraft::test {

/// A model of one stage, one micro-batch of these slices.
inline StageModel one_stage(std::int32_t hidden, std::int32_t heads, std::int32_t ffn,
                            std::int32_t layers, std::vector<std::int32_t> slices) {
  return {hidden, heads, {ffn}, {layers}, {std::move(slices)}};
}

/// What float32 may differ by from float64, relative to the largest value of a result: half a unit
/// in the last place per term, whose errors add up as a random walk over the longest sum, 16 sums
/// per layer one after the other, and 4 for the tails of the walk.
inline double float_tolerance(const StageModel& model, std::int32_t stage) {
  const auto s = static_cast<std::size_t>(stage);
  std::int32_t longest = std::max(model.ffn[s], 3 * model.hidden);
  for (const std::vector<std::int32_t>& microbatch : model.tokens) {
    longest = std::max(longest, std::accumulate(microbatch.begin(), microbatch.end(), 0));
  }
  const double unit = static_cast<double>(std::numeric_limits<float>::epsilon()) / 2.0;
  return unit * 4.0 * 16.0 * model.layers[s] * std::sqrt(static_cast<double>(longest));
}

/// Largest |got - want| / largest |want|.
inline double relative_difference(std::span<const float> got, std::span<const double> want) {
  if (got.size() != want.size()) {
    return std::numeric_limits<double>::infinity();
  }
  double difference = 0.0;
  double largest = 0.0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double one = std::abs(static_cast<double>(got[i]) - want[i]);
    difference = one <= difference ? difference : one;  // keeps NaN
    largest = std::max(largest, std::abs(want[i]));
  }
  return difference / largest;
}

inline std::vector<double> doubles(std::span<const float> values) {
  std::vector<double> result(values.size());
  std::copy(values.begin(), values.end(), result.begin());
  return result;
}

/// Random numbers of variance 1.
inline std::vector<float> random_floats(std::size_t count, std::uint64_t seed) {
  StageModel shape = one_stage(1, 1, 1, 1, {static_cast<std::int32_t>(count)});
  return initial_input(shape, 0, 0, seed);
}

/// All memory is filled with NaN first, so that nothing is read before it is written.
class HostStage {
 public:
  HostStage(StageModel model, std::uint64_t seed)
      : model_(std::move(model)),
        ops_(make_host_tensor_ops()),
        values(initial_weights(model_, 0, seed)),
        gradients(values.size(), 0.0F),
        first(values.size(), 0.0F),
        second(values.size(), 0.0F),
        workspace_(floats_of(workspace_bytes(model_, 0, 4))) {
    for (const std::int32_t tokens : model_.tokens[0]) {
      layouts_.push_back(block_layout(model_, 0, tokens, sliced()));
      blocks_.push_back(floats_of(layouts_.back().bytes(4)));
    }
  }

  [[nodiscard]] const StageModel& model() const { return model_; }
  [[nodiscard]] bool sliced() const { return model_.tokens[0].size() > 1; }
  [[nodiscard]] std::size_t slices() const { return blocks_.size(); }

  [[nodiscard]] StageCall call(std::size_t slice) {
    UnitBlocks unit;
    unit.block = blocks_[slice].data();
    for (std::size_t q = 0; q < slice; ++q) {
      unit.earlier.push_back(blocks_[q].data());
      unit.earlier_tokens.push_back(model_.tokens[0][q]);
    }
    unit.tokens = model_.tokens[0][slice];
    unit.sliced = sliced();
    unit.last_slice = slice + 1 == slices();
    const auto bytes = static_cast<Bytes>(workspace_.size() * sizeof(float));
    return {*ops_,
            0,
            model_,
            0,
            {values.data(), gradients.data(), first.data(), second.data()},
            unit,
            {workspace_.data(), bytes}};
  }

  void forward(std::span<const float> input) {
    std::size_t read = 0;
    for (std::size_t q = 0; q < slices(); ++q) {
      read = place(input, read, q, layouts_[q].layers[0].x);
      stage_forward(call(q));
    }
  }
  /// Overwrites a slice's block with NaN and computes it again from its input.
  void recompute(std::size_t slice) {
    std::vector<float>& block = blocks_[slice];
    std::fill(block.begin() + static_cast<std::ptrdiff_t>(layouts_[slice].input), block.end(),
              std::numeric_limits<float>::quiet_NaN());
    stage_forward(call(slice));
  }
  void place_output_gradient(std::span<const float> gradient) {
    std::size_t read = 0;
    for (std::size_t q = 0; q < slices(); ++q) {
      read = place(gradient, read, q, layouts_[q].output);
    }
  }
  void backward_input(float loss_scale = 0.0F) {
    for (std::size_t q = slices(); q-- > 0;) {
      stage_backward_input(call(q), loss_scale);
    }
  }
  void backward_weight() {
    for (std::size_t q = 0; q < slices(); ++q) {
      stage_backward_weight(call(q));
    }
  }

  [[nodiscard]] std::vector<float> output() const {
    return gather([](const BlockLayout& layout) { return layout.output; });
  }
  /// The stage's input or, after the backward, the gradient of it.
  [[nodiscard]] std::vector<float> input() const {
    return gather([](const BlockLayout& layout) { return layout.layers[0].x; });
  }

  /// Blocks of another micro-batch: nothing of the last one is left.
  void forget() {
    for (std::vector<float>& block : blocks_) {
      std::fill(block.begin(), block.end(), std::numeric_limits<float>::quiet_NaN());
    }
  }

 private:
  static std::vector<float> floats_of(Bytes bytes) {
    return std::vector<float>(static_cast<std::size_t>(bytes) / sizeof(float),
                              std::numeric_limits<float>::quiet_NaN());
  }
  std::size_t place(std::span<const float> from, std::size_t read, std::size_t slice,
                    std::size_t offset) {
    const std::size_t count = layouts_[slice].input;
    const auto part = from.subspan(read, count);
    std::copy(part.begin(), part.end(),
              blocks_[slice].begin() + static_cast<std::ptrdiff_t>(offset));
    return read + count;
  }
  template <typename Offset>
  [[nodiscard]] std::vector<float> gather(Offset&& offset) const {
    std::vector<float> all;
    for (std::size_t q = 0; q < blocks_.size(); ++q) {
      const auto first_of = blocks_[q].begin() + static_cast<std::ptrdiff_t>(offset(layouts_[q]));
      all.insert(all.end(), first_of, first_of + static_cast<std::ptrdiff_t>(layouts_[q].input));
    }
    return all;
  }

  StageModel model_;
  std::unique_ptr<TensorOps> ops_;

 public:
  std::vector<float> values, gradients, first, second;

 private:
  std::vector<float> workspace_;
  std::vector<BlockLayout> layouts_;
  std::vector<std::vector<float>> blocks_;
};

/// What reference_stage says of the stage's weights.
inline ReferenceResult reference_of(const HostStage& stage, std::span<const float> input,
                                    std::span<const float> output_gradient) {
  return reference_stage(stage.model(), 0, doubles(stage.values), doubles(input),
                         doubles(output_gradient));
}

}  // namespace stagecraft::test
