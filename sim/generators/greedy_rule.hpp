// The list-scheduling rule behind generator greedy, run as a small event loop of its own.
//
// A device that is free takes the first ready op in this order: B, F, W after anything but a B, and
// F, B, W after a B; among F and among W the lowest unit, then the lowest stage; among B the
// highest stage, then the earliest unit. A candidate is deferred if what it needs was the latest op
// of another device and ended after this device's latest op had started, so that its transfer could
// not hide behind that op; a deferred op runs only if nothing else is ready, and nothing is
// deferred on a device that has just been idle. Where the costs know the backward only as a whole,
// BW takes the place of B, and there is no W (Guo et al., "AdaPtis", 2509.23722, and its authors'
// code).
#pragma once

#include <cstdint>
#include <vector>

#include "stagecraft/cost/cost_table.hpp"
#include "stagecraft/plan/pipeline.hpp"
#include "stagecraft/schedule/schedule.hpp"

namespace stagecraft {

struct GreedyRule {
  bool defer = true;        ///< overlap-aware deferral
  bool from_start = false;  ///< defer from the first op on, not only once a backward has started
  std::vector<bool> exempt_forward;   ///< [M] forwards that are never deferred; empty: none
  std::vector<bool> exempt_backward;  ///< [M] backwards that are never deferred; empty: none
};

/// How long devices waited inside (between their first and last op), by the group of the op that
/// ended the wait.
struct GreedyGaps {
  std::vector<Time> forward;   ///< [M]
  std::vector<Time> backward;  ///< [M]
  Time weight = 0;

  [[nodiscard]] Time total() const;
};

struct GreedyRun {
  std::vector<std::vector<Op>> lists;  ///< [P]
  GreedyGaps gaps;
  Time makespan = 0;
  bool complete = false;  ///< false: memory kept every device from going on
};

/// Memory is respected: a forward waits while its activation, and one slot (the most that one
/// micro-batch needs) for every stage of the device, would not fit; while one waits, W goes before
/// F and B after a B. Complete if the slots of every device's stages fit.
[[nodiscard]] GreedyRun run_greedy(const Pipeline& pipeline, const CostTable& costs,
                                   const GreedyRule& rule);

}  // namespace stagecraft
