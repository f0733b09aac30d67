// The strategies of the field, one file each, and what the parts of this folder ask of each other.
#pragma once

#include "stagecraft/search/elastic.hpp"

namespace stagecraft::elastic {

// Pipelines.
const StrategyInfo& elastic_info();
const StrategyInfo& one_f_one_b_info();
const StrategyInfo& seq1f1b_info();
const StrategyInfo& slimpipe_info();
const StrategyInfo& terapipe_info();
const StrategyInfo& dynapipe_info();
const StrategyInfo& chunkflow_info();
const StrategyInfo& best_info();

}  // namespace stagecraft::elastic
