#include "search_outputs.hpp"

#include <array>
#include <functional>
#include <ostream>
#include <tuple>
#include <utility>

#include <fmt/core.h>

#include "exit_status.hpp"
#include "output.hpp"
#include "stagecraft/core/check.hpp"
#include "stagecraft/core/file.hpp"
#include "stagecraft/report/chrome_trace.hpp"
#include "stagecraft/report/svg_timeline.hpp"
#include "stagecraft/scenario/write.hpp"

namespace stagecraft::cli {
namespace {

using search::ScoredPlan;

/// The scenario's model in the stages of a plan, where they can be made of the scenario's.
std::optional<StageModel> model_for(const Scenario& scenario, const Pipeline& pipeline) {
  if (!scenario.model || scenario.layers ||
      scenario.pipeline.microbatches != pipeline.microbatches) {
    return std::nullopt;
  }
  Result<StageModel> model = model_of(scenario, pipeline);
  return model ? std::optional(std::move(*model)) : std::nullopt;
}

Result<std::string> plan_text(const search::Space& space, const Scenario& scenario,
                              const ScoredPlan& scored) {
  const Result<search::Problem> problem = space.problem(scored.plan.point);
  if (!problem) {
    return problem.failures();
  }
  const Pipeline& pipeline = scored.plan.schedule.pipeline;
  Result<search::Instance> instance =
      problem->instance(scored.plan.partition, pipeline.device_of_stage);
  if (!instance) {
    return instance.failures();
  }
  // The same stages on the same devices, named as the schedule names them.
  instance->pipeline.placement = pipeline.placement;
  return write_plan(scenario.name, *instance, scored.plan.schedule,
                    scenario.layers ? &problem->layers : nullptr,
                    model_for(scenario, instance->pipeline));
}

/// A plan read and run as `simulate` does.
struct PlanRun {
  PreparedRun prepared;
  Schedule schedule;
  Run run;
};

Result<PlanRun> run_plan(const std::string& text, const std::string& origin) {
  const Result<Scenario> scenario = read_scenario(text, "plan");
  if (!scenario) {
    return scenario.failures();
  }
  Result<PreparedRun> prepared = prepare(*scenario);
  if (!prepared) {
    return prepared.failures();
  }
  Result<Schedule> schedule = make_schedule(*scenario, *prepared);
  if (!schedule) {
    return schedule.failures();
  }
  PlanRun plan{std::move(*prepared), std::move(*schedule), {}};
  plan.run = make_run(plan.prepared, evaluate(plan.schedule, plan.prepared.costs));
  plan.run.schedule = origin;
  return plan;
}

bool has_figures(const Run& run, const search::Figures& figures) {
  const Evaluation& e = run.evaluation;
  return e.feasible == figures.feasible && e.iteration == figures.iteration &&
         e.makespan == figures.makespan && e.span == figures.span &&
         e.peak_memory == figures.peak_memory;
}

int status_of(const Result<std::size_t>& written) {
  return written ? kDone : fail(written.failures());
}

}  // namespace

Diagnostics add_plans(const search::Space& space, const Scenario& scenario, SearchPart& part) {
  const search::SearchResult& r = part.result;
  for (const auto& [there, scored, target] :
       {std::tuple{r.found, &r.best, &part.best_plan},
        std::tuple{r.start_found, &r.start, &part.start_plan}}) {
    if (!there) {
      continue;
    }
    Result<std::string> text = plan_text(space, scenario, *scored);
    if (!text) {
      return text.failures();
    }
    *target = std::move(*text);
  }
  return {};
}

Result<SearchReport> make_report(const SearchPart& part, std::int32_t processes,
                                 const std::optional<MoreMemory>& more_memory) {
  SearchReport report;
  report.scenario = part.scenario;
  report.coordinates = part.coordinates;
  report.result = part.result;
  report.pareto = part.pareto;
  report.threads = part.threads;
  report.processes = processes;
  const search::SearchResult& r = report.result;
  Result<PlanRun> best = run_plan(part.best_plan, r.best.plan.origin);
  if (!best) {
    return best.failures();
  }
  STAGECRAFT_CHECK(has_figures(best->run, r.best.figures),
                   "the plan as a file has the figures that the search claims");
  report.best = best->run;
  if (r.start_found) {
    Result<PlanRun> start = run_plan(part.start_plan, r.start.plan.origin);
    if (start) {
      report.start = std::move(start->run);
    }
  }
  report.explanation =
      explain_search(*report.best, report.start ? &*report.start : nullptr, best->schedule,
                     best->prepared.costs, r.objective, more_memory);
  return report;
}

Diagnostics search_output_failures(const Arguments& arguments) {
  const std::array<std::string_view, 7> paths = {arguments.search.out,
                                                 arguments.json,
                                                 arguments.trace,
                                                 arguments.html,
                                                 arguments.svg,
                                                 arguments.search.part,
                                                 arguments.search.checkpoint};
  return output_failures(paths);
}

int write_report(const Arguments& arguments, const SearchPart& part, const SearchReport& report) {
  const std::string json =
      arguments.json.empty() && arguments.format != "json" ? std::string{} : search_json(report);
  std::vector<Run> runs;
  for (const auto& [run, word] : {std::pair{&report.best, "best"}, {&report.start, "start"}}) {
    if (run->has_value() && has_timeline(run->value())) {
      runs.push_back(run->value());
      runs.back().schedule = fmt::format("{}: {}", word, runs.back().schedule);
    }
  }
  struct Output {
    const std::string& path;
    std::function<void(std::ostream&)> write;
  };
  const Output outputs[] = {
      {arguments.search.out,
       [&](std::ostream& stream) {
         stream << comment_lines(plan_comment(report)) << part.best_plan;
       }},
      {arguments.search.part, [&](std::ostream& stream) { stream << to_json(part); }},
      {arguments.json, [&](std::ostream& stream) { stream << json; }},
      {arguments.trace, [&](std::ostream& stream) { write_chrome_trace(stream, runs); }},
      {arguments.html, [&](std::ostream& stream) { stream << search_page(report); }},
      {arguments.svg, [&](std::ostream& stream) { stream << svg_timeline(runs); }}};
  for (const Output& output : outputs) {
    if (output.path.empty()) {
      continue;
    }
    if (const int status = status_of(write_file(output.path, output.write)); status != kDone) {
      return status;
    }
  }
  if (output_is_taken(arguments) || arguments.search.out == "-" || arguments.search.part == "-") {
    return kDone;
  }
  return print(arguments.format == "json" ? json : describe_search(report));
}

}  // namespace stagecraft::cli
