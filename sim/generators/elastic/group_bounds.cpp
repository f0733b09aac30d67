#include "group_bounds.hpp"

#include <algorithm>

#include "windows.hpp"

namespace stagecraft::elastic {
namespace {

constexpr double kArithmetic = 1e-9;  // relative error of sums, and far more

struct SteadyWindow {
  std::int32_t begin = 0;  ///< units
  std::int32_t end = 0;
  Time time = 0;  ///< of the recomputation that it needs
};

class LeastTime {
 public:
  LeastTime(const CheckpointProblem& problem, std::span<const std::int32_t> first,
            std::size_t most_pairs)
      : problem_(problem),
        first_(first),
        order_(unit_order(problem)),
        count_(problem.slices.size()),
        bounds_(count_, most_pairs, 0) {}

  PairTable<Time> run() {
    std::vector<std::int32_t> kinds = problem_.slices;
    std::ranges::sort(kinds);
    const auto repeated = std::ranges::unique(kinds);
    kinds.erase(repeated.begin(), repeated.end());
    for (const std::int32_t most_slices : kinds) {
      for (std::int32_t stage = 0; stage < problem_.stages; ++stage) {
        count_with(most_slices, stage);
      }
    }
    return std::move(bounds_);
  }

 private:
  /// What a window needs on its own: the units that save most first.
  [[nodiscard]] Time need_of(std::int32_t stage, std::int32_t warmup, std::int32_t backward) {
    const std::size_t row =
        static_cast<std::size_t>(stage) * static_cast<std::size_t>(order_.units());
    Bytes need = problem_.memory[row + static_cast<std::size_t>(
                                           order_.mirror[static_cast<std::size_t>(backward)])] -
                 problem_.room[static_cast<std::size_t>(stage)];
    helpers_.clear();
    visit_others(order_, warmup, backward, [&](std::int32_t k) {
      need += problem_.memory[row + static_cast<std::size_t>(k)];
      const std::int32_t limit = layer_limit(problem_, stage, k);
      if (limit > 0) {
        helpers_.push_back({problem_.saving[row + static_cast<std::size_t>(k)], limit,
                            problem_.layer_time[static_cast<std::size_t>(k)]});
      }
    });
    if (need <= 0) {
      return 0;
    }
    return std::max(in_parts(need), in_layers(need));
  }

  /// The least time with parts of layers: those that save most for their time first.
  [[nodiscard]] Time in_parts(Bytes need) {
    std::ranges::sort(helpers_, [](const Helper& a, const Helper& b) {
      const double left = static_cast<double>(a.saving) * static_cast<double>(b.time);
      const double right = static_cast<double>(b.saving) * static_cast<double>(a.time);
      return left != right ? left > right : a.saving > b.saving;
    });
    double time = 0.0;
    for (const Helper& helper : helpers_) {
      const Bytes most = helper.limit * helper.saving;
      if (most >= need) {
        time += static_cast<double>(helper.time) * static_cast<double>(need) /
                static_cast<double>(helper.saving);
        return static_cast<Time>(time * (1.0 - kArithmetic));
      }
      time += static_cast<double>(helper.limit) * static_cast<double>(helper.time);
      need -= most;
    }
    return kTooMuch;
  }

  /// The fewest whole layers, each as short as the shortest.
  [[nodiscard]] Time in_layers(Bytes need) {
    std::ranges::sort(helpers_, std::ranges::greater{}, &Helper::saving);
    Time shortest = kTooMuch;
    for (const Helper& helper : helpers_) {
      shortest = std::min(shortest, helper.time);
    }
    std::int64_t layers = 0;
    for (const Helper& helper : helpers_) {
      const Bytes taken = std::min<Bytes>(helper.limit, (need + helper.saving - 1) / helper.saving);
      layers += taken;
      need -= taken * helper.saving;
      if (need <= 0) {
        return layers * shortest;
      }
    }
    return kTooMuch;
  }

  /// Raises the bound of every pipeline whose longest micro-batch has at least `most_slices`.
  void count_with(std::int32_t most_slices, std::int32_t stage) {
    const std::int32_t n = order_.units();
    const auto warmup =
        static_cast<std::int32_t>(elastic_warmup(problem_.stages, stage, most_slices, n));
    windows_.clear();
    bool any = false;
    for (std::int32_t b = 0; b <= n - warmup; ++b) {
      const auto at = static_cast<std::size_t>(b);
      const bool block_done = order_.mirror[at] == order_.block_begin[at];
      windows_.push_back(
          {block_done ? b + 1 : order_.block_begin[at], b + warmup, need_of(stage, warmup, b)});
      any = any || windows_.back().time > 0;
    }
    if (!any) {
      return;
    }
    best_.resize(static_cast<std::size_t>(n) + 1);
    for (std::size_t i = 0; i < count_; ++i) {
      add_up_from(i, most_slices, warmup);
    }
  }

  void add_up_from(std::size_t i, std::int32_t most_slices, std::int32_t warmup) {
    const std::int32_t begin = first_[i];
    const std::int32_t end = first_[bounds_.last_end(i)];
    std::fill(best_.begin() + begin, best_.begin() + end + 1, 0);
    for (std::int32_t e = begin + warmup; e <= end; ++e) {
      const SteadyWindow& window = windows_[static_cast<std::size_t>(e - warmup)];
      const Time before = best_[static_cast<std::size_t>(std::max(begin, window.begin))];
      best_[static_cast<std::size_t>(e)] = std::min(
          kTooMuch, std::max(best_[static_cast<std::size_t>(e) - 1], before + window.time));
    }
    std::int32_t longest = 0;
    for (std::size_t j = i + 1; j <= bounds_.last_end(i); ++j) {
      longest = std::max(longest, problem_.slices[j - 1]);
      Time& bound = bounds_(i, j);
      if (longest >= most_slices) {
        bound = std::max(bound, best_[static_cast<std::size_t>(first_[j])]);
      }
    }
  }

  struct Helper {
    Bytes saving;
    std::int32_t limit;
    Time time;
  };

  const CheckpointProblem& problem_;
  std::span<const std::int32_t> first_;
  UnitOrder order_;
  std::size_t count_;
  PairTable<Time> bounds_;
  std::vector<SteadyWindow> windows_;  // of one stage, by backward
  std::vector<Time> best_;             // [units + 1] by end
  std::vector<Helper> helpers_;
};

}  // namespace

PairTable<Time> least_recomputation(const CheckpointProblem& problem,
                                    std::span<const std::int32_t> first, std::size_t most_pairs) {
  return LeastTime(problem, first, most_pairs).run();
}

}  // namespace stagecraft::elastic
