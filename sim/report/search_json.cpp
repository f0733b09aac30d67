// A finished search as JSON (DESIGN 4.3).
#include "report/search_json.hpp"

#include <sstream>

#include "stagecraft/report/search_report.hpp"
#include "stagecraft/schedule/text.hpp"

namespace stagecraft {
namespace {

using report::Json;
using search::Figures;
using search::ScoredPlan;
using search::SearchResult;

Json point_json(const std::vector<search::Coordinate>& coordinates, const search::Point& point) {
  Json json = Json::object();
  for (std::size_t k = 0; k < point.size() && k < coordinates.size(); ++k) {
    json[coordinates[k].name] = coordinates[k].values[static_cast<std::size_t>(point[k])];
  }
  return json;
}

Json figures_json(const Figures& figures) {
  return {{"feasible", figures.feasible},
          {"iteration_ns", figures.iteration},
          {"makespan_ns", figures.makespan},
          {"span_ns", figures.span},
          {"peak_memory_bytes", figures.peak_memory},
          {"devices", figures.devices}};
}

Json summary_json(const SearchReport& report, const ScoredPlan& plan) {
  Json json = {{"origin", plan.plan.origin}};
  json.update(figures_json(plan.figures));
  json["value"] = plan.figures.value(report.result.objective);
  if (!plan.figures.feasible && !plan.figures.why_not.empty()) {
    json["why_not"] = plan.figures.why_not;
  }
  if (!plan.plan.point.empty()) {
    json["point"] = point_json(report.coordinates, plan.plan.point);
  }
  return json;
}

Json front_json(const SearchReport& report) {
  Json list = Json::array();
  for (const ScoredPlan& plan : report.result.front) {
    Json entry = summary_json(report, plan);
    entry["partition"] = plan.plan.partition;
    entry["device_of_stage"] = plan.plan.schedule.pipeline.device_of_stage;
    list.push_back(std::move(entry));
  }
  return list;
}

Json plan_json(const SearchReport& report) {
  const search::Plan& plan = report.result.best.plan;
  const Pipeline& pipeline = plan.schedule.pipeline;
  Json json = {{"devices", pipeline.devices},
               {"microbatches", pipeline.microbatches},
               {"stages", pipeline.stages},
               {"partition", plan.partition},
               {"placement", to_string(pipeline.placement)},
               {"device_of_stage", pipeline.device_of_stage},
               {"p2p", to_string(plan.schedule.p2p)},
               {"ops", Json::array()}};
  if (!plan.point.empty()) {
    json["point"] = point_json(report.coordinates, plan.point);
  }
  std::istringstream lines(to_ops_text(plan.schedule));
  for (std::string line; std::getline(lines, line);) {
    json["ops"].push_back(line);
  }
  return json;
}

Json causes_json(const Run& run, std::size_t device) {
  Json causes;
  const IdleByCause& idle = run.evaluation.devices[device].idle_by_cause;
  for (std::size_t c = 0; c < idle.size(); ++c) {
    causes[to_string(static_cast<IdleCause>(c))] = idle[c];
  }
  return causes;
}

Json explain_json(const SearchReport& report) {
  const SearchExplanation& explanation = report.explanation;
  const SearchLimits& limits = explanation.limits;
  Json json = {{"binding", limits.binding},
               {"load_balance",
                {{"busiest_device", limits.busiest_device},
                 {"busiest_over_mean", limits.busiest_over_mean},
                 {"busy_share", limits.busy_share}}},
               {"memory", {{"devices_within_5_percent", limits.full_devices}}},
               {"links",
                {{"transfer_share_of_critical_path", limits.transfer_share},
                 {"wait_share_of_critical_path", limits.wait_share}}},
               {"chain", {{"fill_and_drain_share", limits.fill_share}}}};
  if (explanation.faster_links > 0) {
    json["ten_percent_faster_links"] = {{"value", explanation.faster_links}, {"exact", true}};
  }
  if (const std::optional<MoreMemory>& more = explanation.more_memory) {
    json["more_memory"] = {{"extra_bytes_per_device", more->extra},
                           {"lower_bound", more->bound},
                           {"value", more->value},
                           {"evaluated", more->evaluations},
                           {"exact", false}};
  }
  json["idle_by_cause_ns"] = Json::array();
  for (std::size_t d = 0; report.best && d < report.best->evaluation.devices.size(); ++d) {
    Json entry = {{"device", d}};
    if (report.start && d < report.start->evaluation.devices.size()) {
      entry["start"] = causes_json(*report.start, d);
    }
    entry["best"] = causes_json(*report.best, d);
    json["idle_by_cause_ns"].push_back(std::move(entry));
  }
  json["words"] = explanation.sentences;
  return json;
}

std::string bound_key(search::Objective objective) {
  switch (objective) {
    case search::Objective::kMemory:
      return "lower_bound_bytes";
    case search::Objective::kCost:
      return "lower_bound_device_ns";
    default:
      return "lower_bound_ns";
  }
}

}  // namespace

namespace report {

Json progress_json(const std::vector<search::Improvement>& progress) {
  Json list = Json::array();
  for (const search::Improvement& step : progress) {
    list.push_back({{"seconds", step.seconds},
                    {"evaluated", step.evaluations},
                    {"value", step.value},
                    {"bound", step.bound},
                    {"origin", step.origin}});
  }
  return list;
}

}  // namespace report

std::string search_json(const SearchReport& report) {
  const SearchResult& r = report.result;
  Json json = report.best ? report::run_json(*report.best) : Json::object();
  for (const char* of_placement : {"lower_bound_ns", "lower_bound_parts_ns", "gap"}) {
    json.erase(of_placement);
  }
  json["objective"] = report.pareto ? "pareto" : to_string(r.objective);
  json["best"] = summary_json(report, r.best);
  if (r.start_found) {
    json["start"] = summary_json(report, r.start);
  }
  json["evaluated"] = r.evaluations;
  json["seconds"] = r.seconds;
  json[bound_key(r.objective)] = r.lower_bound;
  json["bound_reason"] = r.bound_reason;
  json["gap"] = r.gap;
  json["proved"] = r.proved;
  json["interrupted"] = r.interrupted;
  json["exhausted"] = r.exhausted;
  json["method"] = r.method;
  json["seed"] = r.seed;
  json["threads"] = report.threads;
  if (report.processes > 1) {
    json["processes"] = report.processes;
  }
  if (r.shards > 1) {
    json["shard"] = r.shard;
    json["shards"] = r.shards;
  }
  json["plan"] = plan_json(report);
  json["front"] = front_json(report);
  json["progress"] = report::progress_json(r.progress);
  json["explain"] = explain_json(report);
  return report::json_text(json);
}

}  // namespace stagecraft
