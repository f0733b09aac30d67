// How far a circular program comes: for refusing it in the words of a run that stopped there.
#pragma once

#include <cstdint>
#include <vector>

#include "stagecraft/execute/program.hpp"

namespace stagecraft {

/// [streams] commands that end before the streams wait for one another. O(commands * rounds).
[[nodiscard]] std::vector<std::uint32_t> stop_point(const ExecutionProgram& program);

}  // namespace stagecraft
