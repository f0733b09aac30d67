#include "stagecraft/engine/iteration.hpp"

#include <algorithm>
#include <optional>

#include <doctest/doctest.h>

#include "engine/cycle_mean.hpp"
#include "engine/iteration_map.hpp"
#include "stagecraft/engine/replay.hpp"
#include "support/random_schedule.hpp"

using namespace stagecraft;

namespace {

// The ends of the optimizer steps of every iteration: [iterations][P].
std::vector<std::vector<Time>> chained_ends(const Schedule& schedule, const CostTable& costs,
                                            std::int32_t iterations) {
  GraphOptions options;
  options.iterations = iterations;
  options.iteration_end = true;
  const TaskGraph graph = build_task_graph(schedule, costs, options).value();
  Replayer replayer(graph);
  replayer.run();
  std::vector<std::vector<Time>> ends(static_cast<std::size_t>(iterations));
  for (OpIndex task = 0; task < graph.size(); ++task) {
    if (graph.kind[task] == OpKind::kOptimizer) {
      ends[static_cast<std::size_t>(graph.origin(task).iteration)].push_back(replayer.end(task));
    }
  }
  return ends;
}

// The growth per iteration once it repeats, rounded up; none if it does not repeat yet.
std::optional<Time> chained_period(const Schedule& schedule, const CostTable& costs) {
  constexpr std::int32_t kIterations = 72;
  constexpr std::size_t kCycle = 12;  // the growth of 1 to 4 devices repeats after 1, 2, 3 or 4
  const auto ends = chained_ends(schedule, costs, kIterations);
  const std::vector<Time>& last = ends.back();
  const std::vector<Time>& before = ends[ends.size() - 1 - kCycle];
  const Time growth = last[0] - before[0];
  for (std::size_t device = 0; device < last.size(); ++device) {
    if (last[device] - before[device] != growth) {
      return std::nullopt;
    }
  }
  const auto cycle = static_cast<Time>(kCycle);
  return (growth + cycle - 1) / cycle;
}

CostTable random_costs_with_end(Random& random, const Pipeline& pipeline) {
  CostTable costs = test::random_costs(random, pipeline);
  costs.post_validation = random.chance(2, 3);
  for (std::int32_t device = 0; device < pipeline.devices; ++device) {
    costs.gradient_reduction.push_back(random.uniform(0, 30));
    costs.optimizer_step.push_back(random.uniform(0, 30));
  }
  return costs;
}

}  // namespace

TEST_SUITE_BEGIN("engine");

TEST_CASE("without post-validation every iteration is a barrier") {
  const Pipeline pipeline = make_pipeline(2, 1, 1, PlacementKind::kLoop).value();
  const Schedule schedule =
      make_schedule("test", pipeline,
                    {{make_op(OpKind::kForward, 0, 0), make_op(OpKind::kBackward, 0, 0)},
                     {make_op(OpKind::kForward, 0, 1), make_op(OpKind::kBackward, 0, 1)}});
  CostTable costs = uniform_costs(pipeline, 10, 10, 10);
  const TaskGraph graph = build_task_graph(schedule, costs).value();
  const Timeline timeline = replay(schedule, graph);
  CHECK(iteration_time(graph, costs) == 60);
  costs.gradient_reduction = {5, 100};
  costs.optimizer_step = {7, 7};
  CHECK(iteration_time(graph, costs) == 40 + 100 + 7);
  CHECK(simulated_iteration_time(schedule, graph, costs, timeline).time == 40 + 100 + 7);
  // With post-validation device 1 is the bottleneck: F, BW, G, U.
  costs.post_validation = true;
  CHECK(iteration_time(graph, costs) == 10 + 20 + 100 + 7);
}

