// Which micro-batches share a pipeline (formula 14 of 2509.21275): a shortest path over the places
// between micro-batches, where the edge i -> j is a pipeline of micro-batches i .. j - 1 and costs
// its warm-up and its recomputation.
//
// An edge's exact cost takes an integer program, so it is worked out only for edges of a path that
// would be the shortest if the bounds of all others were exact (a lazy shortest path; Dellin and
// Srinivasa, ICAPS 2016). Bounds spread: a pipeline that holds another one recomputes at least as
// much, for its windows hold the other's. The search ends when the best path of known edges is as
// close to the best that may be hoped for as `gap` asks, or when the work is used up.
#include <algorithm>
#include <cmath>
#include <map>

#include "group_bounds.hpp"
#include "stagecraft/core/check.hpp"
#include "windows.hpp"

namespace stagecraft::elastic {
namespace {

constexpr Time kNoPath = kTooMuch;
constexpr std::int32_t kLate = 16;
constexpr std::int64_t kMostOfOne = 400'000'000;  // work of one pipeline

/// Micro-batches begin .. end - 1 on their own.
CheckpointProblem part_of(const CheckpointProblem& problem, std::span<const std::int32_t> first,
                          std::size_t begin, std::size_t end) {
  CheckpointProblem part;
  part.stages = problem.stages;
  part.layers = problem.layers;
  part.room = problem.room;
  part.slices.assign(problem.slices.begin() + static_cast<std::ptrdiff_t>(begin),
                     problem.slices.begin() + static_cast<std::ptrdiff_t>(end));
  const auto from = static_cast<std::ptrdiff_t>(first[begin]);
  const auto to = static_cast<std::ptrdiff_t>(first[end]);
  part.layer_time.assign(problem.layer_time.begin() + from, problem.layer_time.begin() + to);
  const auto units = static_cast<std::ptrdiff_t>(problem.layer_time.size());
  for (std::ptrdiff_t stage = 0; stage < problem.stages; ++stage) {
    const std::ptrdiff_t row = stage * units;
    part.memory.insert(part.memory.end(), problem.memory.begin() + row + from,
                       problem.memory.begin() + row + to);
    part.saving.insert(part.saving.end(), problem.saving.begin() + row + from,
                       problem.saving.begin() + row + to);
  }
  return part;
}

class Planner {
 public:
  Planner(const CheckpointProblem& problem, std::span<const Time> delta,
          const CheckpointOptions& options)
      : problem_(problem),
        delta_(delta),
        options_(options),
        count_(problem.slices.size()),
        first_(first_units(problem)),
        bound_(1, 0, 0) {}

  GroupPlan run() {
    GroupPlan plan;
    for (std::size_t m = 0; m < count_; ++m) {
      if (!fits(m, m + 1)) {
        plan.unfit_microbatch = static_cast<std::int32_t>(m);
        return plan;
      }
    }
    bound_ = least_recomputation(problem_, first_);
    while (true) {
      plan.work = work_ += static_cast<std::int64_t>(count_ * count_);
      const Path hoped = shortest_path(false);
      const Path known = shortest_path(true);
      if (hoped.cost >= options_.most) {
        plan.unwanted = true;
        return plan;
      }
      const bool spent = work_ >= options_.work;
      if (close_enough(known.cost, hoped.cost) || (spent && known.cost < kNoPath)) {
        return plan_of(known.places, hoped.cost);
      }
      // From here on no integer program is solved, only rounded. Should one hoped path after the
      // other not fit: every micro-batch has a plan of its own.
      if (spent && ++late_ > kLate) {
        for (std::size_t m = 0; m < count_; ++m) {
          work_out(m, m + 1);
        }
        continue;
      }
      bool news = false;
      for (std::size_t at = 0; at + 1 < hoped.places.size(); ++at) {
        news = work_out(hoped.places[at], hoped.places[at + 1]) || news;
      }
      STAGECRAFT_CHECK(news, "a path of known edges is a known path");
    }
  }

 private:
  using Edge = std::pair<std::size_t, std::size_t>;  // end, first micro-batch

  static std::vector<std::int32_t> first_units(const CheckpointProblem& problem) {
    std::vector<std::int32_t> first{0};
    first.reserve(problem.slices.size() + 1);
    for (const std::int32_t slices : problem.slices) {
      first.push_back(first.back() + slices);
    }
    return first;
  }

  [[nodiscard]] bool fits(std::size_t i, std::size_t j) const {
    const CheckpointProblem part = part_of(problem_, first_, i, j);
    const UnitOrder order = unit_order(part);
    return fits_with_everything_recomputed(part, order, shortages(part, order));
  }

  struct Path {
    Time cost = kNoPath;
    std::vector<std::size_t> places;  // 0, ends of pipelines; the last one is M
  };

  /// The shortest path, with bounds for the edges whose cost is unknown or without those edges.
  /// Longer pipelines win ties.
  [[nodiscard]] Path shortest_path(bool known_only) const {
    std::vector<Time> cost(count_ + 1, kNoPath);
    std::vector<std::size_t> from(count_ + 1, 0);
    cost[0] = 0;
    const auto try_edge = [&](std::size_t i, std::size_t j) {
      const Time through = std::min(kNoPath, cost[i] + delta_[i] + bound_(i, j));
      if (through < cost[j]) {
        cost[j] = through;
        from[j] = i;
      }
    };
    if (known_only) {
      for (const auto& [edge, known] : known_) {
        try_edge(edge.second, edge.first);
      }
    } else {
      for (std::size_t j = 1; j <= count_; ++j) {
        for (std::size_t i = bound_.first_begin(j); i < j; ++i) {
          try_edge(i, j);
        }
      }
    }
    Path path{cost[count_], {count_}};
    while (path.places.back() != 0) {
      path.places.push_back(from[path.places.back()]);
    }
    std::ranges::reverse(path.places);
    return path;
  }

