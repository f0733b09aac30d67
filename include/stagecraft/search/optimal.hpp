// The schedule `optimal`: what the exact solver proves to be best, or the best it finds within its
// budget. Generators lie below the search room, so whoever looks up schedules by name asks here
// after find_generator.
#pragma once

#include "stagecraft/generators/generator.hpp"

namespace stagecraft::search {

/// Any placement, any number of chunks, slices; latency mode. Its generate() fails with the reason
/// where the exact solver does not cover the costs or was not built in, and as infeasible where no
/// order fits the memory.
[[nodiscard]] const GeneratorInfo& optimal_generator();

}  // namespace stagecraft::search
