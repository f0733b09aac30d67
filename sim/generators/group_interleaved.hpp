// The group-interleaved order (GIS), shared by group-interleaved and pipeoffload.
#pragma once

#include <cstdint>
#include <string_view>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/generators/generator.hpp"

namespace stagecraft {

/// The order of group-interleaved.cpp with `group` micro-batches per group. Backwards are split
/// into B and W where the costs know them separately. `recomputed_chunks` chunks of every device,
/// the longest kept first, are recomputed.
[[nodiscard]] Result<Schedule> group_interleaved_order(const GeneratorInput& input,
                                                       std::string_view name, std::int64_t group,
                                                       std::int64_t recomputed_chunks);

}  // namespace stagecraft
