// Rules of list schedules: where a search begins, and how it changes them.
#pragma once

#include "search/optpipe/list_schedule.hpp"
#include "stagecraft/core/random.hpp"

namespace stagecraft::search {

/// Room for all activations, W right after B, backwards first, nothing recomputed.
[[nodiscard]] RoomRule roomy_rule(const Pipeline& pipeline, const RoomScheduler& scheduler);

/// A rule that differs from `rule` in one to three things.
[[nodiscard]] RoomRule changed_rule(const RoomRule& rule, const Pipeline& pipeline,
                                    const RoomScheduler& scheduler, bool recompute_open,
                                    Random& random);

}  // namespace stagecraft::search
