#include "search/order/simulated_search.hpp"

#include <algorithm>
#include <bit>
#include <utility>
#include <vector>

#include "stagecraft/core/random.hpp"

namespace stagecraft::search {
namespace {

class SimulatedSearch {
 public:
  SimulatedSearch(const Instance& instance, const Schedule& start,
                  const OrderSearchOptions& options, JobContext& context)
      : instance_(instance),
        options_(options),
        context_(context),
        random_(options.seed),
        now_(start),
        figures_(measure(start, instance.costs)),
        best_{start, figures_, 0} {
    Time total = 0;
    for (const Op& op : start.ops) {
      total += instance.costs.duration(op, instance.pipeline);
    }
    typical_ = std::max<Time>(1, total / std::max<Time>(1, static_cast<Time>(start.ops.size())));
  }

  OrderSearchResult run() {
    const std::uint64_t size = std::max<std::size_t>(now_.ops.size(), 2);
    for (std::uint64_t cycle = 0; !done(); ++cycle) {
      now_ = best_.schedule;
      figures_ = best_.figures;
      const std::uint64_t steps = (2 * size) << std::min<std::uint64_t>(cycle / 2, 4);
      for (std::uint64_t step = 0; step < steps && !done(); ++step) {
        const auto left = static_cast<Time>((steps - step) * 256 / steps);
        try_move(typical_ * left / 1024);
      }
      tell();
    }
    return std::move(best_);
  }

 private:
  [[nodiscard]] bool done() const {
    return best_.evaluations >= options_.evaluations || now_.ops.size() < 2 || context_.stopped() ||
           (best_.figures.feasible && best_.figures.value(options_.objective) <= options_.target);
  }

  // Moves an op within its list, by few places as a rule, or switches a recomputation.
  [[nodiscard]] bool change(Schedule& schedule) {
    if (options_.recompute_open && random_.chance(1, 8)) {
      return switch_recomputation(schedule);
    }
    const auto ops = static_cast<std::int64_t>(schedule.ops.size());
    const auto at = static_cast<std::size_t>(random_.uniform(0, ops - 1));
    std::size_t device = 0;
    while (schedule.offsets[device + 1] <= at) {
      ++device;
    }
    const auto low = static_cast<std::int64_t>(schedule.offsets[device]);
    const auto high = static_cast<std::int64_t>(schedule.offsets[device + 1]) - 1;
    const std::int64_t reach = std::int64_t{1} << random_.uniform(0, 4);
    const auto to = static_cast<std::size_t>(
        std::clamp(static_cast<std::int64_t>(at) + random_.uniform(-reach, reach), low, high));
    if (to == at) {
      return false;
    }
    const auto begin = schedule.ops.begin();
    const auto place = [&](std::size_t i) { return begin + static_cast<std::ptrdiff_t>(i); };
    if (to < at) {
      std::rotate(place(to), place(at), place(at + 1));
    } else {
      std::rotate(place(at), place(at + 1), place(to + 1));
    }
    return true;
  }

  [[nodiscard]] bool switch_recomputation(Schedule& schedule) {
    const auto ops = static_cast<std::int64_t>(schedule.ops.size());
    const auto at = static_cast<std::size_t>(random_.uniform(0, ops - 1));
    const Op op = schedule.ops[at];
    const bool backward = op.kind == OpKind::kBackward || op.kind == OpKind::kBackwardInput;
    if (!backward && op.kind != OpKind::kRecompute) {
      return false;
    }
    const auto place = schedule.ops.begin() + static_cast<std::ptrdiff_t>(at);
    if (op.kind == OpKind::kRecompute) {
      schedule.ops.erase(place);
    } else {
      Op r = op;
      r.kind = OpKind::kRecompute;
      schedule.ops.insert(place, r);
    }
    for (std::size_t& offset : schedule.offsets) {
      if (offset > at) {
        offset += op.kind == OpKind::kRecompute ? std::size_t(-1) : 1;
      }
    }
    return true;
  }

  void try_move(Time temperature) {
    ++best_.evaluations;
    context_.count(1);
    Schedule candidate = now_;
    if (!change(candidate)) {
      return;
    }
    Figures figures = measure(candidate, instance_.costs);
    if (!accepts(figures, temperature * std::countl_zero(random_.next() | 1))) {
      return;
    }
    now_ = std::move(candidate);
    figures_ = std::move(figures);
    if (figures_.feasible && better(figures_, best_.figures, options_.objective)) {
      best_.schedule = now_;
      best_.figures = figures_;
      improved_ = true;
    }
  }

  [[nodiscard]] bool accepts(const Figures& figures, Time slack) const {
    if (figures.feasible && figures_.feasible) {
      return figures.value(options_.objective) <= figures_.value(options_.objective) + slack;
    }
    // What does not run to its end has no makespan; the rest only lacks memory.
    return figures.feasible || (!figures_.feasible && figures.makespan > 0 &&
                                figures.peak_memory <= figures_.peak_memory);
  }

  void tell() {
    if (std::exchange(improved_, false) && best_.figures.feasible) {
      Plan plan;
      plan.partition = instance_.partition;
      plan.schedule = best_.schedule;
      plan.origin = "order search by simulation";
      context_.found(plan);
    }
  }

  const Instance& instance_;
  OrderSearchOptions options_;
  JobContext& context_;
  Random random_;
  Schedule now_;
  Figures figures_;
  OrderSearchResult best_;
  Time typical_ = 1;
  bool improved_ = false;
};

}  // namespace

OrderSearchResult improve_by_simulation(const Instance& instance, const Schedule& start,
                                        const OrderSearchOptions& options, JobContext& context) {
  return SimulatedSearch(instance, start, options, context).run();
}

}  // namespace stagecraft::search