  [[nodiscard]] bool close_enough(Time known, Time hoped) const {
    return known < kNoPath &&
           static_cast<double>(known - hoped) <= options_.gap * static_cast<double>(known);
  }

  /// False if the edge's cost was known.
  bool work_out(std::size_t i, std::size_t j) {
    if (known_.contains({j, i})) {
      return false;
    }
    const CheckpointProblem part = part_of(problem_, first_, i, j);
    CheckpointOptions options = options_;
    options.work = std::clamp<std::int64_t>(options_.work - work_, 0, kMostOfOne);
    CheckpointPlan plan = checkpoint_diagonal(part, options);
    ++pipelines_;
    nodes_ += plan.nodes;
    work_ += plan.work;
    if (!plan.feasible) {
      raise_bounds(i, j, kNoPath);
      return true;
    }
    trim_checkpoints(part, plan.layers);
    raise_bounds(i, j,
                 static_cast<Time>(std::ceil(plan.bound - 1e-6)) *
                     *std::ranges::min_element(part.layer_time));
    Known known{recompute_time(part, plan.layers), 0, {}};
    if (!plan.proved) {
      const double open = 1.0 - std::max(0.0, plan.bound) / static_cast<double>(plan.value);
      known.unproved = static_cast<Time>(open * static_cast<double>(known.cost));
    }
    bound_(i, j) = known.cost;
    known.layers = std::move(plan.layers);
    known_[{j, i}] = std::move(known);
    return true;
  }

  /// Of every pipeline that holds this one and is not worked out.
  void raise_bounds(std::size_t begin, std::size_t end, Time bound) {
    for (std::size_t i = bound_.first_begin(end); i <= begin; ++i) {
      for (std::size_t j = end; j <= bound_.last_end(i); ++j) {
        bound_(i, j) = std::max(bound_(i, j), bound);
      }
    }
    for (const auto& [edge, known] : known_) {
      bound_(edge.second, edge.first) = known.cost;
    }
  }

  [[nodiscard]] GroupPlan plan_of(const std::vector<std::size_t>& path, Time hoped) const {
    GroupPlan plan;
    plan.feasible = true;
    plan.bound = hoped;
    plan.pipelines = pipelines_;
    plan.nodes = nodes_;
    plan.work = work_;
    plan.layers.assign(problem_.memory.size(), 0);
    const std::size_t units = problem_.layer_time.size();
    for (std::size_t at = 0; at + 1 < path.size(); ++at) {
      const std::size_t i = path[at];
      const std::size_t j = path[at + 1];
      plan.sizes.push_back(static_cast<std::int32_t>(j - i));
      const Known& known = known_.at({j, i});
      plan.cost += delta_[i] + known.cost;
      plan.bound -= known.unproved;
      const std::vector<std::int32_t>& layers = known.layers;
      const auto width = static_cast<std::size_t>(first_[j] - first_[i]);
      for (std::size_t stage = 0; stage < static_cast<std::size_t>(problem_.stages); ++stage) {
        std::copy_n(layers.begin() + static_cast<std::ptrdiff_t>(stage * width), width,
                    plan.layers.begin() + static_cast<std::ptrdiff_t>(
                                              stage * units + static_cast<std::size_t>(first_[i])));
      }
    }
    return plan;
  }

  const CheckpointProblem& problem_;
  std::span<const Time> delta_;
  const CheckpointOptions& options_;
  std::size_t count_;
  std::vector<std::int32_t> first_;  // [M + 1] first unit of every micro-batch
  struct Known {
    Time cost = 0;
    Time unproved = 0;  // what it may cost less, where that is open
    std::vector<std::int32_t> layers;
  };
  PairTable<Time> bound_;        // exact where known
  std::map<Edge, Known> known_;  // few; in the order of a shortest path
  std::int64_t pipelines_ = 0;
  std::int64_t nodes_ = 0;
  std::int64_t work_ = 0;
  std::int32_t late_ = 0;  // paths worked out with the work used up
};

}  // namespace

GroupPlan plan_groups(const CheckpointProblem& problem, std::span<const Time> delta,
                      const CheckpointOptions& options) {
  check_problem(problem);
  STAGECRAFT_CHECK(delta.size() == problem.slices.size(), "delta per micro-batch");
  STAGECRAFT_CHECK(std::ranges::all_of(delta, [](Time time) { return time >= 0; }),
                   "a warm-up takes no negative time");
  if (problem.slices.empty()) {
    GroupPlan nothing;
    nothing.feasible = true;
    return nothing;
  }
  // Every path pays the first warm-up at least, so one pipeline that recomputes nothing is the
  // shortest. Large batches of short sequences have too many micro-batches for a table of pairs.
  if (shortages(problem, unit_order(problem)).empty()) {
    GroupPlan whole;
    whole.feasible = true;
    whole.sizes = {static_cast<std::int32_t>(problem.slices.size())};
    whole.cost = delta.front();
    whole.bound = whole.cost;
    whole.layers.assign(problem.memory.size(), 0);
    return whole;
  }
  return Planner(problem, delta, options).run();
}

}  // namespace stagecraft::elastic
