// Writes a report page for the browser test: make_page FILE compare | measured | search | data |
// million
#include <algorithm>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "report/data/comparison_sample.hpp"
#include "report/sample.hpp"
#include "stagecraft/core/file.hpp"
#include "stagecraft/generators/generator.hpp"
#include "stagecraft/report/html_page.hpp"
#include "stagecraft/report/search_report.hpp"

namespace stagecraft {
namespace {

/// The sample's costs with stages that differ, shared among the chunks of a device.
CostTable costs_of(const Pipeline& pipeline) {
  CostTable costs = test::sample_costs(pipeline);
  std::vector<Time> forward;
  for (std::int32_t stage = 0; stage < pipeline.stages; ++stage) {
    forward.push_back((8 + stage % 3) * kMicrosecond / (4 * pipeline.chunks()));
  }
  costs.forward = Grid::per_stage(forward);
  return costs;
}

/// Every generator that fits 4 devices and 8 micro-batches, and one that does not.
std::vector<Run> comparison() {
  std::vector<Run> runs;
  for (const GeneratorInfo& info : generators()) {
    const std::int32_t chunks = info.chunks > 0 ? info.chunks : 1;
    if (info.placement == PlacementKind::kExplicit || info.name == "file") {
      continue;
    }
    const Result<Pipeline> pipeline = make_pipeline(4, chunks, 8, info.placement);
    if (!pipeline) {
      runs.push_back(failed_run("sample", std::string(info.name), pipeline.failures()));
      continue;
    }
    const CostTable costs = costs_of(*pipeline);
    const Result<Schedule> schedule = generate(info.name, {*pipeline, costs, {}});
    if (schedule) {
      runs.push_back(test::sample_run(*schedule, costs));
      runs.back().schedule = std::string(info.name);
    } else {
      runs.push_back(failed_run("sample", std::string(info.name), schedule.failures()));
    }
  }
  return runs;
}

/// A prediction and, in the place of a measurement, the same order with other durations.
std::vector<Run> measured() {
  const Pipeline pipeline = make_pipeline(4, 1, 8, PlacementKind::kLoop).value();
  CostTable costs = costs_of(pipeline);
  const Schedule schedule = generate("1f1b", {pipeline, costs, {}}).value();
  std::vector<Run> runs = {test::sample_run(schedule, costs)};
  costs.forward = Grid::constant(costs.forward.at(0, 0) * 11 / 10);
  runs.push_back(test::sample_run(schedule, costs));
  runs[0].schedule = "1f1b predicted";
  runs[1].schedule = "1f1b measured";
  runs[1].measured = true;
  runs[1].evaluation.bound = {};
  runs[1].evaluation.critical_path = {};
  return runs;
}

std::vector<Run> million() {
  const Pipeline pipeline = make_pipeline(16, 1, 31'250, PlacementKind::kLoop).value();
  const CostTable costs = costs_of(pipeline);
  std::vector<Run> runs;
  runs.push_back(test::sample_run(generate("1f1b", {pipeline, costs, {}}).value(), costs));
  return runs;
}

search::ScoredPlan plan_of(const Run& run, std::string origin) {
  search::ScoredPlan scored;
  scored.plan.origin = std::move(origin);
  scored.plan.schedule.pipeline = run.evaluation.timeline.pipeline;
  scored.figures = {true,
                    run.evaluation.iteration,
                    run.evaluation.makespan,
                    run.evaluation.span,
                    run.evaluation.peak_memory,
                    4,
                    {}};
  return scored;
}

/// A search that went from 1f1b over zb-h1 to zbv.
std::string searched() {
  const std::vector<Run> all = comparison();
  const auto named = [&](const std::string& name) {
    return *std::find_if(all.begin(), all.end(), [&](const Run& r) { return r.schedule == name; });
  };
  SearchReport report;
  report.scenario = "sample";
  report.start = named("1f1b");
  search::SearchResult& r = report.result;
  r.found = r.start_found = true;
  r.start = plan_of(*report.start, "1f1b");
  r.lower_bound = report.start->evaluation.iteration / 2;
  r.bound_reason = "load";
  r.method = "sample";
  r.seconds = 12.0;
  r.evaluations = 4321;
  search::Front front(r.objective);
  double seconds = 0.001;
  for (const char* name : {"1f1b", "zb-h1", "zbv"}) {
    const search::ScoredPlan plan = plan_of(named(name), name);
    front.add(plan);
    r.progress.push_back({seconds, 1, plan.figures.iteration, r.lower_bound, name});
    seconds *= 40.0;
  }
  r.front = front.plans();
  r.best = r.front.back();
  r.gap = static_cast<double>(r.best.figures.iteration) / static_cast<double>(r.lower_bound) - 1.0;
  report.best = named(r.best.plan.origin);
  report.explanation.sentences = {"what limits it most is <the chain>",
                                  "faster links save nothing"};
  return search_page(report);
}

}  // namespace
}  // namespace stagecraft

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: make_page FILE compare|measured|search|data|million\n", stderr);
    return 2;
  }
  const std::string_view kind = argv[2];
  if (kind == "search") {
    return stagecraft::write_file(argv[1], stagecraft::searched()) ? 0 : 1;
  }
  if (kind == "data") {
    const auto page = stagecraft::data_comparison_page(stagecraft::test::sample_comparison(200));
    return stagecraft::write_file(argv[1], page) ? 0 : 1;
  }
  const auto runs = kind == "million"    ? stagecraft::million()
                    : kind == "measured" ? stagecraft::measured()
                                         : stagecraft::comparison();
  const auto written = stagecraft::write_file(argv[1], stagecraft::html_page(runs));
  if (!written) {
    std::fputs(to_string(written.failures()).c_str(), stderr);
    return 1;
  }
  return 0;
}
