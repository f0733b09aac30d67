#include "loads.hpp"

#include <algorithm>
#include <numeric>
#include <tuple>

namespace stagecraft::search::adaptis {
namespace {

constexpr Load kLargestTotal = Load{1} << 30;
constexpr std::int64_t kUnitSpeed = 1'000'000'000;

}  // namespace

LayerLoads::LayerLoads(const Problem& problem)
    : sums_{0}, speed_(problem.speed), devices_(problem.devices) {
  const Layers& layers = problem.layers;
  for (std::size_t l = 0; l < layers.forward.size(); ++l) {
    sums_.push_back(sums_.back() + layers.forward[l] + layers.backward_input[l] +
                    layers.backward_weight[l]);
  }
  Load divisor = 1;
  while (sums_.back() / divisor >= kLargestTotal) {
    divisor *= 2;
  }
  for (Load& sum : sums_) {
    sum /= divisor;
  }
}

Load LayerLoads::on_device(Load load, std::int32_t device) const {
  if (speed_.empty()) {
    return load;
  }
  // A slow device works longer, but no more than keeps the squares in range.
  const std::int64_t speed = std::max<std::int64_t>(1, speed_[static_cast<std::size_t>(device)]);
  return std::min(load * kUnitSpeed / speed, kLargestTotal);
}

std::vector<Load> LayerLoads::of_stages(std::span<const std::int32_t> partition) const {
  std::vector<Load> loads;
  loads.reserve(partition.size());
  std::int32_t from = 0;
  for (const std::int32_t count : partition) {
    loads.push_back(between(from, from + count));
    from += count;
  }
  return loads;
}

Load variance(std::span<const Load> loads) {
  const auto count = static_cast<Load>(loads.size());
  const Load mean = std::accumulate(loads.begin(), loads.end(), Load{0}) / count;
  Load squares = 0;
  for (const Load load : loads) {
    squares += (load - mean) * (load - mean) / count;
  }
  return squares;
}

PlacementLoads::PlacementLoads(const LayerLoads& layers, std::span<const Load> stages,
                               std::vector<std::int32_t> device_of_stage)
    : layers_(layers), stages_(stages), device_of_stage_(std::move(device_of_stage)) {
  loads_.assign(static_cast<std::size_t>(layers.devices()), 0);
  held_.assign(loads_.size(), 0);
  for (std::size_t s = 0; s < device_of_stage_.size(); ++s) {
    const auto d = static_cast<std::size_t>(device_of_stage_[s]);
    loads_[d] += layers_.on_device(stages_[s], device_of_stage_[s]);
    ++held_[d];
    neighbours_ += s > 0 && device_of_stage_[s] == device_of_stage_[s - 1] ? 1 : 0;
  }
}

std::int32_t PlacementLoads::neighbours_of(std::size_t stage) const {
  const std::int32_t device = device_of_stage_[stage];
  const bool before = stage > 0 && device_of_stage_[stage - 1] == device;
  const bool after = stage + 1 < device_of_stage_.size() && device_of_stage_[stage + 1] == device;
  return (before ? 1 : 0) + (after ? 1 : 0);
}

void PlacementLoads::move(std::size_t stage, std::int32_t device) {
  const std::int32_t from = device_of_stage_[stage];
  neighbours_ -= neighbours_of(stage);
  loads_[static_cast<std::size_t>(from)] -= layers_.on_device(stages_[stage], from);
  loads_[static_cast<std::size_t>(device)] += layers_.on_device(stages_[stage], device);
  --held_[static_cast<std::size_t>(from)];
  ++held_[static_cast<std::size_t>(device)];
  device_of_stage_[stage] = device;
  neighbours_ += neighbours_of(stage);
}

Proxy PlacementLoads::proxy() const {
  return {variance(loads_), neighbours_, *std::max_element(loads_.begin(), loads_.end())};
}

std::vector<std::int32_t> round_robin(std::int32_t stages, std::int32_t devices) {
  std::vector<std::int32_t> placement(static_cast<std::size_t>(stages));
  for (std::int32_t s = 0; s < stages; ++s) {
    placement[static_cast<std::size_t>(s)] = s % devices;
  }
  return placement;
}

std::vector<std::int32_t> even_partition(std::int32_t layers, std::int32_t stages, Ends ends) {
  if (layers - ends.embedding - ends.head < stages) {
    ends = {};
  }
  const std::int32_t body = layers - ends.embedding - ends.head;
  std::vector<std::int32_t> partition(static_cast<std::size_t>(stages), body / stages);
  for (std::int32_t s = 0; s < body % stages; ++s) {
    ++partition[static_cast<std::size_t>(s)];
  }
  partition.front() += ends.embedding;
  partition.back() += ends.head;
  return partition;
}

Ends find_ends(const Layers& layers) {
  const auto costs = [&layers](std::size_t l) {
    return std::make_tuple(layers.forward[l], layers.backward_input[l], layers.backward_weight[l]);
  };
  const auto alone = [&](std::size_t l) {
    for (std::size_t other = 0; other < layers.forward.size(); ++other) {
      if (other != l && costs(other) == costs(l)) {
        return 0;
      }
    }
    return 1;
  };
  if (layers.count() < 3) {
    return {};
  }
  return {alone(0), alone(layers.forward.size() - 1)};
}

}  // namespace stagecraft::search::adaptis
