// One iteration in words and as JSON.
#include "stagecraft/report/iteration_report.hpp"

#include <algorithm>
#include <array>

#include <fmt/core.h>

#include "report/format.hpp"
#include "report/json.hpp"
#include "stagecraft/core/text.hpp"
#include "stagecraft/report/result_json.hpp"
#include "stagecraft/version.hpp"

namespace stagecraft::report {
namespace {

using elastic::IterationPlan;
using elastic::IterationResult;
using elastic::TimePart;

double tokens_per_second(const IterationResult& result) {
  return result.time > 0
             ? static_cast<double>(result.tokens) * 1e9 / static_cast<double>(result.time)
             : 0.0;
}

void add_line(std::string& text, std::string_view name, std::string_view value) {
  text += fmt::format("{:<16} {}\n", name, value);
}

std::string parts_text(const IterationResult& result) {
  std::vector<std::size_t> order(result.parts.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    order[i] = i;
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return result.parts[a] > result.parts[b]; });
  std::string text;
  for (const std::size_t part : order) {
    if (result.parts[part] > 0) {
      text += fmt::format(
          "{}{} {}", text.empty() ? "" : ", ", to_string(static_cast<TimePart>(part)),
          percent_text(static_cast<double>(result.parts[part]) / static_cast<double>(result.time)));
    }
  }
  return text;
}

std::string formation_text(const IterationPlan& plan, const IterationResult& result) {
  std::size_t most_slices = 0;
  for (const data::MicroBatch& microbatch : plan.formation.microbatches) {
    most_slices = std::max(most_slices, microbatch.slices.size());
  }
  return fmt::format("{} tokens in {} micro-batches of {} units ({} slices at most){}",
                     with_thousands(result.tokens), result.microbatches, result.units, most_slices,
                     result.padding > 0
                         ? fmt::format(", {} tokens of padding", with_thousands(result.padding))
                         : "");
}

Json parts_json(const IterationResult& result) {
  Json parts;
  for (std::size_t i = 0; i < result.parts.size(); ++i) {
    parts[std::string(to_string(static_cast<TimePart>(i)))] = result.parts[i];
  }
  return parts;
}

Json problem_list(const Diagnostics& problems) {
  Json list = Json::array();
  for (const Diagnostic& problem : problems) {
    list.push_back({{"message", problem.message}, {"hint", problem.hint}});
  }
  return list;
}

Json pieces_json(const data::Slice& slice) {
  Json pieces = Json::array();
  for (const data::Piece& piece : slice.pieces) {
    Json one = {{"sequence", piece.sequence}, {"begin", piece.begin}, {"tokens", piece.tokens}};
    if (piece.padded != piece.tokens) {
      one["padded"] = piece.padded;
    }
    pieces.push_back(std::move(one));
  }
  return pieces;
}

Json microbatches_json(const IterationPlan& plan) {
  const std::int32_t units = plan.formation.units();
  const std::int32_t stages =
      plan.pipelined ? plan.pipelined->pipeline.pipeline.stages : std::int32_t{0};
  Json microbatches = Json::array();
  std::int32_t unit = 0;
  for (const data::MicroBatch& microbatch : plan.formation.microbatches) {
    Json slices = Json::array();
    for (const data::Slice& slice : microbatch.slices) {
      Json one = {{"pieces", pieces_json(slice)}};
      if (plan.pipelined && !plan.pipelined->checkpointing.layers.empty()) {
        Json layers = Json::array();
        for (std::int32_t stage = 0; stage < stages; ++stage) {
          layers.push_back(plan.pipelined->checkpointing.at(stage, unit, units));
        }
        one["recomputed_layers"] = std::move(layers);
      }
      slices.push_back(std::move(one));
      ++unit;
    }
    microbatches.push_back({{"slices", std::move(slices)}});
  }
  return microbatches;
}

Json layout_json(const SequenceLayout& layout) {
  return {{"pipeline", layout.pipeline},
          {"ulysses", layout.sequence},
          {"tensor", layout.tensor},
          {"context", layout.context},
          {"data", layout.data}};
}

}  // namespace
}  // namespace stagecraft::report

