// Ways to form micro-batches on a layout, forecast from the lengths alone: which of them are worth
// making.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "search/elastic/best/shape.hpp"

namespace stagecraft::elastic {

struct ShapeProspect {
  std::int32_t slices = 0;  ///< K of balanced chunks; 0: whole sequences, packed
  double threshold = 1.0;   ///< of balanced chunks, in first mesh slices
  data::Tokens packed = 0;  ///< tokens of a micro-batch of whole sequences, at most
  Time promise = 0;        ///< the work of the first stage and the mean unit's way through the rest
  Time least = 0;          ///< the first stage works at least so long
  std::int64_t units = 0;  ///< about
};

/// Balanced chunks of every slice number and of several token thresholds, and whole sequences
/// packed to several limits above the context; by promise, best first. `capacity`: most tokens of a
/// slice, above 0.
[[nodiscard]] std::vector<ShapeProspect> prospects_on(const StrategyInput& input,
                                                      data::Tokens capacity);

/// Nothing, and the sweep knows why, where it cannot be made.
[[nodiscard]] std::optional<Shape> make_shape(Sweep& sweep, const ShapeProspect& prospect,
                                              data::Tokens capacity);

}  // namespace stagecraft::elastic
