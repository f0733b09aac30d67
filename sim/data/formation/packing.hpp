// Best fit of a part of a batch, for the methods that pack what they do not cut.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "stagecraft/data/formation.hpp"

namespace stagecraft::data {

/// The sequences of `order`, longest first, none longer than `capacity`, each into the micro-batch
/// with the least room that is enough. O(n log n).
[[nodiscard]] std::vector<MicroBatch> best_fit(const GlobalBatch& batch,
                                               std::span<const std::int32_t> order,
                                               Tokens capacity);

}  // namespace stagecraft::data
