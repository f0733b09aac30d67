// AdaOffload, the heuristic that OptPipe starts from (Li et al., 2510.05186). The paper says only
// that it "adapts the amount of offload to the memory limit so that the initial schedule is
// feasible"; this is a reconstruction: the compute order stays as it is, activations that live
// longest are offloaded first, and none that the limit does not ask for.
#include <algorithm>
#include <utility>

#include "search/optpipe/copy_plan.hpp"
#include "stagecraft/engine/evaluate.hpp"
#include "stagecraft/schedule/dependencies.hpp"
#include "stagecraft/search/offload_search.hpp"

namespace stagecraft::search {
namespace {

std::optional<Diagnostic> first_problem(const Schedule& schedule, const CostTable& costs) {
  EvaluateOptions options;
  options.iteration_time = false;
  options.memory_curve = false;
  options.critical_path = false;
  options.most_ops_with_transfers = 0;
  const Evaluation evaluation = evaluate(schedule, costs, options);
  if (evaluation.feasible) {
    return std::nullopt;
  }
  return evaluation.problems.empty() ? infeasible("the order cannot run")
                                     : evaluation.problems.front();
}

Schedule without_unit(const Schedule& schedule, const Op& offload) {
  std::vector<std::vector<Op>> lists;
  for (std::int32_t d = 0; d < schedule.pipeline.devices; ++d) {
    lists.emplace_back();
    for (const Op& op : schedule.device_ops(d)) {
      if (!is_copy(op.kind) || op.unit != offload.unit || op.direction != offload.direction) {
        lists.back().push_back(op);
      }
    }
  }
  Schedule fewer = make_schedule(schedule.name, schedule.pipeline, lists);
  fewer.p2p = schedule.p2p;
  return fewer;
}

/// Offloads of a schedule, the unit that lives shortest (by places in its list) first.
std::vector<Op> offloads_by_lifespan(const Schedule& schedule) {
  const UnitIndex index(schedule);
  std::vector<std::pair<std::uint32_t, Op>> found;
  for (const Op& op : schedule.ops) {
    if (op.kind == OpKind::kOffload) {
      const std::uint32_t made = index.forward(op.unit, op.direction);
      found.emplace_back(index.backward(op.unit, op.direction) - made, op);
    }
  }
  std::ranges::stable_sort(found, {}, &std::pair<std::uint32_t, Op>::first);
  std::vector<Op> ops;
  ops.reserve(found.size());
  for (const auto& [lifespan, op] : found) {
    ops.push_back(op);
  }
  return ops;
}

// Ops that may be evaluated to find offloads to spare.
constexpr std::size_t kMostWork = 4'000'000;

/// Drops offloads as long as one can be spared. Plans are lean already, but they count memory a
/// little too high; in large schedules that is left as it is.
Schedule drop_spare(Schedule schedule, const CostTable& costs) {
  bool dropped = offloads_by_lifespan(schedule).size() * schedule.ops.size() <= kMostWork;
  while (dropped) {
    dropped = false;
    for (const Op& offload : offloads_by_lifespan(schedule)) {
      Schedule fewer = without_unit(schedule, offload);
      if (!first_problem(fewer, costs)) {
        schedule = std::move(fewer);
        dropped = true;
      }
    }
  }
  return schedule;
}

}  // namespace

Result<Schedule> ada_offload(const Instance& instance, const Schedule& order) {
  const Schedule bare = without_copies(order);
  const std::optional<Diagnostic> problem = first_problem(bare, instance.costs);
  if (!problem) {
    return bare;
  }
  if (!instance.costs.offload_given) {
    return bad_input("offloading needs the time of a copy between device and host",
                     "set costs.offload, the one-way copy time of one unit's activation");
  }
  const std::optional<TimedOrder> timed = timed_order(instance, bare);
  if (!timed) {
    return *problem;
  }
  for (const CopyLengths lengths : {CopyLengths::kShared, CopyLengths::kAlone}) {
    for (const ParkFirst first : {ParkFirst::kLongestLived, ParkFirst::kMostRelief}) {
      CopyPlanner planner(instance, lengths);
      Schedule schedule;
      if (!planner.plan(*timed, first, &schedule)) {
        continue;
      }
      schedule.name = order.name;
      schedule.p2p = order.p2p;
      if (!first_problem(schedule, instance.costs)) {
        return drop_spare(std::move(schedule), instance.costs);
      }
    }
  }
  return infeasible("offloading cannot bring the order within its memory: " + problem->message,
                    "raise memory.capacity, copy faster, or take an order with fewer micro-batches "
                    "in flight");
}

}  // namespace stagecraft::search
