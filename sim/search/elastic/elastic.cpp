// InfiniPipe's co-optimization (2509.21275, section 2.4): for every slice number K balanced
// chunks, longest first, split into pipelines by the dynamic program over groups with the
// checkpointing program inside; the best K wins.
#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <vector>

#include <fmt/core.h>

#include "search/elastic/all.hpp"
#include "search/elastic/elastic_plan.hpp"
#include "search/elastic/options.hpp"

namespace stagecraft::elastic {
namespace {

constexpr std::array<std::string_view, 2> kScore = {"replay", "model"};
constexpr std::array<std::string_view, 2> kChunking = {"balanced", "packed"};
constexpr std::array<std::string_view, 3> kCheckpoint = {"auto", "none", "full"};
constexpr std::int64_t kMostSlices = 4096;

Result<IterationPlan> plan(const StrategyInput& input) {
  const auto slices = number_or_auto(input.options, "slices", 1, kMostSlices);
  const auto score = choice_option(input.options, "score", kScore);
  const auto chunking = choice_option(input.options, "chunking", kChunking);
  const auto checkpoint = choice_option(input.options, "checkpoint", kCheckpoint);
  const auto groups = number_or_auto(input.options, "groups", 1, 1);
  const auto threshold = decimal_or_auto(input.options, "threshold", 1.0);
  Diagnostics problems;
  collect_failures(slices, problems);
  collect_failures(score, problems);
  collect_failures(chunking, problems);
  collect_failures(checkpoint, problems);
  collect_failures(groups, problems);
  collect_failures(threshold, problems);
  if (!problems.empty()) {
    return problems;
  }
  ElasticChoice choice;
  choice.balanced = *chunking == 0;
  choice.checkpoint = static_cast<CheckpointRule>(*checkpoint);
  choice.one_group = *groups == 1;
  Sweep sweep(input);
  const std::vector<std::int32_t> numbers =
      *slices > 0 ? std::vector<std::int32_t>{static_cast<std::int32_t>(*slices)}
                  : slice_numbers(input);
  // Chunks of one size are packed up to that size.
  sweep_slices(sweep, choice, numbers, choice.balanced ? *threshold : 1.0, *score == 1);
  auto plan = finish("elastic", sweep);
  if (const std::optional<Candidate>& best = sweep.best(); plan && best) {
    plan->predicted = *score == 0 ? best->time : best->model;
    plan->note = fmt::format("{}, by the paper's objective {:.3f} s, by replay {:.3f} s",
                             best->note, static_cast<double>(best->model) / kSecond,
                             static_cast<double>(best->time) / kSecond);
  }
  return plan;
}

constexpr std::array kOptions = {
    OptionSpec{.name = "slices",
               .unit = "slices",
               .default_value = "auto",
               .range = "auto | 1 to 4096",
               .help = "K: slices of the longest sequence; auto: the best of all up to 32 whose "
                       "slices keep 512 tokens"},
    OptionSpec{.name = "score",
               .unit = "",
               .default_value = "replay",
               .range = "replay | model",
               .help = "what picks K: the exact time of its schedule, or the paper's objective"},
    OptionSpec{.name = "chunking",
               .unit = "",
               .default_value = "balanced",
               .range = "balanced | packed",
               .help = "workload-balanced chunks, or chunks of one size with the rest packed "
                       "best-fit (ablation)"},
    OptionSpec{.name = "checkpoint",
               .unit = "",
               .default_value = "auto",
               .range = "auto | none | full",
               .help = "stage-aware chunk-level checkpointing, none, or all layers of all chunks "
                       "(ablations)"},
    OptionSpec{.name = "groups",
               .unit = "pipelines",
               .default_value = "auto",
               .range = "auto | 1",
               .help = "pipelines one after the other: as many as are best, or one"},
    OptionSpec{.name = "threshold",
               .unit = "mesh slices",
               .default_value = "auto",
               .range = "auto | a number, at least 1",
               .help = "T_m, most tokens of a packed chunk, as a multiple of the longest "
                       "sequence's first slice, within memory; auto: 1, and powers of two while "
                       "the constant of chunks outweighs their warm-up"},
};

}  // namespace

const StrategyInfo& elastic_info() {
  static const StrategyInfo info = {
      .name = "elastic",
      .summary = "InfiniPipe: balanced chunks, elastic 1F1B, chunk-level checkpointing, groups",
      .source = "Wang et al., InfiniPipe, 2509.21275, algorithms 1 and 2",
      .assumptions =
          "K from 1 to 32 while slices keep 512 tokens; K is picked by replay of each schedule "
          "(the paper picks by its objective: score = model); T_m, the token threshold of "
          "algorithm 1, is read as the first mesh slice (threshold = 1 gives this reading alone), "
          "and larger ones, which are ours, are tried where chunks would be so small that moving "
          "parameters for each outweighs their warm-up; a recomputed chunk is held whole until "
          "its backward ends",
      .options = kOptions,
      .pipelined = true,
      .plan = plan,
  };
  return info;
}

}  // namespace stagecraft::elastic
