// Schedules as the compute-only CSV that PyTorch's _PipelineScheduleRuntime loads: one row per
// rank, cells "{stage}{F|I|W|B}{micro-batch}" in order of execution; I is the backward for inputs,
// W for weights, B the fused one. Empty cells are idle steps and mean nothing here.
#pragma once

#include <string>
#include <string_view>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/schedule/schedule.hpp"

namespace stagecraft {

/// Fails (bad input), naming the op, where the format has no word: slices, two directions,
/// overlapped pairs, recompute, offload and reload.
[[nodiscard]] Result<std::string> to_pytorch_csv(const Schedule& schedule);

/// Reads a compute-only CSV; devices, stages, micro-batches and placement follow from the cells.
/// Errors carry file:line:column; a stage on two ranks, or a gap in the stages, is one.
[[nodiscard]] Result<Schedule> parse_pytorch_csv(std::string_view text, const std::string& file);

}  // namespace stagecraft
