// A topological order of a task graph, found by letting every device run its list as far as its
// data allows. Tasks of one stream (the compute or the copy tasks of one device) run in list order,
// so that a stream waits for at most one task at a time; this needs no successor rows and 4 bytes
// per task beside the order itself.
#include <vector>

#include "stagecraft/engine/task_graph.hpp"

namespace stagecraft {
namespace {

using Stream = std::uint32_t;
constexpr Stream kNoStream = UINT32_MAX;

// Tasks a stream runs before it is another stream's turn. Runs keep a device's memory together;
// short ones keep tasks that need each other near each other in the order.
constexpr int kRun = 8;

class Walk {
 public:
  explicit Walk(const TaskGraph& graph)
      : graph_(graph),
        streams_(2 * static_cast<Stream>(graph.devices)),
        head_(streams_),
        wanted_(streams_, kNoOp),
        next_waiter_(streams_, kNoStream),
        first_waiter_(graph.size(), kNoStream) {
    for (Stream stream = 0; stream < streams_; ++stream) {
      head_[stream] = static_cast<OpIndex>(graph.offsets[stream / 2]);
      skip(stream);
    }
  }

  TaskOrder run() {
    TaskOrder result;
    result.order.reserve(graph_.size());
    std::vector<Stream> ready;
    std::vector<Stream> next;
    ready.reserve(streams_);
    next.reserve(streams_);
    for (Stream stream = 0; stream < streams_; ++stream) {
      ready.push_back(stream);
    }
    while (!ready.empty()) {
      for (const Stream stream : ready) {
        if (advance(stream, result.order, next)) {
          next.push_back(stream);
        }
      }
      ready.swap(next);
      next.clear();
    }
    if (result.order.size() < graph_.size()) {
      result.cycle = find_cycle();
    }
    return result;
  }

 private:
  [[nodiscard]] Stream stream_of(OpIndex task) const {
    return 2 * static_cast<Stream>(graph_.device[task]) + (is_copy(graph_.kind[task]) ? 1 : 0);
  }
  [[nodiscard]] OpIndex end_of(Stream stream) const {
    return static_cast<OpIndex>(graph_.offsets[stream / 2 + 1]);
  }
  [[nodiscard]] bool done(OpIndex task) const { return task < head_[stream_of(task)]; }

  // Moves the head to the next task of the stream.
  void skip(Stream stream) {
    const bool copies = stream % 2 == 1;
    if (copies && !graph_.has_copies) {
      head_[stream] = end_of(stream);
    }
    while (head_[stream] < end_of(stream) && is_copy(graph_.kind[head_[stream]]) != copies) {
      ++head_[stream];
    }
  }

  [[nodiscard]] OpIndex missing(OpIndex task) const {
    for (const TaskEdge edge : graph_.edges_of(task)) {
      if (!done(edge.producer)) {
        return edge.producer;
      }
    }
    if (is_copy(graph_.kind[task])) {
      if (const OpIndex before = graph_.compute_before(task); before != kNoOp && !done(before)) {
        return before;
      }
    }
    return kNoOp;
  }

  // Runs some tasks of a stream; true if it could go on. Streams it wakes are added to `woken`.
  bool advance(Stream stream, std::vector<OpIndex>& order, std::vector<Stream>& woken) {
    for (int left = kRun; left > 0; --left) {
      const OpIndex task = head_[stream];
      if (task == end_of(stream)) {
        return false;
      }
      if (const OpIndex want = missing(task); want != kNoOp) {
        wanted_[stream] = want;
        next_waiter_[stream] = first_waiter_[want];
        first_waiter_[want] = stream;
        return false;
      }
      order.push_back(task);
      ++head_[stream];
      skip(stream);
      for (Stream waiter = first_waiter_[task]; waiter != kNoStream;
           waiter = next_waiter_[waiter]) {
        wanted_[waiter] = kNoOp;
        woken.push_back(waiter);
      }
    }
    return true;
  }

  [[nodiscard]] std::vector<OpIndex> find_cycle() const {
    Stream stream = 0;
    while (wanted_[stream] == kNoOp) {
      ++stream;
    }
    std::vector<bool> visited(streams_, false);
    while (!visited[stream]) {
      visited[stream] = true;
      stream = stream_of(wanted_[stream]);
    }
    std::vector<OpIndex> cycle;
    const Stream first = stream;
    do {
      cycle.push_back(head_[stream]);
      const OpIndex want = wanted_[stream];
      stream = stream_of(want);
      if (want != head_[stream]) {
        cycle.push_back(want);
      }
    } while (stream != first);
    return cycle;
  }

  const TaskGraph& graph_;
  Stream streams_;
  std::vector<OpIndex> head_;         // [streams] next task; a smaller one of the stream has run
  std::vector<OpIndex> wanted_;       // [streams] the task a stream waits for
  std::vector<Stream> next_waiter_;   // [streams] chains of streams that wait for one task
  std::vector<Stream> first_waiter_;  // [tasks]
};

}  // namespace

TaskOrder order_tasks(const TaskGraph& graph) {
  return Walk(graph).run();
}

}  // namespace stagecraft
