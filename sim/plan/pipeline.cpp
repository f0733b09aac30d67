#include "stagecraft/plan/pipeline.hpp"

#include <algorithm>

#include <fmt/core.h>

namespace stagecraft {
namespace {

// Stage numbers are 16 bit in an op.
constexpr std::int32_t kMostStages = 65'535;

std::int32_t wave_device(std::int32_t stage, std::int32_t devices) {
  const std::int32_t in_row = stage % devices;
  return (stage / devices) % 2 == 0 ? in_row : devices - 1 - in_row;
}

Diagnostics count_failures(std::int32_t devices, std::int64_t stages, std::int32_t microbatches) {
  Diagnostics failures;
  if (devices < 1) {
    failures.push_back(
        bad_input(fmt::format("a pipeline needs at least 1 device, not {}", devices)));
  }
  if (stages < 1 || stages > kMostStages) {
    failures.push_back(
        bad_input(fmt::format("a pipeline has 1 to {} stages, not {}", kMostStages, stages)));
  }
  if (microbatches < 1) {
    failures.push_back(
        bad_input(fmt::format("a pipeline needs at least 1 micro-batch, not {}", microbatches)));
  }
  return failures;
}

}  // namespace

std::string_view to_string(PlacementKind kind) {
  switch (kind) {
    case PlacementKind::kLoop:
      return "loop";
    case PlacementKind::kVee:
      return "vee";
    case PlacementKind::kWave:
      return "wave";
    case PlacementKind::kBidirectional:
      return "bidirectional";
    case PlacementKind::kExplicit:
      return "explicit";
  }
  return "explicit";
}

std::int32_t Pipeline::chunks() const {
  std::vector<std::int32_t> count(static_cast<std::size_t>(devices), 0);
  std::int32_t most = 0;
  for (const std::int32_t holder : device_of_stage) {
    most = std::max(most, ++count[static_cast<std::size_t>(holder)]);
  }
  return most;
}

std::vector<std::int32_t> Pipeline::stages_of(std::int32_t device) const {
  std::vector<std::int32_t> result;
  for (std::int32_t stage = 0; stage < stages; ++stage) {
    if (device_of_stage[static_cast<std::size_t>(stage)] == device) {
      result.push_back(stage);
    }
  }
  return result;
}

std::int32_t Pipeline::max_slices() const {
  return slices.empty() ? 1 : *std::max_element(slices.begin(), slices.end());
}

std::int32_t Pipeline::microbatches_of(Direction direction) const {
  switch (direction) {
    case Direction::kOnly:
      return microbatches;
    case Direction::kDown:
      return (microbatches + 1) / 2;
    case Direction::kUp:
      return microbatches / 2;
  }
  return microbatches;
}

Result<Pipeline> make_pipeline(std::int32_t devices, std::int32_t chunks, std::int32_t microbatches,
                               PlacementKind placement) {
  STAGECRAFT_CHECK(placement != PlacementKind::kExplicit, "an explicit placement needs its list");
  const std::int64_t stages = std::int64_t{devices} * chunks;
  Diagnostics failures = count_failures(devices, stages, microbatches);
  if (placement == PlacementKind::kVee && chunks != 2) {
    failures.push_back(
        bad_input(fmt::format("placement vee needs 2 chunks per device, not {}", chunks),
                  "set pipeline.chunks to 2, or use placement wave for another number"));
  }
  if (placement == PlacementKind::kBidirectional && chunks != 1) {
    failures.push_back(
        bad_input(fmt::format("placement bidirectional needs 1 chunk per device, not {}", chunks),
                  "set pipeline.chunks to 1"));
  }
  if (placement == PlacementKind::kBidirectional && microbatches < 2) {
    failures.push_back(
        bad_input("placement bidirectional needs at least 2 micro-batches, one for "
                  "each direction"));
  }
  if (!failures.empty()) {
    return failures;
  }
  Pipeline pipeline;
  pipeline.devices = devices;
  pipeline.stages = static_cast<std::int32_t>(stages);
  pipeline.microbatches = microbatches;
  pipeline.placement = placement;
  pipeline.device_of_stage.reserve(static_cast<std::size_t>(stages));
  for (std::int32_t stage = 0; stage < pipeline.stages; ++stage) {
    const bool turns = placement == PlacementKind::kVee || placement == PlacementKind::kWave;
    pipeline.device_of_stage.push_back(turns ? wave_device(stage, devices) : stage % devices);
  }
  return pipeline;
}

Result<Pipeline> make_explicit_pipeline(std::int32_t devices,
                                        std::vector<std::int32_t> device_of_stage,
                                        std::int32_t microbatches) {
  Diagnostics failures =
      count_failures(devices, static_cast<std::int64_t>(device_of_stage.size()), microbatches);
  std::vector<bool> used(static_cast<std::size_t>(std::max(devices, 0)), false);
  for (std::size_t stage = 0; stage < device_of_stage.size(); ++stage) {
    const std::int32_t holder = device_of_stage[stage];
    if (holder < 0 || holder >= devices) {
      failures.push_back(bad_input(fmt::format("stage {} is placed on device {}, expected 0 to {}",
                                               stage, holder, devices - 1)));
    } else {
      used[static_cast<std::size_t>(holder)] = true;
    }
  }
  for (std::size_t device = 0; device < used.size(); ++device) {
    if (!used[device] && failures.empty()) {
      failures.push_back(bad_input(fmt::format("device {} holds no stage", device)));
    }
  }
  if (!failures.empty()) {
    return failures;
  }
  Pipeline pipeline;
  pipeline.devices = devices;
  pipeline.stages = static_cast<std::int32_t>(device_of_stage.size());
  pipeline.microbatches = microbatches;
  pipeline.placement = classify_placement(devices, device_of_stage);
  pipeline.device_of_stage = std::move(device_of_stage);
  return pipeline;
}

PlacementKind classify_placement(std::int32_t devices,
                                 std::span<const std::int32_t> device_of_stage) {
  const auto stages = static_cast<std::int32_t>(device_of_stage.size());
  if (devices < 1 || stages % devices != 0) {
    return PlacementKind::kExplicit;
  }
  bool loop = true;
  bool wave = true;
  for (std::int32_t stage = 0; stage < stages; ++stage) {
    const std::int32_t holder = device_of_stage[static_cast<std::size_t>(stage)];
    loop = loop && holder == stage % devices;
    wave = wave && holder == wave_device(stage, devices);
  }
  if (loop) {
    return PlacementKind::kLoop;
  }
  if (wave) {
    return stages == 2 * devices ? PlacementKind::kVee : PlacementKind::kWave;
  }
  return PlacementKind::kExplicit;
}

}  // namespace stagecraft
