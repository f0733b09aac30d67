// The iteration time against Boost.Graph's maximum cycle ratio of the periodic task graph.
#include <cmath>
#include <cstdint>

#include <doctest/doctest.h>
#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/howard_cycle_ratio.hpp>

#include "stagecraft/engine/iteration.hpp"
#include "support/random_schedule.hpp"

using namespace stagecraft;

namespace {

// An edge takes time (edge_weight) and passes iteration ends (edge_weight2).
using Weights =
    boost::property<boost::edge_weight_t, double, boost::property<boost::edge_weight2_t, double>>;
using PeriodicGraph =
    boost::adjacency_list<boost::vecS, boost::vecS, boost::directedS, boost::no_property, Weights>;

PeriodicGraph periodic(const TaskGraph& graph) {
  PeriodicGraph result(graph.size());
  const auto add = [&](OpIndex from, OpIndex to, Time latency, double ends) {
    const auto length = static_cast<double>(graph.duration[from] + latency);
    boost::add_edge(from, to, Weights(length, ends), result);
  };
  for (OpIndex task = 0; task < graph.size(); ++task) {
    for_each_predecessor(graph, task, [&](OpIndex predecessor, Time latency) {
      add(predecessor, task, latency, 0.0);
    });
  }
  // What waits for nothing in its list waits for its device's step of the iteration before.
  for (OpIndex task = 0; task < graph.size(); ++task) {
    if (graph.compute_before(task) == kNoOp) {
      add(static_cast<OpIndex>(graph.offsets[graph.device[task] + std::size_t{1}] - 1), task, 0,
          1.0);
    }
  }
  return result;
}

}  // namespace

TEST_SUITE_BEGIN("engine");

TEST_CASE("the iteration time is the maximum cycle ratio of the periodic graph") {
  Random random(71);
  for (int round = 0; round < 100; ++round) {
    CAPTURE(round);
    const Pipeline pipeline = test::random_pipeline(random, {.most_microbatches = 3});
    const Schedule schedule = test::random_schedule(random, pipeline);
    CostTable costs = test::random_costs(random, pipeline);
    costs.post_validation = random.chance(2, 3);
    for (std::int32_t device = 0; device < pipeline.devices; ++device) {
      costs.gradient_reduction.push_back(random.uniform(0, 30));
      costs.optimizer_step.push_back(random.uniform(0, 30));
    }
    const TaskGraph with_end = build_task_graph(schedule, costs, GraphOptions{1, true}).value();
    const PeriodicGraph graph = periodic(with_end);
    const double ratio =
        boost::maximum_cycle_ratio(graph, get(boost::vertex_index, graph),
                                   get(boost::edge_weight, graph), get(boost::edge_weight2, graph));
    const Time period = iteration_time(build_task_graph(schedule, costs).value(), costs);
    constexpr double kRounding = 1e-6;
    CHECK(static_cast<double>(period) == doctest::Approx(std::ceil(ratio - kRounding)));
  }
}

TEST_SUITE_END();
