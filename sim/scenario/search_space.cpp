#include "stagecraft/scenario/search_space.hpp"

#include <algorithm>
#include <numeric>

#include <fmt/core.h>

#include "prepare.hpp"
#include "search_costs.hpp"
#include "sections.hpp"
#include "shape.hpp"

namespace stagecraft {
namespace {

using search::Instance;
using search::Point;
using search::Problem;
using search::Start;

constexpr std::int32_t kMostChunksOfLayers = 32;

/// A scenario at one point of the outer coordinates, its stages cut into layers where their number
/// is open, and what may be chosen.
struct Base {
  Scenario scenario;
  bool pieces = false;  ///< the layers are pieces of stages
  bool partition_open = false, placement_open = false, chunks_open = false;
  std::int32_t most_chunks = 1;
};

bool equal_parts(std::span<const std::int32_t> partition) {
  return std::adjacent_find(partition.begin(), partition.end(), std::not_equal_to<>()) ==
         partition.end();
}

/// Why the stages may not be those, or empty.
std::string misfit(const Base& base, std::span<const std::int32_t> partition,
                   const Pipeline& pipeline) {
  const Scenario& scenario = base.scenario;
  const std::int32_t layers = scenario.layers ? scenario.layers->count() : scenario.pipeline.stages;
  const auto stages = static_cast<std::int32_t>(partition.size());
  const bool whole = std::all_of(partition.begin(), partition.end(), [](auto n) { return n > 0; });
  if (!whole || std::accumulate(partition.begin(), partition.end(), std::int64_t{0}) != layers) {
    return fmt::format("the partition does not cut {} layers into {} stages of at least one each",
                       layers, stages);
  }
  if (stages != scenario.pipeline.stages && !base.chunks_open) {
    return fmt::format("the scenario states {} stages, not {}", scenario.pipeline.stages, stages);
  }
  if (pipeline.chunks() > base.most_chunks) {
    return fmt::format("{} stages on one device, more than the {} of search.chunks",
                       pipeline.chunks(), base.most_chunks);
  }
  if (!base.partition_open) {
    if (stages == scenario.pipeline.stages && scenario.layers &&
        !std::ranges::equal(partition, scenario.partition)) {
      return "the scenario states another partition";
    }
    if (base.pieces && !equal_parts(partition)) {
      return "stages without layers are cut into equal pieces only";
    }
  }
  const bool same_stages = stages == scenario.pipeline.stages;
  if (!base.placement_open &&
      (same_stages ? pipeline.device_of_stage != scenario.pipeline.device_of_stage
                   : pipeline.placement != scenario.pipeline.placement)) {
    return fmt::format("the scenario states placement {}", to_string(scenario.pipeline.placement));
  }
  return {};
}

Result<Pipeline> pipeline_on(const Base& base, std::span<const std::int32_t> device_of_stage) {
  const Pipeline& stated = base.scenario.pipeline;
  if (std::ranges::equal(device_of_stage, stated.device_of_stage)) {
    return stated;
  }
  Result<Pipeline> pipeline = make_explicit_pipeline(
      stated.devices, {device_of_stage.begin(), device_of_stage.end()}, stated.microbatches);
  if (pipeline) {
    pipeline->placement = classify_placement(stated.devices, device_of_stage);
    pipeline->slices = stated.slices;
  }
  return pipeline;
}

Result<Instance> make_instance(const Base& base, std::span<const std::int32_t> partition,
                               std::span<const std::int32_t> device_of_stage) {
  if (partition.size() != device_of_stage.size()) {
    return bad_input(fmt::format("a partition into {} stages, a placement of {}", partition.size(),
                                 device_of_stage.size()));
  }
  Result<Pipeline> pipeline = pipeline_on(base, device_of_stage);
  if (!pipeline) {
    return pipeline.failures();
  }
  if (const std::string why = misfit(base, partition, *pipeline); !why.empty()) {
    return bad_input(why);
  }
  Instance instance;
  instance.pipeline = std::move(*pipeline);
  instance.partition.assign(partition.begin(), partition.end());
  Result<CostTable> costs =
      resolve_costs(base.scenario, instance.pipeline,
                    base.scenario.layers ? instance.partition : std::vector<std::int32_t>{});
  if (!costs) {
    return costs.failures();
  }
  instance.costs = std::move(*costs);
  return instance;
}

Result<Start> make_start(const Base& base, std::string_view schedule) {
  const Scenario& scenario = base.scenario;
  const GeneratorInfo* info = find_generator(schedule);
  if (info == nullptr) {
    return unknown_schedule(schedule);
  }
  const Result<RunShape> shape = choose_shape(scenario, *info, Recut::kOpenOnly);
  if (!shape) {
    return shape.failures();
  }
  if (shape->pipeline.bidirectional() != scenario.pipeline.bidirectional()) {
    return bad_input(fmt::format("schedule {} is for pipelines that are {}bidirectional", schedule,
                                 shape->pipeline.bidirectional() ? "" : "not "));
  }
  Result<std::vector<std::int32_t>> partition = partition_for(scenario, shape->pipeline);
  if (!partition) {
    return partition.failures();
  }
  if (!scenario.layers) {
    partition->assign(static_cast<std::size_t>(shape->pipeline.stages), 1);
  }
  Result<Instance> instance = make_instance(base, *partition, shape->pipeline.device_of_stage);
  if (!instance) {
    return instance.failures();
  }
  Start start;
  start.instance = std::move(*instance);
  start.instance.pipeline.placement = shape->pipeline.placement;
  start.options = options_for(*info, scenario.schedule);
  start.p2p = scenario.schedule.p2p;
  return start;
}

/// Decides what is open and cuts stages into pieces where their number is.
Base make_base(Scenario scenario) {
  Base base;
  const SearchChoices& search = scenario.search;
  const Pipeline& pipeline = scenario.pipeline;
  const bool bidirectional = pipeline.bidirectional();
  base.placement_open = !bidirectional && search.placement.value_or(!scenario.placement_stated);
  const bool named = pipeline.placement != PlacementKind::kExplicit;
  base.chunks_open = !bidirectional && (named || base.placement_open) &&
                     (search.chunks.has_value() || !scenario.chunks_stated);
  base.partition_open =
      search.partition.value_or(scenario.layers.has_value() && !scenario.partition_stated) &&
      (scenario.layers.has_value() || base.chunks_open);
  base.most_chunks = pipeline.chunks();
  if (base.chunks_open) {
    const std::int32_t layers = scenario.layers ? scenario.layers->count() : 2 * pipeline.devices;
    const std::int32_t usual = std::clamp(layers / pipeline.devices, pipeline.chunks(),
                                          std::max(kMostChunksOfLayers, pipeline.chunks()));
    base.most_chunks = search.chunks.value_or(usual);
  }
  if (base.chunks_open && !scenario.layers) {
    // As many pieces as make 1 and 2 chunks per device, the stated number and the largest equal.
    const std::int32_t chunks =
        std::lcm(pipeline.chunks(), std::lcm(base.most_chunks, std::min(base.most_chunks, 2)));
    scenario = with_pieces(scenario, chunks / pipeline.chunks());
    base.pieces = true;
  }
  scenario.placement_stated = !base.placement_open;
  scenario.chunks_stated = !base.chunks_open;
  base.scenario = std::move(scenario);
  return base;
}

/// The stated schedule first, if it may be any.
std::vector<std::string> start_names(const Scenario& scenario, bool schedule_open) {
  const SearchChoices& search = scenario.search;
  if (!search.schedules.empty()) {
    return search.schedules;
  }
  std::vector<std::string> names = {scenario.schedule.kind};
  for (const GeneratorInfo& info : generators()) {
    if (schedule_open && info.name != "file" && info.name != scenario.schedule.kind) {
      names.emplace_back(info.name);
    }
  }
  return names;
}

Problem make_problem(const std::shared_ptr<const Base>& base) {
  const Scenario& scenario = base->scenario;
  const SearchChoices& search = scenario.search;
  const CostTable& costs = scenario.costs;
  Problem problem;
  problem.devices = scenario.pipeline.devices;
  problem.microbatches = scenario.pipeline.microbatches;
  problem.layers = search_layers(scenario);
  problem.uniform = uniform_costs_of(scenario);
  problem.split_backward = costs.split_backward;
  problem.speed = scenario.speed;
  problem.partition_open = base->partition_open;
  problem.placement_open = base->placement_open;
  problem.chunks_open = base->chunks_open;
  problem.schedule_open = search.schedule.value_or(true);
  problem.recompute_open = search.recompute.value_or(
      std::any_of(costs.memory.stage_input.values.begin(), costs.memory.stage_input.values.end(),
                  [](Bytes bytes) { return bytes > 0; }));
  problem.offload_open =
      costs.offload_given && search.offload.value_or(!costs.memory.capacity.empty());
  problem.most_chunks = base->most_chunks;
  problem.partition = scenario.layers ? scenario.partition
                                      : std::vector<std::int32_t>(
                                            static_cast<std::size_t>(scenario.pipeline.stages), 1);
  problem.device_of_stage = scenario.pipeline.device_of_stage;
  problem.schedules = start_names(scenario, problem.schedule_open);
  problem.instance = [base](std::span<const std::int32_t> partition,
                            std::span<const std::int32_t> device_of_stage) {
    return make_instance(*base, partition, device_of_stage);
  };
  problem.start = [base](std::string_view schedule) { return make_start(*base, schedule); };
  return problem;
}

class ScenarioSpace final : public search::Space {
 public:
  explicit ScenarioSpace(const Scenario& scenario) : scenario_(scenario) {
    const auto add = [&](const char* name, const std::vector<std::int32_t>& values,
                         std::int32_t stated) {
      if (values.size() > 1 || (values.size() == 1 && values.front() != stated)) {
        coordinates_.push_back({name, {values.begin(), values.end()}});
      }
    };
    add("pipeline.devices", scenario.search.devices, scenario.pipeline.devices);
    add("pipeline.microbatches", scenario.search.microbatches, scenario.pipeline.microbatches);
  }

