#include "polish.hpp"

#include <algorithm>
#include <numeric>

namespace stagecraft::elastic::rounds {
namespace {

constexpr int kMostSteps = 300;
constexpr std::int64_t kMostTries = 10'000'000;  // of moves and swaps, of very large rounds
constexpr double kLeastGain = 1e-6;  // relative; keeps rounding from going round in circles

class Polisher {
 public:
  Polisher(std::span<const GroupModel> models, std::span<const std::vector<double>> times,
           std::span<const data::Tokens> lengths, std::vector<AssignedGroup>& groups)
      : models_(models),
        times_(times),
        lengths_(lengths),
        groups_(groups),
        by_length_(groups.size()) {
    for (std::size_t g = 0; g < groups.size(); ++g) {
      sort(g);
    }
  }

  [[nodiscard]] std::size_t slowest() const {
    std::size_t worst = 0;
    for (std::size_t g = 1; g < groups_.size(); ++g) {
      worst = time_of(g) > time_of(worst) ? g : worst;
    }
    return worst;
  }
  [[nodiscard]] double time_of(std::size_t g) const {
    return groups_[g].sequences.empty() ? 0.0 : groups_[g].load;
  }

  [[nodiscard]] std::int64_t tries() const { return tries_; }

  bool improve() {
    const std::size_t from = slowest();
    best_time_ = time_of(from) * (1.0 - kLeastGain);
    step_ = {};
    for (std::size_t to = 0; to < groups_.size(); ++to) {
      if (to == from) {
        continue;
      }
      const std::size_t sequences = groups_[from].sequences.size();
      for (std::size_t i = 0; i < sequences; ++i) {
        try_step({from, to, i, kNobody});
        try_swaps(from, to, i);
      }
      tries_ += static_cast<std::int64_t>(sequences * (1 + groups_[to].sequences.size()));
    }
    if (step_.from == step_.to) {
      return false;
    }
    apply(step_);
    return true;
  }

 private:
  static constexpr std::size_t kNobody = static_cast<std::size_t>(-1);

  // Sequence number i of `from` goes to `to`, and number j of `to` (unless nobody) to `from`.
  struct Step {
    std::size_t from = 0;
    std::size_t to = 0;
    std::size_t i = 0;
    std::size_t j = kNobody;
  };

  [[nodiscard]] std::size_t sequence(std::size_t g, std::size_t index) const {
    return static_cast<std::size_t>(groups_[g].sequences[index]);
  }

  // The longer what comes back, the slower `from` and the faster `to`: the best of all swaps is
  // where the two meet, within what memory allows.
  void try_swaps(std::size_t from, std::size_t to, std::size_t i) {
    const AssignedGroup& source = groups_[from];
    const AssignedGroup& target = groups_[to];
    const std::size_t out = sequence(from, i);
    const std::vector<std::size_t>& order = by_length_[to];
    const auto length = [&](std::size_t j) { return lengths_[sequence(to, j)]; };
    const data::Tokens most = models_[source.model].capacity - source.tokens + lengths_[out];
    const data::Tokens least = target.tokens + lengths_[out] - models_[target.model].capacity;
    const auto begin = std::partition_point(order.begin(), order.end(),
                                            [&](std::size_t j) { return length(j) > most; });
    const auto end =
        std::partition_point(begin, order.end(), [&](std::size_t j) { return length(j) >= least; });
    const double from_load = source.load - times_[source.model][out];
    const double to_load = target.load + times_[target.model][out];
    const auto meet = std::partition_point(begin, end, [&](std::size_t j) {
      const std::size_t in = sequence(to, j);
      return from_load + times_[source.model][in] > to_load - times_[target.model][in];
    });
    Step before{from, to, i, kNobody};
    if (meet != begin) {
      // The first of equal length, as if they were tried in their order.
      const data::Tokens same = length(*(meet - 1));
      before.j =
          *std::partition_point(begin, meet - 1, [&](std::size_t j) { return length(j) > same; });
    }
    Step after{from, to, i, meet != end ? *meet : kNobody};
    if (after.j < before.j) {  // of two as good, the first in order
      std::swap(before, after);
    }
    for (const Step& step : {before, after}) {
      if (step.j != kNobody) {
        try_step(step);
      }
    }
  }

  void try_step(const Step& step) {
    const AssignedGroup& from = groups_[step.from];
    const AssignedGroup& to = groups_[step.to];
    const std::size_t out = sequence(step.from, step.i);
    double from_load = from.load - times_[from.model][out];
    double to_load = to.load + times_[to.model][out];
    data::Tokens moved = lengths_[out];
    if (step.j != kNobody) {
      const std::size_t in = sequence(step.to, step.j);
      from_load += times_[from.model][in];
      to_load -= times_[to.model][in];
      moved -= lengths_[in];
    }
    const double time = std::max(from_load, to_load);
    if (time < best_time_ && to.tokens + moved <= models_[to.model].capacity &&
        from.tokens - moved <= models_[from.model].capacity) {
      best_time_ = time;
      step_ = step;
    }
  }

  void apply(const Step& step) {
    const std::int32_t out = groups_[step.from].sequences[step.i];
    auto& from = groups_[step.from].sequences;
    auto& to = groups_[step.to].sequences;
    if (step.j == kNobody) {
      from.erase(from.begin() + static_cast<std::ptrdiff_t>(step.i));
      to.push_back(out);
    } else {
      std::swap(from[step.i], to[step.j]);
    }
    refresh(step.from);
    refresh(step.to);
  }

  // Added up anew, so that no rounding piles up.
  void refresh(std::size_t g) {
    AssignedGroup& group = groups_[g];
    group.load = models_[group.model].fixed;
    group.tokens = 0;
    for (const std::int32_t i : group.sequences) {
      group.load += times_[group.model][static_cast<std::size_t>(i)];
      group.tokens += lengths_[static_cast<std::size_t>(i)];
    }
    sort(g);
  }

  void sort(std::size_t g) {
    std::vector<std::size_t>& order = by_length_[g];
    order.resize(groups_[g].sequences.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, std::ranges::greater{},
                             [&](std::size_t j) { return lengths_[sequence(g, j)]; });
  }

  std::span<const GroupModel> models_;
  std::span<const std::vector<double>> times_;
  std::span<const data::Tokens> lengths_;
  std::vector<AssignedGroup>& groups_;
  std::vector<std::vector<std::size_t>> by_length_;  // [group] places, longest sequence first
  double best_time_ = 0.0;
  Step step_;
  std::int64_t tries_ = 0;
};

}  // namespace

void polish(std::span<const GroupModel> models, std::span<const std::vector<double>> times,
            std::span<const data::Tokens> lengths, Assignment& assignment) {
  Polisher polisher(models, times, lengths, assignment.groups);
  for (int step = 0; step < kMostSteps && polisher.tries() < kMostTries && polisher.improve();
       ++step) {
  }
  assignment.time = polisher.time_of(polisher.slowest());
}

}  // namespace stagecraft::elastic::rounds
