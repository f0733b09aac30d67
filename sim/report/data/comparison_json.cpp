// A comparison on data as JSON.
//
// {"stagecraft", "scenario", "model", "profile", "gpus", "global_batch", "seed", "iterations",
//  "data": as length_json, without "stagecraft",
//  "best": strategy, "reference": strategy that speed-ups refer to,
//  "results": [best first: {"strategy", "schedule" (the same), "feasible" (every iteration is),
//     "feasible_iterations", "infeasible_iterations", "iteration_ns" (mean), "iteration_p50_ns",
//     "iteration_p99_ns", "iteration_worst_ns", "speedup", "tokens_per_second", "bubble_fraction",
//     "padding_fraction", "peak_memory_bytes", "gap" (mean, over the lower bound),
//     "planning_seconds" (mean), "planning_seconds_worst", "parts_ns": {part: mean},
//     "why" (why it loses), "problems": [{"message", "hint"}],
//     "iterations": [{"feasible", "iteration_ns", "parts_ns", "tokens", "padding",
//        "bubble_fraction", "peak_memory_bytes", "lower_bound_ns", "microbatches", "units",
//        "pipelines", "planning_seconds", "note", "problems"}]}],
//  "regimes": [{"above", "up_to", "share_of_sequences", "share_of_tokens", "winner", "second",
//     "behind", "results": [{"strategy", ... as an iteration, "tokens_per_second"}]}]}
//
// Keys that do not apply are left out; times are whole ns.
#include <algorithm>
#include <cmath>

#include "report/data/comparison.hpp"
#include "report/json.hpp"
#include "stagecraft/version.hpp"

namespace stagecraft {
namespace {

using namespace report::comparison;  // NOLINT(google-build-using-namespace)
using report::Json;

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

/// Parts that are 0 are there: they say that there is nothing of the kind.
template <typename Values>
Json parts_json(const Values& parts) {
  Json json;
  for (std::size_t part = 0; part < parts.size(); ++part) {
    json[to_string(static_cast<elastic::TimePart>(part))] =
        std::llround(static_cast<double>(parts[part]));
  }
  return json;
}

Json iteration_json(const elastic::IterationResult& result) {
  Json json = {{"feasible", result.feasible}};
  if (result.feasible) {
    json["iteration_ns"] = result.time;
    json["parts_ns"] = parts_json(result.parts);
    json["tokens"] = result.tokens;
    json["padding"] = result.padding;
    json["bubble_fraction"] = result.bubble_fraction;
    json["peak_memory_bytes"] = result.peak_memory;
    if (result.lower_bound > 0) {
      json["lower_bound_ns"] = result.lower_bound;
    }
    json["microbatches"] = result.microbatches;
    json["units"] = result.units;
    json["pipelines"] = result.pipelines;
    json["planning_seconds"] = result.planning_seconds;
  }
  if (!result.note.empty()) {
    json["note"] = result.note;
  }
  if (!result.problems.empty()) {
    json["problems"] = problems_json(result.problems);
  }
  return json;
}

void add_figures(Json& json, const StrategySeries& series, const SeriesFigures& figures,
                 const StrategySeries* base) {
  json["iteration_ns"] = figures.mean;
  json["iteration_p50_ns"] = figures.median;
  json["iteration_p99_ns"] = figures.p99;
  json["iteration_worst_ns"] = figures.worst;
  if (base != nullptr && figures.infeasible == 0 && figures.mean > 0) {
    json["speedup"] =
        static_cast<double>(series_figures(*base).mean) / static_cast<double>(figures.mean);
  }
  json["tokens_per_second"] = figures.tokens_per_second;
  json["bubble_fraction"] = figures.bubble_fraction;
  json["padding_fraction"] = figures.padding_fraction;
  json["peak_memory_bytes"] = figures.peak_memory;
  if (std::any_of(series.iterations.begin(), series.iterations.end(),
                  [](const auto& r) { return r.feasible && r.lower_bound > 0; })) {
    json["gap"] = figures.gap;
  }
  json["planning_seconds"] = figures.planning_seconds;
  json["planning_seconds_worst"] = figures.planning_seconds_worst;
  json["parts_ns"] = parts_json(mean_parts(series));
}

Json series_json(const StrategySeries& series, const StrategySeries* base,
                 const StrategySeries* best) {
  const SeriesFigures figures = series_figures(series);
  Json json = {{"strategy", series.strategy},
               {"schedule", series.strategy},
               {"feasible", figures.feasible > 0 && figures.infeasible == 0},
               {"feasible_iterations", figures.feasible},
               {"infeasible_iterations", figures.infeasible}};
  if (figures.feasible > 0) {
    add_figures(json, series, figures, base);
    if (best != nullptr && best != &series) {
      json["why"] = loss_text(series, *best);
    }
  }
  if (const elastic::IterationResult* result = first_infeasible(series);
      result != nullptr && !result->problems.empty()) {
    json["problems"] = problems_json(result->problems);
  }
  json["iterations"] = Json::array();
  for (const elastic::IterationResult& result : series.iterations) {
    json["iterations"].push_back(iteration_json(result));
  }
  return json;
}

/// As `stagecraft data` writes it.
Json lengths_json(const LengthReport& report) {
  Json json = Json::parse(length_json(report));
  json.erase("stagecraft");
  return json;
}

Json regime_json(const RegimeComparison& regime) {
  Json json = {{"above", regime.above},
               {"up_to", regime.up_to},
               {"share_of_sequences", regime.share_of_sequences},
               {"share_of_tokens", regime.share_of_tokens}};
  const RegimeRanks ranks = rank_regime(regime);
  if (ranks.first != nullptr) {
    json["winner"] = ranks.first->strategy;
  }
  if (ranks.second != nullptr) {
    json["second"] = ranks.second->strategy;
    json["behind"] = behind(ranks);
  }
  json["results"] = Json::array();
  for (const elastic::IterationResult& result : regime.results) {
    Json entry = {{"strategy", result.strategy}};
    entry.update(iteration_json(result));
    if (result.feasible) {
      entry["tokens_per_second"] = tokens_per_second(result);
    }
    json["results"].push_back(std::move(entry));
  }
  return json;
}

}  // namespace

std::string data_comparison_json(const DataComparison& comparison) {
  const auto series_at = [&comparison](std::optional<std::size_t> index) {
    return index ? &comparison.strategies[*index] : nullptr;
  };
  const StrategySeries* best = series_at(winner(comparison));
  const StrategySeries* base = series_at(reference(comparison));
  Json json = {{"stagecraft", kVersion},
               {"scenario", comparison.scenario},
               {"model", comparison.model},
               {"profile", comparison.profile},
               {"gpus", comparison.gpus},
               {"global_batch", comparison.global_batch},
               {"seed", comparison.seed},
               {"iterations", iterations_of(comparison)},
               {"data", lengths_json(comparison.lengths)}};
  if (best != nullptr) {
    json["best"] = best->strategy;
    json["reference"] = base->strategy;
  }
  json["results"] = Json::array();
  for (const std::size_t index : rank_strategies(comparison)) {
    json["results"].push_back(series_json(comparison.strategies[index], base, best));
  }
  json["regimes"] = Json::array();
  for (const RegimeComparison& regime : comparison.regimes) {
    json["regimes"].push_back(regime_json(regime));
  }
  return report::json_text(json);
}

}  // namespace stagecraft
