// One plan of InfiniPipe for one slice number K (2509.21275, algorithm 2 without its sweep).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "search/elastic/candidate.hpp"

namespace stagecraft::elastic {

enum class CheckpointRule : std::uint8_t { kAuto, kNone, kFull };

struct ElasticChoice {
  std::int32_t slices = 1;       ///< K
  double token_threshold = 1.0;  ///< of packed slices, in first mesh slices
  bool balanced = true;          ///< false: fixed chunks of 1/K of the longest sequence
  CheckpointRule checkpoint = CheckpointRule::kAuto;
  bool one_group = false;
};

/// The K that `auto` tries: 1 to 32 while the slices of the longest sequence keep 512 tokens.
[[nodiscard]] std::vector<std::int32_t> slice_numbers(const StrategyInput& input);

/// The chunks of a choice, longest first, and what they cost.
struct ElasticChunks {
  ElasticChoice choice;
  data::Formation formation;
  UnitTable table;
  Time busiest = 0;  ///< the units' time on the slowest stage
};

/// Nothing, and the sweep knows why, where there are none. K is raised where slices would not fit
/// in memory. `capacity`: most_tokens_of_slice, above 0.
[[nodiscard]] std::optional<ElasticChunks> elastic_chunks(Sweep& sweep, const ElasticChoice& choice,
                                                          data::Tokens capacity);

/// Groups and checkpointing for given chunks. Nothing, and the sweep knows why, where no grouping
/// fits in memory. Candidate::model is the paper's objective: the units' time on the slowest
/// stage, a warm-up per pipeline, and the recomputation on the diagonals.
/// `effort`: how far to go for it; its work goes down by what was done. A plan that is farther from
/// the best than the paper's gap, as far as is known, says so in its note.
struct PlanEffort {
  double gap = 0.02;      ///< of the integer programs and the choice of groups
  std::int64_t work = 0;  ///< arithmetic, as CheckpointOptions::work counts it
  Time most = kNever;     ///< of formula 13: plans that take this long are passed over
};
[[nodiscard]] std::optional<Candidate> elastic_candidate(Sweep& sweep, ElasticChunks chunks,
                                                         PlanEffort& effort);

/// Offers a candidate for every K of `numbers` (slice_numbers, or one) and every threshold, those
/// that cannot be better than the best so far left out; the few best are planned again more
/// closely. `threshold` 0: 1, and larger ones where units are so small that their constant counts.
void sweep_slices(Sweep& sweep, ElasticChoice choice, std::span<const std::int32_t> numbers,
                  double threshold, bool by_model);

}  // namespace stagecraft::elastic
