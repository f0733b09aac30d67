// Local search on the order of a vee pipeline under its true costs: passes on the chain that
// explains the span move a few places earlier or later.
#pragma once

#include <cstdint>

#include "vee_order.hpp"

namespace stagecraft {

/// Replaces `order` by the best one found within `evaluations` replays; it is never worse, and
/// stays within the capacities of `costs`. Deterministic. Returns its figures.
VeeFigures improve_vee_order(const VeeCosts& costs, VeeOrder& order, std::int32_t evaluations);

}  // namespace stagecraft
