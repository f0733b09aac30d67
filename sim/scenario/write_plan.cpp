// The plan that a search found as a scenario file.
#include <algorithm>

#include "scenario_writer.hpp"
#include "stagecraft/scenario/write.hpp"
#include "stagecraft/schedule/text.hpp"

namespace stagecraft {
namespace {

PreparedRun plan_run(const std::string& name, const search::Instance& instance,
                     const Schedule& schedule) {
  PreparedRun run;
  run.scenario = name;
  run.schedule = "file";
  run.pipeline = instance.pipeline;
  run.costs = instance.costs;
  run.options["ops"] = to_ops_text(schedule);
  run.p2p = schedule.p2p;
  return run;
}

/// The plan by layers; empty if it does not read back to what it was made of.
std::string layered_plan(const PreparedRun& run, const search::Instance& instance,
                         const search::Layers& layers) {
  if (run.pipeline.max_slices() > 1 || run.pipeline.bidirectional()) {
    return {};
  }
  PreparedRun by_layer = run;
  std::vector<Bytes>& resident = by_layer.costs.memory.resident;
  std::size_t layer = 0;
  for (std::int32_t s = 0; s < run.pipeline.stages && !layers.parameters.empty(); ++s) {
    for (std::int32_t k = 0; k < instance.partition[static_cast<std::size_t>(s)]; ++k) {
      resident[static_cast<std::size_t>(run.pipeline.device(s))] -= layers.parameters[layer++];
    }
  }
  if (std::all_of(resident.begin(), resident.end(), [](Bytes bytes) { return bytes == 0; })) {
    resident.clear();
  }
  const PlanLayers plan{layers, instance.partition};
  std::string text = Writer(by_layer, std::nullopt, &plan).take();
  const Result<Scenario> read = read_scenario(text, "plan");
  const Result<PreparedRun> again = read ? prepare(*read) : read.failures();
  const bool same =
      again && Writer(*again, std::nullopt).take() == Writer(run, std::nullopt).take();
  return same ? text : std::string{};
}

}  // namespace

std::string write_plan(const std::string& name, const search::Instance& instance,
                       const Schedule& schedule, const search::Layers* layers,
                       const std::optional<StageModel>& model, std::string_view comment) {
  const PreparedRun run = plan_run(name, instance, schedule);
  std::string text = layers == nullptr ? std::string{} : layered_plan(run, instance, *layers);
  if (text.empty()) {
    text = Writer(run, model).take();
  }
  return comment_lines(comment) + text;
}

}  // namespace stagecraft
