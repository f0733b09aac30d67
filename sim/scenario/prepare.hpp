// Costs of a scenario's stages in another shape or partition; shared by `prepare` and by the
// search.
#pragma once

#include <vector>

#include "stagecraft/scenario/scenario.hpp"

namespace stagecraft {

/// Layers per stage of `pipeline`: as the scenario states or implies, or even by count where the
/// stages are others. Empty without layers. Fails (bad input) if there are too few layers.
[[nodiscard]] Result<std::vector<std::int32_t>> partition_for(const Scenario& scenario,
                                                              const Pipeline& pipeline);

/// The costs of the stages of `pipeline`, speeds and slices folded in. `partition` [S] counts the
/// layers of every stage and is empty without layers. What the scenario states per stage is cut
/// anew if the number of stages is another, and stays by stage if only the partition is.
[[nodiscard]] Result<CostTable> resolve_costs(const Scenario& scenario, const Pipeline& pipeline,
                                              const std::vector<std::int32_t>& partition);

/// Options of another schedule are kept where this one knows them too.
[[nodiscard]] GeneratorOptions options_for(const GeneratorInfo& info, const ScheduleChoice& choice);

}  // namespace stagecraft
