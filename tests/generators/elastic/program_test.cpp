// The integer program solver against trying everything.
#include <doctest/doctest.h>

#include <numeric>

#include "generators/elastic/dual_simplex.hpp"
#include "generators/elastic/integer_program.hpp"
#include "instances.hpp"

using namespace stagecraft;
using elastic::DualSimplex;
using elastic::IntegerProgram;
using elastic::IntegerSolution;

namespace {

IntegerProgram random_program(Random& random, bool covering) {
  IntegerProgram program;
  const auto variables = static_cast<std::int32_t>(random.uniform(1, 6));
  for (std::int32_t v = 0; v < variables; ++v) {
    program.cost.push_back(static_cast<std::int32_t>(random.uniform(0, 4)));
    program.upper.push_back(static_cast<std::int32_t>(random.uniform(0, 3)));
  }
  for (std::int64_t r = random.uniform(0, 6); r > 0; --r) {
    for (std::int32_t v = 0; v < variables; ++v) {
      if (random.chance(2, 3)) {
        program.add_entry(v, random.uniform(covering ? 1 : -30, 40));
      }
    }
    program.end_row(random.uniform(1, 120));
  }
  return program;
}

struct Best {
  bool feasible = false;
  std::int64_t value = 0;
};

Best by_trying(const IntegerProgram& program) {
  Best best;
  test::every_choice(program.upper, [&](std::span<const std::int32_t> x) {
    const std::vector<std::int64_t> slack = slacks(program, x);
    if (std::ranges::any_of(slack, [](std::int64_t s) { return s < 0; })) {
      return;
    }
    std::int64_t value = 0;
    for (std::size_t v = 0; v < x.size(); ++v) {
      value += std::int64_t{program.cost[v]} * x[v];
    }
    if (!best.feasible || value < best.value) {
      best = {true, value};
    }
  });
  return best;
}

}  // namespace

