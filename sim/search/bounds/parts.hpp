// The arguments behind lower_bound, each on its own.
#pragma once

#include <vector>

#include "stagecraft/search/bounds.hpp"

namespace stagecraft::search {

/// What the rest of a space may do to an instance.
struct Liberties {
  bool recompute = false;
  bool offload = false;
};

/// Times: every order of the instance's ops.
[[nodiscard]] std::vector<Bound> instance_time_bounds(const Instance& instance, Objective objective,
                                                      const Liberties& liberties);
/// Bytes of the device that needs most: every order of the instance's ops.
[[nodiscard]] std::vector<Bound> instance_memory_bounds(const Instance& instance,
                                                        const Liberties& liberties);

/// Times and bytes over every partition and placement of the layers.
[[nodiscard]] std::vector<Bound> layer_time_bounds(const Problem& problem, Objective objective);
[[nodiscard]] std::vector<Bound> layer_memory_bounds(const Problem& problem);

/// The least that all devices together compute in one iteration; 0 if pairs may overlap.
[[nodiscard]] Time work_of_all(const Instance& instance);

/// Entry of a list per device, 0 if there is none.
[[nodiscard]] inline std::int64_t of_device(const std::vector<std::int64_t>& values,
                                            std::size_t device) {
  return values.empty() ? 0 : values[device];
}

}  // namespace stagecraft::search
