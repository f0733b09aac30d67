#include "polish.hpp"

#include <algorithm>

namespace stagecraft::elastic::rounds {
namespace {

constexpr int kMostSteps = 300;
constexpr std::int64_t kMostTries = 10'000'000;  // of moves and swaps, of very large rounds
constexpr double kLeastGain = 1e-6;  // relative; keeps rounding from going round in circles

class Polisher {
 public:
  Polisher(std::span<const GroupModel> models, std::span<const std::vector<double>> times,
           std::span<const data::Tokens> lengths, std::vector<AssignedGroup>& groups)
      : models_(models), times_(times), lengths_(lengths), groups_(groups) {}

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
      for (std::size_t i = 0; i < groups_[from].sequences.size(); ++i) {
        try_step({from, to, i, kNobody});
        for (std::size_t j = 0; j < groups_[to].sequences.size(); ++j) {
          try_step({from, to, i, j});
        }
      }
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

  void try_step(const Step& step) {
    ++tries_;
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
  }

  std::span<const GroupModel> models_;
  std::span<const std::vector<double>> times_;
  std::span<const data::Tokens> lengths_;
  std::vector<AssignedGroup>& groups_;
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
