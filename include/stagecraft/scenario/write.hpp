// Prepared and measured costs as a scenario file that reads back to the same.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "stagecraft/execute/stage_model.hpp"
#include "stagecraft/scenario/scenario.hpp"
#include "stagecraft/search/problem.hpp"

namespace stagecraft {

/// A scenario in YAML with explicit costs: durations in ns per stage, micro-batch and slice as far
/// as they vary, transfers, links, memory, resident sizes, end of the iteration; the schedule with
/// its options, and the model's section `execute`. Device speeds, slices, layers and pieces of
/// stages are folded in, so that it states the shape of `run`. What is read from it and prepared
/// has the costs of `run` for every op. `comment` stands at the top, as lines of comment.
[[nodiscard]] std::string write_scenario(const PreparedRun& run,
                                         const std::optional<StageModel>& model,
                                         std::string_view comment = {});

/// A plan as a complete scenario: the costs of `instance`, its placement, and the ops of `schedule`
/// inline (schedule file with option ops). With `layers`, of which the instance's stages are made,
/// it states those and the partition, as far as that reads back to the same costs; otherwise
/// explicit costs by stage. What `simulate` makes of it has the times of `schedule` on `instance`
/// to the nanosecond. `model`: what those stages compute, as section `execute`.
[[nodiscard]] std::string write_plan(const std::string& name, const search::Instance& instance,
                                     const Schedule& schedule, const search::Layers* layers,
                                     const std::optional<StageModel>& model = std::nullopt,
                                     std::string_view comment = {});

/// Every line behind "# ", as it may stand at the top of a scenario.
[[nodiscard]] std::string comment_lines(std::string_view comment);

}  // namespace stagecraft
