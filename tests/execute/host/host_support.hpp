// Runs of the host backend, held against the engine.
#pragma once

#include <string>

#include "stagecraft/execute/host_backend.hpp"

namespace stagecraft::test {

/// Empty if the host backend under the virtual clock takes the times that the engine says, to the
/// nanosecond, and stops where it stops; otherwise the first difference.
[[nodiscard]] std::string differs_from_engine(const Schedule& schedule, const TaskGraph& graph,
                                              const CostTable& costs);
[[nodiscard]] std::string differs_from_engine(const Schedule& schedule, const CostTable& costs);

/// A run under the given options; the program is lowered in the mode of `costs`.
[[nodiscard]] Result<ExecutionRun> run_on_host(const Schedule& schedule, const TaskGraph& graph,
                                               const CostTable& costs, const HostOptions& options,
                                               Time watchdog = 10 * kSecond);

/// Empty if measured times respect the program: no op before its inputs are there, one op at a time
/// on every stream, no op shorter than it should be.
[[nodiscard]] std::string breaks_order(const TaskGraph& graph, const ExecutionRun& run);

}  // namespace stagecraft::test
