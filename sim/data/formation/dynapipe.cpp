// DynaPipe (Jiang et al., "DynaPipe: Optimizing Multi-task Training through Dynamic Pipelines",
// EuroSys '24, section 4): sequences sorted by length are cut into consecutive micro-batches so
// that (stages - 1) t_max + sum t / data_parallel is least.
//
// For one t_max the least sum is a shortest path over the sorted sequences. With the longest first,
// a micro-batch [i, j) takes fixed + (j - i) c_i where c_i, the cost of its longest sequence, falls
// with i: the quadrangle inequality holds, so the best i moves only forwards with j, also where
// t_max and the capacity end the reach of an i (longer ones reach less far). A queue of the i that
// are best from some j on finds the path in O(n log n) (Galil and Park, "Dynamic programming with
// convexity, concavity and sparsity", 1992).
#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/core.h>

#include "data/formation/inputs.hpp"

namespace stagecraft::data {
namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();

/// A partition: where its micro-batches end, and what they take.
struct Partition {
  std::vector<std::size_t> ends;
  double longest = 0;
  double sum = 0;
};

class Partitioner {
 public:
  Partitioner(const GlobalBatch& batch, const std::vector<std::int32_t>& order,
              const DynaPipeOptions& options)
      : options_(options), cost_(order.size()), widest_(order.size()) {
    for (std::size_t i = 0; i < order.size(); ++i) {
      const Tokens tokens = batch.sequences[static_cast<std::size_t>(order[i])].tokens;
      cost_[i] = options.costs.of(0, tokens);
      widest_[i] = order.size() - i;
      if (options.capacity > 0) {
        widest_[i] = std::min(widest_[i], static_cast<std::size_t>(options.capacity / tokens));
      }
    }
  }

  Partition best() {
    Partition best = shortest(kInfinite);
    const double least_sum = best.sum;
    const double lowest = time(0, 1);
    double least = objective(best);
    // A time is worth trying only if it alone, with the least sum, does not exceed the best.
    const auto hopeless = [&](double most) {
      return (options_.stages - 1) * most + least_sum / options_.data_parallel >= least;
    };
    const auto attempt = [&](double most) {
      if (hopeless(most)) {
        return false;
      }
      Partition partition = shortest(most);
      const double value = objective(partition);
      if (value >= least) {
        return false;
      }
      least = value;
      best = std::move(partition);
      return true;
    };
    if (options_.stages == 1 || best.longest <= lowest) {
      return best;
    }
    const double highest = best.longest;
    if (achievable(lowest, highest) <= options_.candidates) {
      for (const double most : achievable_times(lowest, highest)) {
        attempt(most);
      }
      return best;
    }
    // Half of the candidates evenly over the range, the others around the best of them.
    const int coarse = (options_.candidates + 1) / 2;
    const int fine = options_.candidates - coarse;
    const double stride = (highest - lowest) / coarse;
    double around = highest;
    for (int i = 0; i < coarse; ++i) {
      const double most = lowest + i * stride;
      if (attempt(most)) {
        around = most;
      }
    }
    const double from = std::max(lowest, around - stride);
    const double to = std::min(highest, around + stride);
    for (int i = 1; i <= fine; ++i) {
      attempt(from + i * (to - from) / (fine + 1));
    }
    return best;
  }

 private:
  [[nodiscard]] double time(std::size_t first, std::size_t count) const {
    return options_.fixed + static_cast<double>(count) * cost_[first];
  }

  [[nodiscard]] double objective(const Partition& partition) const {
    return (options_.stages - 1) * partition.longest + partition.sum / options_.data_parallel;
  }

  /// The largest count that starts at `first` and takes at most `most`; at least 1.
  [[nodiscard]] std::size_t reach(std::size_t first, double most) const {
    const std::size_t widest = widest_[first];
    const double exact = (most - options_.fixed) / cost_[first];
    if (exact >= static_cast<double>(widest) + 1) {
      return widest;
    }
    auto count = static_cast<std::size_t>(std::max(1.0, exact));
    while (count < widest && time(first, count + 1) <= most) {  // the division rounds
      ++count;
    }
    while (count > 1 && time(first, count) > most) {
      --count;
    }
    return std::min(count, widest);
  }

  /// Calls `use(first, least count, most count)` for the micro-batches that take `low` to `high`.
  /// Of equal sequences the first speaks for all.
  template <typename Use>
  void for_times(double low, double high, Use use) const {
    for (std::size_t i = 0; i < cost_.size(); ++i) {
      if (i > 0 && cost_[i] == cost_[i - 1]) {
        continue;
      }
      const std::size_t most = reach(i, high);
      std::size_t least = reach(i, low);
      least += time(i, least) < low ? 1U : 0U;
      if (least <= most) {
        use(i, least, most);
      }
    }
  }

