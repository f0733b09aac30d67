#include "flexible_round.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <map>
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

// Sequences on groups that are numbered by kind, the smallest first.
struct Placement {
  Partition partition;
  std::vector<std::int32_t> group;  // of every sequence
  double time = 0.0;                // of the slowest
};

class Solver {
 public:
  Solver(std::span<const GroupModel> models, std::span<const data::Tokens> lengths,
         std::int32_t gpus)
      : models_(models),
        lengths_(lengths),
        gpus_(gpus),
        total_(std::accumulate(lengths.begin(), lengths.end(), data::Tokens{0})),
        cheapest_(lengths.size() * models.size()),
        kinds_(lengths.size()) {
    STAGECRAFT_CHECK(!models.empty() && models.size() <= kMostKinds, "a round needs groups");
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
      std::uint8_t* kinds = &cheapest_[i * models.size()];
      std::size_t count = 0;
      for (std::size_t k = 0; k < models.size(); ++k) {
        if (lengths[i] > models[k].capacity) {
          continue;
        }
        // Insertion keeps the smaller of equals first.
        std::size_t at = count++;
        for (; at > 0 && work(k, i) < work(kinds[at - 1], i); --at) {
          kinds[at] = kinds[at - 1];
        }
        kinds[at] = static_cast<std::uint8_t>(k);
      }
      kinds_[i] = static_cast<std::uint8_t>(count);
    }
  }

  [[nodiscard]] double bound() const {
    const double fixed = std::ranges::min(models_, {}, &GroupModel::fixed).fixed;
    // In GPU time; none if there is one that nothing can run by then.
    const auto least_work = [&](double by) {
      double sum = 0.0;
      for (std::size_t i = 0; i < lengths_.size(); ++i) {
        const std::span<const std::uint8_t> kinds = cheapest(i);
        const auto found = std::ranges::find_if(
            kinds, [&](std::size_t k) { return times_[k][i] + models_[k].fixed <= by; });
        if (found == kinds.end()) {
          return kNone;
        }
        sum += work(*found, i);
      }
      return sum;
    };
    double high = 0.0;
    for (std::size_t i = 0; i < lengths_.size(); ++i) {
      if (kinds_[i] == 0) {
        return kNone;
      }
      double slowest = 0.0;
      for (const std::size_t k : cheapest(i)) {
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
    least_ = bound();
    visit_partitions([](bool) { return false; });
    if (best_.empty()) {
      return std::nullopt;
    }
    std::vector<Assignment> assignments;
    for (const Placement& placement : best_) {
      assignments.push_back(assignment_of(placement));
      polish(models_, times_, lengths_, assignments.back());
    }
    const Assignment& best = *std::ranges::min_element(assignments, {}, &Assignment::time);
    FlexibleRound round;
    round.time = best.time;
    round.bound = least_;
    round.partitions = tried_;
    for (const AssignedGroup& group : best.groups) {
      round.groups.push_back({group.model, group.sequences});
    }
    std::ranges::stable_sort(round.groups, std::ranges::greater{}, [&](const FlexibleGroup& group) {
      return models_[group.model].gpus();
    });
    return round;
  }

  // Whether solve() would find anything.
  bool solvable() {
    least_ = bound();
    visit_partitions([](bool found) { return found; });
    return !best_.empty();
  }

 private:
  static constexpr std::size_t kBlock = 8;
  static constexpr std::size_t kMostKinds = 32;  // of groups: a mask has as many bits

  [[nodiscard]] double work(std::size_t k, std::size_t i) const {
    return models_[k].gpus() * times_[k][i];
  }

  // Models that hold the sequence, by GPU time.
  [[nodiscard]] std::span<const std::uint8_t> cheapest(std::size_t i) const {
    return {&cheapest_[i * models_.size()], kinds_[i]};
  }

  // Considers partitions until `enough` says so of what one of them came to.
  template <typename Enough>
  void visit_partitions(const Enough& enough) {
    if (least_ == kNone) {
      return;
    }
    for (const Partition& partition : uniform_partitions(degrees_, gpus_)) {
      if (enough(consider(partition))) {
        return;
      }
    }
    if (count_partitions(degrees_, gpus_, kMostPartitions + 1) > kMostPartitions) {
      climb();
      return;
    }
    for (const Partition& partition : all_partitions(degrees_, gpus_)) {
      if (steps_ > kMostSteps || enough(consider(partition))) {
        return;
      }
    }
  }

  // Longest sequences first, each on the cheapest kind of group with room in time and memory, into
  // placed_; the time of the slowest.
  [[nodiscard]] std::optional<double> assign(const Partition& partition, double by) {
    std::size_t groups = 0;
    std::size_t blocks = 0;
    for (std::size_t k = 0; k < models_.size(); ++k) {
      const auto count = static_cast<std::size_t>(partition[k]);
      range_[k] = {groups, groups + count, blocks};
      groups += count;
      blocks += (count + kBlock - 1) / kBlock;
      load_.resize(groups);
      std::fill(load_.end() - partition[k], load_.end(), models_[k].fixed);
    }
    held_.assign(groups, 0);
    block_load_.assign(blocks, 0.0);
    block_held_.assign(blocks, 0);
    placed_.resize(lengths_.size());
    double slowest = 0.0;
    for (std::size_t i = 0; i < lengths_.size(); ++i) {
      std::size_t place = groups;
      for (const std::size_t k : cheapest(i)) {
        place = first_with_room(k, times_[k][i], models_[k].capacity - lengths_[i], by);
        if (place < range_[k].end) {
          load_[place] += times_[k][i];
          break;
        }
        place = groups;
      }
      if (place == groups) {
        return std::nullopt;
      }
      placed_[i] = static_cast<std::int32_t>(place);
      held_[place] += lengths_[i];
      slowest = std::max(slowest, load_[place]);
    }
    return slowest;
  }

  // The first group of kind k that ends by `by` with `time` more and holds at most `room`; the end
  // of the kind if there is none. Blocks of groups without room are gone over at once.
  [[nodiscard]] std::size_t first_with_room(std::size_t k, double time, data::Tokens room,
                                            double by) {
    const Range& range = range_[k];
    std::size_t block = range.block;
    for (std::size_t begin = range.begin; begin < range.end; begin += kBlock, ++block) {
      if (block_load_[block] + time > by || block_held_[block] > room) {
        continue;
      }
      const std::size_t end = std::min(begin + kBlock, range.end);
      double load = kNone;
      data::Tokens held = std::numeric_limits<data::Tokens>::max();
      for (std::size_t g = begin; g < end; ++g) {
        if (load_[g] + time <= by && held_[g] <= room) {
          return g;
        }
        load = std::min(load, load_[g]);
        held = std::min(held, held_[g]);
      }
      block_load_[block] = load;
      block_held_[block] = held;
    }
    return range.end;
  }

  [[nodiscard]] Assignment assignment_of(const Placement& placement) const {
    Assignment assignment;
    for (std::size_t k = 0; k < models_.size(); ++k) {
      assignment.groups.insert(assignment.groups.end(),
                               static_cast<std::size_t>(placement.partition[k]),
                               {k, models_[k].fixed, 0, {}});
    }
    for (std::size_t i = 0; i < lengths_.size(); ++i) {
      AssignedGroup& group = assignment.groups[static_cast<std::size_t>(placement.group[i])];
      group.sequences.push_back(static_cast<std::int32_t>(i));
      group.load += times_[group.model][i];
      group.tokens += lengths_[i];
    }
    assignment.time = placement.time;
    return assignment;
  }

  // GPU time that sequences take at least if all end by `by` on groups of these kinds: [k] of those
  // that no kind before k can run.
  [[nodiscard]] std::vector<double> least_work(std::uint32_t kinds, double by) const {
    std::vector<double> need(models_.size(), 0.0);
    for (std::size_t i = 0; i < lengths_.size(); ++i) {
      double least = kNone;
      std::size_t smallest = models_.size() - 1;
      for (const std::size_t k : cheapest(i)) {
        if ((kinds >> k & 1U) != 0 && times_[k][i] + models_[k].fixed <= by) {
          least = std::min(least, work(k, i));
          smallest = std::min(smallest, k);
        }
      }
      need[smallest] += least;
    }
    for (std::size_t k = models_.size() - 1; k > 0; --k) {
      need[k - 1] += need[k];
    }
    return need;
  }

  // False if no assignment ends by `by`, for lack of memory or of GPU time. Much cheaper than to
  // try, for partitions of the same kinds of groups share most of it.
  [[nodiscard]] bool may_end(const Partition& partition, double by) {
    constexpr double kRounding = 1.0 + 1e-9;
    if (by * kRounding < least_) {
      return false;
    }
    if (by != known_by_) {
      known_by_ = by;
      known_need_.clear();
    }
    std::uint32_t kinds = 0;
    data::Tokens room = 0;
    for (std::size_t k = 0; k < models_.size(); ++k) {
      kinds |= partition[k] > 0 ? 1U << k : 0U;
      room += partition[k] * models_[k].capacity;
    }
    if (room < total_) {
      return false;
    }
    const auto [known, fresh] = known_need_.try_emplace(kinds);
    if (fresh) {
      known->second = least_work(kinds, by);
    }
    double have = 0.0;
    for (std::size_t k = models_.size(); k-- > 0;) {
      have += partition[k] * models_[k].gpus() * (by - models_[k].fixed);
      if (known->second[k] > have * kRounding) {
        return false;
      }
    }
    return true;
  }

  // Bisection for the least M at which the assignment above succeeds; true if it becomes the best.
  bool consider(const Partition& partition) {
    ++tried_;
    steps_ +=
        std::ssize(lengths_) * std::accumulate(partition.begin(), partition.end(), std::int64_t{0});
    std::optional<double> time;
    if (best_.empty()) {
      for (double by = 1.05 * least_; !time && by < 64 * least_; by *= 1.5) {
        time = assign(partition, by);
      }
      time = time ? time : assign(partition, kNone);
    } else if (const double by = kGain * best_.front().time; may_end(partition, by)) {
      time = assign(partition, by);
    }
    if (!time) {
      return false;
    }
    Placement found{partition, placed_, *time};
    double low = least_;
    while (found.time - low > 0.002 * found.time) {
      const double middle = (low + found.time) / 2;
      if (const std::optional<double> better = assign(partition, middle)) {
        found.time = *better;
        found.group.swap(placed_);
      } else {
        low = middle;
      }
    }
    best_.insert(best_.begin(), std::move(found));
    best_.resize(std::min(best_.size(), kPolished));
    return true;
  }

  void climb() {
    for (bool better = !best_.empty(); better;) {
      better = false;
      for (const Partition& partition : neighbours(degrees_, best_.front().partition)) {
        better = consider(partition);
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
  data::Tokens total_;
  std::vector<std::int32_t> degrees_;
  std::vector<std::vector<double>> times_;  // [model][sequence]
  std::vector<std::uint8_t> cheapest_;      // [sequence][kinds_[sequence]]
  std::vector<std::uint8_t> kinds_;
  double least_ = 0.0;
  std::vector<Placement> best_;  // best first
  std::int64_t tried_ = 0;
  std::int64_t steps_ = 0;
  struct Range {
    std::size_t begin = 0;
    std::size_t end = 0;
    std::size_t block = 0;
  };
  // Of assign.
  std::array<Range, kMostKinds> range_{};  // groups of every kind
  std::vector<double> load_;               // by group
  std::vector<data::Tokens> held_;
  std::vector<double> block_load_;  // by block: none of its groups has less
  std::vector<data::Tokens> block_held_;
  std::vector<std::int32_t> placed_;  // by sequence
  // Of may_end, by kinds.
  double known_by_ = 0.0;
  std::map<std::uint32_t, std::vector<double>> known_need_;
};

}  // namespace

std::optional<FlexibleRound> flexible_round(std::span<const GroupModel> models,
                                            std::span<const data::Tokens> lengths,
                                            std::int32_t gpus) {
  return Solver(models, lengths, gpus).solve();
}

bool flexible_fits(std::span<const GroupModel> models, std::span<const data::Tokens> lengths,
                   std::int32_t gpus) {
  return Solver(models, lengths, gpus).solvable();
}

double flexible_bound(std::span<const GroupModel> models, std::span<const data::Tokens> lengths,
                      std::int32_t gpus) {
  return Solver(models, lengths, gpus).bound();
}

}  // namespace stagecraft::elastic::rounds
