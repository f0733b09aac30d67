// A list scheduler that takes an order as priorities and lets ops wait that do not fit: makes an
// order fit the memory, and makes other orders of one that is known.
#pragma once

#include <optional>

#include "search/order/annealing.hpp"
#include "search/order/order_state.hpp"

namespace stagecraft::search {

/// Replaces the order of `state` by one that fits. False, and the state as it was, if none was
/// found: not even one micro-batch after the other.
[[nodiscard]] bool repair_memory(OrderState& state);

/// An order that fits, made from that of `state` with every class of ops (F of a stage, W of a
/// stage ...) drawn forward or back in time by a random amount. Nothing if it came to a halt.
[[nodiscard]] std::optional<SavedOrder> vary_order(const OrderState& state, Random& random);

}  // namespace stagecraft::search
