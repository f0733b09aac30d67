// The systems AdaPtis is compared with, as its authors ran them (Guo et al., 2509.23722, and their
// code), and two with the smallest largest stage.
//
//   s-1f1b       even partition, one stage per device in order, 1f1b, fused backward
//   i-1f1b       one layer per stage, round robin, Megatron's interleaved 1f1b, fused backward
//   zb           even partition, ZB-H1
//   mist         Mist's partition (partition.hpp), 1f1b, fused backward
//   minmax-1f1b  the partition with the smallest largest stage, 1f1b
//   minmax-zb    the same with ZB-H1
//
// Even partitions count what lies between embedding and head, which stay in the first and last
// stage. Layers that P does not divide: the first stages have one more. i-1f1b has v = L / P,
// rounded down, stages on a device (no more than a problem allows); the first ones take two layers
// if layers are left over.
#pragma once

#include <string_view>
#include <vector>

#include "options.hpp"
#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/search/plan.hpp"

namespace stagecraft::search::adaptis {

[[nodiscard]] std::vector<std::string_view> baseline_names();

/// Fails where the problem states another partition or placement that the baseline's schedule does
/// not run on, or does not allow the schedule.
[[nodiscard]] Result<Plan> baseline_plan(const Problem& problem, const Options& options,
                                         std::string_view name);

}  // namespace stagecraft::search::adaptis
