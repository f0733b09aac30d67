// Random pipelines for the tests and the check of the claim "checkpointing along the diagonal is
// free": units, memory and room, and what a plan really takes when it is replayed.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "generators/elastic/integer_program.hpp"
#include "generators/elastic/windows.hpp"
#include "stagecraft/core/check.hpp"
#include "stagecraft/core/random.hpp"
#include "stagecraft/engine/replay.hpp"
#include "stagecraft/engine/task_graph.hpp"
#include "stagecraft/generators/elastic.hpp"

namespace stagecraft::test {

struct ElasticShape {
  std::int32_t stages = 4;
  std::int32_t units = 12;  ///< at least
  std::int32_t most_slices = 4;
  std::int32_t layers = 4;
  bool balanced = true;       ///< all units take equally long
  bool equal_stages = true;   ///< as many layers, as much memory and room on every stage
  bool longest_first = true;  ///< or micro-batches in random order
};

inline std::size_t index_of(const elastic::CheckpointProblem& problem, std::int32_t stage,
                            std::int32_t unit) {
  return static_cast<std::size_t>(stage) * problem.layer_time.size() +
         static_cast<std::size_t>(unit);
}

/// Room is drawn between what the pipeline needs with everything recomputed and what it needs with
/// nothing recomputed.
inline elastic::CheckpointProblem random_problem(Random& random, const ElasticShape& shape) {
  elastic::CheckpointProblem problem;
  problem.stages = shape.stages;
  for (std::int32_t left = shape.units; left > 0; left -= problem.slices.back()) {
    problem.slices.push_back(
        static_cast<std::int32_t>(random.uniform(1, std::min(shape.most_slices, left))));
  }
  if (shape.longest_first) {
    std::ranges::sort(problem.slices, std::ranges::greater{});
  }
  const std::int32_t n = problem.units();
  std::vector<Bytes> tokens;
  for (std::int32_t k = 0; k < n; ++k) {
    tokens.push_back(random.uniform(50, 100));
    problem.layer_time.push_back(shape.balanced ? 600 : random.uniform(200, 1000));
  }
  for (std::int32_t stage = 0; stage < shape.stages; ++stage) {
    problem.layers.push_back(shape.equal_stages
                                 ? shape.layers
                                 : static_cast<std::int32_t>(random.uniform(1, shape.layers)));
    const Bytes head = shape.equal_stages ? 0 : random.uniform(0, 200);
    const Bytes per_layer = random.uniform(8, 10);
    for (std::int32_t k = 0; k < n; ++k) {
      const Bytes all = tokens[static_cast<std::size_t>(k)] * (10 * shape.layers + head);
      problem.memory.push_back(all);
      problem.saving.push_back(tokens[static_cast<std::size_t>(k)] *
                               (shape.equal_stages ? 9 : per_layer));
    }
  }
  problem.room.assign(static_cast<std::size_t>(shape.stages), 0);
  std::vector<std::int32_t> all;
  for (std::int32_t stage = 0; stage < shape.stages; ++stage) {
    for (std::int32_t k = 0; k < n; ++k) {
      all.push_back(elastic::layer_limit(problem, stage, k));
    }
  }
  const std::vector<Bytes> most =
      elastic::checkpoint_peaks(problem, std::vector<std::int32_t>(all.size(), 0));
  const std::vector<Bytes> least = elastic::checkpoint_peaks(problem, all);
  const std::int64_t share = random.uniform(0, 100);
  for (std::size_t stage = 0; stage < least.size(); ++stage) {
    problem.room[stage] = least[stage] + (most[stage] - least[stage]) * share / 100;
  }
  if (shape.equal_stages) {
    // One GPU is like another: the first stage, which holds most, says how much there is.
    std::ranges::fill(problem.room, problem.room.front());
  }
  return problem;
}

inline Pipeline pipeline_of(const elastic::CheckpointProblem& problem) {
  Pipeline pipeline = *make_pipeline(
      problem.stages, 1, static_cast<std::int32_t>(problem.slices.size()), PlacementKind::kLoop);
  pipeline.slices = problem.slices;
  return pipeline;
}

/// Micro-batches in the order given, in one pipeline.
inline elastic::Groups as_given(const Pipeline& pipeline) {
  elastic::Groups groups;
  for (std::int32_t m = 0; m < pipeline.microbatches; ++m) {
    groups.order.push_back(m);
  }
  groups.sizes = {pipeline.microbatches};
  return groups;
}

/// A grid [stages][micro-batches][slices] from a function of (stage, unit).
template <typename ValueOf>
Grid unit_grid(const elastic::CheckpointProblem& problem, ValueOf&& value_of) {
  const std::int32_t widest = *std::ranges::max_element(problem.slices);
  std::vector<std::int64_t> values;
  for (std::int32_t stage = 0; stage < problem.stages; ++stage) {
    std::int32_t k = 0;
    for (const std::int32_t slices : problem.slices) {
      for (std::int32_t q = 0; q < widest; ++q) {
        values.push_back(q < slices ? value_of(stage, k + q) : 0);
      }
      k += slices;
    }
  }
  return Grid::per_slice(std::move(values), static_cast<std::int32_t>(problem.slices.size()),
                         widest);
}

/// Costs under `layers` [stages][units] recomputed: a unit's forward is its layers, its backward
/// twice that, its R the layers recomputed, and it keeps in memory what they leave.
inline CostTable costs_of(const elastic::CheckpointProblem& problem,
                          std::span<const std::int32_t> layers) {
  const auto time = [&](std::int32_t k) { return problem.layer_time[static_cast<std::size_t>(k)]; };
  const auto depth = [&](std::int32_t stage) {
    return problem.layers[static_cast<std::size_t>(stage)];
  };
  CostTable costs;
  costs.forward =
      unit_grid(problem, [&](std::int32_t s, std::int32_t k) { return depth(s) * time(k); });
  costs.backward =
      unit_grid(problem, [&](std::int32_t s, std::int32_t k) { return 2 * depth(s) * time(k); });
  costs.recompute = unit_grid(problem, [&](std::int32_t s, std::int32_t k) {
    return layers[index_of(problem, s, k)] * time(k);
  });
  costs.memory.given = true;
  costs.memory.forward = unit_grid(problem, [&](std::int32_t s, std::int32_t k) {
    return problem.memory[index_of(problem, s, k)];
  });
  costs.memory.backward_input = unit_grid(problem, [&](std::int32_t s, std::int32_t k) {
    return -problem.memory[index_of(problem, s, k)];
  });
  costs.memory.stage_input = unit_grid(problem, [&](std::int32_t s, std::int32_t k) {
    const std::size_t at = index_of(problem, s, k);
    return problem.memory[at] - layers[at] * problem.saving[at];
  });
  costs.memory.capacity = problem.room;
  costs.transfer_latency.assign(static_cast<std::size_t>(std::max(0, problem.stages - 1)), 0);
  return costs;
}

inline Schedule schedule_of(const elastic::CheckpointProblem& problem,
                            std::span<const std::int32_t> layers) {
  const Pipeline pipeline = pipeline_of(problem);
  std::vector<std::int32_t> first{0};
  for (const std::int32_t slices : problem.slices) {
    first.push_back(first.back() + slices);
  }
  return elastic::elastic_schedule(
      pipeline, as_given(pipeline), [&](std::int32_t stage, std::int32_t m, std::int32_t q) {
        return layers[index_of(problem, stage, first[static_cast<std::size_t>(m)] + q)] > 0;
      });
}

/// What the plan takes when it is replayed, ns.
inline Time replayed(const elastic::CheckpointProblem& problem,
                     std::span<const std::int32_t> layers) {
  const Result<TaskGraph> graph =
      build_task_graph(schedule_of(problem, layers), costs_of(problem, layers));
  STAGECRAFT_CHECK(graph.ok(), "an elastic schedule runs");
  Replayer replayer(*graph);
  replayer.run();
  return replayer.makespan();
}

inline bool fits(const elastic::CheckpointProblem& problem, std::span<const std::int32_t> layers) {
  const std::vector<Bytes> peaks = elastic::checkpoint_peaks(problem, layers);
  return std::ranges::equal(peaks, problem.room,
                            [](Bytes peak, Bytes room) { return peak <= room; });
}

/// All ways to write numbers from 0 to limit[i]: visit(values).
template <typename Visit>
void every_choice(std::span<const std::int32_t> limit, Visit&& visit) {
  std::vector<std::int32_t> values(limit.size(), 0);
  for (;;) {
    visit(std::span<const std::int32_t>(values));
    std::size_t at = 0;
    while (at < values.size() && values[at] == limit[at]) {
      values[at++] = 0;
    }
    if (at == values.size()) {
      return;
    }
    ++values[at];
  }
}

/// Layers by stage and unit from one number per diagonal, cut to what a unit has.
inline std::vector<std::int32_t> along_diagonals(const elastic::CheckpointProblem& problem,
                                                 std::span<const std::int32_t> diagonal) {
  const elastic::UnitOrder order = elastic::unit_order(problem);
  std::vector<std::int32_t> layers;
  for (std::int32_t stage = 0; stage < problem.stages; ++stage) {
    for (std::int32_t k = 0; k < order.units(); ++k) {
      layers.push_back(std::min(
          elastic::layer_limit(problem, stage, k),
          diagonal[static_cast<std::size_t>(elastic::diagonal_of(problem, order, stage, k))]));
    }
  }
  return layers;
}

/// The paper's own problem, in which the unit whose backward begins counts at its reduced size: the
/// optimum, to see what counting it in full costs. Stages must be equal. `options` bounds the
/// search.
inline elastic::IntegerSolution paper_optimum(const elastic::CheckpointProblem& problem,
                                              const elastic::CheckpointOptions& options = {}) {
  const elastic::UnitOrder order = elastic::unit_order(problem);
  const std::int32_t n = order.units();
  elastic::IntegerProgram program;
  program.cost.assign(static_cast<std::size_t>(n + problem.stages - 1), 1);
  program.upper.assign(program.cost.size(), problem.layers.front());
  for (const elastic::Shortage& row : elastic::shortages(problem, order)) {
    const auto warmup = static_cast<std::int32_t>(
        elastic::elastic_warmup(problem.stages, row.stage, order.most_slices, n));
    const auto enter = [&](std::int32_t k) {
      program.add_entry(elastic::diagonal_of(problem, order, row.stage, k),
                        problem.saving[index_of(problem, row.stage, k)]);
    };
    enter(order.mirror[static_cast<std::size_t>(row.backward)]);
    elastic::visit_others(order, warmup, row.backward, enter);
    program.end_row(row.need);
  }
  for (std::size_t r = 0, rows = program.rows(); r < rows; ++r) {
    program.add_cardinality_row(r);
  }
  return elastic::solve(program, elastic::round_up_and_trim(program), options);
}

}  // namespace stagecraft::test
