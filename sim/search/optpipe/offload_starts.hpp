// Registered schedules from which searches with offload begin.
#pragma once

#include <functional>
#include <string_view>

#include "stagecraft/search/problem.hpp"

namespace stagecraft::search {

/// Calls visit(schedule, origin) for the registered schedules that fit the instance's placement, in
/// a fixed order, PipeOffload in all its group sizes and chunks first; they need not fit the
/// memory. Stops when `visit` returns false.
void for_each_offload_start(const Instance& instance,
                            const std::function<bool(const Schedule&, std::string_view)>& visit);

}  // namespace stagecraft::search
