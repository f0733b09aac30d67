// What a stage computes when it runs for real: transformer layers of a given size, and where their
// activations lie.
//
// One layer, on a slice of T tokens of one sequence whose earlier slices hold the context (pre-norm
// transformer with RMS norm, GELU feed-forward, causal attention, no biases, no dropout):
//   n1 = rmsnorm(x; g1)          qkv = n1 Wqkv            [T, 3H]
//   o  = attention(qkv, context) x1  = x + o Wo           [T, H]
//   n2 = rmsnorm(x1; g2)         h   = n2 W1              [T, F]
//   a  = gelu(h)                 y   = x1 + a W2          [T, H]
// The model's output y_last is trained towards zero: loss = 0.5 sum(y_last^2) / (tokens * H), so
// that the first gradient is y_last / (tokens * H), tokens being those of all micro-batches.
//
// A backward for inputs (B) overwrites activations by the gradients that W needs, in place (they
// have the same sizes): dh over h, dqkv over qkv, dx1 over x1, dx over x; so one block per unit
// holds all, B releases nothing and W (or BW) releases the block.
// Sources: Vaswani et al. 2017 (attention), Zhang & Sennrich 2019 (RMS norm), Hendrycks & Gimpel
// 2016 (GELU, here the tanh form), Qi et al. 2023 (split backward).
#pragma once

#include <cstdint>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/core/units.hpp"
#include "stagecraft/cost/cost_table.hpp"
#include "stagecraft/plan/pipeline.hpp"
#include "stagecraft/schedule/schedule.hpp"

namespace stagecraft {

struct StageModel {
  std::int32_t hidden = 0;  ///< H, a multiple of `heads`
  std::int32_t heads = 0;
  std::vector<std::int32_t> ffn;     ///< [S] F of every layer of a stage
  std::vector<std::int32_t> layers;  ///< [S] layers of each stage, >= 1
  /// [M] tokens of each slice of each micro-batch, >= 1; one sequence per micro-batch.
  std::vector<std::vector<std::int32_t>> tokens;

  [[nodiscard]] std::int32_t tokens_of(std::int32_t microbatch, std::int32_t slice) const {
    return tokens[static_cast<std::size_t>(microbatch)][static_cast<std::size_t>(slice)];
  }
  [[nodiscard]] std::int64_t all_tokens() const;
};

/// Counts that do not fit the pipeline or one another (bad input); empty if all is well.
[[nodiscard]] Diagnostics check_model(const StageModel& model, const Pipeline& pipeline);

/// Element offsets of one layer's tensors in a unit's block, each a multiple of 128. `kv_grad` [T,
/// 2H] exists only in sliced micro-batches: gradients of keys and values that later slices leave
/// for earlier ones.
struct LayerLayout {
  std::size_t x = 0, n1 = 0, qkv = 0, o = 0, x1 = 0, n2 = 0, h = 0, a = 0, kv_grad = 0;
  std::size_t rstd1 = 0, rstd2 = 0;  ///< in float32 elements of the block's second part
};

struct BlockLayout {
  std::vector<LayerLayout> layers;
  std::size_t output = 0;    ///< [T, H] the stage's output, later the gradient of it
  std::size_t elements = 0;  ///< activation elements of the block
  std::size_t floats = 0;    ///< float32 elements after them
  std::size_t input = 0;     ///< elements of the stage input, at the beginning of the block
  [[nodiscard]] Bytes bytes(std::int32_t element_size) const;  ///< both parts, 256-byte aligned
  /// Where the float32 part begins.
  [[nodiscard]] Bytes floats_offset(std::int32_t element_size) const;
  [[nodiscard]] Bytes input_bytes(std::int32_t element_size) const;  ///< of the stage input alone
};
/// Layout of the block of one unit of `tokens` tokens on `stage`.
[[nodiscard]] BlockLayout block_layout(const StageModel& model, std::int32_t stage,
                                       std::int32_t tokens, bool sliced);

/// Parameters of a stage, in elements: Wqkv [H, 3H], Wo [H, H], W1 [H, F], W2 [F, H], g1, g2 [H].
[[nodiscard]] std::int64_t stage_parameters(const StageModel& model, std::int32_t stage);

/// Floating-point operations of one op's matrix products (2 m n k each; attention by the tokens
/// that a token really sees, and its scores once more in the backward), for TFLOP/s in reports.
[[nodiscard]] std::int64_t op_flops(const StageModel& model, const Op& op);

/// Bytes of a message: tokens * hidden * element size, at its largest over micro-batches and
/// slices, per boundary [S-1].
[[nodiscard]] std::vector<Bytes> boundary_bytes(const StageModel& model, std::int32_t element_size);

/// Memory of every op as the engine counts it: forward = the block, backward_input = 0,
/// backward_weight = -block, stage_input (of micro-batches in several slices the whole block, since
/// the other slices need its keys and values), resident = parameters, gradients (float32),
/// optimizer state (2 float32), workspace, and a message of each boundary and direction that
/// arrives.
[[nodiscard]] MemoryCosts model_memory(const StageModel& model, const Pipeline& pipeline,
                                       std::int32_t element_size);

}  // namespace stagecraft