  [[nodiscard]] std::span<const search::Coordinate> coordinates() const override {
    return coordinates_;
  }

  [[nodiscard]] Result<Problem> problem(const Point& point) const override {
    if (point.size() != coordinates_.size()) {
      return bad_input(fmt::format("a point of {} coordinates in a space of {}", point.size(),
                                   coordinates_.size()));
    }
    const Scenario* scenario = &scenario_;
    std::int32_t microbatches = scenario_.pipeline.microbatches;
    for (std::size_t k = 0; k < point.size(); ++k) {
      const auto index = static_cast<std::size_t>(point[k]);
      if (index >= coordinates_[k].values.size()) {
        return bad_input(fmt::format("{} has no value {}", coordinates_[k].name, point[k]));
      }
      if (coordinates_[k].name == "pipeline.devices") {
        scenario = &scenario_.of_devices[index];
      } else {
        microbatches = static_cast<std::int32_t>(coordinates_[k].values[index]);
      }
    }
    Result<Scenario> here = with_microbatches(*scenario, microbatches);
    if (!here) {
      return here.failures();
    }
    return make_problem(std::make_shared<const Base>(make_base(std::move(*here))));
  }

 private:
  Scenario scenario_;
  std::vector<search::Coordinate> coordinates_;
};

}  // namespace

Result<std::unique_ptr<search::Space>> make_search_space(const Scenario& scenario) {
  if (!scenario.costs_given) {
    return prepare(scenario).failures();
  }
  return std::unique_ptr<search::Space>(std::make_unique<ScenarioSpace>(scenario));
}

}  // namespace stagecraft
