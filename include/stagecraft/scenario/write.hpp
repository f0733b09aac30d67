// Prepared and measured costs as a scenario file that reads back to the same.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "stagecraft/execute/stage_model.hpp"
#include "stagecraft/scenario/scenario.hpp"

namespace stagecraft {

/// A scenario in YAML with explicit costs: durations in ns per stage, micro-batch and slice as far
/// as they vary, transfers, links, memory, resident sizes, end of the iteration; the schedule with
/// its options, and the model's section `execute`. Device speeds, slices, layers and pieces of
/// stages are folded in, so that it states the shape of `run`. What is read from it and prepared
/// has the costs of `run` for every op. `comment` stands at the top, as lines of comment.
[[nodiscard]] std::string write_scenario(const PreparedRun& run,
                                         const std::optional<StageModel>& model,
                                         std::string_view comment = {});

}  // namespace stagecraft
