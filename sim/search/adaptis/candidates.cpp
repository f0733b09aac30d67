#include "candidates.hpp"

#include <algorithm>
#include <numeric>
#include <set>
#include <tuple>

#include "partition.hpp"
#include "placement.hpp"

namespace stagecraft::search::adaptis {
namespace {

struct Ranked {
  Load partition_variance = 0;
  Proxy proxy;
  Shape shape;
};

std::vector<std::int32_t> stage_counts(const Problem& problem, const Options& options,
                                       const Freedom& freedom) {
  if (!freedom.chunks) {
    return {static_cast<std::int32_t>(problem.partition.size())};
  }
  const std::int32_t devices = problem.devices;
  const std::int32_t most = std::min(freedom.most_chunks * devices, problem.layers.count());
  std::vector<std::int32_t> counts;
  for (std::int32_t count = devices; count <= most; count += options.irregular ? 1 : devices) {
    counts.push_back(count);
  }
  return counts;
}

// True if every device holds what its stages keep, and one micro-batch on all of them.
bool fits_memory(const Problem& problem, const Shape& shape) {
  const Result<Instance> instance = problem.instance(shape.partition, shape.device_of_stage);
  if (!instance) {
    return false;
  }
  const MemoryCosts& memory = instance->costs.memory;
  std::vector<Bytes> need(static_cast<std::size_t>(problem.devices), 0);
  for (std::size_t s = 0; s < shape.stages(); ++s) {
    need[static_cast<std::size_t>(shape.device_of_stage[s])] +=
        memory.forward.at(static_cast<std::int32_t>(s), 0);
  }
  for (std::int32_t d = 0; d < problem.devices; ++d) {
    const Bytes capacity = memory.capacity_of(d);
    if (capacity != kUnlimited &&
        need[static_cast<std::size_t>(d)] > capacity - memory.resident_of(d)) {
      return false;
    }
  }
  return true;
}

std::vector<RankedPlacement> placements_of(const Problem& problem, const Options& options,
                                           const Freedom& freedom, const LayerLoads& layers,
                                           std::span<const Load> stages, Random& random) {
  if (!freedom.placement) {
    const PlacementLoads stated(layers, stages, problem.device_of_stage);
    return {{problem.device_of_stage, stated.proxy()}};
  }
  return candidate_placements(layers, stages, freedom.most_chunks,
                              static_cast<std::size_t>(options.beam), random);
}

// The best `per_count` of this stage count stay in front; the rest competes with all others.
std::vector<Ranked> rank_count(const Problem& problem, const Options& options,
                               const Freedom& freedom, const LayerLoads& layers,
                               std::int32_t stages, Random& random) {
  const std::vector<std::vector<std::int32_t>> partitions =
      freedom.partition ? best_partitions(layers, stages, static_cast<std::size_t>(options.top_k))
                        : std::vector<std::vector<std::int32_t>>{problem.partition};
  std::vector<Ranked> ranked;
  for (const std::vector<std::int32_t>& partition : partitions) {
    const std::vector<Load> loads = layers.of_stages(partition);
    const Load spread = options.rank_by_device ? 0 : variance(loads);
    for (RankedPlacement& placement :
         placements_of(problem, options, freedom, layers, loads, random)) {
      ranked.push_back(
          {spread, placement.proxy, {partition, std::move(placement.device_of_stage)}});
    }
  }
  const auto key = [](const Ranked& r) { return std::tie(r.partition_variance, r.proxy); };
  std::ranges::stable_sort(ranked,
                           [&](const Ranked& a, const Ranked& b) { return key(a) < key(b); });
  const auto most = static_cast<std::size_t>(std::max(options.sim_k, options.per_count));
  if (ranked.size() > most) {
    ranked.resize(most);
  }
  return ranked;
}

// Neighbours on one device as one stage.
Shape merged(const Shape& shape) {
  Shape out;
  for (std::size_t s = 0; s < shape.stages(); ++s) {
    if (s > 0 && shape.device_of_stage[s] == shape.device_of_stage[s - 1]) {
      out.partition.back() += shape.partition[s];
    } else {
      out.partition.push_back(shape.partition[s]);
      out.device_of_stage.push_back(shape.device_of_stage[s]);
    }
  }
  return out;
}

bool within_chunks(const Shape& shape, std::int32_t devices, std::int32_t most) {
  for (std::int32_t d = 0; d < devices; ++d) {
    if (std::ranges::count(shape.device_of_stage, d) > most) {
      return false;
    }
  }
  return true;
}

}  // namespace

std::vector<Shape> ranked_candidates(const Problem& problem, const Options& options,
                                     std::uint64_t seed) {
  const Freedom freedom = freedom_of(problem);
  const LayerLoads layers(problem);
  Random random(seed);
  std::vector<Ranked> chosen;
  std::vector<Ranked> others;
  for (const std::int32_t stages : stage_counts(problem, options, freedom)) {
    std::vector<Ranked> ranked = rank_count(problem, options, freedom, layers, stages, random);
    for (std::size_t k = 0; k < ranked.size(); ++k) {
      (k < static_cast<std::size_t>(options.per_count) ? chosen : others)
          .push_back(std::move(ranked[k]));
    }
  }
  const auto sort = [](std::vector<Ranked>& list) {
    std::ranges::stable_sort(list, [](const Ranked& a, const Ranked& b) {
      return std::tie(a.partition_variance, a.proxy) < std::tie(b.partition_variance, b.proxy);
    });
  };
  sort(others);
  const auto room = static_cast<std::size_t>(options.sim_k);
  for (std::size_t k = 0; k < others.size() && chosen.size() < room; ++k) {
    chosen.push_back(std::move(others[k]));
  }
  sort(chosen);
  std::vector<Shape> shapes;
  for (Ranked& ranked : chosen) {
    shapes.push_back(std::move(ranked.shape));
  }
  return shapes;
}

std::vector<Shape> first_shapes(const Problem& problem, const Options& options) {
  const Freedom freedom = freedom_of(problem);
  std::vector<Shape> shapes;
  if (!freedom.partition || !freedom.placement) {
    return {{problem.partition, problem.device_of_stage}};
  }
  const std::int32_t devices = problem.devices;
  const std::int32_t stages =
      freedom.chunks ? devices : static_cast<std::int32_t>(problem.partition.size());
  const std::vector<std::int32_t> placement =
      freedom.chunks ? round_robin(devices, devices) : problem.device_of_stage;
  shapes.push_back(
      {even_partition(problem.layers.count(), stages, ends_of(problem, options)), placement});
  const LayerLoads layers(problem);
  const Fits fits = [&problem](const Shape& shape) { return fits_memory(problem, shape); };
  if (stages == devices) {
    shapes.push_back({filled_partition(layers, fits), round_robin(devices, devices)});
  }
  if (freedom.chunks) {
    const std::int32_t count = layers.count();
    Shape unordered{std::vector<std::int32_t>(static_cast<std::size_t>(count), 1),
                    longest_first(layers, fits)};
    for (Shape shape : {unordered, merged(unordered)}) {
      if (within_chunks(shape, devices, freedom.most_chunks)) {
        shapes.push_back(std::move(shape));
        break;
      }
    }
  }
  return shapes;
}

}  // namespace stagecraft::search::adaptis
