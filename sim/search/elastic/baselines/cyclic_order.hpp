// DynaPipe's order for micro-batches of different times (EuroSys '24, section 5).
//
// Cycle by cycle every stage runs one backward and one forward, of those that had arrived before
// the cycle; a forward waits while its activations would exceed the stage's memory, and so delays
// those behind it. The lists are then run without waiting for the cycles. In which order
// micro-batches enter is searched: clusters of like times in every permutation.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "search/elastic/stage_lists.hpp"
#include "search/elastic/unit_table.hpp"

namespace stagecraft::elastic {

/// The cyclic order of unsliced micro-batches that enter in the order `order`, with R right before
/// BW where `layers` ([stages][units]) says. Fits in the table's room. Empty: a micro-batch alone
/// does not.
[[nodiscard]] StageLists cyclic_lists(const UnitTable& table, std::span<const std::int32_t> order,
                                      std::span<const std::int32_t> layers);

/// Orders of a table's micro-batches: in at most `clusters` clusters by their time, each as the
/// table has them, in every permutation. The first one has the longest cluster first.
[[nodiscard]] std::vector<std::vector<std::int32_t>> clustered_orders(const UnitTable& table,
                                                                      std::int32_t clusters);

}  // namespace stagecraft::elastic
