#include "stagecraft/engine/attribution.hpp"

#include <algorithm>
#include <utility>

namespace stagecraft {
namespace {

class Attribution {
 public:
  Attribution(const TaskGraph& graph, const CostTable& costs, const Timeline& timeline,
              std::span<const OpWait> waits)
      : graph_(graph),
        timeline_(timeline),
        waits_(waits),
        sends_block_(costs.communication == Communication::kBlocking),
        begin_(*std::min_element(timeline.start.begin(), timeline.start.end())),
        end_(*std::max_element(timeline.end.begin(), timeline.end.end())) {}

  std::vector<IdleInterval> run() {
    for (std::int32_t device = 0; device < graph_.devices; ++device) {
      walk(device);
    }
    return std::move(intervals_);
  }

 private:
  void walk(std::int32_t device) {
    const auto d = static_cast<std::size_t>(device);
    device_ = device;
    cursor_ = begin_;
    OpIndex before = kNoOp;
    for (std::size_t i = graph_.offsets[d]; i < graph_.offsets[d + 1]; ++i) {
      const auto task = static_cast<OpIndex>(i);
      if (is_copy(graph_.kind[task])) {
        continue;
      }
      if (timeline_.start[task] > cursor_) {
        explain(task, before);
      }
      cursor_ = timeline_.end[task];
      before = task;
    }
    emit(end_, IdleCause::kDrain, kNoOp, kNoOp);
  }

  // Gives [cursor, until) a cause and moves the cursor; nothing if that is empty.
  void emit(Time until, IdleCause cause, OpIndex waiting, OpIndex waited_for) {
    if (until <= cursor_) {
      return;
    }
    const bool continues = !intervals_.empty() && intervals_.back().device == device_ &&
                           intervals_.back().end == cursor_ && intervals_.back().cause == cause &&
                           intervals_.back().waiting == waiting &&
                           intervals_.back().waited_for == waited_for;
    if (continues) {
      intervals_.back().end = until;
    } else {
      intervals_.push_back({device_, cursor_, until, cause, waiting, waited_for});
    }
    cursor_ = until;
  }

  // What simulate notes, worked out where nothing is shared.
  [[nodiscard]] OpWait wait_of(OpIndex task) const {
    if (!waits_.empty()) {
      return waits_[task];
    }
    OpWait wait;
    for (const TaskEdge edge : graph_.edges_of(task)) {
      const Time end = timeline_.end[edge.producer];
      const Time arrived = end + graph_.latency(edge);
      wait.produced = std::max(wait.produced, end);
      if (wait.last_producer == kNoOp || arrived > wait.arrived ||
          (arrived == wait.arrived && edge.producer < wait.last_producer)) {
        wait.arrived = arrived;
        wait.last_producer = edge.producer;
      }
    }
    for_each_in_order(task, [&](OpIndex before) {
      wait.stream_free = std::max(wait.stream_free, timeline_.end[before]);
    });
    return wait;
  }

  template <typename Visit>
  void for_each_in_order(OpIndex task, Visit&& visit) const {
    if (const OpIndex before = graph_.compute_before(task); before != kNoOp) {
      visit(before);
    }
    if (const OpIndex before = graph_.copy_before(task);
        before != kNoOp && is_copy(graph_.kind[task])) {
      visit(before);
    }
  }

  // The gap from the cursor to the start of `task`; `before` is the compute task before it.
  void explain(OpIndex task, OpIndex before) {
    const Time start = timeline_.start[task];
    const OpWait wait = wait_of(task);
    const OpIndex producer = wait.last_producer;
    if (before == kNoOp || graph_.kind[before] == OpKind::kOptimizer) {
      emit(start, IdleCause::kFill, task, producer);
      return;
    }
    if (graph_.kind[task] == OpKind::kOptimizer) {
      emit(start, IdleCause::kOptimizer, task, producer);
      return;
    }
    if (sends_block_) {
      emit(std::min(wait.stream_free, start), IdleCause::kTransfer, task, before);
    }
    if (producer != kNoOp && is_copy(graph_.kind[producer])) {
      explain_by_copy(task, producer);
    } else {
      emit(std::min(wait.produced, start), IdleCause::kProducer, task, producer);
    }
    emit(std::min(std::max(wait.arrived, wait.stream_free), start), IdleCause::kTransfer, task,
         producer);
    emit(start, wait.memory_there == start ? IdleCause::kMemory : IdleCause::kTransfer, task,
         kNoOp);
  }

  void explain_by_copy(OpIndex task, OpIndex copy) {
    const Time start = timeline_.start[task];
    const OpWait wait = wait_of(copy);
    emit(std::min(std::max(wait.arrived, wait.stream_free), start), IdleCause::kTransfer, task,
         copy);
    emit(std::min(wait.memory_there, start), IdleCause::kMemory, task, copy);
    emit(std::min(timeline_.end[copy], start), IdleCause::kTransfer, task, copy);
  }

  const TaskGraph& graph_;
  const Timeline& timeline_;
  std::span<const OpWait> waits_;
  bool sends_block_;
  Time begin_;
  Time end_;
  std::int32_t device_ = 0;
  Time cursor_ = 0;
  std::vector<IdleInterval> intervals_;
};

}  // namespace

std::vector<IdleInterval> attribute_idle(const TaskGraph& graph, const CostTable& costs,
                                         const Timeline& timeline, std::span<const OpWait> waits) {
  STAGECRAFT_CHECK(timeline.start.size() == graph.size() && timeline.end.size() == graph.size(),
                   "the timeline is of another graph");
  STAGECRAFT_CHECK(waits.empty() || waits.size() == graph.size(), "the waits are of another graph");
  if (graph.size() == 0) {
    return {};
  }
  return Attribution(graph, costs, timeline, waits).run();
}

}  // namespace stagecraft
