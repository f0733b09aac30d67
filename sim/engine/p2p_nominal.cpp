#include "engine/p2p_nominal.hpp"

#include <algorithm>
#include <vector>

namespace stagecraft {
namespace {

Time nominal_duration(OpKind kind) {
  switch (kind) {
    case OpKind::kForward:
    case OpKind::kBackwardInput:
    case OpKind::kBackwardWeight:
    case OpKind::kRecompute:
      return 1;
    case OpKind::kBackward:
      return 2;
    case OpKind::kOverlapped:
      return 3;
    case OpKind::kOffload:
    case OpKind::kReload:
    case OpKind::kGradientReduce:
    case OpKind::kOptimizer:
      break;
  }
  return 0;
}

class Run {
 public:
  Run(const TaskGraph& graph, const P2pProgram& program)
      : graph_(graph),
        program_(program),
        step_(program.offsets.begin(), program.offsets.end() - 1),
        clock_(step_.size(), 0),
        queued_(step_.size(), true),
        sent_(program.messages.size(), kNever),
        received_(program.messages.size(), kNever),
        reduced_(graph.size(), kNever) {
    for (std::size_t device = 0; device < step_.size(); ++device) {
      queue_.push_back(device);
    }
  }

  Time run() {
    for (std::size_t i = 0; i < queue_.size(); ++i) {
      const std::size_t device = queue_[i];
      queued_[device] = false;
      advance(device);
    }
    return std::equal(step_.begin(), step_.end(), program_.offsets.begin() + 1) ? last_end_
                                                                                : kNever;
  }

 private:
  void wake(std::size_t device) {
    if (!queued_[device]) {
      queued_[device] = true;
      queue_.push_back(device);
    }
  }

  void post(const P2pMember& member, Time now) {
    (member.send ? sent_ : received_)[member.message] = now;
    const P2pMessage& message = program_.messages[member.message];
    wake(static_cast<std::size_t>(member.send ? message.to_device : message.from_device));
  }

  bool run_op(OpIndex op, Time& now) {
    const OpKind kind = graph_.kind[op];
    if (kind == OpKind::kGradientReduce) {
      reduced_[op] = now;
      for (std::size_t device = 0; device < step_.size(); ++device) {
        wake(device);
      }
    }
    if (kind == OpKind::kOptimizer) {
      for (const TaskEdge edge : graph_.edges_of(op)) {
        if (reduced_[edge.producer] == kNever) {
          return false;
        }
        now = std::max(now, reduced_[edge.producer]);
      }
    }
    now += nominal_duration(kind);
    last_end_ = std::max(last_end_, now);
    return true;
  }

  void advance(std::size_t device) {
    Time& now = clock_[device];
    for (std::size_t& at = step_[device]; at < program_.offsets[device + 1]; ++at) {
      const P2pStep& step = program_.steps[at];
      if (step.kind == P2pStepKind::kOp) {
        if (!run_op(step.first, now)) {
          return;
        }
        continue;
      }
      for (const P2pMember& member : program_.members_of(step)) {
        if (step.kind == P2pStepKind::kPost) {
          post(member, now);
          continue;
        }
        const Time done = std::max(sent_[member.message], received_[member.message]);
        if (done == kNever) {
          return;
        }
        now = std::max(now, done);
      }
    }
  }

  const TaskGraph& graph_;
  const P2pProgram& program_;
  std::vector<std::size_t> step_;
  std::vector<Time> clock_;
  std::vector<std::size_t> queue_;
  std::vector<bool> queued_;
  std::vector<Time> sent_, received_;  // [messages] when posted
  std::vector<Time> reduced_;          // [tasks] end of G
  Time last_end_ = 0;
};

}  // namespace

Time nominal_makespan(const TaskGraph& graph) {
  std::vector<Time> end(graph.size(), 0);
  Time last = 0;
  for (const OpIndex task : graph.order) {
    Time start = 0;
    for_each_predecessor(graph, task,
                         [&](OpIndex before, Time) { start = std::max(start, end[before]); });
    end[task] = start + nominal_duration(graph.kind[task]);
    last = std::max(last, end[task]);
  }
  return last;
}

Time nominal_makespan(const TaskGraph& graph, const P2pProgram& program) {
  return Run(graph, program).run();
}

}  // namespace stagecraft
