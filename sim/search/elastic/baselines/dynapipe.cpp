// DynaPipe: padded micro-batches from a dynamic program over sorted samples, in an
// order that adapts to their times and to memory.
#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "search/elastic/all.hpp"
#include "search/elastic/baselines/cyclic_order.hpp"
#include "search/elastic/candidate.hpp"
#include "search/elastic/options.hpp"
#include "stagecraft/core/check.hpp"

namespace stagecraft::elastic {
namespace {

constexpr std::int64_t kMostCandidates = 4096;
constexpr std::int32_t kClusters = 4;  // of which every permutation is tried
constexpr std::array<std::string_view, 3> kOrders = {"auto", "adaptive", "1f1b"};

// How the paper's adaptive order and 1F1B are tried.
enum class DynaPipeOrder : std::uint8_t { kAuto, kAdaptive, kOneFOneB };

// No order is faster with `layers` recomputed everywhere.
Time busiest_stage_with(const UnitTable& table, std::int32_t layers) {
  Time most = 0;
  for (std::int32_t p = 0; p < table.stages; ++p) {
    const std::int32_t own = std::min(layers, table.layers[static_cast<std::size_t>(p)]);
    Time load = 0;
    for (std::int32_t u = 0; u < table.units; ++u) {
      const std::size_t at = table.at(p, u);
      load += table.forward[at] + table.backward[at] + own * table.layer[at];
    }
    most = std::max(most, load);
  }
  return most;
}

// An adaptive order, and how long it takes.
struct Adaptive {
  std::size_t order = 0;
  std::int32_t layers = 0;
  Time time = kNever;
};

// The adaptive order fits whatever is recomputed, if each micro-batch alone does: how many layers
// to recompute is a question of time. They are found with the longest micro-batches first; then
// the clusters are permuted.
void offer_adaptive(Sweep& sweep, Candidate shape) {
  const UnitTable& table = shape.table;
  const auto orders = clustered_orders(table, kClusters);
  Adaptive best;
  StageLists best_lists;
  // False: it does not fit.
  const auto attempt = [&](std::size_t order, std::int32_t layers) {
    shape.layers = uniform_layers(table, layers);
    StageLists lists = cyclic_lists(table, orders[order], shape.layers);
    if (lists.empty()) {
      return false;
    }
    const Time time = sweep.timer().run(table, lists, shape.layers);
    if (time < best.time) {
      best = {order, layers, time};
      best_lists = std::move(lists);
    }
    return true;
  };
  const std::int32_t most = *std::max_element(table.layers.begin(), table.layers.end());
  for (std::int32_t layers = 0; layers <= most; ++layers) {
    const Time bound = busiest_stage_with(table, layers);
    if (bound >= best.time || sweep.passes_over(bound)) {
      break;
    }
    if (!attempt(0, layers)) {
      // Nothing is in flight beside a micro-batch, and still it does not fit.
      const std::vector<std::int32_t> singles(static_cast<std::size_t>(table.units), 1);
      shape.lists = with_recompute(table, flush_lists(table, singles), shape.layers);
      const std::optional<Misfit> misfit = misfit_of_lists(shape);
      STAGECRAFT_CHECK(misfit, "a micro-batch that does not fit alone says where");
      sweep.reject(*misfit);
      return;
    }
  }
  if (best.time == kNever) {
    return;
  }
  for (std::size_t order = 1; order < orders.size(); ++order) {
    attempt(order, best.layers);
    sweep.pass_over();
  }
  shape.layers = uniform_layers(table, best.layers);
  shape.lists = std::move(best_lists);
  shape.order = orders[best.order];
  shape.note += ", adaptive order";
  if (best.layers > 0) {
    shape.note += fmt::format(", {} layers recomputed per stage", best.layers);
  }
  sweep.offer(std::move(shape));
}

void offer_capacity(Sweep& sweep, const data::DynaPipeOptions& options, DynaPipeOrder order) {
  const StrategyInput& input = sweep.input();
  auto shape = longest_first_candidate(input, data::dynapipe_microbatches(input.batch, options));
  if (!shape) {
    sweep.reject(shape.failures());
    return;
  }
  shape->note = fmt::format("micro-batches of at most {} tokens", options.capacity);
  if (order != DynaPipeOrder::kOneFOneB) {
    offer_adaptive(sweep, *shape);
  }
  if (order != DynaPipeOrder::kAdaptive) {
    const StageLists lists = one_f_one_b_lists(shape->table, shape->groups);
    shape->note += ", 1F1B";
    offer_static(sweep, std::move(shape).value(), lists);
  }
}

// Limits of a micro-batch: what a stage holds alone, that over the stages (1F1B keeps so many in
// flight), and what other baselines pack up to, up to twice the context.
std::vector<data::Tokens> capacities(const StrategyInput& input) {
  const data::Tokens least = input.batch.longest();
  const data::Tokens alone = most_tokens_of_slice(input.profile, input.layout);
  const data::Tokens context = context_of(input);
  std::vector<data::Tokens> limits;
  for (const data::Tokens tokens : {context, alone / input.layout.pipeline, alone, context / 4 * 3,
                                    context / 2, context / 2 * 3, context * 2}) {
    const data::Tokens limit = std::clamp(tokens, least, std::max(least, alone));
    if (std::find(limits.begin(), limits.end(), limit) == limits.end()) {
      limits.push_back(limit);
    }
  }
  return limits;
}

Result<IterationPlan> plan(const StrategyInput& input) {
  const auto candidates = number_option(input.options, "candidates", 64, 1, kMostCandidates);
  const auto capacity =
      number_or_auto(input.options, "tokens", input.batch.longest(), data::kLongestSequence);
  const auto order = choice_option(input.options, "order", kOrders);
  Diagnostics problems;
  collect_failures(candidates, problems);
  collect_failures(capacity, problems);
  collect_failures(order, problems);
  if (!problems.empty()) {
    return problems;
  }
  data::DynaPipeOptions options;
  options.stages = input.layout.pipeline;
  options.costs = stage_token_costs(input.profile, input.layout);
  options.fixed = stage_fixed_cost(input.profile, input.layout);
  options.candidates = static_cast<std::int32_t>(*candidates);
  Sweep sweep(input);
  for (const data::Tokens limit : sweep_of(*capacity, capacities(input))) {
    options.capacity = limit;
    offer_capacity(sweep, options, static_cast<DynaPipeOrder>(*order));
  }
  return finish("dynapipe", sweep);
}

constexpr std::array kOptions = {
    OptionSpec{.name = "tokens",
               .unit = "tokens",
               .default_value = "auto",
               .range = "auto | the longest sequence to 2^31",
               .help =
                   "most padded tokens of a micro-batch; auto: the best of 1/2, 3/4, 1, 3/2 and 2 "
                   "times the context and of what a stage holds once and once per stage"},
    OptionSpec{.name = "order",
               .unit = "",
               .default_value = "auto",
               .range = "auto | adaptive | 1f1b",
               .help = "the paper's memory-aware cyclic order with clusters of micro-batches "
                       "permuted, plain 1F1B, or the faster one by replay"},
    OptionSpec{.name = "candidates",
               .unit = "",
               .default_value = "64",
               .range = "1 to 4096",
               .help = "longest times of a micro-batch that the dynamic program tries"},
};

}  // namespace

const StrategyInfo& dynapipe_info() {
  static const StrategyInfo info = {
      .name = "dynapipe",
      .summary = "padded micro-batches of like lengths from a dynamic program, adaptive order",
      .source = "Jiang et al., DynaPipe, EuroSys '24",
      .assumptions =
          "the faster by replay of the paper's adaptive order (every cycle one backward and one "
          "forward per stage, forwards delayed by memory; four clusters of like times in every "
          "permutation; as many layers recomputed as are fastest) and 1F1B, longest first, with "
          "static checkpointing; the token limit is the best of a sweep by replay",
      .options = kOptions,
      .pipelined = true,
      .plan = plan,
  };
  return info;
}

}  // namespace stagecraft::elastic
