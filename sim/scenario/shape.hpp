// The shape a schedule runs in: as the scenario states it or, where it may, cut anew.
#pragma once

#include <string>

#include "stagecraft/scenario/scenario.hpp"

namespace stagecraft {

struct RunShape {
  Pipeline pipeline;
  std::string recut;  ///< empty if as the scenario states it
};

/// Fails (bad input) if the schedule's shape is not the stated one and `recut` does not allow
/// another; the message says what would fit.
[[nodiscard]] Result<RunShape> choose_shape(const Scenario& scenario, const GeneratorInfo& info,
                                            Recut recut);

/// Chunks per device that a schedule asks for where the scenario leaves them open.
[[nodiscard]] std::int32_t chunks_asked(const GeneratorInfo& info);

/// Bad input: no schedule has that name; the hint is the nearest one.
[[nodiscard]] Diagnostic unknown_schedule(std::string_view name);

/// Gives a failure about a schedule or strategy the place of the option that it names, or of the
/// name.
[[nodiscard]] Diagnostic at_choice(const ScheduleChoice& choice, Diagnostic failure);

/// Gives a failure about a schedule the place where the scenario names it, if it does.
[[nodiscard]] Diagnostic at_schedule(const Scenario& scenario, std::string_view schedule,
                                     Diagnostic failure);

}  // namespace stagecraft
