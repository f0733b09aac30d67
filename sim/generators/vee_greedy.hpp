// The greedy rule of ZB-V (Qi et al., "Pipeline parallelism with controllable memory", 2405.15362,
// section 4, and "Zero bubble pipeline parallelism", 2401.10241): rounds of one B and one F on
// every device, with W put where the device would wait, or where its idle time may still grow
// without making it the worst.
#pragma once

#include <optional>

#include "vee_order.hpp"

namespace stagecraft {

struct VeeGreedyOptions {
  bool weight_before_forward = true;   ///< a waiting W may hold up an F
  bool weight_before_backward = true;  ///< a waiting W may hold up a B of chunk 1
};

/// The order, or nothing if a device runs out of memory with no W to free any (the rule needs about
/// 2P activations). Capacities of `costs` must be limited: they decide how many forwards start up.
[[nodiscard]] std::optional<VeeOrder> vee_greedy_order(const VeeCosts& costs,
                                                       const VeeGreedyOptions& options);

}  // namespace stagecraft
