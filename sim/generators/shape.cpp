#include "shape.hpp"

#include <fmt/core.h>

namespace stagecraft {
namespace {

/// The schedules to take where a pipeline has several stages per device.
std::string_view schedules_for_several_stages(PlacementKind placement) {
  switch (placement) {
    case PlacementKind::kLoop:
      return "interleaved, looped-bfs and greedy";
    case PlacementKind::kVee:
      return "v-1f1b, zbv, hanayo and greedy";
    case PlacementKind::kWave:
      return "hanayo and greedy";
    case PlacementKind::kBidirectional:
      return "chimera and dualpipe";
    case PlacementKind::kExplicit:
      return "looped-bfs and greedy";
  }
  return "greedy";
}

}  // namespace

std::string describe_shape(const Pipeline& pipeline) {
  return fmt::format("{} devices, {} stages, placement {}", pipeline.devices, pipeline.stages,
                     to_string(pipeline.placement));
}

std::optional<Diagnostic> check_one_stage_per_device(const Pipeline& pipeline,
                                                     std::string_view schedule) {
  if (pipeline.bidirectional() || pipeline.stages != pipeline.devices) {
    return bad_input(
        fmt::format("{} runs one stage on every device in one direction, the pipeline has {}",
                    schedule, describe_shape(pipeline)),
        fmt::format("set pipeline.chunks to 1 and placement to loop, or take a schedule for this "
                    "placement: {}",
                    schedules_for_several_stages(pipeline.placement)));
  }
  return std::nullopt;
}

std::vector<std::int32_t> stage_on_device(const Pipeline& pipeline) {
  std::vector<std::int32_t> stages(static_cast<std::size_t>(pipeline.devices));
  for (std::int32_t stage = 0; stage < pipeline.stages; ++stage) {
    stages[static_cast<std::size_t>(pipeline.device(stage))] = stage;
  }
  return stages;
}

Result<std::vector<std::int32_t>> loop_ranks(const Pipeline& pipeline, std::string_view schedule) {
  const std::int32_t devices = pipeline.devices;
  std::vector<std::int32_t> ranks(static_cast<std::size_t>(devices), -1);
  bool loop = !pipeline.bidirectional() && pipeline.stages % devices == 0;
  for (std::int32_t stage = 0; loop && stage < pipeline.stages; ++stage) {
    std::int32_t& rank = ranks[static_cast<std::size_t>(pipeline.device(stage))];
    if (rank < 0) {
      rank = stage;
    }
    loop = rank == stage % devices;
  }
  if (!loop) {
    return bad_input(
        fmt::format("{} needs every round of {} stages to visit the devices in the same order, the "
                    "pipeline has {}",
                    schedule, devices, describe_shape(pipeline)),
        fmt::format("set placement to loop, or take a schedule for this placement: {}",
                    schedules_for_several_stages(pipeline.placement)));
  }
  return ranks;
}

}  // namespace stagecraft