TEST_SUITE("generators") {
  TEST_CASE("integer programs that are cut short give solutions within their bounds") {
    int unproved = 0;
    for (std::uint64_t seed = 1; seed <= 400; ++seed) {
      CAPTURE(seed);
      Random random(seed);
      IntegerProgram program;
      for (std::int32_t v = 0; v < 24; ++v) {
        program.cost.push_back(1);
        program.upper.push_back(static_cast<std::int32_t>(random.uniform(1, 3)));
      }
      for (std::int32_t r = 0; r < 30; ++r) {
        std::int64_t most = 0;
        for (std::int32_t v = 0; v < 24; ++v) {
          if (random.chance(1, 2)) {
            const std::int64_t coefficient = random.uniform(1, 40);
            program.add_entry(v, coefficient);
            most += coefficient * program.upper[static_cast<std::size_t>(v)];
          }
        }
        program.end_row(most * random.uniform(1, 9) / 10);
      }
      const IntegerSolution solution = elastic::solve(program, elastic::round_up_and_trim(program),
                                                      {.work = random.uniform(0, 20'000)});
      REQUIRE(solution.feasible);  // all up is
      unproved += solution.proved ? 0 : 1;
      std::int64_t value = 0;
      for (std::size_t v = 0; v < solution.x.size(); ++v) {
        CHECK(solution.x[v] >= 0);
        CHECK(solution.x[v] <= program.upper[v]);
        value += solution.x[v];
      }
      CHECK(value == solution.value);
      CHECK(solution.bound <= static_cast<double>(value));
      CHECK(std::ranges::none_of(slacks(program, solution.x),
                                 [](std::int64_t slack) { return slack < 0; }));
    }
    CHECK(unproved > 100);
  }

  TEST_CASE("integer programs of any sign are solved exactly") {
    Random random(11);
    int solved = 0, infeasible = 0;
    for (int round = 0; round < 2000; ++round) {
      const IntegerProgram program = random_program(random, false);
      const Best best = by_trying(program);
      // No help from rounding: branch and bound alone.
      const IntegerSolution found = elastic::solve(
          program, [](std::span<const double>) { return std::vector<std::int32_t>{}; }, {});
      REQUIRE(found.feasible == best.feasible);
      CHECK(found.proved);
      (best.feasible ? solved : infeasible)++;
      if (best.feasible) {
        CHECK(found.value == best.value);
        CHECK(found.bound == static_cast<double>(best.value));
      }
    }
    CHECK(solved > 300);
    CHECK(infeasible > 300);
  }

  TEST_CASE("covering programs with rounding and cardinality rows are solved exactly") {
    Random random(12);
    for (int round = 0; round < 2000; ++round) {
      IntegerProgram program = random_program(random, true);
      const Best best = by_trying(program);
      for (std::size_t r = 0, rows = program.rows(); r < rows; ++r) {
        program.add_cardinality_row(r);
      }
      const Best with_cuts = by_trying(program);
      CHECK(with_cuts.feasible == best.feasible);
      CHECK(with_cuts.value == best.value);  // the cuts cut nothing off
      const IntegerSolution found =
          elastic::solve(program, elastic::round_up_and_trim(program), {});
      REQUIRE(found.feasible == best.feasible);
      if (best.feasible) {
        CHECK(found.value == best.value);
        CHECK(found.proved);
      }
    }
  }

  TEST_CASE("a solver that stops early says how near it is") {
    Random random(13);
    int unproved = 0;
    for (int round = 0; round < 12; ++round) {
      const elastic::CheckpointProblem problem =
          test::random_problem(random, {.stages = 3, .units = 24, .layers = 8});
      const elastic::CheckpointPlan exact = checkpoint_diagonal(problem, {.gap = 0, .nodes = 3000});
      const elastic::CheckpointPlan rough = checkpoint_diagonal(problem, {.gap = 0.1});
      const elastic::CheckpointPlan stopped = checkpoint_diagonal(problem, {.gap = 0, .nodes = 1});
      for (const elastic::CheckpointPlan* plan : {&rough, &stopped}) {
        REQUIRE(plan->feasible);
        CHECK(test::fits(problem, plan->layers));
        CHECK(plan->bound <= static_cast<double>(exact.value));
        CHECK(static_cast<double>(plan->value) >= exact.bound);
      }
      CHECK(rough.proved);
      CHECK(static_cast<double>(rough.value) * 0.9 <= rough.bound + 1e-9);
      CHECK(stopped.nodes <= 1);
      CHECK(stopped.proved == (static_cast<double>(stopped.value) <= stopped.bound));
      unproved += stopped.proved ? 0 : 1;
    }
    CHECK(unproved > 0);
  }

  TEST_CASE("linear programs: bounds move, rows come, a restart changes nothing") {
    // min x + y, x + 2 y >= 4, 3 x + y >= 3, 0 <= x, y <= 5: (0.4, 1.8).
    const std::vector<double> cost{1.0, 1.0}, upper{5.0, 5.0};
    DualSimplex program(cost, upper);
    const std::vector<std::int32_t> both{0, 1};
    const auto solve = [&] { return program.solve(1e9, 1'000'000); };
    program.add_row(both, std::vector<double>{1.0, 2.0}, 4.0);
    CHECK(solve() == DualSimplex::Outcome::kOptimal);
    CHECK(program.safe_bound() == doctest::Approx(2.0));
    program.add_row(both, std::vector<double>{3.0, 1.0}, 3.0);
    for (int round = 0; round < 2; ++round) {
      CHECK(solve() == DualSimplex::Outcome::kOptimal);
      CHECK(program.value(0) == doctest::Approx(0.4));
      CHECK(program.value(1) == doctest::Approx(1.8));
      CHECK(program.safe_bound() == doctest::Approx(2.2));
      program.restart();
    }
    program.set_bounds(1, 0.0, 1.0);
    CHECK(solve() == DualSimplex::Outcome::kOptimal);
    CHECK(program.value(0) == doctest::Approx(2.0));
    program.set_bounds(0, 0.0, 1.0);
    CHECK(solve() == DualSimplex::Outcome::kInfeasible);
    program.set_bounds(0, 3.0, 5.0);
    CHECK(solve() == DualSimplex::Outcome::kOptimal);
    CHECK(program.safe_bound() == doctest::Approx(3.5));
    CHECK(program.value(1) == doctest::Approx(0.5));
    program.set_bounds(0, 0.0, 5.0);
    program.set_bounds(1, 0.0, 5.0);
    CHECK(program.solve(1.0, 1'000'000) == DualSimplex::Outcome::kCutOff);
    CHECK(program.solve(1e9, 0) == DualSimplex::Outcome::kLimit);
  }
}
