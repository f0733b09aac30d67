#include "engine/boost_adaptor.hpp"

#include <algorithm>
#include <iterator>
#include <tuple>
#include <vector>

#include <doctest/doctest.h>
#include <boost/concept_check.hpp>
#include <boost/graph/graph_concepts.hpp>
#include <boost/graph/strong_components.hpp>
#include <boost/graph/topological_sort.hpp>

#include "stagecraft/core/random.hpp"
#include "stagecraft/engine/replay.hpp"
#include "support/random_schedule.hpp"

TEST_SUITE_BEGIN("engine");

namespace stagecraft {
namespace {

BOOST_CONCEPT_ASSERT((boost::VertexListGraphConcept<TaskGraphView>));
BOOST_CONCEPT_ASSERT((boost::BidirectionalGraphConcept<TaskGraphView>));

template <typename Edges>
std::vector<TaskGraphEdge> sorted(const Edges& range) {
  std::vector<TaskGraphEdge> edges(range.first, range.second);
  std::sort(edges.begin(), edges.end(), [](const TaskGraphEdge& a, const TaskGraphEdge& b) {
    return std::tie(a.source, a.target, a.crossing) < std::tie(b.source, b.target, b.crossing);
  });
  return edges;
}

TEST_CASE("Boost's topological order of a task graph gives the times of replay") {
  Random random(61);
  for (int i = 0; i < 100; ++i) {
    const Pipeline pipeline = test::random_pipeline(random);
    const Schedule schedule = test::random_schedule(random, pipeline);
    const GraphOptions options =
        random.chance(1, 2) ? GraphOptions{2, true} : GraphOptions{1, false};
    const TaskGraph graph =
        build_task_graph(schedule, test::random_costs(random, pipeline), options).value();
    const TaskSuccessors successors = data_successors(graph);
    const TaskGraphView view{&graph, &successors};

    std::vector<OpIndex> reversed;
    boost::topological_sort(view, std::back_inserter(reversed));
    REQUIRE(reversed.size() == graph.size());

    std::vector<Time> end(graph.size(), 0);
    for (auto task = reversed.rbegin(); task != reversed.rend(); ++task) {
      Time start = 0;
      const auto [first, last] = in_edges(*task, view);
      for (auto edge = first; edge != last; ++edge) {
        start = std::max(start, end[(*edge).source] + graph.crossing_latency[(*edge).crossing]);
      }
      end[*task] = start + graph.duration[*task];
    }
    Replayer replayer(graph);
    replayer.run();
    REQUIRE(end == replayer.ends());

    // No cycle: every task is a component of its own.
    std::vector<std::size_t> component(graph.size());
    CHECK(boost::strong_components(view, boost::make_iterator_property_map(
                                             component.begin(), get(boost::vertex_index, view))) ==
          graph.size());
  }
}

TEST_CASE("edges out of all tasks are the edges into all tasks") {
  Random random(62);
  for (int i = 0; i < 100; ++i) {
    const Pipeline pipeline = test::random_pipeline(random);
    const TaskGraph graph = build_task_graph(test::random_schedule(random, pipeline),
                                             test::random_costs(random, pipeline))
                                .value();
    const TaskSuccessors successors = data_successors(graph);
    const TaskGraphView view{&graph, &successors};
    std::vector<TaskGraphEdge> out;
    std::vector<TaskGraphEdge> in;
    for (OpIndex task = 0; task < graph.size(); ++task) {
      std::size_t needs = 0;
      for_each_predecessor(graph, task, [&](OpIndex, Time) { ++needs; });
      REQUIRE(in_degree(task, view) == needs);
      const auto [out_first, out_last] = out_edges(task, view);
      const auto [in_first, in_last] = in_edges(task, view);
      out.insert(out.end(), out_first, out_last);
      in.insert(in.end(), in_first, in_last);
    }
    REQUIRE(sorted(std::pair(out.begin(), out.end())) == sorted(std::pair(in.begin(), in.end())));
  }
}

}  // namespace
}  // namespace stagecraft

TEST_SUITE_END();
