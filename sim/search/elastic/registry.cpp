// The strategies by name, and planning with the clock on.
#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include <fmt/core.h>

#include "search/elastic/all.hpp"
#include "stagecraft/core/text.hpp"

namespace stagecraft::elastic {
namespace {

// The nearest name, or all of them.
std::string meant(std::string_view name, std::span<const std::string_view> known) {
  if (const std::string_view nearest = nearest_name(name, known); !nearest.empty()) {
    return fmt::format("did you mean '{}'?", nearest);
  }
  return known.empty() ? std::string("it takes none") : "known: " + join(known, ", ");
}

Diagnostics check_options(const StrategyInfo& info, const GeneratorOptions& options) {
  std::vector<std::string_view> known;
  for (const OptionSpec& option : info.options) {
    known.push_back(option.name);
  }
  Diagnostics problems;
  for (const auto& [name, value] : options) {
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      problems.push_back(bad_input(fmt::format("strategy '{}' has no option '{}'", info.name, name),
                                   meant(name, known)));
    }
  }
  return problems;
}

Diagnostics check_batch(const StrategyInput& input) {
  if (input.batch.sequences.empty()) {
    return {bad_input("the global batch holds no sequence; expected at least 1")};
  }
  for (const data::Sequence& sequence : input.batch.sequences) {
    if (sequence.tokens < 1 || sequence.tokens > data::kLongestSequence) {
      return {bad_input(fmt::format("sequence {} of the batch has {} tokens; expected 1 to {}",
                                    sequence.id, sequence.tokens, data::kLongestSequence))};
    }
    if (input.context > 0 && sequence.tokens > input.context) {
      return {bad_input(fmt::format("sequence {} of the batch has {} tokens; the context is {}",
                                    sequence.id, sequence.tokens, input.context),
                        "truncate or drop longer sequences, or raise the context")};
    }
  }
  if (input.context < 0) {
    return {bad_input(fmt::format("the context is {}; expected 0 or more tokens", input.context))};
  }
  return {};
}

}  // namespace

std::span<const StrategyInfo> strategies() {
  // Initialised on first use: the infos live in other files.
  // clang-format off
  static const StrategyInfo all[] = {
      // Pipelines.
      elastic_info(),
      one_f_one_b_info(),
      seq1f1b_info(),
      slimpipe_info(),
      terapipe_info(),
      dynapipe_info(),
      chunkflow_info(),

      // Groups of GPUs without a pipeline.
      deepspeed_info(),
      flexsp_info(),
      megatron_info(),

      // Our own search.
      best_info(),
  };
  // clang-format on
  return all;
}

const StrategyInfo* find_strategy(std::string_view name) {
  for (const StrategyInfo& info : strategies()) {
    if (info.name == name) {
      return &info;
    }
  }
  return nullptr;
}

Result<IterationPlan> plan_iteration(std::string_view strategy, const StrategyInput& input) {
  const auto begin = std::chrono::steady_clock::now();
  const StrategyInfo* info = find_strategy(strategy);
  if (info == nullptr) {
    std::vector<std::string_view> names;
    for (const StrategyInfo& one : strategies()) {
      names.push_back(one.name);
    }
    return bad_input(fmt::format("unknown strategy '{}'", strategy), meant(strategy, names));
  }
  Diagnostics problems = check_options(*info, input.options);
  if (problems.empty()) {
    problems = check_batch(input);
  }
  if (problems.empty()) {
    problems = check_sequence_profile(input.profile, input.layout);
  }
  if (problems.empty() && info->pipelined && input.layout.data != 1) {
    problems.push_back(bad_input(
        fmt::format("strategy '{}' runs a global batch in one pipeline, not in {} replicas",
                    strategy, input.layout.data),
        "set the data-parallel degree to 1 and use more stages or larger stages"));
  }
  if (!problems.empty()) {
    return problems;
  }
  Result<IterationPlan> plan = info->plan(input);
  if (plan) {
    plan->strategy = std::string(info->name);
    plan->planning_seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }
  return plan;
}

std::string_view to_string(TimePart part) {
  switch (part) {
    case TimePart::kCompute:
      return "compute";
    case TimePart::kPadding:
      return "padding";
    case TimePart::kRecompute:
      return "recompute";
    case TimePart::kExchange:
      return "exchange";
    case TimePart::kParameters:
      return "parameters";
    case TimePart::kImbalance:
      return "imbalance";
    case TimePart::kFill:
      return "fill";
    case TimePart::kDrain:
      return "drain";
    case TimePart::kProducer:
      return "producer";
    case TimePart::kTransfer:
      return "transfer";
    case TimePart::kMemory:
      return "memory";
    case TimePart::kOptimizer:
      return "optimizer";
  }
  return "?";
}

}  // namespace stagecraft::elastic
