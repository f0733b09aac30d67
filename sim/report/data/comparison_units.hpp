// The units of a formation as rows of a heat map, in the order in which they run.
#pragma once

#include <cstdint>
#include <vector>

#include "stagecraft/report/data_report.hpp"

namespace stagecraft::report::comparison {

/// One slice of a micro-batch.
struct UnitView {
  std::int32_t microbatch = 0, slice = 0, slices = 1;
  std::int32_t sequences = 0;  ///< that have tokens in it
  data::Tokens tokens = 0;     ///< computed, padding included
  data::Tokens padding = 0;
  data::Tokens context = 0;  ///< most tokens that stand before a piece in its sequence
  double pairs = 0.0;        ///< pairs of tokens that attend to each other
};

/// In the order of first forwards where there is a timeline of the same units, else as formed.
[[nodiscard]] std::vector<UnitView> units_in_order(const StrategyPicture& picture);

}  // namespace stagecraft::report::comparison
