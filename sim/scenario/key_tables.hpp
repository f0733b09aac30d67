// The parts of the table of keys.
#pragma once

#include <span>

#include "stagecraft/scenario/keys.hpp"

namespace stagecraft {

/// Of scenarios with explicit costs.
[[nodiscard]] std::span<const KeySpec> cost_keys();
/// Of scenarios that bring their data.
[[nodiscard]] std::span<const KeySpec> data_keys();

}  // namespace stagecraft
