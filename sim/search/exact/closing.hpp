// Closing in on the best horizon from both sides: bounds and refutations from below, better orders
// from above.
#pragma once

#include "search/exact/model.hpp"
#include "stagecraft/search/exact.hpp"

namespace stagecraft::search::exact {

/// solve_order for a model of the instance; a model that leaves out limits of memory gives a bound
/// for orders that get round them (options.offload_open).
[[nodiscard]] ExactResult close_in(const Instance& instance, const ExactModel& model,
                                   const Schedule* start, const ExactOptions& options,
                                   JobContext& context);

}  // namespace stagecraft::search::exact
