// Our search over compute orders and what they park in host memory.
//
// An order is judged in two steps. Its compute ops alone give its time; then copies are planned
// into it that bring every device within its memory without delaying a compute op (copy_plan.hpp).
// So the search may look for short orders with much memory and pays for memory with link time. It
// starts from registered schedules (as they are, and with copies planned anew) and from list
// schedules whose room per device shrinks until the copies suffice, goes on by changing the
// parameters of the best list schedules, and ends by moving single ops.
#include "stagecraft/search/offload_search.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "search/optpipe/copy_plan.hpp"
#include "search/optpipe/list_rules.hpp"
#include "search/optpipe/move_copies.hpp"
#include "search/optpipe/offload_starts.hpp"
#include "stagecraft/core/random.hpp"
#include "stagecraft/engine/bounds.hpp"
#include "stagecraft/engine/incremental.hpp"
#include "stagecraft/engine/task_graph.hpp"

namespace stagecraft::search {
namespace {

constexpr std::size_t kKept = 4;      // rules that are developed further
constexpr std::uint64_t kGiveUp = 4;  // part of the budget without a gain that ends a phase

std::size_t slot(std::int32_t index) {
  return static_cast<std::size_t>(index);
}

using Sequence = std::vector<std::vector<Op>>;

struct Found {
  RoomRule rule;
  Time value = 0;
};

class Search {
 public:
  Search(const Instance& instance, const OffloadSearchOptions& options, JobContext& context)
      : instance_(instance),
        options_(options),
        context_(context),
        random_(options.seed),
        planner_(instance, CopyLengths::kShared, options.offload_open),
        span_(options.objective == Objective::kSpan ||
              (options.objective != Objective::kMakespan && instance.costs.post_validation)) {
    if (RoomScheduler::covers(instance)) {
      scheduler_ = std::make_unique<RoomScheduler>(instance);
    }
    const BoundOptions free = {.split_backward = instance.costs.split_backward,
                               .overlapped = false,
                               .frees_activations = true};
    // What a device has to do is a bound on the span, too; heads and tails are not.
    least_ = span_ ? 0 : lower_bound(instance.pipeline, instance.costs, free).makespan;
  }

  std::optional<ScoredPlan> run(const Schedule* start) {
    if (start != nullptr) {
      try_schedule(*start, "start");
    }
    if (start == nullptr || options_.starts) {
      for_each_offload_start(instance_, [this](const Schedule& schedule, std::string_view origin) {
        try_schedule(schedule, origin);
        return !done();
      });
      if (scheduler_) {
        first_rules();
        develop_rules();
      }
    }
    move_ops();
    move_all();
    context_.count(std::exchange(uncounted_, 0));
    return std::move(best_);
  }

 private:
  [[nodiscard]] bool done() const { return spent_ >= options_.evaluations || context_.stopped(); }

  void spend(std::uint64_t evaluations = 1) {
    spent_ += evaluations;
    uncounted_ += evaluations;
    if (uncounted_ >= 256) {
      context_.count(std::exchange(uncounted_, 0));
    }
  }

  [[nodiscard]] std::uint64_t left() const {
    return options_.evaluations - std::min(options_.evaluations, spent_);
  }

  [[nodiscard]] Time value(const TimedOrder& order) const {
    return span_ ? order.span() : order.makespan();
  }

  bool consider(Schedule schedule, std::string_view origin) {
    spend();
    ScoredPlan scored;
    scored.figures = measure(schedule, instance_.costs);
    if (!scored.figures.feasible ||
        (best_ && !better(scored.figures, best_->figures, options_.objective))) {
      return scored.figures.feasible;
    }
    scored.plan.partition = instance_.partition;
    scored.plan.origin = std::string(origin);
    scored.plan.schedule = std::move(schedule);
    context_.found(scored.plan);
    best_ = std::move(scored);
    return true;
  }

  void try_schedule(const Schedule& schedule, std::string_view origin) {
    const bool copies =
        std::ranges::any_of(schedule.ops, [](const Op& op) { return is_copy(op.kind); });
    if (options_.offload_open || !copies) {
      static_cast<void>(consider(schedule, origin));
    }
    const std::optional<TimedOrder> order = timed_order(instance_, schedule);
    if (order && (!best_order_ || value(*order) < best_order_value_)) {
      static_cast<void>(try_order(*order, std::string(origin) + " with planned copies"));
    }
    if (order && scheduler_ && instance_.costs.split_backward && !done()) {
      place_weights(*order);
    }
  }

