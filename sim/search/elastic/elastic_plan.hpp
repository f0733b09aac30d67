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
  Time least = 0;  ///< neither replay nor the paper's objective is below
};

/// Nothing, and the sweep knows why, where there are none. K is raised where slices would not fit
/// in memory.
[[nodiscard]] std::optional<ElasticChunks> elastic_chunks(Sweep& sweep,
                                                          const ElasticChoice& choice);

/// Groups and checkpointing for given chunks. Nothing, and the sweep knows why, where no grouping
/// fits in memory. Candidate::model is the paper's objective: the units' time on the slowest
/// stage, a warm-up per pipeline, and the recomputation on the diagonals.
[[nodiscard]] std::optional<Candidate> elastic_candidate(Sweep& sweep, ElasticChunks chunks);

/// Offers a candidate for every K of `numbers` (slice_numbers, or one), those that cannot be better
/// than the best so far left out.
void sweep_slices(Sweep& sweep, ElasticChoice choice, std::span<const std::int32_t> numbers,
                  bool by_model);

}  // namespace stagecraft::elastic
