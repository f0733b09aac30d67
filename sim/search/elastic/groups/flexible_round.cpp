#include "flexible_round.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

#include "partitions.hpp"
#include "polish.hpp"
#include "stagecraft/core/check.hpp"

namespace stagecraft::elastic::rounds {
namespace {

constexpr double kNone = std::numeric_limits<double>::infinity();
constexpr std::int64_t kMostPartitions = 4096;   // more are searched, not enumerated
constexpr std::int64_t kMostSteps = 20'000'000;  // sequences x groups, after which no more is tried
constexpr double kGain = 0.999;                  // a partition must be this much better
constexpr std::size_t kPolished = 4;             // assignments that are improved by moves

class Solver {
 public:
  Solver(std::span<const GroupModel> models, std::span<const data::Tokens> lengths,
         std::int32_t gpus)
      : models_(models), lengths_(lengths), gpus_(gpus), cheapest_(lengths.size()) {
    STAGECRAFT_CHECK(!models.empty(), "a round needs groups");
    for (const GroupModel& model : models) {
      degrees_.push_back(model.gpus());
      std::vector<double> times;
      times.reserve(lengths.size());
      for (const data::Tokens length : lengths) {
        times.push_back(model.time(length));
      }
      times_.push_back(std::move(times));
    }
    for (std::size_t i = 0; i < lengths.size(); ++i) {
      for (std::size_t k = 0; k < models.size(); ++k) {
        if (lengths[i] <= models[k].capacity) {
          cheapest_[i].push_back(k);
        }
      }
      std::ranges::stable_sort(cheapest_[i], {}, [&](std::size_t k) { return work(k, i); });
    }
  }

  [[nodiscard]] double bound() const {
    const double fixed = std::ranges::min(models_, {}, &GroupModel::fixed).fixed;
    // In GPU time; none if there is one that nothing can run by then.
    const auto least_work = [&](double by) {
      double sum = 0.0;
      for (std::size_t i = 0; i < lengths_.size(); ++i) {
        const auto found = std::ranges::find_if(
            cheapest_[i], [&](std::size_t k) { return times_[k][i] + models_[k].fixed <= by; });
        if (found == cheapest_[i].end()) {
          return kNone;
        }
        sum += work(*found, i);
      }
      return sum;
    };
    double high = 0.0;
    for (std::size_t i = 0; i < lengths_.size(); ++i) {
      if (cheapest_[i].empty()) {
        return kNone;
      }
      double slowest = 0.0;
      for (const std::size_t k : cheapest_[i]) {
        slowest = std::max(slowest, models_[k].fixed + models_[k].gpus() * times_[k][i]);
      }
      high += slowest;
    }
    double low = 0.0;
    for (int step = 0; step < 50 && high - low > 1e-9 * high; ++step) {
      const double middle = (low + high) / 2;
      (least_work(middle) <= gpus_ * (middle - fixed) ? high : low) = middle;
    }
    return low;
  }

  std::optional<FlexibleRound> solve() {
    const double least = bound();
    if (least == kNone) {
      return std::nullopt;
    }
    for (const Partition& partition : uniform_partitions(degrees_, gpus_)) {
      consider(partition, least);
    }
    if (count_partitions(degrees_, gpus_, kMostPartitions + 1) <= kMostPartitions) {
      for (const Partition& partition : all_partitions(degrees_, gpus_)) {
        if (steps_ > kMostSteps) {
          break;
        }
        consider(partition, least);
      }
    } else {
      climb(least);
    }
    if (best_.empty()) {
      return std::nullopt;
    }
    for (Assignment& assignment : best_) {
      polish(models_, times_, lengths_, assignment);
    }
    const Assignment& best = *std::ranges::min_element(best_, {}, &Assignment::time);
    FlexibleRound round;
    round.time = best.time;
    round.bound = least;
    round.partitions = tried_;
    for (const AssignedGroup& group : best.groups) {
      round.groups.push_back({group.model, group.sequences});
    }
    std::ranges::stable_sort(round.groups, std::ranges::greater{}, [&](const FlexibleGroup& group) {
      return models_[group.model].gpus();
    });
    return round;
  }

