// Which micro-batches share a pipeline, against trying every split.
#include <doctest/doctest.h>

#include <numeric>

#include "generators/elastic/group_bounds.hpp"
#include "instances.hpp"

using namespace stagecraft;
using elastic::CheckpointPlan;
using elastic::CheckpointProblem;
using elastic::GroupPlan;

namespace {

CheckpointProblem part_of(const CheckpointProblem& problem, std::size_t begin, std::size_t end) {
  CheckpointProblem part = problem;
  const auto at = [](std::int64_t offset) { return static_cast<std::ptrdiff_t>(offset); };
  part.slices.assign(problem.slices.begin() + at(static_cast<std::int64_t>(begin)),
                     problem.slices.begin() + at(static_cast<std::int64_t>(end)));
  const std::int64_t from = std::accumulate(
      problem.slices.begin(), problem.slices.begin() + at(static_cast<std::int64_t>(begin)),
      std::int64_t{0});
  const std::int64_t to = from + part.units();
  part.layer_time.assign(problem.layer_time.begin() + at(from),
                         problem.layer_time.begin() + at(to));
  part.memory.clear();
  part.saving.clear();
  for (std::int32_t stage = 0; stage < problem.stages; ++stage) {
    for (std::int64_t k = from; k < to; ++k) {
      const std::size_t cell = test::index_of(problem, stage, static_cast<std::int32_t>(k));
      part.memory.push_back(problem.memory[cell]);
      part.saving.push_back(problem.saving[cell]);
    }
  }
  return part;
}

struct Split {
  bool feasible = false;
  Time cost = 0;
};

/// The cheapest of all splits, each pipeline planned on its own.
Split by_trying(const CheckpointProblem& problem, std::span<const Time> delta) {
  const std::size_t count = problem.slices.size();
  std::vector<std::vector<Split>> group(count, std::vector<Split>(count + 1));
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t j = i + 1; j <= count; ++j) {
      const CheckpointProblem part = part_of(problem, i, j);
      CheckpointPlan plan = checkpoint_diagonal(part);
      if (plan.feasible) {
        trim_checkpoints(part, plan.layers);
        group[i][j] = {true, delta[i] + recompute_time(part, plan.layers)};
      }
    }
  }
  Split best;
  for (std::uint32_t cuts = 0; cuts < (1U << count); cuts += 2) {
    Split split{true, 0};
    std::size_t begin = 0;
    for (std::size_t end = 1; end <= count; ++end) {
      if (end == count || ((cuts >> end) & 1U) != 0) {
        split.feasible = split.feasible && group[begin][end].feasible;
        split.cost += group[begin][end].cost;
        begin = end;
      }
    }
    if (split.feasible && (!best.feasible || split.cost < best.cost)) {
      best = split;
    }
  }
  return best;
}

CheckpointProblem random_groups_problem(Random& random, int round) {
  CheckpointProblem problem =
      test::random_problem(random, {.stages = static_cast<std::int32_t>(random.uniform(1, 4)),
                                    .units = static_cast<std::int32_t>(random.uniform(3, 12)),
                                    .most_slices = 3,
                                    .layers = 3,
                                    .balanced = round % 2 == 0,
                                    .equal_stages = random.chance(2, 3),
                                    .longest_first = random.chance(2, 3)});
  if (random.chance(1, 2)) {  // less room than one pipeline needs
    const std::int64_t share = random.uniform(40, 100);
    for (Bytes& room : problem.room) {
      room = room * share / 100;
    }
  }
  return problem;
}

}  // namespace