  /// Plans copies; true if the order fits with them.
  bool try_order(const TimedOrder& order, std::string_view origin,
                 std::vector<bool>* short_devices = nullptr) {
    spend();
    Schedule schedule;
    if (!planner_.plan(order, ParkFirst::kMostRelief, &schedule, short_devices)) {
      return false;
    }
    const Time time = value(order);
    if (best_order_ && time >= best_order_value_) {
      return true;
    }
    schedule.name = std::string(origin);
    if (!consider(std::move(schedule), origin)) {
      return false;
    }
    best_order_ = order;
    best_order_value_ = time;
    return true;
  }

  /// The forwards and backwards of an order as they are, W where gaps are.
  void place_weights(const TimedOrder& order) {
    Sequence sequence;
    for (const std::vector<TimedOp>& list : order.lists) {
      sequence.emplace_back();
      for (const TimedOp& timed : list) {
        const OpKind kind = timed.op.kind;
        if (kind == OpKind::kOverlapped) {
          return;
        }
        if (kind != OpKind::kBackwardWeight && kind != OpKind::kRecompute) {
          sequence.back().push_back(timed.op);
        }
      }
    }
    for (const std::int32_t delay : {5, 3, 1}) {
      RoomRule rule = roomy_rule(instance_.pipeline, *scheduler_);
      rule.delay_w.assign(rule.delay_w.size(), delay);
      shrink_rooms(std::move(rule), &sequence);
    }
  }

  [[nodiscard]] std::optional<TimedOrder> run_rule(const RoomRule& rule,
                                                   const Sequence* sequence = nullptr) {
    spend();
    std::optional<TimedOrder> order = scheduler_->run(rule, sequence);
    if (order && instance_.costs.communication != Communication::kLatency) {
      const std::vector<Bytes> most_held = std::move(order->most_held);
      order = timed_order(instance_, untimed(instance_, *order));
      if (order) {
        order->most_held = most_held;
      }
    }
    return order;
  }

  /// A smaller room does not make an order shorter as a rule.
  [[nodiscard]] bool hopeless(Time time) const {
    return (kept_.size() == kKept && time >= kept_.back().value) ||
           (best_order_ && time > best_order_value_ + best_order_value_ / 8);
  }

  /// Shrinks rooms until copies suffice.
  void shrink_rooms(RoomRule rule, const Sequence* sequence = nullptr) {
    std::vector<bool> short_devices(slot(instance_.pipeline.devices), false);
    while (!done()) {
      const std::optional<TimedOrder> order = run_rule(rule, sequence);
      if (!order || hopeless(value(*order))) {
        return;
      }
      if (try_order(*order,
                    sequence == nullptr ? "list schedule" : "order of a schedule, W in gaps",
                    &short_devices)) {
        if (sequence == nullptr) {
          keep({rule, value(*order)});
        }
        return;
      }
      for (std::int32_t d = 0; d < instance_.pipeline.devices; ++d) {
        if (short_devices[slot(d)]) {
          Bytes& room = rule.room[slot(d)];
          const Bytes over = order->most_held[slot(d)] - instance_.costs.memory.capacity_of(d) +
                             instance_.costs.memory.resident_of(d);
          room = std::min(room, order->most_held[slot(d)] + scheduler_->reserve(d)) -
                 std::max(scheduler_->smallest_unit(d), over / 8);
          if (room <= 0) {
            return;
          }
        }
      }
    }
  }

  void keep(Found found) {
    const auto place = std::upper_bound(kept_.begin(), kept_.end(), found.value,
                                        [](Time a, const Found& b) { return a < b.value; });
    kept_.insert(place, std::move(found));
    if (kept_.size() > kKept) {
      kept_.pop_back();
    }
  }

  void first_rules() {
    const Pipeline& pipeline = instance_.pipeline;
    const std::int32_t devices = pipeline.devices;
    RoomRule rule = roomy_rule(instance_.pipeline, *scheduler_);
    std::vector<std::int32_t> groups = {devices, (devices + 1) / 2, pipeline.microbatches,
                                        2 * devices, 1};
    if (pipeline.stages == devices) {
      groups = {pipeline.microbatches};
    }
    std::vector<std::int32_t> parts = {0};
    if (options_.recompute_open) {
      parts = {0, 8, 4, 2};
    }
    for (const std::int32_t part : parts) {
      rule.recomputed.assign(slot(pipeline.stages), part);
      for (const std::int32_t forward_first : {0, 1}) {
        rule.forward_first.assign(slot(devices), forward_first);
        for (const std::int32_t group : groups) {
          rule.group = std::clamp(group, 1, pipeline.microbatches);
          for (const std::int32_t delay : {5, 1, 3, 0}) {
            rule.delay_w.assign(slot(devices), delay);
            shrink_rooms(rule);
          }
        }
      }
    }
  }

