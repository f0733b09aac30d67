// Makes an order fit the memory: a list scheduler that takes the order as priorities and lets ops
// wait that do not fit.
#pragma once

#include "search/order/annealing.hpp"
#include "search/order/order_state.hpp"

namespace stagecraft::search {

/// Replaces the order of `state` by one that fits. False, and the state as it was, if none was
/// found: not even one micro-batch after the other.
[[nodiscard]] bool repair_memory(OrderState& state);

}  // namespace stagecraft::search
