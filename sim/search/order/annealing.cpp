#include "search/order/annealing.hpp"

#include <algorithm>
#include <bit>
#include <optional>

#include "search/order/repair.hpp"
#include "stagecraft/core/check.hpp"
#include "stagecraft/engine/bounds.hpp"
#include "stagecraft/engine/iteration.hpp"
#include "stagecraft/engine/task_graph.hpp"

namespace stagecraft::search {
namespace {

constexpr int kVariations = 4;
constexpr std::size_t kElites = 4;
constexpr std::uint64_t kTellEvery = 1024;
// Moves after which an order whose estimate is below the best objective is measured again.
constexpr std::uint64_t kMeasureEvery = 4096;

// No order of the model has a smaller value: a device's ends and its work.
Time load_bound(const OrderModel& model) {
  std::vector<Time> load(static_cast<std::size_t>(model.devices), 0);
  for (OpIndex t = 0; t < model.size(); ++t) {
    if (model.recomputation_of[t] < 0) {
      load[model.device[t]] += model.duration[t];
    }
  }
  Time bound = 0;
  for (std::size_t d = 0; d < load.size(); ++d) {
    bound = std::max(bound, model.ends.head[d] + load[d] + model.ends.tail[d]);
  }
  return bound;
}

Time order_bound(const Instance& instance, const Schedule& start, const OrderModel& model,
                 const OrderSearchOptions& options) {
  Time bound = load_bound(model);
  if (options.objective == Objective::kMakespan) {
    BoundOptions which = bound_options(start, instance.costs);
    which.frees_activations = which.frees_activations || options.recompute_open;
    const LowerBound known = lower_bound(instance.pipeline, instance.costs, which);
    if (known.makespan < kNever) {
      bound = std::max(bound, known.makespan);
    }
  }
  return bound;
}

}  // namespace

SavedOrder save(const OrderState& state) {
  SavedOrder saved;
  const OrderModel& model = state.model();
  for (std::size_t d = 0; d < static_cast<std::size_t>(model.devices); ++d) {
    const auto list = state.list(d);
    saved.lists.emplace_back(list.begin(), list.end());
  }
  for (std::size_t r = 0; r < model.recomputations.size(); ++r) {
    saved.on.push_back(state.recomputed(r) ? 1 : 0);
  }
  return saved;
}

void load(const SavedOrder& saved, OrderState& state) {
  state.check_memory(false);
  bool holds = true;
  for (std::size_t r = 0; r < saved.on.size(); ++r) {
    if (state.recomputed(r) != (saved.on[r] != 0)) {
      holds = state.toggle(r) && holds;
    }
  }
  for (std::size_t d = 0; d < saved.lists.size(); ++d) {
    holds = state.replace(d, 0, saved.lists[d]) && holds;
  }
  holds = state.judge(kNever) && holds;
  STAGECRAFT_CHECK(holds, "an order that was kept can run");
  state.commit();
  state.check_memory(true);
}

Annealing::Annealing(const Instance& instance, const Schedule& start,
                     const OrderSearchOptions& options, OrderState& state, JobContext& context)
    : instance_(instance),
      start_(start),
      options_(options),
      state_(state),
      context_(context),
      random_(options.seed),
      moves_(state, random_),
      best_estimate_(state.value()),
      bound_(order_bound(instance, start, state.model(), options)),
      saved_(save(state)) {
  best_ = state.model().ends.replaceable ? measured_value() : state.value();
}

bool Annealing::done(std::uint64_t evaluations) const {
  return stopped_ || evaluations_ >= evaluations || best_ <= bound_ || best_ <= options_.target;
}

void Annealing::run(std::uint64_t evaluations) {
  const auto size = static_cast<std::uint64_t>(state_.model().size());
  while (!done(evaluations)) {
    const std::uint64_t steps = (16 * size + 256) << std::min<std::uint64_t>(cycle_ / 6, 5);
    choose_start(evaluations);
    cycle(steps, std::max<Time>(state_.model().typical / 6, 1), evaluations);
    keep_end();
    ++cycle_;
    tell();
  }
  load(saved_, state_);
  context_.count(evaluations_ - told_);
  told_ = evaluations_;
}

// The first cycles improve the best order; later ones take turns with other good ones and with
// orders varied from the best.
void Annealing::choose_start(std::uint64_t evaluations) {
  elite_ = elites_.size();
  if (cycle_ % 3 == 0 || elites_.empty()) {
    load(saved_, state_);
  } else if (cycle_ % 3 == 1) {
    elite_ = (cycle_ / 3) % elites_.size();
    load(elites_[elite_].order, state_);
  } else {
    load(saved_, state_);
    std::optional<SavedOrder> start;
    Time value = kNever;
    for (int i = 0; i < kVariations && !done(evaluations); ++i) {
      stopped_ = context_.stopped();
      const std::optional<SavedOrder> varied = vary_order(state_, random_);
      ++evaluations_;
      if (!varied) {
        continue;
      }
      load(*varied, state_);
      if (state_.value() < value) {
        value = state_.value();
        start = varied;
      }
      load(saved_, state_);
    }
    if (start) {
      load(*start, state_);
    }
  }
  cycle_best_ = {state_.value(), save(state_)};
  look_at_value();
}

void Annealing::keep_end() {
  if (elite_ < elites_.size()) {
    if (cycle_best_.value <= elites_[elite_].value) {
      elites_[elite_] = cycle_best_;
    }
    return;
  }
  if (elites_.size() < kElites) {
    elites_.push_back(cycle_best_);
    return;
  }
  const auto worst =
      std::max_element(elites_.begin(), elites_.end(),
                       [](const Elite& a, const Elite& b) { return a.value < b.value; });
  if (cycle_best_.value < worst->value) {
    *worst = cycle_best_;
  }
}

// Exponentially distributed with mean `temperature`, in integers: leading zeros of a random number
// are geometric, and the bits after them interpolate.
Time Annealing::threshold(Time temperature) {
  const std::uint64_t bits = random_.next();
  const auto zeros = static_cast<Time>(std::countl_zero(bits | 1));
  const auto part = static_cast<Time>(bits & 1023U);
  return temperature * (zeros * 1024 + part) / 1477;
}

void Annealing::cycle(std::uint64_t steps, Time hottest, std::uint64_t evaluations) {
  Time temperature = hottest;
  for (std::uint64_t step = 0; step < steps && !done(evaluations); ++step) {
    if (step % 64 == 0) {
      const auto left = static_cast<Time>((steps - step) * 1024 / steps);
      temperature = (hottest * left / 1024) * left / 1024;
    }
    ++evaluations_;
    if (evaluations_ % kTellEvery == 0) {
      context_.count(evaluations_ - told_);
      told_ = evaluations_;
      stopped_ = context_.stopped();
    }
    if (moves_.attempt(state_.value() + threshold(temperature))) {
      state_.commit();
      look_at_value();
    }
  }
}

void Annealing::look_at_value() {
  const Time value = state_.value();
  if (value < cycle_best_.value) {
    cycle_best_ = {value, save(state_)};
  }
  if (!state_.model().ends.replaceable) {
    if (value < best_) {
      best_ = best_estimate_ = value;
      saved_ = save(state_);
      improved_ = true;
    }
    return;
  }
  if (value >= best_ ||
      (value >= best_estimate_ && evaluations_ < last_measured_ + kMeasureEvery)) {
    return;
  }
  last_measured_ = evaluations_;
  best_estimate_ = std::min(best_estimate_, value);
  if (const Time measured = measured_value(); measured < best_) {
    best_ = measured;
    saved_ = save(state_);
    improved_ = true;
  }
}

Time Annealing::measured_value() const {
  const Result<TaskGraph> graph = build_task_graph(state_.schedule(start_), instance_.costs);
  STAGECRAFT_CHECK(graph.ok(), "an order under search can run");
  return iteration_time(*graph, instance_.costs);
}

void Annealing::tell() {
  if (!improved_) {
    return;
  }
  improved_ = false;
  load(saved_, state_);
  Plan plan;
  plan.partition = instance_.partition;
  plan.schedule = state_.schedule(start_);
  plan.origin = "order search";
  context_.found(plan);
}

}  // namespace stagecraft::search
