#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "search/order/annealing.hpp"
#include "search/order/order_model.hpp"
#include "search/order/order_state.hpp"
#include "search/order/repair.hpp"
#include "search/order/simulated_search.hpp"
#include "stagecraft/core/check.hpp"
#include "stagecraft/search/order_search.hpp"

namespace stagecraft::search {
namespace {

constexpr std::uint64_t kFirstRound = 4096;  // of improve_memory

bool has_copies(const Schedule& schedule) {
  return std::any_of(schedule.ops.begin(), schedule.ops.end(),
                     [](const Op& op) { return is_copy(op.kind); });
}

// Every fused backward as B and W behind it, where that takes no longer: no order gets worse, and W
// can move. A unit of a schedule that cannot be split as a whole stays as it is.
Schedule split_backwards(const Instance& instance, const Schedule& schedule) {
  if (!instance.costs.split_backward) {
    return schedule;
  }
  std::vector<std::vector<Op>> lists(static_cast<std::size_t>(schedule.pipeline.devices));
  for (std::int32_t d = 0; d < schedule.pipeline.devices; ++d) {
    for (const Op& op : schedule.device_ops(d)) {
      std::vector<Op>& list = lists[static_cast<std::size_t>(d)];
      Op input = op;
      input.kind = OpKind::kBackwardInput;
      Op weight = op;
      weight.kind = OpKind::kBackwardWeight;
      const auto takes = [&](const Op& one) {
        return instance.costs.duration(one, instance.pipeline);
      };
      if (op.kind == OpKind::kBackward && takes(input) + takes(weight) <= takes(op)) {
        list.push_back(input);
        list.push_back(weight);
      } else {
        list.push_back(op);
      }
    }
  }
  Schedule split = make_schedule(schedule.name, schedule.pipeline, lists);
  split.p2p = schedule.p2p;
  return split;
}

// The value that the state claims, as the engine measures it.
void check_claim(const Annealing& annealing, const Figures& figures, Objective objective) {
  STAGECRAFT_CHECK(figures.feasible, "what order search finds is feasible");
  const Time measured = objective == Objective::kMakespan ? figures.makespan
                        : objective == Objective::kSpan   ? figures.span
                                                          : figures.iteration;
  STAGECRAFT_CHECK(measured == annealing.best(), "order search and the engine agree");
}

// Improves by annealing what replay can judge.
OrderSearchResult improve_by_replay(const Instance& instance, const Schedule& start,
                                    const OrderSearchOptions& options, JobContext& context) {
  OrderSearchResult result{start, measure(start, instance.costs), 0};
  const Schedule whole = split_backwards(instance, start);
  const Result<OrderModel> model =
      make_order_model(instance, whole, options.objective, options.recompute_open);
  if (!model || start.ops.empty()) {
    return result;
  }
  OrderState state(*model);
  if (!state.fits() && !repair_memory(state)) {
    return result;
  }
  Annealing annealing(instance, whole, options, state, context);
  annealing.run(options.evaluations);
  OrderSearchResult found{state.schedule(whole), {}, annealing.evaluations()};
  found.figures = measure(found.schedule, instance.costs);
  check_claim(annealing, found.figures, options.objective);
  result.evaluations = found.evaluations;
  return better(found.figures, result.figures, options.objective) ? std::move(found)
                                                                  : std::move(result);
}

Instance with_capacity(const Instance& instance, Bytes capacity) {
  Instance limited = instance;
  std::vector<Bytes>& capacities = limited.costs.memory.capacity;
  capacities.resize(static_cast<std::size_t>(instance.pipeline.devices), kUnlimited);
  for (Bytes& one : capacities) {
    one = std::min(one, capacity);
  }
  return limited;
}

// An order within `capacity` on every device, or nothing.
std::optional<OrderSearchResult> fit_into(const Instance& instance, const Schedule& order,
                                          Bytes capacity, bool recompute_open) {
  const Instance limited = with_capacity(instance, capacity);
  const Result<OrderModel> model =
      make_order_model(limited, order, Objective::kMakespan, recompute_open);
  if (!model) {
    return std::nullopt;
  }
  OrderState state(*model);
  if (!state.fits() && !repair_memory(state)) {
    return std::nullopt;
  }
  OrderSearchResult found{state.schedule(order), {}, 0};
  found.figures = measure(found.schedule, limited.costs);
  return found;
}

// The smallest peak that the list scheduler reaches, by bisection; then the iteration time within
// it.
OrderSearchResult improve_memory(const Instance& instance, const Schedule& start,
                                 const OrderSearchOptions& options, JobContext& context) {
  OrderSearchResult best{start, measure(start, instance.costs), 0};
  const Schedule whole = split_backwards(instance, start);
  Bytes too_little = -1;
  while (best.evaluations < options.evaluations && !context.stopped() &&
         (!best.figures.feasible || best.figures.peak_memory - too_little > 1)) {
    const Bytes capacity = best.figures.feasible
                               ? too_little + (best.figures.peak_memory - too_little) / 2
                               : kUnlimited;
    ++best.evaluations;
    context.count(1);
    auto found = fit_into(instance, whole, capacity, options.recompute_open);
    if (found && found->figures.feasible) {
      found->evaluations = best.evaluations;
      best = std::move(*found);
    } else if (capacity == kUnlimited) {
      return best;
    } else {
      too_little = capacity;
    }
  }
  // Whole rounds only: an order met halfway may hold less memory by chance than where it leads.
  for (std::uint64_t round = kFirstRound;
       best.figures.feasible && best.evaluations + round <= options.evaluations &&
       !context.stopped();
       round *= 2) {
    const Instance limited = with_capacity(instance, best.figures.peak_memory);
    OrderSearchOptions rest = options;
    rest.objective = Objective::kIteration;
    rest.target = 0;
    rest.evaluations = round;
    OrderSearchResult next = improve_by_replay(limited, best.schedule, rest, context);
    next.evaluations = best.evaluations += next.evaluations;
    if (better(next.figures, best.figures, Objective::kMemory)) {
      best = std::move(next);
    }
  }
  return best;
}

}  // namespace

OrderSearchResult improve_order(const Instance& instance, const Schedule& start,
                                const OrderSearchOptions& options, JobContext& context) {
  if (!replay_judges(instance.costs) || has_copies(start)) {
    return improve_by_simulation(instance, start, options, context);
  }
  return options.objective == Objective::kMemory
             ? improve_memory(instance, start, options, context)
             : improve_by_replay(instance, start, options, context);
}

}  // namespace stagecraft::search
