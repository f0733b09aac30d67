// What the two strategies on ZeRO-3 and Ulysses share: one set of states over all GPUs, groups of
// any degree.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "round_plan.hpp"

namespace stagecraft::elastic::rounds {

struct Setting {
  std::int32_t gpus = 1;
  std::vector<std::int32_t> degrees;  ///< ascending
  Bytes states = 0;                   ///< of a GPU
  Bytes room = 0;                     ///< for activations
  data::Tokens context = 0;
  data::Tokens limit = 0;  ///< a unit never holds more tokens

  [[nodiscard]] GroupModel model(const SequenceProfile& profile, std::int32_t degree,
                                 std::int32_t layers) const;
  [[nodiscard]] std::vector<SequenceLayout> layouts() const;
};

/// `input` must have passed check_input.
[[nodiscard]] Setting zero_setting(const StrategyInput& input);

/// Groups of one degree; besides full packing, `capacities` smaller ones are tried. Infeasible if
/// the context does not fit.
[[nodiscard]] Result<IterationPlan> best_uniform(const StrategyInput& input, const Setting& setting,
                                                 std::string_view strategy, std::int32_t degree,
                                                 std::int32_t layers, std::int32_t capacities);

/// `count` numbers of layers from `fewest` to `most`, evenly apart, both ends included.
[[nodiscard]] std::vector<std::int32_t> layer_levels(std::int32_t fewest, std::int32_t most,
                                                     std::int32_t count);

}  // namespace stagecraft::elastic::rounds
