#include "engine/p2p_repair.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace stagecraft {
namespace {

class Repair {
 public:
  Repair(const TaskGraph& graph, P2pProgram& program, bool one_call)
      : graph_(graph),
        program_(program),
        one_call_(one_call),
        step_(program.offsets.begin(), program.offsets.end() - 1),
        queued_(step_.size(), true),
        sent_(program.messages.size(), false),
        received_(program.messages.size(), false),
        moved_(program.messages.size(), false),
        reduced_(graph.size(), false) {
    for (std::size_t device = 0; device < step_.size(); ++device) {
      queue_.push_back(device);
    }
  }

  bool run() {
    for (;;) {
      for (std::size_t i = 0; i < queue_.size(); ++i) {
        queued_[queue_[i]] = false;
        advance(queue_[i]);
      }
      queue_.clear();
      if (finished()) {
        break;
      }
      if (!move_one()) {
        return false;
      }
    }
    if (!extra_.empty()) {
      rebuild();
    }
    return true;
  }

 private:
  [[nodiscard]] bool finished() const {
    return std::equal(step_.begin(), step_.end(), program_.offsets.begin() + 1);
  }
  // Few programs need it.
  void make_channels() {
    channels_.resize(2 * step_.size() * step_.size());
    for (std::uint32_t message = 0; message < program_.messages.size(); ++message) {
      channel_of(message).push_back(message);
    }
    for (std::vector<std::uint32_t>& channel : channels_) {
      std::sort(channel.begin(), channel.end(), [this](std::uint32_t a, std::uint32_t b) {
        return program_.messages[a].producer > program_.messages[b].producer;
      });
    }
  }
  std::vector<std::uint32_t>& channel_of(std::uint32_t message) {
    const P2pMessage& m = program_.messages[message];
    return channels_[2 * (static_cast<std::size_t>(m.from_device) * step_.size() +
                          static_cast<std::size_t>(m.to_device)) +
                     (m.gradient ? 1 : 0)];
  }
  [[nodiscard]] bool matched(std::uint32_t message) const {
    return sent_[message] && received_[message];
  }

  void wake(std::int32_t device) {
    const auto d = static_cast<std::size_t>(device);
    if (!queued_[d]) {
      queued_[d] = true;
      queue_.push_back(d);
    }
  }

  void post(const P2pMember& member) {
    (member.send ? sent_ : received_)[member.message] = true;
    if (matched(member.message)) {
      const P2pMessage& message = program_.messages[member.message];
      wake(member.send ? message.to_device : message.from_device);
    }
  }

  // Optimizer steps wait for the gradient reductions of others; what else an op needs is received
  // or stands before it.
  bool run_op(OpIndex op) {
    if (graph_.kind[op] == OpKind::kGradientReduce) {
      reduced_[op] = true;
      for (std::int32_t device = 0; device < graph_.devices; ++device) {
        wake(device);
      }
    }
    const auto edges = graph_.edges_of(op);
    return graph_.kind[op] != OpKind::kOptimizer ||
           std::all_of(edges.begin(), edges.end(),
                       [this](const TaskEdge& edge) { return reduced_[edge.producer]; });
  }

  void advance(std::size_t device) {
    for (std::size_t& at = step_[device]; at < program_.offsets[device + 1]; ++at) {
      const P2pStep& step = program_.steps[at];
      if (step.kind == P2pStepKind::kOp) {
        if (!run_op(step.first)) {
          return;
        }
        continue;
      }
      const auto members = program_.members_of(step);
      if (step.kind == P2pStepKind::kPost) {
        for (const P2pMember& member : members) {
          post(member);
        }
      } else if (step.kind == P2pStepKind::kWait &&
                 !std::all_of(members.begin(), members.end(), [this](const P2pMember& member) {
                   return matched(member.message);
                 })) {
        return;
      }
    }
  }

  // The first send in order of devices that waits for its receiver.
  bool move_one() {
    if (channels_.empty()) {
      make_channels();
    }
    for (std::size_t device = 0; device < step_.size(); ++device) {
      if (step_[device] == program_.offsets[device + 1] ||
          program_.steps[step_[device]].kind != P2pStepKind::kWait) {
        continue;
      }
      for (const P2pMember& member : program_.members_of(program_.steps[step_[device]])) {
        if (member.send && !received_[member.message]) {
          std::vector<std::uint32_t>& channel = channel_of(member.message);
          while (received_[channel.back()]) {
            channel.pop_back();
          }
          const P2pMember receive{channel.back(), false};
          const std::int32_t receiver = program_.messages[receive.message].to_device;
          extra_[step_[static_cast<std::size_t>(receiver)]].push_back(receive);
          moved_[receive.message] = true;
          post(receive);
          return true;
        }
      }
    }
    return false;
  }

  void rebuild() {
    P2pProgram result;
    result.messages = std::move(program_.messages);
    result.offsets.push_back(0);
    for (std::size_t device = 0; device < step_.size(); ++device) {
      for (std::size_t i = program_.offsets[device]; i < program_.offsets[device + 1]; ++i) {
        copy_step(i, result);
      }
      result.offsets.push_back(result.steps.size());
    }
    program_ = std::move(result);
  }

  void copy_step(std::size_t i, P2pProgram& result) const {
    const P2pStep& step = program_.steps[i];
    if (step.kind == P2pStepKind::kOp) {
      // A device stands at an op only if that is an optimizer step.
      if (const auto extra = extra_.find(i); extra != extra_.end()) {
        add_step(P2pStepKind::kPost, extra->second, result);
        if (one_call_) {
          add_step(P2pStepKind::kWait, extra->second, result);
        }
      }
      result.steps.push_back(step);
      return;
    }
    const auto original = program_.members_of(step);
    std::vector<P2pMember> members(original.begin(), original.end());
    if (one_call_ || step.kind == P2pStepKind::kPost) {
      std::erase_if(members, [this](const P2pMember& member) {
        return !member.send && moved_[member.message];
      });
    }
    // A call is a post and the wait after it; devices stand at waits.
    const auto extra = extra_.find(one_call_ && step.kind == P2pStepKind::kPost ? i + 1 : i);
    if (extra != extra_.end()) {
      if (one_call_) {
        members.insert(members.end(), extra->second.begin(), extra->second.end());
      } else {
        add_step(P2pStepKind::kPost, extra->second, result);
      }
    }
    add_step(step.kind, members, result);
  }

  static void add_step(P2pStepKind kind, const std::vector<P2pMember>& members,
                       P2pProgram& result) {
    if (members.empty()) {
      return;
    }
    result.steps.push_back({kind, static_cast<std::uint32_t>(result.members.size()),
                            static_cast<std::uint32_t>(members.size())});
    result.members.insert(result.members.end(), members.begin(), members.end());
  }

  const TaskGraph& graph_;
  P2pProgram& program_;
  bool one_call_;
  std::vector<std::size_t> step_;   // [P] where each device stands
  std::vector<std::size_t> queue_;  // devices that may go on
  std::vector<bool> queued_;
  std::vector<bool> sent_, received_, moved_;  // [messages]
  std::vector<bool> reduced_;                  // [tasks] G that ran
  // Messages in the order of their sends, the first one last; received ones are dropped there.
  std::vector<std::vector<std::uint32_t>> channels_;
  std::map<std::size_t, std::vector<P2pMember>> extra_;  // by step: receives that join it
};

}  // namespace

bool move_late_receives_up(const TaskGraph& graph, P2pProgram& program, bool one_call) {
  return Repair(graph, program, one_call).run();
}

}  // namespace stagecraft
