// The task graph as a Boost.Graph (VertexListGraph and BidirectionalGraph) without a copy: vertices
// are tasks, edges are the data edges and the list orders, read from the frozen rows.
//
// For algorithms that are not on a hot path; Boost's headers are heavy, so include it in few .cpp
// files.
#pragma once

#include <cstddef>
#include <utility>

#include <boost/graph/graph_traits.hpp>
#include <boost/graph/properties.hpp>
#include <boost/iterator/counting_iterator.hpp>
#include <boost/iterator/iterator_facade.hpp>

#include "stagecraft/engine/task_graph.hpp"

namespace stagecraft {

/// Both must outlive the view; `successors` is data_successors(graph).
struct TaskGraphView {
  const TaskGraph* graph = nullptr;
  const TaskSuccessors* successors = nullptr;
};

/// From a task to one that waits for it. List orders have crossing 0.
struct TaskGraphEdge {
  OpIndex source = kNoOp;
  OpIndex target = kNoOp;
  std::uint32_t crossing = 0;

  friend bool operator==(const TaskGraphEdge&, const TaskGraphEdge&) = default;
};

namespace boost_adaptor {

// Tasks that wait for `task` by list order: consecutive ones.
inline std::pair<OpIndex, OpIndex> list_successors(const TaskGraph& graph, OpIndex task) {
  const auto last = static_cast<OpIndex>(graph.offsets[graph.device[task] + std::size_t{1}]);
  OpIndex first = task + 1;
  if (is_copy(graph.kind[task])) {
    while (first < last && !is_copy(graph.kind[first])) {
      ++first;
    }
    return {first, first < last ? first + 1 : first};
  }
  // The copies behind a compute task wait for it, and so does the next compute task.
  OpIndex end = first;
  while (end < last && graph.compute_before(end) == task) {
    ++end;
  }
  return {first, end};
}

inline std::size_t in_degree(const TaskGraph& graph, OpIndex task) {
  const bool after_copy = is_copy(graph.kind[task]) && graph.copy_before(task) != kNoOp;
  return graph.edges_of(task).size() + (graph.compute_before(task) != kNoOp ? 1 : 0) +
         (after_copy ? 1 : 0);
}

inline TaskGraphEdge in_edge(const TaskGraph& graph, OpIndex task, std::size_t i) {
  const auto row = graph.edges_of(task);
  if (i < row.size()) {
    return {row[i].producer, task, row[i].crossing};
  }
  const OpIndex compute = graph.compute_before(task);
  return {i == row.size() && compute != kNoOp ? compute : graph.copy_before(task), task, 0};
}

inline std::size_t out_degree(const TaskGraphView& view, OpIndex task) {
  const auto [first, last] = list_successors(*view.graph, task);
  return view.successors->of(task).size() + (last - first);
}

inline TaskGraphEdge out_edge(const TaskGraphView& view, OpIndex task, std::size_t i) {
  const auto row = view.successors->of(task);
  if (i < row.size()) {
    return {task, row[i].consumer, row[i].crossing};
  }
  const OpIndex first = list_successors(*view.graph, task).first;
  return {task, first + static_cast<OpIndex>(i - row.size()), 0};
}

template <bool kOut>
class EdgeIterator : public boost::iterator_facade<EdgeIterator<kOut>, TaskGraphEdge,
                                                   boost::forward_traversal_tag, TaskGraphEdge> {
 public:
  EdgeIterator() = default;
  EdgeIterator(TaskGraphView view, OpIndex task, std::size_t i) : view_(view), task_(task), i_(i) {}

 private:
  friend class boost::iterator_core_access;

  [[nodiscard]] TaskGraphEdge dereference() const {
    return kOut ? out_edge(view_, task_, i_) : in_edge(*view_.graph, task_, i_);
  }
  [[nodiscard]] bool equal(const EdgeIterator& other) const {
    return task_ == other.task_ && i_ == other.i_;
  }
  void increment() { ++i_; }

  TaskGraphView view_;
  OpIndex task_ = kNoOp;
  std::size_t i_ = 0;
};

struct Category : boost::bidirectional_graph_tag, boost::vertex_list_graph_tag {};

}  // namespace boost_adaptor
}  // namespace stagecraft

template <>
struct boost::graph_traits<stagecraft::TaskGraphView> {
  using vertex_descriptor = stagecraft::OpIndex;
  using edge_descriptor = stagecraft::TaskGraphEdge;
  using directed_category = boost::bidirectional_tag;
  using edge_parallel_category = boost::allow_parallel_edge_tag;
  using traversal_category = stagecraft::boost_adaptor::Category;
  using vertex_iterator = boost::counting_iterator<stagecraft::OpIndex>;
  using vertices_size_type = std::size_t;
  using edges_size_type = std::size_t;
  using degree_size_type = std::size_t;
  using out_edge_iterator = stagecraft::boost_adaptor::EdgeIterator<true>;
  using in_edge_iterator = stagecraft::boost_adaptor::EdgeIterator<false>;

  static vertex_descriptor null_vertex() { return stagecraft::kNoOp; }
};

namespace stagecraft {

// What Boost.Graph finds by argument-dependent lookup.

using TaskGraphTraits = boost::graph_traits<TaskGraphView>;

inline std::size_t num_vertices(const TaskGraphView& view) {
  return view.graph->size();
}
inline std::pair<TaskGraphTraits::vertex_iterator, TaskGraphTraits::vertex_iterator> vertices(
    const TaskGraphView& view) {
  return {TaskGraphTraits::vertex_iterator(0),
          TaskGraphTraits::vertex_iterator(static_cast<OpIndex>(view.graph->size()))};
}

inline OpIndex source(const TaskGraphEdge& edge, const TaskGraphView&) {
  return edge.source;
}
inline OpIndex target(const TaskGraphEdge& edge, const TaskGraphView&) {
  return edge.target;
}

inline std::size_t out_degree(OpIndex task, const TaskGraphView& view) {
  return boost_adaptor::out_degree(view, task);
}
inline std::pair<TaskGraphTraits::out_edge_iterator, TaskGraphTraits::out_edge_iterator> out_edges(
    OpIndex task, const TaskGraphView& view) {
  return {{view, task, 0}, {view, task, boost_adaptor::out_degree(view, task)}};
}

inline std::size_t in_degree(OpIndex task, const TaskGraphView& view) {
  return boost_adaptor::in_degree(*view.graph, task);
}
inline std::pair<TaskGraphTraits::in_edge_iterator, TaskGraphTraits::in_edge_iterator> in_edges(
    OpIndex task, const TaskGraphView& view) {
  return {{view, task, 0}, {view, task, boost_adaptor::in_degree(*view.graph, task)}};
}

inline std::size_t degree(OpIndex task, const TaskGraphView& view) {
  return in_degree(task, view) + out_degree(task, view);
}

/// Tasks are numbered from 0, so they are their own index.
inline boost::typed_identity_property_map<OpIndex> get(boost::vertex_index_t,
                                                       const TaskGraphView&) {
  return {};
}

}  // namespace stagecraft

template <>
struct boost::property_map<stagecraft::TaskGraphView, boost::vertex_index_t> {
  using type = boost::typed_identity_property_map<stagecraft::OpIndex>;
  using const_type = type;
};