TEST_CASE("the period is that of many chained iterations") {
  Random random(17);
  int repeated = 0;
  for (int round = 0; round < 250; ++round) {
    CAPTURE(round);
    const Pipeline pipeline = test::random_pipeline(random, {.most_microbatches = 3});
    const Schedule schedule = test::random_schedule(random, pipeline);
    const CostTable costs = random_costs_with_end(random, pipeline);
    CAPTURE(costs.post_validation);
    const TaskGraph graph = build_task_graph(schedule, costs).value();
    const Time period = iteration_time(graph, costs);
    if (costs.post_validation) {
      IterationMap map(graph, costs);
      const Mean mean = maximum_cycle_mean(map.matrix(), map.devices());
      CHECK(period == static_cast<Time>(mean.ceiling()));
    }
    if (const std::optional<Time> expected = chained_period(schedule, costs)) {
      CHECK(period == *expected);
      ++repeated;
    }
  }
  CHECK(repeated > 200);
}

TEST_CASE("simulated chains have the same period where both apply") {
  Random random(19);
  int exact = 0;
  constexpr int kRounds = 200;
  for (int round = 0; round < kRounds; ++round) {
    CAPTURE(round);
    const Pipeline pipeline = test::random_pipeline(random, {.most_microbatches = 3});
    const Schedule schedule = test::random_schedule(random, pipeline);
    CostTable costs = random_costs_with_end(random, pipeline);
    if (random.chance(1, 4)) {
      costs.optimizer_step.assign(costs.optimizer_step.size(), 9);
    }
    const TaskGraph graph = build_task_graph(schedule, costs).value();
    const Time period = iteration_time(graph, costs);
    const SimulatedPeriod simulated =
        simulated_iteration_time(schedule, graph, costs, replay(schedule, graph));
    // Devices that still catch up after 12 iterations may grow faster than the period.
    CHECK(simulated.time >= period);
    CHECK((simulated.exact || costs.post_validation));
    CHECK((simulated.time == period || !simulated.exact));
    exact += simulated.exact ? 1 : 0;
  }
  CHECK(exact > kRounds * 9 / 10);
}

TEST_CASE("maximum cycle means are exact") {
  // Arcs into a node stand in its row. 0 -> 1 -> 0 weighs 7 in two arcs, 1 -> 2 -> 1
  // weighs 5, and the loop at 2 weighs 3.
  const std::vector<Time> weights = {kNoArc, 3, kNoArc, 4, kNoArc, 1, kNoArc, 4, 3};
  const Mean best = maximum_cycle_mean(weights, 3);
  CHECK(static_cast<Time>(best.sum) * 2 == 7 * best.count);
  CHECK(static_cast<Time>(best.ceiling()) == 4);
  CHECK(static_cast<Time>(Mean{-7, 2}.ceiling()) == -3);
  CHECK(static_cast<Time>(Mean{8, 2}.ceiling()) == 4);
}

TEST_CASE("both ways to the maximum cycle mean agree with trying all cycles") {
  Random random(23);
  for (int round = 0; round < 200; ++round) {
    CAPTURE(round);
    const auto nodes = static_cast<std::size_t>(random.uniform(1, 6));
    std::vector<std::uint16_t> from;
    std::vector<Time> weight;
    std::vector<Time> matrix(nodes * nodes, kNoArc);
    for (std::size_t node = 0; node < nodes; ++node) {
      from.push_back(
          static_cast<std::uint16_t>(random.uniform(0, static_cast<std::int64_t>(nodes) - 1)));
      weight.push_back(random.uniform(-10, 10));
      matrix[node * nodes + from[node]] = weight[node];
    }
    const Mean by_arcs = maximum_cycle_mean(from, weight);
    const Mean by_matrix = maximum_cycle_mean(matrix, nodes);
    CHECK_FALSE(by_arcs < by_matrix);
    CHECK_FALSE(by_matrix < by_arcs);
    // Walking from every node for as many steps as there are nodes ends on a cycle; go round it.
    Mean best{-1000, 1};  // below every weight
    for (std::size_t first = 0; first < nodes; ++first) {
      std::size_t node = first;
      Mean mean{0, 0};
      do {
        mean.sum += weight[node];
        ++mean.count;
        node = from[node];
      } while (node != first && mean.count <= static_cast<std::int64_t>(nodes));
      if (node == first && best < mean) {
        best = mean;
      }
    }
    CHECK_FALSE(best < by_arcs);
    CHECK_FALSE(by_arcs < best);
  }
}

TEST_SUITE_END();
