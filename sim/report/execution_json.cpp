#include "report/json.hpp"
#include "stagecraft/report/execution_report.hpp"
#include "stagecraft/version.hpp"

namespace stagecraft {
namespace {

using report::Json;

Json kind_json(const KindComparison& kind) {
  return {{"kind", to_string(kind.kind)},
          {"count", kind.count},
          {"predicted_mean_ns", kind.predicted_mean},
          {"measured_mean_ns", kind.measured_mean},
          {"mean_error", kind.mean_error},
          {"mean_absolute_error", kind.mean_absolute_error},
          {"worst_error", kind.worst_error}};
}

Json device_json(const DeviceComparison& device, bool memory) {
  Json json = {{"predicted_busy_ns", device.predicted_busy},
               {"measured_busy_ns", device.measured_busy},
               {"predicted_idle_ns", device.predicted_idle},
               {"measured_idle_ns", device.measured_idle}};
  if (memory) {
    json["predicted_peak_memory_bytes"] = device.predicted_peak;
    json["measured_peak_memory_bytes"] = device.measured_peak;
  }
  return json;
}

Json comparison_json(const ExecutedRun& run) {
  const Comparison& c = *run.comparison;
  const bool memory = run.predicted.memory_given;
  Json json;
  if (run.predicted.evaluation.iteration > 0 && run.measured.evaluation.iteration > 0) {
    json["iteration_error"] = c.iteration_error;
  }
  json["makespan_error"] = c.makespan_error;
  json["span_error"] = c.span_error;
  if (memory) {
    json["peak_memory_error"] = c.peak_memory_error;
  }
  json["mean_start_error"] = c.mean_start_error;
  json["kinds"] = Json::array();
  for (const KindComparison& kind : c.kinds) {
    json["kinds"].push_back(kind_json(kind));
  }
  json["devices"] = Json::array();
  for (const DeviceComparison& device : c.devices) {
    json["devices"].push_back(device_json(device, memory));
  }
  return json;
}

Json executed_json(const ExecutedRun& run) {
  Json json = {{"stagecraft", kVersion},
               {"scenario", run.predicted.scenario},
               {"schedule", run.predicted.schedule},
               {"backend", run.backend},
               {"predicted", report::run_json(run.predicted)}};
  if (was_measured(run) || !run.measured.evaluation.problems.empty()) {
    json["measured"] = report::run_json(run.measured);
  }
  if (run.comparison) {
    json["comparison"] = comparison_json(run);
  }
  if (was_measured(run)) {
    json["makespans_ns"] = run.makespans;
    json["iterations_ns"] = run.iterations;
  }
  if (!run.held.empty()) {
    json["held_bytes"] = run.held;
  }
  if (!run.counters.empty()) {
    Json counters;
    for (const auto& [name, value] : run.counters) {
      counters[name] = value;
    }
    json["counters"] = std::move(counters);
  }
  if (run.timer) {
    json["timer"] = {{"median_ns", run.timer->median},
                     {"p99_ns", run.timer->p99},
                     {"wake_median_ns", run.timer->wake_median},
                     {"wake_p99_ns", run.timer->wake_p99}};
  }
  return json;
}

}  // namespace

std::string execution_json(const ExecutedRun& run) {
  return report::json_text(executed_json(run));
}

std::string execution_table_json(std::span<const ExecutedRun> runs) {
  Json json = {{"stagecraft", kVersion}};
  if (!runs.empty()) {
    json["scenario"] = runs.front().predicted.scenario;
    json["backend"] = runs.front().backend;
  }
  json["results"] = Json::array();
  for (const ExecutedRun& run : runs) {
    json["results"].push_back(executed_json(run));
  }
  const RankComparison ranking = compare_ranking(ranked_times(runs));
  json["ranking"] = {{"mean_absolute_error", ranking.mean_absolute_error},
                     {"worst_error", ranking.worst_error},
                     {"pairs", ranking.pairs},
                     {"inverted", ranking.inverted}};
  return report::json_text(json);
}

}  // namespace stagecraft
