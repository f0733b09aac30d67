#include <algorithm>

#include <fmt/core.h>

#include "grids.hpp"
#include "sections.hpp"
#include "stagecraft/core/text.hpp"

namespace stagecraft {
namespace {

/// The three changes of a unit; what is left out makes the sum 0, B releasing nothing by itself.
void read_changes(Reader& reader, Scenario& scenario) {
  MemoryCosts& memory = scenario.costs.memory;
  const Pipeline& pipeline = scenario.pipeline;
  const std::optional<Grid> forward = read_grid(reader, scenario, "memory.forward");
  const std::optional<Grid> input = read_grid(reader, scenario, "memory.backward_input");
  const std::optional<Grid> weight = read_grid(reader, scenario, "memory.backward_weight");
  if (!reader.has("memory.forward")) {
    for (const std::string_view path : {"memory.backward_input", "memory.backward_weight"}) {
      if (reader.has(path)) {
        reader.fail(path,
                    fmt::format("'memory.forward' is missing, expected it beside '{}'", path));
      }
    }
    return;
  }
  const bool whole = forward && input.has_value() == reader.has("memory.backward_input") &&
                     weight.has_value() == reader.has("memory.backward_weight");
  if (!whole) {
    return;
  }
  memory.forward = *forward;
  memory.backward_input =
      input ? *input : (weight ? negate(add(*forward, *weight, pipeline)) : Grid::constant(0));
  memory.backward_weight =
      weight ? *weight : negate(add(*forward, memory.backward_input, pipeline));

  const Grid sums =
      add(add(memory.forward, memory.backward_input, pipeline), memory.backward_weight, pipeline);
  const auto wrong = std::find_if(sums.values.begin(), sums.values.end(),
                                  [](std::int64_t sum) { return sum != 0; });
  const bool positive =
      std::any_of(memory.backward_input.values.begin(), memory.backward_input.values.end(),
                  [](std::int64_t value) { return value > 0; }) ||
      std::any_of(memory.backward_weight.values.begin(), memory.backward_weight.values.end(),
                  [](std::int64_t value) { return value > 0; });
  if (wrong == sums.values.end() && !positive) {
    return;
  }
  if (wrong == sums.values.end()) {
    reader.fail("memory",
                "the backward releases more than 'memory.forward' allocates, expected "
                "the three changes to sum to 0");
    return;
  }
  const auto position = static_cast<std::int32_t>(wrong - sums.values.begin());
  const std::int32_t stage = sums.stage_stride == 0 ? 0 : position / sums.stage_stride;
  const std::int32_t microbatch =
      sums.microbatch_stride == 0 ? 0 : position % sums.stage_stride / sums.microbatch_stride;
  const std::int32_t slice = sums.slice_stride == 0 ? 0 : position % sums.microbatch_stride;
  const std::string where = sums.stage_stride == 0 ? "" : fmt::format(" of stage {}", stage);
  reader.fail("memory.forward",
              fmt::format("the memory changes{} sum to {} bytes, expected 0: {} at F, {} at B, {} "
                          "at W",
                          where, *wrong, memory.forward.at(stage, microbatch, slice),
                          memory.backward_input.at(stage, microbatch, slice),
                          memory.backward_weight.at(stage, microbatch, slice)));
}

void read_stage_input(Reader& reader, Scenario& scenario) {
  MemoryCosts& memory = scenario.costs.memory;
  const std::optional<Grid> input = read_grid(reader, scenario, "memory.stage_input");
  if (!input) {
    return;
  }
  memory.stage_input = *input;
  const Grid rest = add(memory.forward, negate(*input), scenario.pipeline);
  if (std::any_of(rest.values.begin(), rest.values.end(),
                  [](std::int64_t left) { return left < 0; })) {
    reader.fail("memory.stage_input",
                "'memory.stage_input' is larger than what F allocates, expected a part of it");
  }
}

}  // namespace

void read_memory(Reader& reader, Scenario& scenario) {
  MemoryCosts& memory = scenario.costs.memory;
  if (scenario.layers && !scenario.layers->activation.empty()) {
    for (const std::string_view path :
         {"memory.forward", "memory.backward_input", "memory.backward_weight"}) {
      if (reader.has(path)) {
        reader.fail(path, fmt::format("'{}' is given beside 'layers.activation', expected one of "
                                      "the two",
                                      path));
      }
    }
  } else {
    read_changes(reader, scenario);
  }
  read_stage_input(reader, scenario);
  const auto devices = static_cast<std::size_t>(scenario.pipeline.devices);
  memory.capacity = reader.list("memory.capacity", devices).value_or(std::vector<std::int64_t>{});
  memory.resident = reader.list("memory.resident", devices).value_or(std::vector<std::int64_t>{});
  if (reader.choice("memory.policy").value_or(0) == 1) {
    memory.policy = MemoryPolicy::kWait;
  }
  memory.given = memory.given || reader.has("memory.forward") || !memory.capacity.empty() ||
                 !memory.resident.empty();
}

void read_optimizer(Reader& reader, Scenario& scenario) {
  const auto devices = static_cast<std::size_t>(scenario.pipeline.devices);
  CostTable& costs = scenario.costs;
  costs.optimizer_step =
      reader.list("optimizer.step", devices).value_or(std::vector<std::int64_t>{});
  costs.gradient_reduction =
      reader.list("optimizer.gradient_reduction", devices).value_or(std::vector<std::int64_t>{});
  costs.post_validation = reader.flag("optimizer.post_validation").value_or(false);
}

}  // namespace stagecraft
