// The model of a scenario for a pipeline of another number of stages.
#include <algorithm>
#include <numeric>

#include <fmt/core.h>

#include "stagecraft/scenario/scenario.hpp"

namespace stagecraft {
namespace {

/// Stages of the model that a new stage is made of, in units of 1/to of an old one.
struct Piece {
  std::int64_t begin = 0;
  std::int64_t end = 0;
};

Diagnostic at_model(const Scenario& scenario, std::string message, std::string hint) {
  Diagnostic failure = bad_input(std::move(message), std::move(hint));
  failure.place = scenario.model_place;
  failure.source_line = scenario.model_line;
  return failure;
}

Diagnostic indivisible(const Scenario& scenario, std::int64_t stage, std::int64_t layers,
                       std::int64_t from, std::int64_t to) {
  return at_model(
      scenario,
      fmt::format("the {} layers of stage {} cannot be divided where {} stages are cut into {}",
                  layers, stage, from, to),
      fmt::format("set execute.layers to a multiple of {}, or use a schedule of {} stages",
                  to / std::gcd(from, to), from));
}

Diagnostic unlike(const Scenario& scenario, std::int64_t a, std::int64_t b, std::int64_t to) {
  return at_model(
      scenario,
      fmt::format("stages {} and {} differ in execute.ffn, so that they cannot be parts "
                  "of one of {} stages",
                  a, b, to),
      "give all stages the same execute.ffn, or use a schedule of the scenario's shape");
}

}  // namespace

Result<StageModel> model_of(const Scenario& scenario, const Pipeline& pipeline) {
  if (!scenario.model) {
    Diagnostic failure =
        bad_input("the scenario has no section 'execute', expected what its stages compute",
                  "add execute: {hidden: 512, heads: 8, ffn: 2048, layers: 1, tokens: 512}, or so");
    failure.place.file = scenario.file;
    return failure;
  }
  const std::int64_t from = scenario.pipeline.stages;
  const std::int64_t to = pipeline.stages;
  if (from == to) {
    return *scenario.model;
  }
  const StageModel& old = *scenario.model;
  StageModel model = old;
  model.layers.clear();
  model.ffn.clear();
  for (std::int64_t k = 0; k < to; ++k) {
    const Piece piece{k * from, (k + 1) * from};
    const std::int64_t first = piece.begin / to;
    std::int64_t layers = 0;
    for (std::int64_t s = first; s * to < piece.end; ++s) {
      const auto index = static_cast<std::size_t>(s);
      const std::int64_t length = std::min(piece.end, (s + 1) * to) - std::max(piece.begin, s * to);
      if (old.layers[index] * length % to != 0) {
        return indivisible(scenario, s, old.layers[index], from, to);
      }
      if (old.ffn[index] != old.ffn[static_cast<std::size_t>(first)]) {
        return unlike(scenario, first, s, to);
      }
      layers += old.layers[index] * length / to;
    }
    model.layers.push_back(static_cast<std::int32_t>(layers));
    model.ffn.push_back(old.ffn[static_cast<std::size_t>(first)]);
  }
  Diagnostics failures = check_model(model, pipeline);
  for (Diagnostic& failure : failures) {
    failure =
        at_model(scenario, fmt::format("of {} stages: {}", to, failure.message), failure.hint);
  }
  if (!failures.empty()) {
    return failures;
  }
  return model;
}

}  // namespace stagecraft
