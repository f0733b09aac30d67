#include "true_cost.hpp"

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>

#include "stagecraft/engine/simulate.hpp"
#include "zb_order.hpp"

namespace stagecraft {
namespace {

struct TrueTimes {
  Time makespan = kNever;
  Time span = kNever;
};

/// kNever if the schedule does not run to its end.
TrueTimes simulated_times(const Schedule& schedule, const CostTable& costs) {
  const SimulationResult result = simulate(schedule, costs, {.waits = false, .transfers = false});
  if (!result.complete()) {
    return {};
  }
  const Timeline& timeline = result.timeline;
  TrueTimes times{0, 0};
  for (std::size_t d = 0; d + 1 < timeline.offsets.size(); ++d) {
    Time first = kNever;
    Time last = 0;
    for (std::size_t op = timeline.offsets[d]; op < timeline.offsets[d + 1]; ++op) {
      first = std::min(first, timeline.start[op]);
      last = std::max(last, timeline.end[op]);
    }
    if (first == kNever) {
      continue;
    }
    last = saturating_add(last, costs.gradient_reduction.empty() ? 0 : costs.gradient_reduction[d]);
    last = saturating_add(last, costs.optimizer_step.empty() ? 0 : costs.optimizer_step[d]);
    times.makespan = std::max(times.makespan, last);
    times.span = std::max(times.span, last - first);
  }
  return times;
}

}  // namespace

bool latency_is_all(const CostTable& costs) {
  return costs.communication == Communication::kLatency && !costs.transfers_by_unit &&
         costs.memory.policy == MemoryPolicy::kFail && costs.network.host.host_link_of.empty();
}

Schedule best_by_true_cost(Schedule chosen, std::vector<Schedule> others, const CostTable& costs,
                           TrueGoal goal) {
  std::string name = chosen.name;
  std::vector<TrueTimes> times = {simulated_times(chosen, costs)};
  Time limit = kNever;
  for (const Schedule& schedule : others) {
    times.push_back(simulated_times(schedule, costs));
    limit = std::min(limit, times.back().makespan);
  }
  others.insert(others.begin(), std::move(chosen));
  const auto key = [&](const TrueTimes& each) {
    const bool beyond = goal == TrueGoal::kSpanWithinMakespan && each.makespan > limit;
    const auto [first, second] = goal == TrueGoal::kMakespan ? std::pair(each.makespan, each.span)
                                                             : std::pair(each.span, each.makespan);
    return std::tuple(beyond ? each.makespan : 0, first, second);
  };
  std::size_t best = 0;
  for (std::size_t k = 1; k < others.size(); ++k) {
    if (key(times[k]) < key(times[best])) {
      best = k;
    }
  }
  Schedule schedule = std::move(others[best]);
  schedule.name = std::move(name);
  return schedule;
}

std::vector<Schedule> fitting_line_schedules(std::string_view name, const Pipeline& pipeline,
                                             const CostTable& costs, const LineCosts& line) {
  std::vector<LineOrder> orders = {line_one_f_one_b(line, false)};
  if (costs.split_backward) {
    orders.push_back(line_one_f_one_b(line, true));
    orders.push_back(line_zero_bubble(line, false));
    orders.push_back(line_zero_bubble(line, true));
  }
  std::vector<Schedule> schedules;
  for (const LineOrder& order : orders) {
    if (line_fits(line, order)) {
      schedules.push_back(line_schedule(name, pipeline, order));
    }
  }
  return schedules;
}

}  // namespace stagecraft