 private:
  [[nodiscard]] double work(std::size_t k, std::size_t i) const {
    return models_[k].gpus() * times_[k][i];
  }

  // Longest sequences first, each on the cheapest kind of group with room in time and memory.
  [[nodiscard]] std::optional<Assignment> assign(const Partition& partition, double by) const {
    Assignment assignment;
    std::vector<std::size_t> first(models_.size() + 1, 0);
    for (std::size_t k = 0; k < models_.size(); ++k) {
      first[k + 1] = first[k] + static_cast<std::size_t>(partition[k]);
      for (std::int32_t g = 0; g < partition[k]; ++g) {
        assignment.groups.push_back({k, models_[k].fixed, 0, {}});
      }
    }
    for (std::size_t i = 0; i < lengths_.size(); ++i) {
      AssignedGroup* place = nullptr;
      for (const std::size_t k : cheapest_[i]) {
        for (std::size_t g = first[k]; g < first[k + 1] && place == nullptr; ++g) {
          AssignedGroup& group = assignment.groups[g];
          if (group.load + times_[k][i] <= by &&
              group.tokens + lengths_[i] <= models_[k].capacity) {
            place = &group;
          }
        }
        if (place != nullptr) {
          break;
        }
      }
      if (place == nullptr) {
        return std::nullopt;
      }
      place->sequences.push_back(static_cast<std::int32_t>(i));
      place->load += times_[place->model][i];
      place->tokens += lengths_[i];
      assignment.time = std::max(assignment.time, place->load);
    }
    return assignment;
  }

  // Bisection for the least M at which the assignment above succeeds; true if it becomes the best.
  bool consider(const Partition& partition, double least) {
    ++tried_;
    steps_ +=
        std::ssize(lengths_) * std::accumulate(partition.begin(), partition.end(), std::int64_t{0});
    std::optional<Assignment> found;
    if (best_.empty()) {
      for (double by = 1.05 * least; !found && by < 64 * least; by *= 1.5) {
        found = assign(partition, by);
      }
      found = found ? std::move(found) : assign(partition, kNone);
    } else {
      found = assign(partition, kGain * best_.front().time);
    }
    if (!found) {
      return false;
    }
    double low = least;
    while (found->time - low > 0.002 * found->time) {
      const double middle = (low + found->time) / 2;
      if (std::optional<Assignment> better = assign(partition, middle)) {
        found = std::move(better);
      } else {
        low = middle;
      }
    }
    best_.insert(best_.begin(), *std::move(found));
    best_.resize(std::min(best_.size(), kPolished));
    best_partition_ = partition;
    return true;
  }

  void climb(double least) {
    for (bool better = !best_.empty(); better;) {
      better = false;
      for (const Partition& partition : neighbours(degrees_, best_partition_)) {
        better = consider(partition, least);
        if (better || steps_ > kMostSteps) {
          break;
        }
      }
      better = better && steps_ <= kMostSteps;
    }
  }

  std::span<const GroupModel> models_;
  std::span<const data::Tokens> lengths_;
  std::int32_t gpus_;
  std::vector<std::int32_t> degrees_;
  std::vector<std::vector<double>> times_;          // [model][sequence]
  std::vector<std::vector<std::size_t>> cheapest_;  // [sequence] models that hold it, by GPU time
  std::vector<Assignment> best_;                    // best first
  Partition best_partition_;
  std::int64_t tried_ = 0;
  std::int64_t steps_ = 0;
};

}  // namespace

std::optional<FlexibleRound> flexible_round(std::span<const GroupModel> models,
                                            std::span<const data::Tokens> lengths,
                                            std::int32_t gpus) {
  return Solver(models, lengths, gpus).solve();
}

double flexible_bound(std::span<const GroupModel> models, std::span<const data::Tokens> lengths,
                      std::int32_t gpus) {
  return Solver(models, lengths, gpus).bound();
}

}  // namespace stagecraft::elastic::rounds