namespace stagecraft {

using namespace report;

std::string iteration_text(const std::string& scenario, const elastic::IterationPlan& plan,
                           const elastic::IterationResult& result) {
  std::string text;
  add_line(text, "scenario", scenario);
  add_line(text, "strategy", plan.strategy + (result.note.empty() ? "" : ": " + result.note));
  add_line(text, "formation", formation_text(plan, result));
  add_line(text, "iteration",
           fmt::format("{}, {} tokens/s", time_text(result.time),
                       with_thousands(static_cast<std::int64_t>(tokens_per_second(result)))));
  add_line(text, "time goes into", parts_text(result));
  if (result.lower_bound > 0) {
    add_line(text, "lower bound",
             fmt::format("{}, {} above it ({})", time_text(result.lower_bound),
                         percent_text(static_cast<double>(result.time) /
                                          static_cast<double>(result.lower_bound) -
                                      1.0),
                         plan.pipelined ? "any order of these units on these stages"
                                        : "these micro-batches on groups of these sizes"));
  }
  add_line(text, "peak memory", memory_text(result.peak_memory) + " per GPU");
  add_line(text, "planning",
           fmt::format("{}, {} plans compared",
                       rough_time_text(static_cast<Time>(plan.planning_seconds * 1e9)),
                       plan.candidates));
  return text;
}

std::string iteration_json(const std::string& scenario, const elastic::IterationPlan& plan,
                           const elastic::IterationResult& result, const Run* run) {
  Json json = {{"stagecraft", kVersion},
               {"scenario", scenario},
               {"schedule", result.strategy},
               {"strategy", result.strategy},
               {"feasible", result.feasible}};
  if (run != nullptr) {
    Json figures = run_json(*run);
    for (const char* key : {"stagecraft", "scenario", "schedule", "feasible"}) {
      figures.erase(key);
    }
    json.update(figures);
  }
  if (result.feasible) {
    json["iteration_ns"] = result.time;
    json["tokens_per_second"] = tokens_per_second(result);
    json["bubble_fraction"] = result.bubble_fraction;
    json["peak_memory_bytes"] = result.peak_memory;
    json["parts_ns"] = parts_json(result);
    if (result.lower_bound > 0) {
      json["lower_bound_ns"] = result.lower_bound;
      json["gap"] =
          static_cast<double>(result.time) / static_cast<double>(result.lower_bound) - 1.0;
    }
  }
  json["tokens"] = result.tokens;
  json["padding_tokens"] = result.padding;
  json["microbatches"] = result.microbatches;
  json["units"] = result.units;
  json["pipelines"] = result.pipelines;
  json["planning_seconds"] = plan.planning_seconds;
  json["plans_compared"] = plan.candidates;
  if (!result.note.empty()) {
    json["note"] = result.note;
  }
  if (!result.problems.empty()) {
    json["problems"] = problem_list(result.problems);
  }
  return json_text(json);
}

std::string formation_json(const std::string& scenario, const data::GlobalBatch& batch,
                           const elastic::IterationPlan& plan) {
  Json json = {{"stagecraft", kVersion},    {"scenario", scenario},
               {"strategy", plan.strategy}, {"formation", plan.formation.method},
               {"iteration", batch.index},  {"layout", layout_json(plan.layout)}};
  Json sequences = Json::array();
  for (std::size_t i = 0; i < batch.sequences.size(); ++i) {
    const data::Sequence& sequence = batch.sequences[i];
    sequences.push_back({{"sequence", i}, {"id", sequence.id}, {"tokens", sequence.tokens}});
  }
  json["sequences"] = std::move(sequences);
  json["microbatches"] = microbatches_json(plan);
  if (plan.pipelined) {
    json["order"] = plan.pipelined->groups.order;
    json["pipelines"] = plan.pipelined->groups.sizes;
  } else {
    Json rounds = Json::array();
    for (const elastic::GroupRound& round : plan.rounds) {
      rounds.push_back({{"microbatch", round.microbatch}, {"gpus", round.gpus}});
    }
    json["rounds"] = std::move(rounds);
    json["recomputed_layers"] = plan.layers_recomputed;
  }
  return json_text(json);
}

}  // namespace stagecraft
