// The project's order search on a finished candidate: any op of any stage may move.
#pragma once

#include <cstdint>

#include "search/elastic/candidate.hpp"

namespace stagecraft::elastic {

/// Improves lists and layers by `evaluations` orders in all; never worse. Deterministic.
void polish(const StrategyInput& input, std::int64_t evaluations, Candidate& candidate);

}  // namespace stagecraft::elastic
