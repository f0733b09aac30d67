// Checkpoints by diagonal: optimal (against trying everything, and against another solver where it
// is installed), within memory as the engine counts it, and what counting it so costs.
#include <doctest/doctest.h>

#include <memory>

#include "instances.hpp"
#include "search/optpipe/milp.hpp"
#include "stagecraft/engine/evaluate.hpp"

using namespace stagecraft;
using elastic::CheckpointPlan;
using elastic::CheckpointProblem;
using test::ElasticShape;

namespace {

std::int64_t sum(std::span<const std::int32_t> values) {
  std::int64_t total = 0;
  for (const std::int32_t value : values) {
    total += value;
  }
  return total;
}

/// The least sum over diagonals by trying every choice; -1: none fits.
std::int64_t least_by_trying(const CheckpointProblem& problem) {
  std::vector<std::int32_t> limit(
      problem.layer_time.size() + static_cast<std::size_t>(problem.stages) - 1, 0);
  const elastic::UnitOrder order = elastic::unit_order(problem);
  for (std::int32_t stage = 0; stage < problem.stages; ++stage) {
    for (std::int32_t k = 0; k < order.units(); ++k) {
      auto& most = limit[static_cast<std::size_t>(diagonal_of(problem, order, stage, k))];
      most = std::max(most, elastic::layer_limit(problem, stage, k));
    }
  }
  std::int64_t least = -1;
  test::every_choice(limit, [&](std::span<const std::int32_t> diagonal) {
    const std::int64_t value = sum(diagonal);
    if ((least < 0 || value < least) &&
        test::fits(problem, test::along_diagonals(problem, diagonal))) {
      least = value;
    }
  });
  return least;
}

/// The same problem for a MILP solver: the layers of a diagonal in unary, one row for every instant
/// of a walk over the ops, written down without the windows that the solver under test uses.
search::MilpModel walked_model(const CheckpointProblem& problem) {
  const std::int32_t depth = problem.layers.front();
  const std::int32_t n = problem.units();
  search::MilpModel model;
  for (std::int32_t d = 0; d < n + problem.stages - 1; ++d) {
    for (std::int32_t layer = 0; layer < depth; ++layer) {
      model.objective.push_back(
          {model.add({"c" + std::to_string(d) + "_" + std::to_string(layer), 0.0, 1.0, true}), 1});
    }
  }
  const Schedule schedule =
      test::schedule_of(problem, std::vector<std::int32_t>(problem.memory.size(), 0));
  std::vector<std::int32_t> first{0};
  for (const std::int32_t slices : problem.slices) {
    first.push_back(first.back() + slices);
  }
  for (std::int32_t stage = 0; stage < problem.stages; ++stage) {
    std::vector<std::int32_t> backward_of(static_cast<std::size_t>(n), -1);
    std::vector<bool> held(static_cast<std::size_t>(n), false);
    std::int32_t backwards = 0;
    for (const Op& op : schedule.device_ops(stage)) {
      if (op.kind == OpKind::kBackward) {
        const std::int32_t unit =
            first[static_cast<std::size_t>(op.unit.microbatch)] + op.unit.slice;
        backward_of[static_cast<std::size_t>(unit)] = backwards++;
      }
    }
    for (const Op& op : schedule.device_ops(stage)) {
      const std::int32_t unit = first[static_cast<std::size_t>(op.unit.microbatch)] + op.unit.slice;
      const bool backward = op.kind == OpKind::kBackward;
      held[static_cast<std::size_t>(unit)] = true;
      Bytes all = 0;
      std::vector<search::MilpTerm> terms;
      for (std::int32_t k = 0; k < n; ++k) {
        if (!held[static_cast<std::size_t>(k)]) {
          continue;
        }
        const std::size_t at = test::index_of(problem, stage, k);
        all += problem.memory[at];
        if (backward && k == unit) {
          continue;  // its R has brought everything back
        }
        const std::int32_t d =
            backward_of[static_cast<std::size_t>(k)] + problem.stages - 1 - stage;
        for (std::int32_t layer = 0; layer < depth; ++layer) {
          terms.push_back({static_cast<std::size_t>(d * depth + layer),
                           static_cast<double>(problem.saving[at])});
        }
      }
      const Bytes need = all - problem.room[static_cast<std::size_t>(stage)];
      if (need > 0) {
        model.add_at_least("r" + std::to_string(model.rows.size()), std::move(terms),
                           static_cast<double>(need));
      }
      held[static_cast<std::size_t>(unit)] = !backward;
    }
  }
  return model;
}

}  // namespace

