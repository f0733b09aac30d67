// The page of a comparison on data: what sim/report/page/data.js draws, around the timelines of one
// iteration.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/data/comparison.hpp"
#include "report/data/comparison_units.hpp"
#include "report/page_text.hpp"
#include "report/palette.hpp"

namespace stagecraft {
namespace {

using namespace report::comparison;  // NOLINT(google-build-using-namespace)
using report::Json;

/// Units of one strategy that are drawn; more could not be told apart.
constexpr std::size_t kMostUnits = 4000;

Json facts_json(const DataComparison& comparison) {
  Json facts = Json::array();
  const auto add = [&facts](std::string text) {
    if (!text.empty()) {
      facts.push_back(std::move(text));
    }
  };
  add(comparison.lengths.name);
  add(comparison.model);
  add(comparison.profile);
  if (comparison.gpus > 0) {
    add(fmt::format("{} GPUs", comparison.gpus));
  }
  if (comparison.lengths.context > 0) {
    add("context " + tokens_text(comparison.lengths.context));
  }
  if (comparison.global_batch > 0) {
    add(fmt::format("{} sequences an iteration", comparison.global_batch));
  }
  const std::size_t iterations = iterations_of(comparison);
  add(fmt::format("{} iteration{}", iterations, iterations == 1 ? "" : "s"));
  add(fmt::format("seed {}", comparison.seed));
  return facts;
}

Json parts_legend() {
  Json names = Json::array();
  Json phrases = Json::array();
  for (int part = 0; part < elastic::kTimePartCount; ++part) {
    names.push_back(to_string(static_cast<elastic::TimePart>(part)));
    phrases.push_back(part_phrase(static_cast<elastic::TimePart>(part)));
  }
  return {{"names", std::move(names)},
          {"phrases", std::move(phrases)},
          {"colours", report::kTimePartColours}};
}

std::string problem_text(const Diagnostic& problem) {
  std::string text = problem.message;
  if (!problem.hint.empty()) {
    text += "; " + problem.hint;
  }
  std::replace(text.begin(), text.end(), '\n', ';');
  return text;
}

/// Times of iterations with what a reader may ask about them; null where infeasible.
Json iterations_json(const StrategySeries& series) {
  Json times = Json::array();
  Json tokens = Json::array();
  Json notes = Json::array();
  for (const elastic::IterationResult& result : series.iterations) {
    times.push_back(result.feasible ? Json(result.time) : Json(nullptr));
    tokens.push_back(result.tokens);
    notes.push_back(!result.feasible && !result.problems.empty()
                        ? problem_text(result.problems.front())
                        : result.note);
  }
  return {{"times", std::move(times)}, {"tokens", std::move(tokens)}, {"notes", std::move(notes)}};
}

void add_figures(Json& json, const StrategySeries& series, const SeriesFigures& figures) {
  json["mean"] = figures.mean;
  json["median"] = figures.median;
  json["p99"] = figures.p99;
  json["tokensPerSecond"] = figures.tokens_per_second;
  json["bubble"] = figures.bubble_fraction;
  json["padding"] = figures.padding_fraction;
  if (figures.peak_memory > 0) {
    json["peak"] = figures.peak_memory;
  }
  if (std::any_of(series.iterations.begin(), series.iterations.end(),
                  [](const auto& r) { return r.feasible && r.lower_bound > 0; })) {
    json["gap"] = figures.gap;
  }
  json["planning"] = std::llround(figures.planning_seconds * static_cast<double>(kSecond));
  json["planningWorst"] =
      std::llround(figures.planning_seconds_worst * static_cast<double>(kSecond));
  Json parts = Json::array();
  for (const double part : mean_parts(series)) {
    parts.push_back(std::llround(part));
  }
  json["parts"] = std::move(parts);
}

Json series_json(const DataComparison& comparison, std::size_t index, std::size_t rank) {
  const StrategySeries& series = comparison.strategies[index];
  const SeriesFigures figures = series_figures(series);
  const std::optional<std::size_t> best = winner(comparison);
  const std::optional<std::size_t> base = reference(comparison);
  Json json = {{"rank", rank},
               {"schedule", series.strategy},
               {"best", best == index},
               {"feasible", figures.feasible > 0 && figures.infeasible == 0},
               {"drawable", figures.feasible > 0},
               {"ran", figures.feasible},
               {"asked", figures.feasible + figures.infeasible},
               {"series", iterations_json(series)},
               {"problems", Json::array()}};
  if (const elastic::IterationResult* result = first_infeasible(series)) {
    for (const Diagnostic& problem : result->problems) {
      json["problems"].push_back(problem_text(problem));
    }
  }
  if (figures.feasible == 0) {
    return json;
  }
  add_figures(json, series, figures);
  if (base && figures.infeasible == 0 && figures.mean > 0) {
    json["speedup"] = static_cast<double>(series_figures(comparison.strategies[*base]).mean) /
                      static_cast<double>(figures.mean);
  }
  if (best && *best != index) {
    json["why"] = loss_text(series, comparison.strategies[*best]);
  }
  return json;
}

/// Times by strategy in the order of ranks; null where infeasible.
Json regime_json(const DataComparison& comparison, const RegimeComparison& regime,
                 const std::vector<std::size_t>& order) {
  Json times = Json::array();
  Json rates = Json::array();
  for (const std::size_t index : order) {
    const auto& name = comparison.strategies[index].strategy;
    const auto found = std::find_if(regime.results.begin(), regime.results.end(),
                                    [&name](const auto& r) { return r.strategy == name; });
    const bool ran = found != regime.results.end() && found->feasible;
    times.push_back(ran ? Json(found->time) : Json(nullptr));
    rates.push_back(ran ? Json(tokens_per_second(*found)) : Json(nullptr));
  }
  Json json = {{"range", range_text(regime)},
               {"sequences", regime.share_of_sequences},
               {"tokens", regime.share_of_tokens},
               {"times", std::move(times)},
               {"rates", std::move(rates)}};
  const RegimeRanks ranks = rank_regime(regime);
  if (ranks.first != nullptr) {
    json["winner"] = ranks.first->strategy;
  }
  if (ranks.second != nullptr) {
    json["second"] = ranks.second->strategy;
  }
  return json;
}

/// A unit is [micro-batch, slice, slices, sequences, tokens, padding, context, share of pairs].
Json units_json(const StrategyPicture& picture) {
  const std::vector<UnitView> units = units_in_order(picture);
  double pairs = 0.0;
  for (const UnitView& unit : units) {
    pairs += unit.pairs;
  }
  Json rows = Json::array();
  for (std::size_t i = 0; i < std::min(units.size(), kMostUnits); ++i) {
    const UnitView& u = units[i];
    constexpr double kDigits = 1e6;
    rows.push_back({u.microbatch, u.slice, u.slices, u.sequences, u.tokens, u.padding, u.context,
                    std::round(kDigits * u.pairs / std::max(pairs, 1.0)) / kDigits});
  }
  return {{"strategy", picture.strategy},
          {"method", picture.formation.method},
          {"count", units.size()},
          {"units", std::move(rows)}};
}

/// Pictures as their strategies rank.
std::vector<const StrategyPicture*> ranked_pictures(const DataComparison& comparison,
                                                    const std::vector<std::size_t>& order) {
  std::vector<const StrategyPicture*> pictures;
  for (const std::size_t index : order) {
    for (const StrategyPicture& picture : comparison.pictures) {
      if (picture.strategy == comparison.strategies[index].strategy) {
        pictures.push_back(&picture);
      }
    }
  }
  return pictures;
}

}  // namespace

std::string data_comparison_page(const DataComparison& comparison) {
  const std::vector<std::size_t> order = rank_strategies(comparison);
  Json json = {{"scenario", comparison.scenario},
               {"summary", summary_text(comparison)},
               {"facts", facts_json(comparison)},
               {"lengths", data_text(comparison)},
               {"histogram", length_svg(comparison.lengths)},
               {"parts", parts_legend()},
               {"curves", report::kCurveColours},
               {"heat", report::kHeatColours},
               {"strategies", Json::array()},
               {"regimes", Json::array()},
               {"pictures", Json::array()}};
  if (const std::optional<std::size_t> base = reference(comparison)) {
    json["reference"] = comparison.strategies[*base].strategy;
  }
  for (std::size_t rank = 0; rank < order.size(); ++rank) {
    json["strategies"].push_back(series_json(comparison, order[rank], rank));
  }
  for (const RegimeComparison& regime : comparison.regimes) {
    json["regimes"].push_back(regime_json(comparison, regime, order));
  }
  std::vector<Run> runs;
  for (const StrategyPicture* picture : ranked_pictures(comparison, order)) {
    json["pictures"].push_back(units_json(*picture));
    if (picture->run && has_timeline(*picture->run)) {
      runs.push_back(*picture->run);
      runs.back().scenario = comparison.scenario;
      runs.back().schedule = picture->strategy;
    }
  }
  return report::page_text(runs, {.search = nullptr, .data = std::move(json)});
}

}  // namespace stagecraft
