#include <algorithm>
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

}  // namespace

OrderSearchResult improve_order(const Instance& instance, const Schedule& start,
                                const OrderSearchOptions& options, JobContext& context) {
  if (!replay_judges(instance.costs) || has_copies(start)) {
    return improve_by_simulation(instance, start, options, context);
  }
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

}  // namespace stagecraft::search
