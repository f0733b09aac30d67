#include "engine/graph_sums.hpp"

#include <algorithm>
#include <cstdlib>

#include <fmt/core.h>

#include "stagecraft/core/units.hpp"

namespace stagecraft {

Diagnostics check_memory_values(const MemoryCosts& memory) {
  constexpr Bytes kMost = Bytes{1} << 61;
  for (const Grid* grid :
       {&memory.forward, &memory.backward_input, &memory.backward_weight, &memory.stage_input}) {
    const auto [low, high] = std::minmax_element(grid->values.begin(), grid->values.end());
    if (memory.given && low != grid->values.end() && (*low < -kMost || *high > kMost)) {
      return {
          bad_input("an op takes or gives back more than 2^61 bytes", "use smaller activations")};
    }
  }
  return {};
}

Diagnostics check_time_sum(const TaskGraph& graph) {
  Time sum = 0;
  bool fits = true;
  for (const Time duration : graph.duration) {
    fits = fits && !__builtin_add_overflow(sum, duration, &sum);
  }
  for (const TaskEdge edge : graph.edges) {
    fits = fits && !__builtin_add_overflow(sum, graph.latency(edge), &sum);
  }
  if (fits) {
    return {};
  }
  return {bad_input("the durations and transfer latencies add up to more than 2^63 ns",
                    "use shorter durations, a finer time unit or fewer micro-batches")};
}

Diagnostics check_memory_sums(const TaskGraph& graph, const MemoryCosts& memory) {
  for (std::size_t d = 0; d + 1 < graph.offsets.size() && !graph.memory_at_start.empty(); ++d) {
    Bytes most = std::max<Bytes>(memory.resident_of(static_cast<std::int32_t>(d)), 0);
    bool fits = true;
    for (std::size_t task = graph.offsets[d]; task < graph.offsets[d + 1]; ++task) {
      for (const Bytes change : {graph.memory_at_start[task], graph.memory_at_end[task]}) {
        fits = fits && !__builtin_add_overflow(most, std::abs(change), &most);
      }
    }
    if (!fits || most == kUnlimited) {
      return {bad_input(fmt::format("the memory that the ops of device {} take and give back "
                                    "adds up to more than 2^63 bytes",
                                    d),
                        "use smaller activations or fewer micro-batches")};
    }
  }
  return {};
}

}  // namespace stagecraft
