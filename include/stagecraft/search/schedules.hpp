// All schedules that a scenario may name: the generators, and the one that is searched for.
#pragma once

#include <span>
#include <string_view>

#include "stagecraft/generators/generator.hpp"

namespace stagecraft::search {

/// The generators in their order, `optimal` before `file`.
[[nodiscard]] std::span<const GeneratorInfo> schedules();

/// nullptr if there is none of that name.
[[nodiscard]] const GeneratorInfo* find_schedule(std::string_view name);

/// As generate(), for any of schedules(). An unknown name is bad input.
[[nodiscard]] Result<Schedule> generate_schedule(std::string_view name,
                                                 const GeneratorInput& input);

}  // namespace stagecraft::search
