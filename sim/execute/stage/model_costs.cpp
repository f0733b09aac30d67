// Work, traffic and memory of a stage model.
#include <algorithm>

#include "stagecraft/core/check.hpp"
#include "stagecraft/execute/stage_compute.hpp"
#include "stagecraft/execute/stage_model.hpp"

namespace stagecraft {
namespace {

/// Tokens of a slice and of the slices before it.
struct Extent {
  std::int64_t tokens = 0;
  std::int64_t context = 0;
};

Extent extent_of(const StageModel& model, Unit unit, Direction direction) {
  const auto microbatches = static_cast<std::int32_t>(model.tokens.size());
  const std::int32_t m =
      direction == Direction::kUp ? unit.microbatch + (microbatches + 1) / 2 : unit.microbatch;
  Extent extent{model.tokens_of(m, unit.slice), 0};
  for (std::int32_t q = 0; q < unit.slice; ++q) {
    extent.context += model.tokens_of(m, q);
  }
  return extent;
}

/// Products of a weight matrix and all tokens, once: dense; products over the tokens that are seen
/// (scores, or values), once: attention.
struct Work {
  std::int64_t dense = 0;
  std::int64_t attention = 0;
};

Work work_of(const StageModel& model, Unit unit, Direction direction) {
  const auto s = static_cast<std::size_t>(unit.stage);
  const auto [tokens, context] = extent_of(model, unit, direction);
  const std::int64_t h = model.hidden;
  const std::int64_t seen = tokens * context + tokens * (tokens + 1) / 2;
  return {model.layers[s] * 2 * tokens * (4 * h * h + 2 * h * model.ffn[s]),
          model.layers[s] * 2 * seen * h};
}

/// A grid over all (stage, micro-batch, slice) of a model.
template <typename Value>
Grid slice_grid(const StageModel& model, const Pipeline& pipeline, Value&& value) {
  const std::int32_t slices = pipeline.max_slices();
  std::vector<std::int64_t> values;
  for (std::int32_t s = 0; s < pipeline.stages; ++s) {
    for (std::int32_t m = 0; m < pipeline.microbatches; ++m) {
      for (std::int32_t q = 0; q < slices; ++q) {
        const bool there = q < pipeline.slices_of(m);
        values.push_back(there ? value(s, model.tokens_of(m, q), pipeline.slices_of(m) > 1) : 0);
      }
    }
  }
  return Grid::per_slice(std::move(values), pipeline.microbatches, slices);
}

/// Parameters with gradients and moments of every stage on a device, workspace, and two buffers for
/// what arrives at every boundary to another device, one each for activations and gradients.
Bytes resident_bytes(const StageModel& model, const Pipeline& pipeline, std::int32_t device,
                     std::int32_t element_size) {
  Bytes bytes = 0;
  Bytes workspace = 0;
  const std::vector<Bytes> boundary = boundary_bytes(model, element_size);
  const auto add_stage = [&](std::int32_t s, Direction direction) {
    bytes += stage_parameters(model, s) * (element_size + Bytes{3} * Bytes{sizeof(float)});
    workspace = std::max(workspace, workspace_bytes(model, s, element_size));
    if (s > 0 && pipeline.device(s - 1, direction) != device) {
      bytes += boundary[static_cast<std::size_t>(s) - 1];
    }
    if (s + 1 < pipeline.stages && pipeline.device(s + 1, direction) != device) {
      bytes += boundary[static_cast<std::size_t>(s)];
    }
  };
  for (std::int32_t s = 0; s < pipeline.stages; ++s) {
    if (pipeline.device(s) == device) {
      add_stage(s, pipeline.bidirectional() ? Direction::kDown : Direction::kOnly);
    }
    if (pipeline.bidirectional() && pipeline.device(s, Direction::kUp) == device) {
      add_stage(s, Direction::kUp);
    }
  }
  return bytes + workspace;
}

}  // namespace

std::int64_t op_flops(const StageModel& model, const Op& op) {
  switch (op.kind) {
    case OpKind::kForward:
    case OpKind::kRecompute: {
      const Work work = work_of(model, op.unit, op.direction);
      return work.dense + 2 * work.attention;
    }
    case OpKind::kBackwardInput: {
      // Scores again, then the gradients of values, probabilities, queries and keys.
      const Work work = work_of(model, op.unit, op.direction);
      return work.dense + 5 * work.attention;
    }
    case OpKind::kBackwardWeight:
      return work_of(model, op.unit, op.direction).dense;
    case OpKind::kBackward: {
      const Work work = work_of(model, op.unit, op.direction);
      return 2 * work.dense + 5 * work.attention;
    }
    case OpKind::kOverlapped:
      return op_flops(model, forward_half(op)) + op_flops(model, backward_half(op));
    case OpKind::kOffload:
    case OpKind::kReload:
    case OpKind::kGradientReduce:
    case OpKind::kOptimizer:
      return 0;
  }
  return 0;
}

std::vector<Bytes> boundary_bytes(const StageModel& model, std::int32_t element_size) {
  std::int32_t largest = 0;
  for (const std::vector<std::int32_t>& microbatch : model.tokens) {
    for (const std::int32_t tokens : microbatch) {
      largest = std::max(largest, tokens);
    }
  }
  const std::size_t stages = model.layers.size();
  return std::vector<Bytes>(stages - 1, Bytes{largest} * model.hidden * element_size);
}

MemoryCosts model_memory(const StageModel& model, const Pipeline& pipeline,
                         std::int32_t element_size) {
  MemoryCosts memory;
  memory.given = true;
  const auto block = [&](std::int32_t s, std::int32_t tokens, bool sliced) {
    return block_layout(model, s, tokens, sliced).bytes(element_size);
  };
  memory.forward = slice_grid(model, pipeline, block);
  memory.backward_input = Grid::constant(0);
  memory.backward_weight = slice_grid(
      model, pipeline,
      [&](std::int32_t s, std::int32_t tokens, bool sliced) { return -block(s, tokens, sliced); });
  memory.stage_input =
      slice_grid(model, pipeline, [&](std::int32_t s, std::int32_t tokens, bool sliced) {
        const BlockLayout layout = block_layout(model, s, tokens, sliced);
        return sliced ? layout.bytes(element_size) : layout.input_bytes(element_size);
      });
  for (std::int32_t d = 0; d < pipeline.devices; ++d) {
    memory.resident.push_back(resident_bytes(model, pipeline, d, element_size));
  }
  return memory;
}

}  // namespace stagecraft
