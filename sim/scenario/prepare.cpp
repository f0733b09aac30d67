#include <algorithm>

#include <fmt/core.h>

#include "grids.hpp"
#include "prepare.hpp"
#include "sections.hpp"
#include "shape.hpp"
#include "stagecraft/search/schedules.hpp"

namespace stagecraft {
namespace {

bool same_grid(const Grid& a, const Grid& b) {
  return a.values == b.values && axes_of(a) == axes_of(b);
}

/// What F allocates is what B and W release. F keeps its share of the activation to the byte, so
/// that peaks count what is really held; B and W share the rounding.
void balance_memory(MemoryCosts& memory, const Pipeline& pipeline) {
  memory.backward_input =
      fill_grid(pipeline, std::max(axes_of(memory.backward_input), axes_of(memory.forward)),
                [&](std::int32_t s, std::int32_t m, std::int32_t q) {
                  return std::max(memory.backward_input.at(s, m, q), -memory.forward.at(s, m, q));
                });
  memory.backward_weight = negate(add(memory.forward, memory.backward_input, pipeline));
  memory.stage_input =
      fill_grid(pipeline, std::max(axes_of(memory.stage_input), axes_of(memory.forward)),
                [&](std::int32_t s, std::int32_t m, std::int32_t q) {
                  return std::min(memory.stage_input.at(s, m, q), memory.forward.at(s, m, q));
                });
}

void recut_costs(CostTable& costs, const Scenario& scenario, const Pipeline& pipeline) {
  const std::int32_t from = scenario.pipeline.stages;
  std::vector<Grid*> grids = compute_grids(costs);
  grids.insert(grids.end(), {&costs.offload, &costs.reload, &costs.memory.forward,
                             &costs.memory.backward_input});
  for (Grid* grid : grids) {
    *grid = recut_stages(*grid, from, pipeline);
  }
  costs.memory.stage_input = resample_stages(costs.memory.stage_input, from, pipeline);
  balance_memory(costs.memory, pipeline);
  if (costs.transfers_by_unit) {
    set_transfers_by_unit(pipeline, recut_boundaries(costs.unit_transfer_latency, from, pipeline),
                          recut_boundaries(costs.unit_transfer_bytes, from, pipeline), costs);
    return;
  }
  costs.transfer_latency = recut_boundaries(costs.transfer_latency, from, pipeline.stages);
  costs.transfer_bytes = recut_boundaries(costs.transfer_bytes, from, pipeline.stages);
}

void cut_costs(CostTable& costs, const Scenario& scenario, const Pipeline& pipeline) {
  for (Grid* grid : compute_grids(costs)) {
    *grid = cut_slices(*grid, pipeline, scenario.slice_shares);
  }
  MemoryCosts& memory = costs.memory;
  for (Grid* grid : {&memory.forward, &memory.backward_input, &memory.stage_input}) {
    *grid = cut_slices(*grid, pipeline, {});
  }
  balance_memory(memory, pipeline);
}

/// Both replicas of a bidirectional pipeline hold their parameters on every device.
std::vector<Bytes> resident_memory(const Scenario& scenario, const Pipeline& pipeline,
                                   const std::vector<std::int32_t>& partition) {
  std::vector<Bytes> resident = scenario.costs.memory.resident;
  const auto devices = static_cast<std::size_t>(pipeline.devices);
  if (!resident.empty() && pipeline.bidirectional() && !scenario.pipeline.bidirectional()) {
    for (std::size_t d = 0; d < devices; ++d) {
      resident[d] += scenario.costs.memory.resident[devices - 1 - d];
    }
  }
  if (!scenario.layers || scenario.layers->parameters.empty()) {
    return resident;
  }
  resident.resize(devices, 0);
  const Grid parameters = sum_layers(scenario.layers->parameters, partition);
  for (std::int32_t stage = 0; stage < pipeline.stages; ++stage) {
    resident[static_cast<std::size_t>(pipeline.device(stage))] += parameters.at(stage, 0);
    if (pipeline.bidirectional()) {
      resident[static_cast<std::size_t>(pipeline.device(stage, Direction::kUp))] +=
          parameters.at(stage, 0);
    }
  }
  return resident;
}

Diagnostic missing_costs(const Scenario& scenario) {
  Diagnostic failure = bad_input(
      "the costs are missing: the scenario says what its stages compute, not how long it "
      "takes",
      fmt::format("measure them: stagecraft calibrate {} --device host --out measured.yaml",
                  scenario.file));
  failure.place = scenario.model_place;
  failure.source_line = scenario.model_line;
  return failure;
}

/// Ops and costs of a scenario that brings its data follow for every iteration.
Diagnostic costs_of_data(const Scenario& scenario) {
  Diagnostic failure = bad_input(
      "the costs are missing: the scenario brings its data, from which they follow for every "
      "iteration",
      fmt::format("write one iteration with explicit costs: stagecraft simulate {} --out FILE",
                  scenario.file));
  failure.place = scenario.data->place;
  failure.source_line = scenario.data->source_line;
  return failure;
}

/// What a schedule made for several chunks is on a single one.
std::string single_chunk_note(const GeneratorInfo& info, const Pipeline& pipeline) {
  if (info.chunks != 0 || info.usual_chunks < 2 || pipeline.stages != pipeline.devices) {
    return {};
  }
  return info.name == "interleaved" ? "1 chunk per device: the order of 1f1b"
                                    : "1 chunk per device: this schedule is made for several";
}

}  // namespace

Result<CostTable> resolve_costs(const Scenario& scenario, const Pipeline& pipeline,
                                const std::vector<std::int32_t>& partition) {
  CostTable costs = scenario.costs;
  const bool sum_of_parts =
      costs.split_backward &&
      same_grid(costs.backward,
                add(costs.backward_input, costs.backward_weight, scenario.pipeline));
  const bool stages_differ = pipeline.stages != scenario.pipeline.stages;
  if (stages_differ) {
    recut_costs(costs, scenario, pipeline);
  }
  if (scenario.layers && (stages_differ || partition != scenario.partition)) {
    const bool recompute_given = !same_grid(scenario.costs.recompute, scenario.costs.forward);
    set_layer_costs(*scenario.layers, partition, costs);
    costs.recompute = recompute_given ? costs.recompute : costs.forward;
  }
  cut_costs(costs, scenario, pipeline);
  for (Grid* grid : compute_grids(costs)) {
    std::optional<Grid> divided = divide_by_speed(*grid, pipeline, scenario.speed);
    if (!divided) {
      Diagnostic failure = too_slow();
      failure.place.file = scenario.file;
      return failure;
    }
    *grid = std::move(*divided);
  }
  if (sum_of_parts) {
    costs.backward = add(costs.backward_input, costs.backward_weight, pipeline);
  }
  costs.memory.resident = resident_memory(scenario, pipeline, partition);
  return costs;
}

Result<std::vector<std::int32_t>> partition_for(const Scenario& scenario,
                                                const Pipeline& pipeline) {
  if (!scenario.layers || pipeline.stages == scenario.pipeline.stages) {
    return scenario.partition;
  }
  if (pipeline.stages > scenario.layers->count()) {
    return bad_input(
        fmt::format("{} layers cannot fill {} stages, expected at least one layer "
                    "per stage",
                    scenario.layers->count(), pipeline.stages));
  }
  return even_partition(scenario.layers->count(), pipeline.stages);
}

GeneratorOptions options_for(const GeneratorInfo& info, const ScheduleChoice& choice) {
  GeneratorOptions options;
  for (const OptionSpec& option : info.options) {
    if (const auto given = choice.options.find(option.name); given != choice.options.end()) {
      options.insert(*given);
    }
  }
  return options;
}

Result<PreparedRun> prepare(const Scenario& scenario, std::string_view schedule, Recut recut) {
  if (scenario.data) {
    return costs_of_data(scenario);
  }
  const std::string_view kind = schedule.empty() ? scenario.schedule.kind : schedule;
  const GeneratorInfo* info = search::find_schedule(kind);
  if (info == nullptr) {
    return unknown_schedule(kind);
  }
  if (!scenario.costs_given) {
    return missing_costs(scenario);
  }
  Result<RunShape> shape = choose_shape(scenario, *info, recut);
  if (!shape) {
    return shape.failures();
  }
  const Result<std::vector<std::int32_t>> partition = partition_for(scenario, shape->pipeline);
  if (!partition) {
    return partition.failures();
  }
  Result<CostTable> costs = resolve_costs(scenario, shape->pipeline, *partition);
  if (!costs) {
    return costs.failures();
  }
  PreparedRun run;
  run.scenario = scenario.name;
  run.schedule = kind;
  run.pipeline = shape->pipeline;
  run.costs = std::move(costs).value();
  run.options = options_for(*info, scenario.schedule);
  run.p2p = scenario.schedule.p2p;
  run.recut = shape->recut.empty() ? single_chunk_note(*info, run.pipeline) : shape->recut;
  return run;
}

Result<Schedule> make_schedule(const Scenario& scenario, const PreparedRun& run) {
  Result<Schedule> schedule =
      search::generate_schedule(run.schedule, {run.pipeline, run.costs, run.options});
  if (!schedule) {
    Diagnostics failures = schedule.failures();
    for (Diagnostic& failure : failures) {
      failure = at_schedule(scenario, run.schedule, std::move(failure));
    }
    return failures;
  }
  schedule->p2p = run.p2p;
  return schedule;
}

}  // namespace stagecraft
