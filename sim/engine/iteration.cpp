#include "stagecraft/engine/iteration.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "engine/cycle_mean.hpp"
#include "engine/iteration_map.hpp"
#include "stagecraft/core/check.hpp"

namespace stagecraft {
namespace {

// Passes after which the whole matrix A is computed, and after which the steady state counts as not
// reached. Two or three are the rule.
constexpr std::size_t kMostPowerPasses = 12;

// The period by iterating the map. Every pass yields cycles of A (follow the sources), hence a
// lower bound; and the largest growth over some passes is an upper one. Done when both round up to
// the same integer.
class PeriodSearch {
 public:
  PeriodSearch(const TaskGraph& graph, const CostTable& costs)
      : map_(graph, costs),
        reduced_(map_.devices()),
        source_(map_.devices()),
        free_at_{std::vector<Time>(map_.devices(), 0)},
        elapsed_{0} {}

  Time run() {
    for (std::size_t pass = 0; pass < kMostPowerPasses; ++pass) {
      step();
      const WideTime period = lower_.ceiling();
      for (const std::int64_t passes : {std::int64_t{1}, lower_.count}) {
        if (static_cast<std::size_t>(passes) < free_at_.size() &&
            growth(static_cast<std::size_t>(passes)).ceiling() == period) {
          return static_cast<Time>(period);
        }
      }
    }
    return static_cast<Time>(maximum_cycle_mean(map_.matrix(), map_.devices()).ceiling());
  }

  // Passes until all devices grow by `period`.
  std::optional<std::vector<Time>> settle(Time period) {
    for (std::size_t pass = 0; pass < kMostPowerPasses; ++pass) {
      step();
      const std::size_t now = free_at_.size() - 1;
      if (free_at_[now] == free_at_[now - 1] && elapsed_[now] - elapsed_[now - 1] == period) {
        return std::move(free_at_[now]);
      }
    }
    return std::nullopt;
  }

 private:
  void step() {
    const std::vector<Time>& before = free_at_.back();
    map_.apply(before, reduced_, source_);
    std::vector<Time> after(map_.devices());
    std::vector<Time> weights(map_.devices());
    for (std::size_t device = 0; device < after.size(); ++device) {
      after[device] = reduced_[device] + map_.step(device);
      weights[device] = after[device] - before[source_[device]];
    }
    const Mean cycle = maximum_cycle_mean(source_, weights);
    if (lower_ < cycle) {
      lower_ = cycle;
    }
    // Kept small, so that nothing overflows however many passes there are.
    const Time earliest = *std::min_element(after.begin(), after.end());
    for (Time& time : after) {
      time -= earliest;
    }
    free_at_.push_back(std::move(after));
    elapsed_.push_back(elapsed_.back() + earliest);
  }

  // Largest growth over the last `passes` passes.
  [[nodiscard]] Mean growth(std::size_t passes) const {
    const std::size_t now = free_at_.size() - 1;
    const std::size_t then = now - passes;
    Mean largest{-1, 1};
    for (std::size_t device = 0; device < map_.devices(); ++device) {
      const WideTime grown =
          elapsed_[now] + free_at_[now][device] - (elapsed_[then] + free_at_[then][device]);
      largest.sum = std::max(largest.sum, grown);
    }
    largest.count = static_cast<std::int64_t>(passes);
    return largest;
  }

  IterationMap map_;
  std::vector<Time> reduced_;
  std::vector<std::uint16_t> source_;
  std::vector<std::vector<Time>> free_at_;  // after every pass, less `elapsed_`
  std::vector<WideTime> elapsed_;
  Mean lower_;
};

// Every device is free its own step after the moment at which all have reduced.
std::vector<Time> free_after_barrier(const IterationMap& map) {
  std::vector<Time> free_at(map.devices());
  for (std::size_t device = 0; device < free_at.size(); ++device) {
    free_at[device] = map.step(device);
  }
  return free_at;
}

}  // namespace

Time iteration_time(const TaskGraph& graph, const CostTable& costs) {
  STAGECRAFT_CHECK(!graph.iteration_end && graph.iterations == 1, "one iteration without its end");
  if (graph.devices == 0) {
    return 0;
  }
  if (costs.post_validation) {
    return PeriodSearch(graph, costs).run();
  }
  IterationMap map(graph, costs);
  std::vector<Time> reduced(map.devices());
  std::vector<std::uint16_t> source(map.devices());
  map.apply(free_after_barrier(map), reduced, source);
  return *std::max_element(reduced.begin(), reduced.end());
}

std::optional<std::vector<Time>> steady_start(const TaskGraph& graph, const CostTable& costs,
                                              Time period) {
  if (costs.post_validation) {
    return PeriodSearch(graph, costs).settle(period);
  }
  return free_after_barrier(IterationMap(graph, costs));
}

}  // namespace stagecraft
