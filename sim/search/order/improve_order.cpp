#include <algorithm>

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
  const Result<OrderModel> model =
      make_order_model(instance, start, options.objective, options.recompute_open);
  if (!model || start.ops.empty()) {
    return result;
  }
  OrderState state(*model);
  if (!state.fits() && !repair_memory(state)) {
    return result;
  }
  Annealing annealing(instance, start, options, state, context);
  annealing.run(options.evaluations);
  OrderSearchResult found{state.schedule(start), {}, annealing.evaluations()};
  found.figures = measure(found.schedule, instance.costs);
  check_claim(annealing, found.figures, options.objective);
  result.evaluations = found.evaluations;
  return better(found.figures, result.figures, options.objective) ? std::move(found)
                                                                  : std::move(result);
}

}  // namespace stagecraft::search
