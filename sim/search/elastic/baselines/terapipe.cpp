// TeraPipe: slices from a dynamic program, all forwards and then all backwards of a flush.
//
// Gradients are accumulated over flushes: the number of micro-batches in one is the best of a
// sweep, as every flush pays its fill and drain and none may exceed memory.
#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "search/elastic/all.hpp"
#include "search/elastic/candidate.hpp"
#include "search/elastic/options.hpp"
#include "search/elastic/packing.hpp"

namespace stagecraft::elastic {
namespace {

constexpr data::Tokens kSteps = 64;  // of the dynamic program, per context

// `count` flushes of as equal numbers of micro-batches as there are.
std::vector<std::int32_t> flush_sizes(std::int32_t microbatches, std::int32_t count) {
  std::vector<std::int32_t> sizes;
  sizes.reserve(static_cast<std::size_t>(count));
  for (std::int32_t i = 0; i < count; ++i) {
    sizes.push_back(microbatches / count + (i < microbatches % count ? 1 : 0));
  }
  return sizes;
}

void offer_flushes(Sweep& sweep, const Candidate& shape, std::int32_t flushes) {
  Candidate candidate = shape;
  candidate.groups = flush_sizes(candidate.table.microbatches(), flushes);
  candidate.note += fmt::format(", {} flushes", flushes);
  const StageLists lists = flush_lists(candidate.table, candidate.groups);
  offer_static(sweep, std::move(candidate), lists);
}

// All numbers of flushes of micro-batches of at most `budget` tokens.
void offer_budget(Sweep& sweep, const data::TeraPipeOptions& options, data::Tokens budget) {
  const StrategyInput& input = sweep.input();
  const auto packed = data::pack_best_fit(input.batch, budget);
  if (!packed) {
    sweep.reject(packed.failures());
    return;
  }
  auto formation = data::terapipe_slices(*packed, options);
  if (formation && sweep.passes_over(sweep.least_time(formation->units()))) {
    return;
  }
  auto shape = longest_first_candidate(input, std::move(formation));
  if (!shape) {
    sweep.reject(shape.failures());
    return;
  }
  shape->note = fmt::format("micro-batches of at most {} tokens", budget);
  const std::int32_t microbatches = shape->table.microbatches();
  for (std::int32_t flushes = 1; flushes < microbatches; flushes *= 2) {
    offer_flushes(sweep, *shape, flushes);
  }
  offer_flushes(sweep, *shape, microbatches);
}

Result<IterationPlan> plan(const StrategyInput& input) {
  const data::Tokens context = context_of(input);
  const auto step =
      number_option(input.options, "step", std::max<data::Tokens>(1, context / kSteps), 1,
                    data::kLongestSequence);
  const auto tokens = packing_option(input);
  Diagnostics problems;
  collect_failures(step, problems);
  collect_failures(tokens, problems);
  if (!problems.empty()) {
    return problems;
  }
  data::TeraPipeOptions options;
  options.stages = input.layout.pipeline;
  options.costs = stage_token_costs(input.profile, input.layout);
  options.fixed = stage_fixed_cost(input.profile, input.layout);
  options.step = *step;
  Sweep sweep(input);
  for (const data::Tokens budget : packing_budgets(input, *tokens)) {
    offer_budget(sweep, options, budget);
  }
  return finish("terapipe", sweep);
}

constexpr std::array kOptions = {
    OptionSpec{.name = "step",
               .unit = "tokens",
               .default_value = "",
               .range = "1 to 2^31",
               .help = "slices are multiples of so many tokens; by default 1/64 of the context"},
    kPackingOption,
};

}  // namespace

const StrategyInfo& terapipe_info() {
  static const StrategyInfo info = {
      .name = "terapipe",
      .summary = "token-level pipelining with slices from a dynamic program, GPipe order",
      .source = "Li et al., TeraPipe, 2102.07988",
      .assumptions =
          "best-fit packing; packing budget and flushes (1, 2, 4, ..., one per micro-batch) are "
          "the "
          "best of a sweep by replay; the smallest number of layers that fits is recomputed "
          "everywhere",
      .options = kOptions,
      .pipelined = true,
      .plan = plan,
  };
  return info;
}

}  // namespace stagecraft::elastic
