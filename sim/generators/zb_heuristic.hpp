// The zero-bubble heuristic of Qi et al. (2401.10241, section 3.1) on a line of stages.
//
// Warm-up: forwards fill the time until the first B arrives, as far as memory goes. Then one F and
// one B in turn, round by round; W fills a gap before F or B that is long enough, or that would
// make the largest bubble of all stages larger, and gives memory back where F does not fit. A stage
// stays at least one F ahead of the next one until its Fs are used up. What is left of W comes
// last.
#pragma once

#include "line.hpp"

namespace stagecraft {

/// The hyperparameters of the heuristic; all combinations are tried and the best order kept.
struct ZbVariant {
  bool bubble_before_first_backward = false;  ///< stop the warm-up before an F that delays B
  bool prioritize_backward = false;           ///< skip an F that the next stage does not need yet
  bool eager_weight = false;  ///< fill every gap with W, also where it delays F or B
};
inline constexpr int kZbVariants = 8;

/// The 8 variants, 0 to 7.
[[nodiscard]] ZbVariant zb_variant(int number);

/// Builds an order within the memory of `costs.room`; every stage must have room for each single
/// micro-batch.
[[nodiscard]] LineOrder build_zb_order(const LineCosts& costs, const ZbVariant& variant);

}  // namespace stagecraft
