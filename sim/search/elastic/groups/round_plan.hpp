// Rounds of groups: dealing micro-batches out to them, their time, and a bound on it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "group_model.hpp"
#include "stagecraft/search/elastic.hpp"

namespace stagecraft::elastic::rounds {

/// Groups of one size: longest micro-batch with longest, so that the groups of a round take about
/// the same time. No assignment of these micro-batches to rounds that wait has a smaller sum of
/// longest times.
[[nodiscard]] std::vector<GroupRound> deal_by_time(const SequenceProfile& profile,
                                                   const SequenceLayout& layout,
                                                   const data::Formation& formation,
                                                   std::int32_t layers);

/// Groups of one size that wait only at the end, each with as many micro-batches as the others (one
/// fewer at most): round by round the longest left goes to the group with the least work so far.
[[nodiscard]] std::vector<GroupRound> deal_by_load(const SequenceProfile& profile,
                                                   const SequenceLayout& layout,
                                                   const data::Formation& formation,
                                                   std::int32_t layers);

/// Time of an iteration; kLargestQuantity + 1 where it is more than kLargestQuantity.
[[nodiscard]] Time rounds_time(std::span<const GroupRound> rounds, const RoundTerms& terms,
                               std::int32_t layers);

/// No order of the same micro-batches on groups of the same sizes out of `gpus` GPUs takes less.
[[nodiscard]] Time rounds_bound(std::span<const GroupRound> rounds, const RoundTerms& terms,
                                std::int32_t layers, std::int32_t gpus);

/// What a plan needs and the batch gives: the longest sequence to hold.
[[nodiscard]] data::Tokens longest_to_hold(const StrategyInput& input);

/// Bad input where the batch is empty or layout and profile are unusable.
[[nodiscard]] Diagnostics check_input(const StrategyInput& input);

/// Bad input where an iteration takes longer than a Time may say.
[[nodiscard]] Diagnostics check_range(Time iteration);

/// Sequences packed best-fit to `capacity` tokens, on groups of one size.
[[nodiscard]] Result<IterationPlan> uniform_plan(const StrategyInput& input,
                                                 std::string_view strategy,
                                                 const SequenceProfile& profile,
                                                 const GroupModel& model, std::int32_t layers,
                                                 const RoundTerms& terms, data::Tokens capacity);

/// Capacities (tokens of a micro-batch) that fill 1, 2, ... rounds of `groups` groups, from the
/// fewest rounds that `most` allows on, `count` of them, and `most` itself.
[[nodiscard]] std::vector<data::Tokens> round_capacities(const data::GlobalBatch& batch,
                                                         data::Tokens most, std::int32_t groups,
                                                         std::int32_t count);

/// Keeps the plan that takes less time, the first where two take the same; adds up candidates.
void keep_better(std::optional<IterationPlan>& best, IterationPlan plan);

}  // namespace stagecraft::elastic::rounds
