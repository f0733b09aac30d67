// Micro-batches in every way that the strategies form them, priced and bounded: where our own
// search begins.
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

/// Balanced chunks of every slice number and of several token thresholds, and whole sequences
/// packed to several limits above the context; by bound, best first.
[[nodiscard]] std::vector<Shape> make_shapes(Sweep& sweep);

}  // namespace stagecraft::elastic