TEST_SUITE("generators") {
  TEST_CASE("groups are the cheapest split there is") {
    Random random(31);
    int several = 0, infeasible = 0;
    for (int round = 0; round < 200; ++round) {
      const CheckpointProblem problem = random_groups_problem(random, round);
      std::vector<Time> delta(problem.slices.size());
      for (Time& time : delta) {
        time = random.uniform(0, 6000);
      }
      const Split best = by_trying(problem, delta);
      const GroupPlan plan = plan_groups(problem, delta);
      REQUIRE(plan.feasible == best.feasible);
      if (!plan.feasible) {
        ++infeasible;
        const auto unfit = static_cast<std::size_t>(plan.unfit_microbatch);
        CHECK_FALSE(checkpoint_diagonal(part_of(problem, unfit, unfit + 1)).feasible);
        continue;
      }
      CHECK(plan.cost == best.cost);
      CHECK(plan.unfit_microbatch == -1);
      CHECK(std::accumulate(plan.sizes.begin(), plan.sizes.end(), std::size_t{0}) ==
            problem.slices.size());
      several += plan.sizes.size() > 1 ? 1 : 0;

      // The plan's layers fit in every pipeline and cost what it says.
      Time cost = 0;
      std::size_t begin = 0;
      std::int32_t first = 0;
      for (const std::int32_t size : plan.sizes) {
        const CheckpointProblem part =
            part_of(problem, begin, begin + static_cast<std::size_t>(size));
        std::vector<std::int32_t> layers;
        for (std::int32_t stage = 0; stage < part.stages; ++stage) {
          for (std::int32_t k = 0; k < part.units(); ++k) {
            layers.push_back(plan.layers[test::index_of(problem, stage, first + k)]);
          }
        }
        CHECK(test::fits(part, layers));
        cost += delta[begin] + recompute_time(part, layers);
        begin += static_cast<std::size_t>(size);
        first += part.units();
      }
      CHECK(cost == plan.cost);
    }
    CHECK(several > 40);
    CHECK(infeasible > 5);
  }

  TEST_CASE("no pipeline needs less than the bound for all pipelines says") {
    Random random(32);
    Time bounds = 0, values = 0;
    for (int round = 0; round < 60; ++round) {
      const CheckpointProblem problem = random_groups_problem(random, round);
      std::vector<std::int32_t> first{0};
      for (const std::int32_t slices : problem.slices) {
        first.push_back(first.back() + slices);
      }
      const elastic::PairTable<Time> least = elastic::least_recomputation(problem, first);
      const std::size_t count = problem.slices.size();
      for (std::size_t i = 0; i < count; ++i) {
        for (std::size_t j = i + 1; j <= count; ++j) {
          const Time bound = least(i, j);
          const CheckpointProblem part = part_of(problem, i, j);
          CheckpointPlan plan = checkpoint_diagonal(part);
          CHECK((bound < elastic::kTooMuch || !plan.feasible));
          if (plan.feasible) {
            trim_checkpoints(part, plan.layers);
            const Time value = recompute_time(part, plan.layers);
            CHECK(bound <= value);
            bounds += bound;
            values += value;
          }
        }
      }
    }
    CHECK(bounds > values / 3);
  }

  TEST_CASE("a table of pairs holds every pipeline, or the short ones where that is too many") {
    for (const std::size_t most : std::vector<std::size_t>{1, 7, 20, 54, 55, 1'000}) {
      elastic::PairTable<int> table(10, most, 0);
      CHECK(table.width() == (most >= 55 ? 10 : std::max<std::size_t>(1, most / 10)));
      CHECK(table.values().size() <= std::max<std::size_t>(most, 10));
      int entries = 0;
      for (std::size_t i = 0; i < 10; ++i) {
        CHECK(table.last_end(i) == std::min<std::size_t>(10, i + table.width()));
        for (std::size_t j = i + 1; j <= table.last_end(i); ++j) {
          CHECK(table.first_begin(j) <= i);
          CHECK(table(i, j) == 0);  // no other pipeline's entry
          table(i, j) = ++entries;
        }
      }
      CHECK(std::ssize(table.values()) == entries);
    }
  }

  TEST_CASE("bounds of short pipelines are the same in a table that holds no others") {
    Random random(35);
    const CheckpointProblem problem = random_groups_problem(random, 3);
    std::vector<std::int32_t> first{0};
    for (const std::int32_t slices : problem.slices) {
      first.push_back(first.back() + slices);
    }
    const std::size_t count = problem.slices.size();
    REQUIRE(count > 2);
    const auto all = elastic::least_recomputation(problem, first);
    const auto some = elastic::least_recomputation(problem, first, 2 * count);
    CHECK(some.width() == 2);
    for (std::size_t i = 0; i < count; ++i) {
      for (std::size_t j = i + 1; j <= some.last_end(i); ++j) {
        CHECK(some(i, j) == all(i, j));
      }
    }
  }

  TEST_CASE("a gap is kept, and enough memory is one pipeline at once") {
    Random random(33);
    for (int round = 0; round < 40; ++round) {
      CheckpointProblem problem = random_groups_problem(random, round);
      const std::vector<Time> delta(problem.slices.size(), random.uniform(0, 4000));
      const GroupPlan exact = plan_groups(problem, delta);
      const GroupPlan rough = plan_groups(problem, delta, {.gap = 0.1});
      REQUIRE(exact.feasible == rough.feasible);
      if (exact.feasible) {
        // Once for each plan and once for the choice among them, with room for what trimming does.
        CHECK(static_cast<double>(rough.cost) * 0.75 <= static_cast<double>(exact.cost));
      }
      problem.room.assign(problem.room.size(), kUnlimited);
      const GroupPlan one = plan_groups(problem, delta);
      CHECK(one.sizes == std::vector<std::int32_t>{static_cast<std::int32_t>(delta.size())});
      CHECK(one.cost == delta.front());
    }
  }

  TEST_CASE("a choice of groups cut short fits in memory, is bounded and always the same") {
    Random random(35);
    int cut = 0;
    for (int round = 0; round < 40; ++round) {
      const CheckpointProblem problem = random_groups_problem(random, round);
      const std::vector<Time> delta(problem.slices.size(), random.uniform(0, 4000));
      const GroupPlan exact = plan_groups(problem, delta);
      const GroupPlan none = plan_groups(problem, delta, {.work = 0});
      REQUIRE(exact.feasible == none.feasible);
      if (!exact.feasible) {
        continue;
      }
      CHECK(none.nodes == 0);  // rounding alone
      CHECK(none.cost >= exact.cost);
      CHECK(none.bound <= exact.cost);
      CHECK(exact.bound == exact.cost);
      cut += none.bound < none.cost ? 1 : 0;
      const GroupPlan again = plan_groups(problem, delta, {.work = 0});
      CHECK(again.sizes == none.sizes);
      CHECK(again.layers == none.layers);
      CHECK(again.bound == none.bound);
      std::size_t begin = 0;
      std::int32_t first = 0;
      for (const std::int32_t size : none.sizes) {
        const CheckpointProblem part =
            part_of(problem, begin, begin + static_cast<std::size_t>(size));
        std::vector<std::int32_t> layers;
        for (std::int32_t stage = 0; stage < part.stages; ++stage) {
          for (std::int32_t k = 0; k < part.units(); ++k) {
            layers.push_back(none.layers[test::index_of(problem, stage, first + k)]);
          }
        }
        CHECK(test::fits(part, layers));
        begin += static_cast<std::size_t>(size);
        first += part.units();
      }
    }
    CHECK(cut > 5);
  }

  TEST_CASE("plans that are not wanted are given up, and only those") {
    Random random(36);
    for (int round = 0; round < 40; ++round) {
      const CheckpointProblem problem = random_groups_problem(random, round);
      const std::vector<Time> delta(problem.slices.size(), random.uniform(1, 4000));
      const GroupPlan exact = plan_groups(problem, delta);
      if (exact.feasible) {
        CHECK(plan_groups(problem, delta, {.most = exact.cost + 1}).cost == exact.cost);
        const GroupPlan half = plan_groups(problem, delta, {.most = exact.cost});
        CHECK((half.unwanted || half.cost == exact.cost));
        CHECK(half.unwanted != half.feasible);
      }
    }
  }

  // Units of long sequences take many times as long as those of short ones. With bounds in layers
  // of the shortest one, 37 pipelines were worked out here, and thousands on real batches.
  TEST_CASE("few pipelines are worked out where memory is tight and units differ") {
    Random random(37);
    CheckpointProblem problem;
    problem.stages = 4;
    problem.layers.assign(4, 10);
    problem.slices.assign(110, 1);
    std::fill_n(problem.slices.begin(), 10, 8);
    const std::int32_t n = problem.units();
    std::vector<Bytes> tokens;
    for (std::int32_t k = 0; k < n; ++k) {
      tokens.push_back(k < 80 ? 1000 : random.uniform(100, 1000));
      problem.layer_time.push_back(100 * tokens.back());
    }
    for (std::int32_t stage = 0; stage < 4; ++stage) {
      for (const Bytes size : tokens) {
        problem.memory.push_back(size * 12);
        problem.saving.push_back(size);
      }
    }
    problem.room.assign(4, 60'000);
    const std::vector<Time> delta(problem.slices.size(), Time{3} * 100 * 1000 * 30);
    const GroupPlan plan = plan_groups(problem, delta, {.gap = 0.02, .nodes = 100});
    REQUIRE(plan.feasible);
    MESSAGE(plan.pipelines << " pipelines, " << plan.nodes << " nodes, work " << plan.work);
    CHECK(plan.sizes.size() > 1);
    CHECK(plan.pipelines < 25);
    CHECK(plan.nodes < 40);
    const GroupPlan limited =
        plan_groups(problem, delta, {.gap = 0.0, .nodes = 100, .work = 1'000'000});
    REQUIRE(limited.feasible);
    MESSAGE(limited.pipelines << " pipelines, " << limited.nodes << " nodes, work "
                              << limited.work);
    CHECK(limited.work < 2'000'000);  // one step more at most
    CHECK(limited.bound < limited.cost);
  }

  TEST_CASE("many thousand micro-batches that fit take no table of pairs") {
    constexpr std::size_t kUnits = 100'000;  // pairs of them would take hundreds of GB
    CheckpointProblem problem;
    problem.stages = 2;
    problem.layers = {4, 4};
    problem.room = {1'000, 1'000};
    problem.slices.assign(kUnits, 1);
    problem.memory.assign(2 * kUnits, 100);
    problem.saving.assign(2 * kUnits, 20);
    problem.layer_time.assign(kUnits, 7);
    const GroupPlan plan = plan_groups(problem, std::vector<Time>(kUnits, 50));
    REQUIRE(plan.feasible);
    CHECK(plan.sizes == std::vector<std::int32_t>{kUnits});
    CHECK(plan.cost == 50);
    CHECK(plan.layers == std::vector<std::int32_t>(2 * kUnits, 0));
  }

  TEST_CASE("sixty micro-batches that do not fit in one pipeline") {
    Random random(34);
    CheckpointProblem problem =
        test::random_problem(random, {.stages = 4, .units = 60, .most_slices = 1, .layers = 8});
    for (Bytes& room : problem.room) {
      room = room * 95 / 100;
    }
    const std::vector<Time> delta(problem.slices.size(), Time{3} * 3 * 8 * 600);
    const GroupPlan plan = plan_groups(problem, delta, {.gap = 0.02, .nodes = 100});
    REQUIRE(plan.feasible);
    CHECK(plan.cost > 0);
  }
}
