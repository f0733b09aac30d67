// The strategies of the field, one file each (those without a pipeline: groups/groups.hpp).
#pragma once

#include "search/elastic/groups/groups.hpp"
#include "stagecraft/search/elastic.hpp"

namespace stagecraft::elastic {

[[nodiscard]] const StrategyInfo& elastic_info();
[[nodiscard]] const StrategyInfo& one_f_one_b_info();
[[nodiscard]] const StrategyInfo& seq1f1b_info();
[[nodiscard]] const StrategyInfo& slimpipe_info();
[[nodiscard]] const StrategyInfo& terapipe_info();
[[nodiscard]] const StrategyInfo& dynapipe_info();
[[nodiscard]] const StrategyInfo& chunkflow_info();
[[nodiscard]] const StrategyInfo& best_info();

}  // namespace stagecraft::elastic
