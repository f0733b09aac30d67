// Runs to report on, evaluated by replay.
#pragma once

#include <string>

#include "stagecraft/report/run.hpp"
#include "stagecraft/schedule/schedule.hpp"

namespace stagecraft::test {

/// Evaluates a schedule of compute ops in latency mode: times, idle intervals with causes, memory
/// samples, transfers, and the critical path.
[[nodiscard]] Run sample_run(const Schedule& schedule, const CostTable& costs);

/// 4 devices, 8 micro-batches, F 2 us, B 2 us, W 1 us, transfers of 0.5 us, memory +2 -1 -1 GiB.
[[nodiscard]] Run sample_run(const std::string& schedule);

}  // namespace stagecraft::test