  /// Climbs from each kept rule with a part of the budget, equal values allowed.
  void develop_rules() {
    std::vector<Found> rules = std::move(kept_);
    const std::uint64_t share = left() / 3 / std::max<std::size_t>(rules.size(), 1);
    for (Found& found : rules) {
      const std::uint64_t until = spent_ + share;
      std::uint64_t gained = spent_;
      while (spent_ < until && spent_ - gained < share / kGiveUp + 64 && !done()) {
        RoomRule next = changed_rule(found.rule, instance_.pipeline, *scheduler_,
                                     options_.recompute_open, random_);
        const std::optional<TimedOrder> order = run_rule(next);
        if (!order || value(*order) > found.value) {
          continue;
        }
        if (try_order(*order, "list schedule")) {
          gained = value(*order) < found.value ? spent_ : gained;
          found = {std::move(next), value(*order)};
        }
      }
    }
  }

  [[nodiscard]] Time value(IncrementalReplay& replay) const {
    if (!span_) {
      return replay.makespan();
    }
    Time longest = 0;
    for (std::int32_t d = 0; d < instance_.pipeline.devices; ++d) {
      const auto list = replay.list(d);
      longest = std::max(longest, replay.end(list.back()) - replay.start(list.front()));
    }
    return longest;
  }

  [[nodiscard]] TimedOrder read(IncrementalReplay& replay, const Schedule& schedule) const {
    TimedOrder order;
    for (std::int32_t d = 0; d < instance_.pipeline.devices; ++d) {
      order.lists.emplace_back();
      for (const OpIndex task : replay.list(d)) {
        order.lists.back().push_back({schedule.ops[task], replay.start(task), replay.end(task)});
      }
    }
    return order;
  }

  /// Moves single ops of the best order as long as it gets no longer and still fits.
  void move_ops() {
    if (!best_order_ || instance_.costs.communication != Communication::kLatency || done()) {
      return;
    }
    const Schedule schedule = untimed(instance_, *best_order_);
    const Result<TaskGraph> graph = build_task_graph(schedule, instance_.costs);
    if (!graph) {
      return;
    }
    IncrementalReplay replay(*graph);
    Time current = value(replay);
    const std::uint64_t until = spent_ + left() / 3;
    while (spent_ < until && !done()) {
      const auto task =
          static_cast<OpIndex>(random_.uniform(0, static_cast<std::int64_t>(replay.size()) - 1));
      const auto list = replay.list(graph->device[task]);
      const auto from = static_cast<std::int64_t>(replay.position(task));
      const std::int64_t reach = graph->kind[task] == OpKind::kBackwardWeight ? 12 : 3;
      const std::int64_t to = std::clamp<std::int64_t>(from + random_.uniform(-reach, reach), 0,
                                                       static_cast<std::int64_t>(list.size()) - 1);
      spend();
      if (to == from || !replay.move(task, static_cast<std::size_t>(to))) {
        continue;
      }
      const Time next = value(replay);
      if (next > current || !try_order(read(replay, schedule), "list schedule, ops moved")) {
        replay.rollback();
        continue;
      }
      replay.commit();
      current = next;
    }
  }

  /// Moves ops and copies of the best schedule together with what is left of the budget.
  void move_all() {
    if (!best_ || !scheduler_ || instance_.costs.communication != Communication::kLatency ||
        done()) {
      return;
    }
    MoveCopiesOptions moves;
    moves.span = span_;
    moves.may_copy = options_.offload_open && instance_.costs.offload_given;
    moves.seed = options_.seed;
    moves.evaluations = left();
    moves.stopped = [this] { return done(); };
    const Schedule start = best_->plan.schedule;
    spend(move_copies(instance_, start, moves, [this](Schedule schedule) {
      static_cast<void>(consider(std::move(schedule), "ops and copies moved"));
    }));
  }

  const Instance& instance_;
  const OffloadSearchOptions& options_;
  JobContext& context_;
  Random random_;
  CopyPlanner planner_;
  Time least_ = 0;  // of span or makespan
  bool span_;       // the span stands for the objective, otherwise the makespan
  std::unique_ptr<RoomScheduler> scheduler_;
  std::optional<ScoredPlan> best_;
  std::optional<TimedOrder> best_order_;  // compute ops of the best plan with planned copies
  Time best_order_value_ = 0;
  std::vector<Found> kept_;  // by value
  std::uint64_t spent_ = 0;
  std::uint64_t uncounted_ = 0;
};

}  // namespace

std::optional<ScoredPlan> search_offload(const Instance& instance, const Schedule* start,
                                         const OffloadSearchOptions& options, JobContext& context) {
  return Search(instance, options, context).run(start);
}

}  // namespace stagecraft::search
