#include "stagecraft/search/problem.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include <fmt/core.h>

namespace stagecraft::search {
namespace {

std::vector<std::int64_t> sums(const std::vector<std::int64_t>& values,
                               std::span<const std::int32_t> partition) {
  std::vector<std::int64_t> out;
  out.reserve(partition.size());
  auto next = values.begin();
  for (const std::int32_t count : partition) {
    out.push_back(std::accumulate(next, next + count, std::int64_t{0}));
    next += count;
  }
  return out;
}

std::vector<std::int32_t> even_cut(std::int32_t layers, std::int32_t stages) {
  std::vector<std::int32_t> cut(static_cast<std::size_t>(stages), layers / stages);
  for (std::int32_t s = 0; s < layers % stages; ++s) {
    ++cut[static_cast<std::size_t>(s)];
  }
  return cut;
}

MemoryCosts stage_memory(const Layers& layers, const Pipeline& pipeline,
                         std::span<const std::int32_t> partition,
                         const std::vector<Bytes>& capacity) {
  MemoryCosts memory;
  memory.capacity = capacity;
  if (!layers.activation.empty()) {
    memory.given = true;
    const std::vector<Bytes> whole = sums(layers.activation, partition);
    const std::vector<Bytes> kept = sums(layers.activation_kept, partition);
    std::vector<Bytes> input(whole.size());
    std::vector<Bytes> weight(whole.size());
    for (std::size_t s = 0; s < whole.size(); ++s) {
      input[s] = kept[s] - whole[s];
      weight[s] = -kept[s];
    }
    memory.forward = Grid::per_stage(whole);
    memory.backward_input = Grid::per_stage(std::move(input));
    memory.backward_weight = Grid::per_stage(std::move(weight));
  }
  if (!layers.parameters.empty()) {
    memory.given = true;
    memory.resident.assign(static_cast<std::size_t>(pipeline.devices), 0);
    const std::vector<Bytes> held = sums(layers.parameters, partition);
    for (std::int32_t s = 0; s < pipeline.stages; ++s) {
      memory.resident[static_cast<std::size_t>(pipeline.device(s))] +=
          held[static_cast<std::size_t>(s)];
    }
  }
  memory.given = memory.given || !capacity.empty();
  return memory;
}

Result<Instance> layer_instance(const Layers& layers, const LayerProblemOptions& options,
                                std::span<const std::int32_t> partition,
                                std::span<const std::int32_t> device_of_stage) {
  const bool whole = std::all_of(partition.begin(), partition.end(), [](auto n) { return n > 0; });
  if (!whole || partition.size() != device_of_stage.size() ||
      std::accumulate(partition.begin(), partition.end(), 0) != layers.count()) {
    return bad_input(
        fmt::format("the partition does not cut {} layers into {} stages of at least "
                    "one each",
                    layers.count(), device_of_stage.size()));
  }
  Result<Pipeline> pipeline = make_explicit_pipeline(
      options.devices, {device_of_stage.begin(), device_of_stage.end()}, options.microbatches);
  if (!pipeline) {
    return pipeline.failures();
  }
  Instance instance;
  instance.pipeline = std::move(pipeline).value();
  instance.pipeline.placement = classify_placement(options.devices, device_of_stage);
  instance.partition.assign(partition.begin(), partition.end());
  CostTable& costs = instance.costs;
  const std::vector<Time> input = sums(layers.backward_input, partition);
  const std::vector<Time> weight = sums(layers.backward_weight, partition);
  std::vector<Time> backward(input.size());
  std::transform(input.begin(), input.end(), weight.begin(), backward.begin(), std::plus<>());
  costs.forward = Grid::per_stage(sums(layers.forward, partition));
  costs.backward = Grid::per_stage(std::move(backward));
  costs.split_backward = options.split_backward;
  if (options.split_backward) {
    costs.backward_input = Grid::per_stage(input);
    costs.backward_weight = Grid::per_stage(weight);
  }
  costs.recompute = costs.forward;
  costs.transfer_latency.assign(partition.size() - 1, options.transfer);
  costs.memory = stage_memory(layers, instance.pipeline, partition, options.capacity);
  return instance;
}

// The shape that a generator asks for where nothing is stated.
Result<Start> layer_start(const Layers& layers, const LayerProblemOptions& options,
                          std::string_view name) {
  const GeneratorInfo* info = find_generator(name);
  if (info == nullptr || name == "file") {
    return bad_input(fmt::format("no schedule '{}' to start from", name));
  }
  const std::int32_t chunks = info->chunks != 0 ? info->chunks : info->usual_chunks;
  const PlacementKind kind =
      info->placement == PlacementKind::kExplicit ? PlacementKind::kLoop : info->placement;
  if (kind == PlacementKind::kBidirectional) {
    return bad_input(fmt::format("{} holds every stage twice", name));
  }
  if (info->needs_split_backward && !options.split_backward) {
    return bad_input(fmt::format("{} needs B and W", name));
  }
  const std::int32_t stages = options.devices * chunks;
  if (stages > layers.count()) {
    return bad_input(fmt::format("{} layers cannot fill {} stages", layers.count(), stages));
  }
  Result<Pipeline> pipeline = make_pipeline(options.devices, chunks, options.microbatches, kind);
  if (!pipeline) {
    return pipeline.failures();
  }
  Result<Instance> instance =
      layer_instance(layers, options, even_cut(layers.count(), stages), pipeline->device_of_stage);
  if (!instance) {
    return instance.failures();
  }
  Start start;
  start.instance = std::move(instance).value();
  return start;
}

std::vector<std::string> registered_names() {
  std::vector<std::string> names;
  for (const GeneratorInfo& info : generators()) {
    if (info.name != "file") {
      names.emplace_back(info.name);
    }
  }
  return names;
}

bool uniform_grid(const Grid& grid) {
  return grid.microbatch_stride == 0 && grid.slice_stride == 0;
}

// Layers that are the stages themselves.
Layers stage_layers(const Pipeline& pipeline, const CostTable& costs) {
  Layers layers;
  for (std::int32_t s = 0; s < pipeline.stages; ++s) {
    layers.forward.push_back(costs.forward.at(s, 0));
    layers.backward_input.push_back(costs.split_backward ? costs.backward_input.at(s, 0)
                                                         : costs.backward.at(s, 0));
    layers.backward_weight.push_back(costs.split_backward ? costs.backward_weight.at(s, 0) : 0);
    layers.backward.push_back(costs.backward.at(s, 0));
    if (costs.memory.given) {
      layers.activation.push_back(costs.memory.forward.at(s, 0));
      layers.activation_kept.push_back(-costs.memory.backward_weight.at(s, 0));
    }
  }
  return layers;
}

}  // namespace

std::vector<Point> all_points(const Space& space) {
  std::vector<Point> points;
  Point point(space.coordinates().size(), 0);
  while (true) {
    points.push_back(point);
    std::size_t k = point.size();
    while (k > 0) {
      --k;
      if (static_cast<std::size_t>(++point[k]) < space.coordinates()[k].values.size()) {
        break;
      }
      point[k] = 0;
      if (k == 0) {
        return points;
      }
    }
    if (point.empty()) {
      return points;
    }
  }
}

Result<Problem> SingleSpace::problem(const Point& point) const {
  if (!point.empty()) {
    return bad_input("this space has no coordinates, expected an empty point");
  }
  return problem_;
}

Problem make_layer_problem(Layers layers, const LayerProblemOptions& options) {
  layers.activation_kept.resize(layers.activation.size(), 0);
  Problem problem;
  problem.devices = options.devices;
  problem.microbatches = options.microbatches;
  problem.layers = layers;
  problem.split_backward = options.split_backward;
  problem.partition_open = problem.placement_open = true;
  problem.chunks_open = problem.schedule_open = true;
  problem.most_chunks = options.most_chunks > 0
                            ? options.most_chunks
                            : std::max(1, layers.count() / std::max(1, options.devices));
  problem.partition = even_cut(layers.count(), std::min(options.devices, layers.count()));
  problem.device_of_stage.resize(problem.partition.size());
  std::iota(problem.device_of_stage.begin(), problem.device_of_stage.end(), 0);
  problem.schedules = registered_names();
  problem.instance = [layers, options](std::span<const std::int32_t> partition,
                                       std::span<const std::int32_t> device_of_stage) {
    return layer_instance(layers, options, partition, device_of_stage);
  };
  problem.start = [layers = std::move(layers), options](std::string_view schedule) {
    return layer_start(layers, options, schedule);
  };
  return problem;
}

Problem make_order_problem(const Pipeline& pipeline, const CostTable& costs) {
  Problem problem;
  problem.devices = pipeline.devices;
  problem.microbatches = pipeline.microbatches;
  problem.uniform = !pipeline.bidirectional() && pipeline.max_slices() == 1;
  for (const Grid* grid :
       {&costs.forward, &costs.backward, &costs.backward_input, &costs.backward_weight,
        &costs.memory.forward, &costs.memory.backward_input, &costs.memory.backward_weight}) {
    problem.uniform = problem.uniform && uniform_grid(*grid);
  }
  if (costs.transfers_by_unit) {
    problem.uniform = problem.uniform && uniform_grid(costs.unit_transfer_latency) &&
                      uniform_grid(costs.unit_transfer_bytes);
  }
  problem.layers = stage_layers(pipeline, costs);
  problem.split_backward = costs.split_backward;
  problem.schedule_open = true;
  problem.most_chunks = pipeline.chunks();
  problem.partition.assign(static_cast<std::size_t>(pipeline.stages), 1);
  problem.device_of_stage = pipeline.device_of_stage;
  problem.schedules = registered_names();
  Instance fixed{pipeline, costs, problem.partition};
  problem.instance = [fixed](std::span<const std::int32_t> partition,
                             std::span<const std::int32_t> device_of_stage) -> Result<Instance> {
    if (!std::ranges::equal(partition, fixed.partition) ||
        !std::ranges::equal(device_of_stage, fixed.pipeline.device_of_stage)) {
      return bad_input("the stages of this problem are fixed");
    }
    return fixed;
  };
  problem.start = [fixed](std::string_view schedule) -> Result<Start> {
    if (find_generator(schedule) == nullptr || schedule == "file") {
      return bad_input(fmt::format("no schedule '{}' to start from", schedule));
    }
    Start start;
    start.instance = fixed;
    return start;
  };
  return problem;
}

}  // namespace stagecraft::search
