#include <fmt/format.h>

#include "report/format.hpp"
#include "report/page_text.hpp"
#include "report/search_json.hpp"
#include "stagecraft/report/search_report.hpp"

namespace stagecraft {
namespace {

using report::Json;
using search::ScoredPlan;
using search::SearchResult;

Time front_time(const ScoredPlan& plan, search::Objective objective) {
  return objective == search::Objective::kMemory ? plan.figures.iteration
                                                 : plan.figures.value(objective);
}

Json point_json(const ScoredPlan& plan, search::Objective objective) {
  return {{"time", front_time(plan, objective)},
          {"memory", plan.figures.peak_memory},
          {"origin", plan.plan.origin}};
}

std::string summary(const SearchReport& report) {
  const SearchResult& r = report.result;
  const std::int64_t value = r.best.figures.value(r.objective);
  std::string text =
      fmt::format("Best {} found: {}", to_string(r.objective), objective_text(value, r.objective));
  if (r.start_found && r.start.figures.feasible && value > 0) {
    text += fmt::format(
        ", {:.2f}x {} {}",
        static_cast<double>(r.start.figures.value(r.objective)) / static_cast<double>(value),
        r.objective == search::Objective::kMemory ? "less than" : "as fast as",
        r.start.plan.origin);
  }
  if (r.proved) {
    text += ". No plan is better: it equals the lower bound";
  } else if (r.lower_bound > 0) {
    text += fmt::format(". At most {:.2f} % above the best there is ({})", 100.0 * r.gap,
                        r.bound_reason);
  }
  return text + fmt::format(". Method {}, seed {}, {} candidates in {:.1f} s", r.method, r.seed,
                            r.evaluations, r.seconds);
}

Json search_data(const SearchReport& report) {
  const SearchResult& r = report.result;
  Json json = {{"summary", summary(report)},
               {"objective", to_string(r.objective)},
               {"in_bytes", r.objective == search::Objective::kMemory},
               {"seconds", r.seconds},
               {"bound", r.lower_bound},
               {"progress", report::progress_json(r.progress)},
               {"front", Json::array()},
               {"words", report.explanation.sentences}};
  for (const ScoredPlan& plan : r.front) {
    Json entry = point_json(plan, r.objective);
    entry["chosen"] = plan.figures.peak_memory == r.best.figures.peak_memory &&
                      front_time(plan, r.objective) == front_time(r.best, r.objective);
    json["front"].push_back(std::move(entry));
  }
  if (r.start_found) {
    json["start"] = point_json(r.start, r.objective);
  }
  return json;
}

}  // namespace

std::string search_page(const SearchReport& report) {
  std::vector<Run> runs;
  for (const auto& [run, word] : {std::pair{&report.best, "best"}, {&report.start, "start"}}) {
    if (*run) {
      runs.push_back(**run);
      runs.back().schedule = fmt::format("{}: {}", word, runs.back().schedule);
    }
  }
  return report::page_text(runs, {.search = search_data(report), .data = nullptr});
}

}  // namespace stagecraft
