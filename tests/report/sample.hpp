// Runs to report on.
#pragma once

#include <string>

#include "stagecraft/report/run.hpp"
#include "stagecraft/schedule/schedule.hpp"

namespace stagecraft::test {

/// Evaluates a schedule; the scenario is called "sample".
[[nodiscard]] Run sample_run(const Schedule& schedule, const CostTable& costs);

/// F 2 us, B 2 us, W 1 us, transfers of 0.5 us, memory +2 -1 -1 GiB of 20 GiB.
[[nodiscard]] CostTable sample_costs(const Pipeline& pipeline);

/// A schedule by name with those costs on 4 devices with 8 micro-batches.
[[nodiscard]] Run sample_run(const std::string& schedule);

}  // namespace stagecraft::test
