// What a unit costs on one stage per token, per token^2 and at least, before anything is rounded:
// profile and layout boiled down once, so that a pipeline of many units is priced quickly.
#pragma once

#include <cstdint>

#include "cost/sequences/collectives.hpp"
#include "stagecraft/cost/sequence_profile.hpp"
#include "stagecraft/data/formation.hpp"

namespace stagecraft::sequence_costs {

/// Sums over the pieces of a slice; padding counts as tokens.
struct PieceSums {
  double tokens = 0.0;
  double context = 0.0;  ///< tokens before the pieces
  double squares = 0.0;  ///< (context + tokens)^2 - context^2
};
[[nodiscard]] PieceSums sums_of(const data::Slice& slice);

/// ns of one GPU. Bytes are those of one GPU too.
struct StageRates {
  std::int32_t layers = 0;
  TokenCosts layer_forward;  ///< compute of one layer
  TokenCosts layer_backward;
  LayerExchange exchange;           ///< of one layer, nothing hidden
  double parameters_forward = 0.0;  ///< nothing hidden
  double parameters_backward = 0.0;
  Overlap overlap;
  double token_bytes = 0.0;   ///< activation of a token, logits of the last stage included
  double split_bytes = 0.0;   ///< gradients of its keys and values
  double saving = 0.0;        ///< per token by one recomputed layer
  double split_saving = 0.0;  ///< the same in a split micro-batch
};
[[nodiscard]] StageRates stage_rates(const SequenceProfile& profile, const SequenceLayout& layout,
                                     std::int32_t stage);

/// Times and sizes above kLargestQuantity become kLargestQuantity + 1.
[[nodiscard]] UnitCost cost_of(const StageRates& rates, const PieceSums& sums, bool split);

/// Rounded half up, with the same limit; `value` >= 0.
[[nodiscard]] std::int64_t rounded(double value);

}  // namespace stagecraft::sequence_costs
