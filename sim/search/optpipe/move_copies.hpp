// Local search on whole lists, copies included: what planning around a fixed timeline cannot find,
// such as orders in which a backward waits a little for its reload.
#pragma once

#include <cstdint>
#include <functional>

#include "stagecraft/search/problem.hpp"

namespace stagecraft::search {

struct MoveCopiesOptions {
  bool span = false;  ///< make the span small, otherwise the makespan
  bool may_copy = true;
  std::uint64_t seed = 1;
  std::uint64_t evaluations = 10'000;
  std::function<bool()> stopped;
};

/// Improves `start` and calls found(schedule) for every schedule that is shorter than all before
/// and keeps within memory. Returns the evaluations used. One direction, one slice, latency mode.
/// Threshold accepting: a change is kept unless it costs more than a threshold that falls to 0
/// (Dueck and Scheuer, Journal of Computational Physics 90, 1990); memory above the capacity is
/// allowed on the way at a price.
std::uint64_t move_copies(const Instance& instance, const Schedule& start,
                          const MoveCopiesOptions& options,
                          const std::function<void(Schedule)>& found);

}  // namespace stagecraft::search
