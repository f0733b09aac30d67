// Micro-batches of a batch, priced and bounded: what local search decides about.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "search/elastic/candidate.hpp"

namespace stagecraft::elastic {

struct Shape {
  data::Formation formation;
  CostRule rule = CostRule::kPlain;
  UnitTable table;
  std::vector<std::int32_t> layers;  ///< recomputation to begin with; may be empty
  Time bound = 0;                    ///< no order is faster
  std::string name;
};

[[nodiscard]] Shape make_shape(data::Formation formation, CostRule rule, UnitTable table,
                               std::string name);

}  // namespace stagecraft::elastic