  [[nodiscard]] std::int64_t achievable(double low, double high) const {
    std::int64_t count = 0;
    for_times(low, high, [&](std::size_t, std::size_t least, std::size_t most) {
      count += static_cast<std::int64_t>(most - least) + 1;
    });
    return count;
  }

  [[nodiscard]] std::vector<double> achievable_times(double low, double high) const {
    std::vector<double> times;
    for_times(low, high, [&](std::size_t i, std::size_t least, std::size_t most) {
      for (std::size_t count = least; count <= most; ++count) {
        times.push_back(time(i, count));
      }
    });
    std::sort(times.begin(), times.end());
    times.erase(std::unique(times.begin(), times.end()), times.end());
    return times;
  }

  /// The partition of least sum whose micro-batches take at most `most`, which must be enough for
  /// every sequence alone.
  [[nodiscard]] Partition shortest(double most) {
    const std::size_t n = cost_.size();
    reach_.resize(n);
    sum_.assign(n + 1, 0.0);
    from_.assign(n + 1, 0);
    queue_.clear();
    std::size_t front = 0;
    const auto value = [&](std::size_t i, std::size_t j) {
      return j > reach_[i] ? kInfinite : sum_[i] + time(i, j - i);
    };
    for (std::size_t j = 1; j <= n; ++j) {
      reach_[j - 1] = j - 1 + reach(j - 1, most);
      const auto beats_back = [&](std::size_t at) {
        return value(j - 1, at) <= value(queue_.back().first, at);
      };
      while (queue_.size() > front && beats_back(std::max(queue_.back().from, j))) {
        queue_.pop_back();
      }
      if (queue_.size() == front) {
        queue_.push_back({j - 1, j});
      } else {
        std::size_t low = std::max(queue_.back().from, j);  // still the back's
        std::size_t high = n + 1;
        while (high - low > 1) {
          const std::size_t middle = low + (high - low) / 2;
          (beats_back(middle) ? high : low) = middle;
        }
        if (high <= n) {
          queue_.push_back({j - 1, high});
        }
      }
      while (queue_.size() - front > 1 && queue_[front + 1].from <= j) {
        ++front;
      }
      from_[j] = queue_[front].first;
      sum_[j] = value(from_[j], j);
    }
    STAGECRAFT_CHECK(std::isfinite(sum_[n]), "every sequence fits into a micro-batch of its own");
    Partition partition;
    for (std::size_t end = n; end > 0; end = from_[end]) {
      partition.ends.push_back(end);
      partition.longest = std::max(partition.longest, time(from_[end], end - from_[end]));
    }
    std::reverse(partition.ends.begin(), partition.ends.end());
    partition.sum = sum_[n];
    return partition;
  }

  /// The micro-batch that starts at `first` is the best last one for ends from `from` on.
  struct Owner {
    std::size_t first = 0;
    std::size_t from = 0;
  };

  const DynaPipeOptions& options_;
  std::vector<double> cost_;         ///< of one sequence, padded to the i-th
  std::vector<std::size_t> widest_;  ///< sequences that fit from the i-th on, by capacity
  std::vector<std::size_t> reach_;   ///< the last end of a micro-batch from the i-th
  std::vector<double> sum_;
  std::vector<std::size_t> from_;
  std::vector<Owner> queue_;
};

Diagnostics problems_of(const GlobalBatch& batch, const DynaPipeOptions& options) {
  Diagnostics problems = batch_problems(batch);
  append(problems, cost_problems(options.costs, options.fixed));
  const auto in_range = [&](std::int32_t number, std::int32_t most, std::string_view what) {
    if (number < 1 || number > most) {
      problems.push_back(bad_input(fmt::format("{} must be 1 to {}, not {}", what, most, number)));
    }
  };
  constexpr std::int32_t kMost = 1 << 20;
  in_range(options.stages, kMost, "the number of stages");
  in_range(options.data_parallel, kMost, "the data-parallel degree");
  in_range(options.candidates, kMost, "the number of candidates for the longest time");
  if (options.capacity != 0) {
    append(problems, over_limit(batch, options.capacity, "the capacity"));
  }
  return problems;
}

}  // namespace

Result<Formation> dynapipe_microbatches(const GlobalBatch& batch, const DynaPipeOptions& options) {
  if (Diagnostics problems = problems_of(batch, options); !problems.empty()) {
    return problems;
  }
  const std::vector<std::int32_t> order = longest_first(batch);
  const Partition best = Partitioner(batch, order, options).best();
  Formation formation{"dynapipe", {}};
  formation.microbatches.reserve(best.ends.size());
  std::size_t first = 0;
  for (const std::size_t end : best.ends) {
    Slice slice;
    const Tokens longest = whole(batch, order[first]).tokens;
    for (; first < end; ++first) {
      slice.pieces.push_back(whole(batch, order[first]));
      slice.pieces.back().padded = longest;
    }
    formation.microbatches.emplace_back().slices.push_back(std::move(slice));
  }
  return formation;
}

}  // namespace stagecraft::data
