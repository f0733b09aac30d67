// Is checkpointing along the diagonal free? The claim of InfiniPipe's section on checkpointing,
// checked on random pipelines: the diagonal plan against plans with a number for every stage and
// unit, by the objective and by the time of a replay.
#pragma once

#include <cstdint>

#include "instances.hpp"

namespace stagecraft::test {

/// How a plan compares with another: a time of ours over one of theirs.
struct Tally {
  int instances = 0;
  int equal = 0;
  int worse = 0;  ///< ours takes longer
  int better = 0;
  double worst = 1.0;  ///< largest ratio ours / theirs
  double sum = 0.0;    ///< of ratios

  void add(Time ours, Time theirs) {
    const double ratio = static_cast<double>(ours) / static_cast<double>(theirs);
    ++instances;
    ++(ours == theirs ? equal : ours > theirs ? worse : better);
    worst = std::max(worst, ratio);
    sum += ratio;
  }
  [[nodiscard]] double mean() const { return instances > 0 ? sum / instances : 1.0; }
};

struct DiagonalStudy {
  Tally objective;     ///< sum over diagonals: diagonal problem against full problem
  Tally full;          ///< replay: diagonal plan against the full problem's plan
  Tally trimmed;       ///< replay: trimmed diagonal plan against the diagonal plan
  Tally best;          ///< replay, tiny pipelines: diagonal plan against the best of all plans
  Tally trimmed_best;  ///< the same, trimmed
  int unproved = 0;    ///< instances left out of `objective`: a solver stopped early
};

/// The least replayed time of all plans that fit, by trying all.
inline Time least_replayed(const elastic::CheckpointProblem& problem) {
  std::vector<std::int32_t> limit;
  for (std::int32_t stage = 0; stage < problem.stages; ++stage) {
    for (std::int32_t k = 0; k < problem.units(); ++k) {
      limit.push_back(elastic::layer_limit(problem, stage, k));
    }
  }
  Time least = kNever;
  every_choice(limit, [&](std::span<const std::int32_t> layers) {
    if (fits(problem, layers)) {
      least = std::min(least, replayed(problem, layers));
    }
  });
  return least;
}

/// `sized` pipelines of up to 4 stages, and `tiny` ones on which everything can be tried. Only
/// pipelines that have to recompute something count.
inline DiagonalStudy study_diagonals(std::uint64_t seed, int sized, int tiny, bool balanced) {
  Random random(seed);
  DiagonalStudy study;
  const auto draw = [&](bool small) {
    for (;;) {
      ElasticShape shape;
      shape.stages = static_cast<std::int32_t>(random.uniform(2, small ? 3 : 4));
      shape.units = static_cast<std::int32_t>(small ? random.uniform(2, 9 / shape.stages)
                                                    : random.uniform(4, 16));
      shape.most_slices = static_cast<std::int32_t>(random.uniform(1, small ? 2 : 4));
      shape.layers = static_cast<std::int32_t>(random.uniform(1, small ? 1 : 4));
      shape.balanced = balanced;
      elastic::CheckpointProblem problem = random_problem(random, shape);
      if (!elastic::shortages(problem, elastic::unit_order(problem)).empty()) {
        return problem;
      }
    }
  };
  const elastic::CheckpointOptions options{.gap = 0.0, .nodes = 2000};
  for (int i = 0; i < sized; ++i) {
    const elastic::CheckpointProblem problem = draw(false);
    const elastic::CheckpointPlan diagonal = checkpoint_diagonal(problem, options);
    const elastic::CheckpointPlan full = checkpoint_full(problem, options);
    if (diagonal.proved && full.proved) {
      study.objective.add(diagonal.value, full.value);
    } else {
      ++study.unproved;
    }
    const Time time = replayed(problem, diagonal.layers);
    study.full.add(time, replayed(problem, full.layers));
    std::vector<std::int32_t> trimmed = diagonal.layers;
    trim_checkpoints(problem, trimmed);
    study.trimmed.add(replayed(problem, trimmed), time);
  }
  for (int i = 0; i < tiny; ++i) {
    const elastic::CheckpointProblem problem = draw(true);
    const elastic::CheckpointPlan diagonal = checkpoint_diagonal(problem, options);
    const Time least = least_replayed(problem);
    study.best.add(replayed(problem, diagonal.layers), least);
    std::vector<std::int32_t> trimmed = diagonal.layers;
    trim_checkpoints(problem, trimmed);
    study.trimmed_best.add(replayed(problem, trimmed), least);
  }
  return study;
}

}  // namespace stagecraft::test
