// What is the smallest change that would make an infeasible run feasible?
#pragma once

#include <string>

#include "stagecraft/engine/evaluate.hpp"
#include "stagecraft/scenario/scenario.hpp"

namespace stagecraft::cli {

/// For a run that was made but cannot run: the smallest memory capacity that fits this order, or,
/// after a deadlock, a lowering of sends and receives that works. Empty if neither helps.
[[nodiscard]] std::string advise(const PreparedRun& run, const Schedule& schedule,
                                 const Evaluation& evaluation);

/// For a schedule that could not be made within the memory: the smallest capacity, the same on all
/// devices, for which it can be. Empty if memory is not the reason.
[[nodiscard]] std::string advise_capacity(const Scenario& scenario, const PreparedRun& run);

}  // namespace stagecraft::cli