TEST_SUITE("generators") {
  TEST_CASE("checkpoints by diagonal are the best there are") {
    Random random(21);
    int feasible = 0, infeasible = 0, free = 0;
    for (int round = 0; round < 400; ++round) {
      ElasticShape shape;
      shape.stages = static_cast<std::int32_t>(random.uniform(1, 3));
      shape.units = static_cast<std::int32_t>(random.uniform(1, 5));
      shape.most_slices = 3;
      shape.layers = static_cast<std::int32_t>(random.uniform(1, 2));
      shape.equal_stages = random.chance(1, 2);
      shape.longest_first = random.chance(1, 2);
      CheckpointProblem problem = test::random_problem(random, shape);
      if (random.chance(1, 4)) {
        problem.room.front() -= random.uniform(0, problem.room.front());
      }
      if (random.chance(1, 4)) {  // a unit whose recomputation saves nothing
        problem.saving[static_cast<std::size_t>(random.uniform(
            0, static_cast<std::int64_t>(problem.saving.size()) - 1))] = -random.uniform(0, 9);
      }
      const std::int64_t least = least_by_trying(problem);
      const CheckpointPlan plan = checkpoint_diagonal(problem);
      REQUIRE(plan.feasible == (least >= 0));
      (plan.feasible ? feasible : infeasible)++;
      if (!plan.feasible) {
        continue;
      }
      CHECK(plan.value == least);
      CHECK(plan.proved);
      CHECK(sum(plan.diagonal) == plan.value);
      CHECK(plan.layers == test::along_diagonals(problem, plan.diagonal));
      CHECK(test::fits(problem, plan.layers));
      free += least == 0 ? 1 : 0;

      std::vector<std::int32_t> trimmed = plan.layers;
      trim_checkpoints(problem, trimmed);
      CHECK(test::fits(problem, trimmed));
      for (std::size_t at = 0; at < trimmed.size(); ++at) {
        CHECK(trimmed[at] <= plan.layers[at]);
        if (trimmed[at] > 0) {  // every layer that is left is needed
          --trimmed[at];
          CHECK_FALSE(test::fits(problem, trimmed));
          ++trimmed[at];
        }
      }
    }
    CHECK(feasible > 200);
    CHECK(infeasible > 20);
    CHECK(free < feasible);
  }

  TEST_CASE("checkpoints by diagonal are what another solver finds") {
    Result<std::unique_ptr<search::MilpSolver>> solver = search::make_milp_solver("cbc");
    if (!solver) {
      MESSAGE("skipped: ", to_string(solver.failures()));
      return;
    }
    Random random(22);
    int compared = 0;
    for (int round = 0; round < 12; ++round) {
      const CheckpointProblem problem =
          test::random_problem(random, {.stages = 3,
                                        .units = 10,
                                        .most_slices = 3,
                                        .layers = 3,
                                        .longest_first = round % 2 == 0});
      const CheckpointPlan plan = checkpoint_diagonal(problem);
      const search::MilpModel model = walked_model(problem);
      if (model.rows.empty()) {
        CHECK(plan.value == 0);
        continue;
      }
      const search::MilpAnswer answer = (*solver)->solve(model, {}, {20.0, {}});
      REQUIRE(plan.proved);
      if (answer.status == search::MilpStatus::kOptimal) {
        CHECK(static_cast<double>(plan.value) == doctest::Approx(answer.value));
        ++compared;
      }
    }
    CHECK(compared > 4);
  }

  TEST_CASE("peaks are the engine's, and a plan that fits is feasible there") {
    Random random(23);
    for (int round = 0; round < 60; ++round) {
      const CheckpointProblem problem =
          test::random_problem(random, {.stages = static_cast<std::int32_t>(random.uniform(1, 5)),
                                        .units = 14,
                                        .equal_stages = round % 2 == 0,
                                        .longest_first = round % 3 != 0});
      const CheckpointPlan plan = checkpoint_diagonal(problem);
      REQUIRE(plan.feasible);
      std::vector<std::int32_t> random_layers;
      for (std::int32_t stage = 0; stage < problem.stages; ++stage) {
        for (std::int32_t k = 0; k < problem.units(); ++k) {
          random_layers.push_back(static_cast<std::int32_t>(
              random.uniform(0, elastic::layer_limit(problem, stage, k))));
        }
      }
      for (const std::vector<std::int32_t>& layers : {plan.layers, random_layers}) {
        const Evaluation evaluation =
            evaluate(test::schedule_of(problem, layers), test::costs_of(problem, layers));
        REQUIRE(evaluation.complete);
        const std::vector<Bytes> peaks = checkpoint_peaks(problem, layers);
        for (std::size_t stage = 0; stage < peaks.size(); ++stage) {
          CHECK(evaluation.devices[stage].peak_memory == peaks[stage]);
        }
        CHECK(evaluation.feasible == test::fits(problem, layers));
      }
    }
  }

  // Without counting the unit whose backward begins in full, plans are cheaper and do not fit.
  TEST_CASE("what it costs that a recomputed unit is back in full during its backward") {
    Random random(24);
    std::int64_t ours = 0, paper = 0;
    int overfull = 0, instances = 0;
    for (int round = 0; round < 120; ++round) {
      const CheckpointProblem problem =
          test::random_problem(random, {.stages = 4, .units = 20, .layers = 4});
      const CheckpointPlan plan = checkpoint_diagonal(problem, {.gap = 0, .nodes = 200});
      const elastic::IntegerSolution reduced =
          test::paper_optimum(problem, {.gap = 0, .nodes = 200});
      REQUIRE(plan.feasible);
      REQUIRE(reduced.feasible);
      CHECK(reduced.bound <= static_cast<double>(plan.value));
      ours += plan.value;
      paper += reduced.value;
      overfull += test::fits(problem, test::along_diagonals(problem, reduced.x)) ? 0 : 1;
      ++instances;
    }
    MESSAGE("counting the recomputed unit in full: ", ours, " layers against ", paper,
            " of the paper's constraint, whose plans exceed memory in ", overfull, " of ",
            instances);
    CHECK(ours >= paper);
    CHECK(overfull > 0);
  }

  TEST_CASE("nothing to do, and nothing that helps") {
    Random random(25);
    CheckpointProblem problem = test::random_problem(random, {.stages = 2, .units = 5});
    problem.room.assign(2, kUnlimited);
    const CheckpointPlan nothing = checkpoint_diagonal(problem);
    CHECK(nothing.feasible);
    CHECK(nothing.proved);
    CHECK(nothing.value == 0);
    CHECK(nothing.nodes == 0);
    problem.room.assign(2, -1);
    const CheckpointPlan none = checkpoint_diagonal(problem);
    CHECK_FALSE(none.feasible);
    CHECK(elastic::recompute_time(problem, nothing.layers) == 0);
    problem.memory.pop_back();
    CHECK_THROWS_AS((void)checkpoint_diagonal(problem), CheckFailure);
  }
}
