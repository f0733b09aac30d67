// TeraPipe: slices from a dynamic program, all forwards and then all backwards of a flush.
//
// Gradients are accumulated over flushes: the number of micro-batches in one is the best of a
// sweep, as every flush pays its fill and drain and none may exceed memory.
#include <algorithm>
#include <array>
#include <vector>

#include <fmt/core.h>

#include "search/elastic/all.hpp"
#include "search/elastic/candidate.hpp"
#include "search/elastic/options.hpp"

namespace stagecraft::elastic {
namespace {

constexpr data::Tokens kSteps = 64;  // of the dynamic program, per context

// `count` flushes of as equal numbers of micro-batches as there are.
std::vector<std::int32_t> flush_sizes(std::int32_t microbatches, std::int32_t count) {
  std::vector<std::int32_t> sizes;
  for (std::int32_t i = 0; i < count; ++i) {
    sizes.push_back(microbatches / count + (i < microbatches % count ? 1 : 0));
  }
  return sizes;
}

void offer(Sweep& sweep, const Candidate& shape, std::int32_t flushes) {
  Candidate candidate = shape;
  candidate.groups = flush_sizes(candidate.table.microbatches(), flushes);
  if (const auto misfit =
          checkpoint_statically(candidate, flush_lists(candidate.table, candidate.groups))) {
    sweep.reject(*misfit);
    return;
  }
  candidate.note = fmt::format("{} flushes", flushes);
  if (const std::int32_t layers = most_layers(candidate); layers > 0) {
    candidate.note += fmt::format(", {} layers recomputed per stage", layers);
  }
  sweep.offer(std::move(candidate));
}

Result<IterationPlan> plan(const StrategyInput& input) {
  const data::Tokens context = context_of(input);
  const auto step =
      number_option(input.options, "step", std::max<data::Tokens>(1, context / kSteps), 1,
                    data::kLongestSequence);
  if (!step) {
    return step.failures();
  }
  const auto packed = data::pack_best_fit(input.batch, context);
  if (!packed) {
    return packed.failures();
  }
  data::TeraPipeOptions options;
  options.stages = input.layout.pipeline;
  options.costs = stage_token_costs(input.profile, input.layout);
  options.fixed = stage_fixed_cost(input.profile, input.layout);
  options.step = *step;
  auto formation = data::terapipe_slices(*packed, options);
  if (!formation) {
    return formation.failures();
  }
  sort_longest_first(input.profile, input.layout, *formation);
  auto table = unit_table(input.profile, input.layout, *formation);
  if (!table) {
    return table.failures();
  }
  Candidate shape;
  shape.formation = std::move(formation).value();
  shape.table = std::move(table).value();
  const std::int32_t microbatches = shape.table.microbatches();
  Sweep sweep(input);
  for (std::int32_t flushes = 1; flushes < microbatches; flushes *= 2) {
    offer(sweep, shape, flushes);
  }
  offer(sweep, shape, microbatches);
  return finish("terapipe", sweep);
}

constexpr std::array kOptions = {
    OptionSpec{.name = "step",
               .unit = "tokens",
               .default_value = "",
               .range = "1 to 2^31",
               .help = "slices are multiples of so many tokens; by default 1/64 of the context"},
};

}  // namespace

const StrategyInfo& terapipe_info() {
  static const StrategyInfo info = {
      .name = "terapipe",
      .summary = "token-level pipelining with slices from a dynamic program, GPipe order",
      .source = "Li et al., TeraPipe, 2102.07988",
      .assumptions =
          "best-fit packing to the context; as many flushes (1, 2, 4, ..., one per micro-batch) as "
          "are best by replay; the smallest number of layers that fits is recomputed everywhere",
      .options = kOptions,
      .pipelined = true,
      .plan = plan,
  };
  return info;
}

}  // namespace stagecraft::elastic
