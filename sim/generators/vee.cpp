#include "vee.hpp"

#include <fmt/core.h>

#include "shape.hpp"

namespace stagecraft {

std::optional<Diagnostic> check_vee(const Pipeline& pipeline, std::string_view schedule) {
  bool fits = !pipeline.bidirectional() && pipeline.stages == 2 * pipeline.devices;
  for (std::int32_t stage = 0; fits && stage < pipeline.stages; ++stage) {
    fits = pipeline.device(stage) == std::min(stage, pipeline.stages - 1 - stage);
  }
  if (fits) {
    return std::nullopt;
  }
  return bad_input(
      fmt::format("{} needs stages d and {} - d on device d (placement vee, 2 chunks per device), "
                  "the pipeline has {}",
                  schedule, 2 * pipeline.devices - 1, describe_shape(pipeline)),
      "set pipeline.chunks to 2 and pipeline.placement to vee");
}

std::optional<Diagnostic> check_split_backward(const CostTable& costs, std::string_view schedule) {
  if (costs.split_backward) {
    return std::nullopt;
  }
  return bad_input(fmt::format("{} runs the backward for inputs and for weights apart, the costs "
                               "give only their sum",
                               schedule),
                   "give costs.backward_input and costs.backward_weight");
}

std::optional<Diagnostic> check_unsliced(const Pipeline& pipeline, std::string_view schedule) {
  if (!pipeline.sliced() || pipeline.max_slices() == 1) {
    return std::nullopt;
  }
  return bad_input(
      fmt::format("{} runs whole micro-batches, the pipeline cuts them into up to {} slices",
                  schedule, pipeline.max_slices()),
      "leave out pipeline.slices, or take seq1f1b or terapipe");
}

}  // namespace stagecraft
