// Recomputation that memory does not ask for is taken back: in a fixed order, no unit starts later
// for it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "search/elastic/stage_lists.hpp"

namespace stagecraft::elastic {

/// Lowers `layers` ([stages][units]) as far as every stage's memory allows in the order of `lists`,
/// the units that win most time by it first, and drops R where nothing is left of it. True if
/// anything changed. The lists must fit.
bool use_spare_memory(const UnitTable& table, StageLists& lists, std::span<std::int32_t> layers);

/// Moves R before the forward that stands in front of it, where memory allows: it may then run
/// while its gradient is on the way. Keeps a move if `timer` says that the whole is faster. Returns
/// the time.
Time advance_recompute(const UnitTable& table, StageLists& lists,
                       std::span<const std::int32_t> layers, ListTimer& timer);

}  // namespace stagecraft::elastic
