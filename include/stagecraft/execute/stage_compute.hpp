// Forward and backward of one stage on one unit, as calls of TensorOps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "stagecraft/core/units.hpp"
#include "stagecraft/execute/stage_model.hpp"
#include "stagecraft/execute/tensor_ops.hpp"

namespace stagecraft {

/// Where the parameters of one stage (one replica) lie: one array of activation elements, one of
/// float32 gradients and two of moments, all stage_parameters long, layer by layer in the order
/// Wqkv, Wo, W1, W2, g1, g2.
struct StageWeights {
  void* values = nullptr;
  float* gradients = nullptr;
  float* first_moment = nullptr;
  float* second_moment = nullptr;
};

/// A unit's block (BlockLayout) and those of the earlier slices of its micro-batch on this stage.
struct UnitBlocks {
  void* block = nullptr;
  std::vector<void*> earlier;  ///< [slice] blocks of slices 0 .. slice-1
  std::vector<std::int32_t> earlier_tokens;
  std::int32_t tokens = 0;
  bool sliced = false;
  bool last_slice = true;  ///< no later slice left gradients of keys and values
  /// R in the block that F filled: gradients that later slices left in it stay.
  bool again = false;
};

/// Scratch for one op at a time: scores and their gradients [heads, T, C], where C is the context
/// and the slice's own tokens, rounded up to a multiple of 8; one of da [T, F] and dqkv [T, 3H];
/// and [T, H]. `bytes` from workspace_bytes: enough for every unit of the stage.
struct Workspace {
  void* data = nullptr;
  Bytes bytes = 0;
};
[[nodiscard]] Bytes workspace_bytes(const StageModel& model, std::int32_t stage,
                                    std::int32_t element_size);

struct StageCall {
  TensorOps& ops;
  Queue queue = 0;
  const StageModel& model;
  std::int32_t stage = 0;
  StageWeights weights;
  UnitBlocks unit;
  Workspace workspace;
};

/// Reads the stage input from the first layer's x (the caller puts it there), fills the block; the
/// output is at BlockLayout::output. Recompute is the same call again.
void stage_forward(const StageCall& call);

/// Gradient of the stage's input, left in the first layer's x, from the gradient of its output,
/// which the caller puts at BlockLayout::output; for the model's last stage `loss_scale` > 0 makes
/// that gradient from the output itself: output * loss_scale.
void stage_backward_input(const StageCall& call, float loss_scale);

/// Adds the gradients of the stage's weights, from what B left in the block.
void stage_backward_weight(const StageCall& call);

/// One Adam step over all parameters of the stage.
void stage_optimizer(const StageCall& call, float rate, std::int32_t step);

/// Weights to begin with, in StageWeights' order: uniform of variance 1 / (rows of the matrix), the
/// gains 1. Replicas of a stage begin alike: only `seed` and `stage` count.
[[nodiscard]] std::vector<float> initial_weights(const StageModel& model, std::int32_t stage,
                                                 std::uint64_t seed);

/// What stage 0 reads for a slice of a (global) micro-batch: [tokens, H], uniform of variance 1.
[[nodiscard]] std::vector<float> initial_input(const StageModel& model, std::int32_t microbatch,
                                               std::int32_t slice, std::uint64_t seed);

/// The same in float64 with plain loops, for checks: whole micro-batches of one stage, forward and
/// backward at once. Independent of all the above.
struct ReferenceResult {
  std::vector<double> output;            ///< [T, H]
  std::vector<double> input_gradient;    ///< [T, H]
  std::vector<double> weight_gradients;  ///< [stage_parameters]
};
[[nodiscard]] ReferenceResult reference_stage(const StageModel& model, std::int32_t stage,
                                              std::span<const double> weights,
                                              std::span<const double> input,
                                              std::span<const double> output_gradient);

}  // namespace stagecraft
