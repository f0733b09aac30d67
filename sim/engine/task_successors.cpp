// The edges of a task graph turned around: rows by producer, in the order of their consumers.
#include "stagecraft/engine/task_graph.hpp"

namespace stagecraft {

TaskSuccessors data_successors(const TaskGraph& graph) {
  TaskSuccessors successors;
  successors.start.assign(graph.size() + 1, 0);
  for (const TaskEdge edge : graph.edges) {
    ++successors.start[edge.producer + 1];
  }
  for (std::size_t task = 0; task < graph.size(); ++task) {
    successors.start[task + 1] += successors.start[task];
  }
  successors.edges.resize(graph.edges.size());
  for (OpIndex task = 0; task < graph.size(); ++task) {
    for (const TaskEdge edge : graph.edges_of(task)) {
      successors.edges[successors.start[edge.producer]++] = {task, edge.crossing};
    }
  }
  // Filling moved every row start to the row's end, which is the start of the next row.
  for (std::size_t task = graph.size(); task > 0; --task) {
    successors.start[task] = successors.start[task - 1];
  }
  successors.start[0] = 0;
  return successors;
}

}  // namespace stagecraft
