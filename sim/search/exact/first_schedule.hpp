// Schedules to begin from where none is given.
#pragma once

#include <vector>

#include "search/exact/model.hpp"

namespace stagecraft::search::exact {

/// Registered schedules that are made at once and suit the pipeline, and the order in which one
/// micro-batch follows the other, which is feasible if any order is: a device holds the activations
/// of all its stages and slices of a micro-batch when the first backward of it begins.
[[nodiscard]] std::vector<Schedule> first_schedules(const Instance& instance,
                                                    const ExactModel& model);

/// Registered schedules whose generators search.
[[nodiscard]] std::vector<Schedule> searched_schedules(const Instance& instance);

}  // namespace stagecraft::search::exact
