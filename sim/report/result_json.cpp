#include "stagecraft/report/result_json.hpp"

#include "report/json.hpp"
#include "stagecraft/version.hpp"

namespace stagecraft::report {
namespace {

Json problems_json(const Diagnostics& problems) {
  Json list = Json::array();
  for (const Diagnostic& problem : problems) {
    Json entry = {{"message", problem.message}};
    if (!problem.hint.empty()) {
      entry["hint"] = problem.hint;
    }
    list.push_back(std::move(entry));
  }
  return list;
}

Json pipeline_json(const Pipeline& pipeline) {
  Json json = {{"devices", pipeline.devices},
               {"stages", pipeline.stages},
               {"chunks", pipeline.chunks()},
               {"microbatches", pipeline.microbatches},
               {"placement", to_string(pipeline.placement)},
               {"device_of_stage", pipeline.device_of_stage}};
  if (pipeline.sliced()) {
    json["slices"] = pipeline.slices;
  }
  return json;
}

Json causes_json(const IdleByCause& idle) {
  Json causes;
  for (std::size_t c = 0; c < idle.size(); ++c) {
    causes[to_string(static_cast<IdleCause>(c))] = idle[c];
  }
  return causes;
}

Json device_json(const Run& run, std::size_t index) {
  const DeviceEvaluation& device = run.evaluation.devices[index];
  Json json = {{"busy_ns", device.busy},
               {"idle_ns", device.idle},
               {"first_start_ns", device.first_start},
               {"last_end_ns", device.last_end}};
  if (run.memory_given) {
    json["peak_memory_bytes"] = device.peak_memory;
    if (device.peak_op != kNoOp) {
      json["peak_op"] = to_string(run.evaluation.timeline.ops[device.peak_op]);
    }
    if (index < run.capacity.size() && run.capacity[index] != kUnlimited) {
      json["capacity_bytes"] = run.capacity[index];
    }
  }
  json["idle_by_cause_ns"] = causes_json(device.idle_by_cause);
  if (run.evaluation.iteration_idle_known) {
    json["iteration_idle_by_cause_ns"] = causes_json(device.iteration_idle_by_cause);
  }
  return json;
}

Json bound_json(const LowerBound& bound) {
  Json json = {{"device_load", bound.device_load}, {"chain", bound.chain}};
  if (bound.memory_limited > 0) {
    json["memory_limited"] = bound.memory_limited;
  }
  return json;
}

void add_figures(Json& json, const Run& run) {
  const Evaluation& e = run.evaluation;
  json["makespan_ns"] = e.makespan;
  json["span_ns"] = e.span;
  if (e.iteration > 0) {
    json["iteration_ns"] = e.iteration;
    if (!e.iteration_exact) {
      json["iteration_exact"] = false;
    }
  }
  json["bubble_fraction"] = e.bubble_fraction;
  json["bubble_fraction_span"] = e.bubble_fraction_span;
  if (e.bound.makespan > 0) {
    json["lower_bound_ns"] = e.bound.makespan;
    json["lower_bound_parts_ns"] = bound_json(e.bound);
    json["gap"] = e.gap;
  }
  if (!e.fingerprint.empty()) {  // a measured run has none
    if (!e.fingerprint.empty()) {
      json["fingerprint"] = e.fingerprint;
    }
  }
  if (run.memory_given) {
    json["peak_memory_bytes"] = e.peak_memory;
  }
  json["devices"] = Json::array();
  for (std::size_t d = 0; d < e.devices.size(); ++d) {
    json["devices"].push_back(device_json(run, d));
  }
  if (!e.critical_path.steps.empty()) {
    json["critical_path"] = {{"compute_by_stage_ns", e.critical_path.compute_by_stage},
                             {"transfer_ns", e.critical_path.transfer},
                             {"wait_ns", e.critical_path.wait},
                             {"steps", e.critical_path.steps.size()}};
  }
}

}  // namespace

Json run_json(const Run& run) {
  const Evaluation& e = run.evaluation;
  Json json = {{"stagecraft", kVersion},
               {"scenario", run.scenario},
               {"schedule", run.schedule},
               {"feasible", e.feasible}};
  if (has_timeline(run)) {
    add_figures(json, run);
  }
  if (!e.timeline.pipeline.device_of_stage.empty()) {
    json["pipeline"] = pipeline_json(e.timeline.pipeline);
  }
  if (!run.note.empty()) {
    json["note"] = run.note;
  }
  if (!e.problems.empty()) {
    json["problems"] = problems_json(e.problems);
  }
  return json;
}

std::string json_text(const Json& json) {
  // File names and scenario names may hold any bytes; JSON must be UTF-8.
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace stagecraft::report

namespace stagecraft {

std::string result_json(const Run& run) {
  return report::json_text(report::run_json(run));
}

std::string compare_json(std::span<const Run> runs) {
  report::Json json = {{"stagecraft", kVersion}};
  if (!runs.empty()) {
    json["scenario"] = runs.front().scenario;
  }
  if (const std::size_t best = best_run(runs); best < runs.size()) {
    json["best"] = runs[best].schedule;
  }
  json["results"] = report::Json::array();
  for (const std::size_t index : rank_runs(runs)) {
    json["results"].push_back(report::run_json(runs[index]));
  }
  return report::json_text(json);
}

}  // namespace stagecraft
