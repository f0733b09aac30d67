#include <algorithm>
#include <numeric>

#include <fmt/core.h>

#include "search/bounds/parts.hpp"
#include "stagecraft/search/bounds.hpp"

namespace stagecraft::search {
namespace {

Bytes least_of_device(const Instance& instance, std::int32_t device, const Liberties& liberties) {
  Instance alone = instance;
  std::vector<Bytes>& resident = alone.costs.memory.resident;
  resident.resize(static_cast<std::size_t>(instance.pipeline.devices), 0);
  // Far below what can be, so that only `device` counts.
  for (std::size_t d = 0; d < resident.size(); ++d) {
    resident[d] = static_cast<std::int32_t>(d) == device ? resident[d] : -kLargestQuantity;
  }
  return instance_memory_bounds(alone, liberties).front().value;
}

std::optional<Diagnostic> fixed_stages(const Problem& problem) {
  const Result<Instance> fixed = problem.instance(problem.partition, problem.device_of_stage);
  if (!fixed) {
    return fixed.failures().front();
  }
  const MemoryCosts& memory = fixed->costs.memory;
  if (!memory.given || memory.capacity.empty()) {
    return std::nullopt;
  }
  const Liberties liberties{problem.recompute_open, problem.offload_open};
  std::int32_t worst = 0;
  Bytes most_missing = 0;
  for (std::int32_t d = 0; d < fixed->pipeline.devices; ++d) {
    const Bytes missing = least_of_device(*fixed, d, liberties) - memory.capacity_of(d);
    if (missing > most_missing) {
      most_missing = missing;
      worst = d;
    }
  }
  if (most_missing <= 0) {
    return std::nullopt;
  }
  return infeasible(
      fmt::format("memory binds: device {} holds {} bytes of parameters and needs {} more for one "
                  "micro-batch, its capacity is {} bytes",
                  worst, memory.resident_of(worst),
                  least_of_device(*fixed, worst, liberties) - memory.resident_of(worst),
                  memory.capacity_of(worst)),
      fmt::format("give device {} {} bytes more, or let the search move layers, recompute or "
                  "offload",
                  worst, most_missing));
}

std::optional<Diagnostic> free_layers(const Problem& problem) {
  const Result<Instance> stated = problem.instance(problem.partition, problem.device_of_stage);
  if (!stated || stated->costs.memory.capacity.empty() || !stated->costs.memory.given) {
    return std::nullopt;
  }
  const std::vector<Bytes>& capacity = stated->costs.memory.capacity;
  if (std::ranges::count(capacity, kUnlimited) > 0) {
    return std::nullopt;
  }
  const Bytes room = std::accumulate(capacity.begin(), capacity.end(), Bytes{0});
  const Layers& layers = problem.layers;
  const std::vector<Bytes>& resident = stated->costs.memory.resident;
  const Bytes held = std::accumulate(resident.begin(), resident.end(), Bytes{0});
  Bytes units = 0;
  if (!problem.recompute_open && !problem.offload_open) {
    units = std::accumulate(layers.activation.begin(), layers.activation.end(), Bytes{0});
  }
  if (held + units <= room) {
    return std::nullopt;
  }
  const Bytes missing = held + units - room;
  return infeasible(
      fmt::format(
          "memory binds: {} bytes are resident and {} more are needed for one micro-batch, all "
          "{} devices together have {} bytes",
          held, units, problem.devices, room),
      fmt::format("give every device {} bytes more, use more devices, or allow recomputation or "
                  "offload",
                  (missing + problem.devices - 1) / problem.devices));
}

}  // namespace

std::optional<Diagnostic> infeasible_because(const Problem& problem) {
  if (problem.partition_open || problem.placement_open || problem.chunks_open) {
    if (problem.devices > problem.layers.count()) {
      return infeasible(fmt::format("{} layers cannot fill {} devices, every device needs one",
                                    problem.layers.count(), problem.devices),
                        fmt::format("use {} devices at most", problem.layers.count()));
    }
    return free_layers(problem);
  }
  return fixed_stages(problem);
}

}  // namespace stagecraft::search
