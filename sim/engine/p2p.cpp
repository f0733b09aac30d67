#include "stagecraft/engine/p2p.hpp"

#include <algorithm>

#include <fmt/core.h>

#include "engine/p2p_aligned.hpp"
#include "engine/p2p_lowering.hpp"
#include "engine/p2p_nominal.hpp"
#include "engine/p2p_repair.hpp"
#include "stagecraft/core/check.hpp"

namespace stagecraft {
namespace {

// The refinements of `batched` need to know whether a device holds several stages.
bool one_stage_per_device(const Schedule& schedule) {
  return !schedule.pipeline.bidirectional() && schedule.pipeline.chunks() == 1;
}

class Batched {
 public:
  Batched(P2pBuilder& builder, P2pLowering lowering, bool single, bool ahead, std::int32_t device)
      : builder_(builder), lowering_(lowering), single_(single), ahead_(ahead), device_(device) {}

  void run() {
    const std::vector<OpIndex>& list = builder_.list(device_);
    std::vector<P2pMember> sends;
    std::vector<P2pMember> receives;
    std::size_t last = list.size();  // the op before the next unit; list.size(): none yet
    for (std::size_t i = 0; i < list.size();) {
      const std::size_t length = unit_length(list, i);
      receives.clear();
      for (std::size_t k = i; k < i + length; ++k) {
        builder_.add_receives(list[k], false, receives);
        builder_.add_receives(list[k], true, receives);
      }
      const bool apart =
          single_ && last != list.size() &&
          builder_.activation_side(list[last]) == builder_.activation_side(list[i + length - 1]);
      if (apart) {
        call(sends);
        call(receives);
      } else {
        sends.insert(sends.end(), receives.begin(), receives.end());
        call(sends);
      }
      sends.clear();
      for (const std::size_t end = i + length; i < end; ++i) {
        builder_.run(list[i]);
        builder_.add_sends(list[i], sends);
        if (ahead_) {
          builder_.add_due(list[i], false, sends);
          builder_.add_due(list[i], true, sends);
        }
        last = builder_.talks(list[i]) ? i : last;
      }
    }
    call(sends);
  }

 private:
  // Ops that run without a call between them: those that neither send nor receive (W, R), the op
  // after them, and the backward of a pair.
  [[nodiscard]] std::size_t unit_length(const std::vector<OpIndex>& list, std::size_t i) const {
    std::size_t end = i;
    while (end + 1 < list.size() && !builder_.talks(list[end]) &&
           !builder_.ends_iteration(list[end])) {
      ++end;
    }
    if (ahead_ && !single_ && end + 1 < list.size() &&
        builder_.steady_pair(list[end], list[end + 1])) {
      ++end;
    }
    return end + 1 - i;
  }

  // Megatron's order within a batch: to and from the device before, then the device after.
  [[nodiscard]] int rank(const P2pMember& member) const {
    const bool gradient = builder_.message(member).gradient;
    return member.send ? (gradient ? 0 : 2) : (gradient ? 3 : 1);
  }

  // The order of blocking calls: sends and receives apart, each as in a batch; but two receives
  // from one device in the order in which it sends them.
  [[nodiscard]] int blocking_rank(const P2pMember& member, bool one_source) const {
    const bool send_first = lowering_ == P2pLowering::kSendFirst ||
                            (lowering_ == P2pLowering::kParity && device_ % 2 == 0);
    const bool gradient = builder_.message(member).gradient;
    const bool gradient_first = member.send || one_source;
    return (member.send == send_first ? 0 : 2) + (gradient == gradient_first ? 0 : 1);
  }

  [[nodiscard]] bool one_source(const std::vector<P2pMember>& members) const {
    std::int32_t source = -1;
    return std::all_of(members.begin(), members.end(), [&](const P2pMember& member) {
      const std::int32_t from = builder_.message(member).from_device;
      source = member.send || source >= 0 ? source : from;
      return member.send || from == source;
    });
  }

  void call(std::vector<P2pMember> members) {
    if (members.empty()) {
      return;
    }
    const bool batched = lowering_ == P2pLowering::kBatched;
    const bool same = !batched && one_source(members);
    std::stable_sort(members.begin(), members.end(), [&](const auto& x, const auto& y) {
      return batched ? rank(x) < rank(y) : blocking_rank(x, same) < blocking_rank(y, same);
    });
    if (batched) {
      builder_.post(members);
      builder_.wait(members);
      return;
    }
    for (const P2pMember& member : members) {
      builder_.post({&member, 1});
      builder_.wait({&member, 1});
    }
  }

  P2pBuilder& builder_;
  P2pLowering lowering_;
  bool single_;  // one stage per device
  bool ahead_;   // receive ahead of need: pairs, and around the ring
  std::int32_t device_;
};

class Overlapped {
 public:
  Overlapped(P2pBuilder& builder, bool ahead, bool relaxed, std::int32_t device)
      : builder_(builder),
        ahead_(ahead),
        relaxed_(relaxed),
        device_(device),
        list_(builder.list(device)) {}

  void run() {
    for (std::size_t i = 0; i < list_.size(); ++i) {
      if (forward_of_pair(i)) {
        // Posted ahead of the forward, so that it is under way while the forward runs.
        wait_for(i);
        post_receives(kNoOp, list_[i + 1], true);
      } else {
        wait_for(i);
      }
      builder_.run(list_[i]);
      const bool steady = forward_of_pair(i) || (i > 0 && forward_of_pair(i - 1)) ||
                          (builder_.activation_side(list_[i]) && builder_.gradient_side(list_[i]));
      post_after(i);
      settle_sends(steady);
    }
    builder_.wait(pending_[0]);
    builder_.wait(pending_[1]);
  }

 private:
  [[nodiscard]] bool forward_of_pair(std::size_t i) const {
    return i + 1 < list_.size() && builder_.kind(list_[i]) == OpKind::kForward &&
           !builder_.activation_side(list_[i + 1]) && builder_.gradient_side(list_[i + 1]);
  }

  // The next op of a side after the i-th, or kNoOp.
  [[nodiscard]] OpIndex next_of_side(std::size_t i, bool gradient) const {
    for (++i; i < list_.size(); ++i) {
      if (gradient ? builder_.gradient_side(list_[i]) : builder_.activation_side(list_[i])) {
        return list_[i];
      }
    }
    return kNoOp;
  }

  // What `next` needs, and what is due after `op`; either may be kNoOp.
  void post_receives(OpIndex op, OpIndex next, bool gradient) {
    std::vector<P2pMember> receives;
    if (ahead_ && op != kNoOp) {
      builder_.add_due(op, gradient, receives);
    }
    if (next != kNoOp) {
      builder_.add_receives(next, gradient, receives);
    }
    for (const P2pMember& member : receives) {
      builder_.post({&member, 1});
    }
  }

  void post_sends(OpIndex op, bool gradient) {
    std::vector<P2pMember> sends;
    builder_.add_sends(op, sends);
    for (const P2pMember& member : sends) {
      if (builder_.message(member).gradient == gradient) {
        builder_.post({&member, 1});
        fresh_[gradient ? 1 : 0].push_back(member);
      }
    }
  }

  // Megatron's order: even devices send to the next one first, odd ones receive first.
  void post_after(std::size_t i) {
    for (const bool gradient : {false, true}) {
      if (!(gradient ? builder_.gradient_side(list_[i]) : builder_.activation_side(list_[i]))) {
        continue;
      }
      const OpIndex next = next_of_side(i, gradient);
      if (device_ % 2 == 0) {
        post_sends(list_[i], gradient);
        post_receives(list_[i], next, gradient);
      } else {
        post_receives(list_[i], next, gradient);
        post_sends(list_[i], gradient);
      }
    }
  }

  // In the steady state a send is waited for when the next one of its side was posted.
  void settle_sends(bool steady) {
    for (std::size_t side = 0; side < 2; ++side) {
      if (fresh_[side].empty()) {
        continue;
      }
      if (relaxed_) {
        pending_[side].insert(pending_[side].end(), fresh_[side].begin(), fresh_[side].end());
      } else if (steady) {
        builder_.wait(pending_[side]);
        pending_[side] = fresh_[side];
      } else {
        builder_.wait(fresh_[side]);
      }
      fresh_[side].clear();
    }
  }

  void wait_for(std::size_t i) {
    post_receives(kNoOp, list_[i], false);
    post_receives(kNoOp, list_[i], true);
    builder_.wait_for_data(list_[i]);
  }

  P2pBuilder& builder_;
  bool ahead_;    // receive around the ring ahead of need
  bool relaxed_;  // wait for sends at the end only
  std::int32_t device_;
  const std::vector<OpIndex>& list_;
  std::vector<P2pMember> fresh_[2];    // sends just posted, by side: activations, gradients
  std::vector<P2pMember> pending_[2];  // sends to be waited for later
};

}  // namespace

namespace {

P2pProgram lower(const Schedule& schedule, const TaskGraph& graph, P2pLowering lowering,
                 bool ahead) {
  P2pBuilder builder(schedule, graph);
  const bool single = one_stage_per_device(schedule);
  for (std::int32_t device = 0; device < graph.devices; ++device) {
    if (lowering == P2pLowering::kOverlap) {
      Overlapped(builder, ahead, false, device).run();
    } else {
      Batched(builder, lowering, single, ahead, device).run();
    }
    builder.end_device();
  }
  return builder.take();
}

P2pProgram lower_relaxed(const Schedule& schedule, const TaskGraph& graph) {
  P2pBuilder builder(schedule, graph);
  for (std::int32_t device = 0; device < graph.devices; ++device) {
    Overlapped(builder, false, true, device).run();
    builder.end_device();
  }
  return builder.take();
}

}  // namespace

P2pProgram lower_p2p(const Schedule& schedule, const TaskGraph& graph, P2pLowering lowering) {
  const bool batched = lowering == P2pLowering::kBatched;
  P2pProgram program = lower(schedule, graph, lowering, true);
  if (!batched && lowering != P2pLowering::kOverlap) {
    return program;
  }
  if (!move_late_receives_up(graph, program, batched)) {
    // Otherwise only a receive ahead of its need can stop it.
    program = lower(schedule, graph, lowering, false);
    STAGECRAFT_CHECK(move_late_receives_up(graph, program, batched), "an order that can run");
  }
  const Time cost = nominal_makespan(graph, program);
  if (cost > nominal_makespan(graph)) {
    P2pProgram other = batched ? lower_aligned(schedule, graph) : lower_relaxed(schedule, graph);
    if (move_late_receives_up(graph, other, batched) && nominal_makespan(graph, other) < cost) {
      return other;
    }
  }
  return program;
}

std::vector<std::string> to_text(const P2pProgram& program, const Schedule& schedule,
                                 const TaskGraph& graph, std::int32_t device) {
  std::vector<std::string> result;
  for (const P2pStep& step : program.steps_of(device)) {
    switch (step.kind) {
      case P2pStepKind::kOp:
        result.push_back(to_string(op_of(graph, schedule, step.first)));
        break;
      case P2pStepKind::kPost: {
        std::string text = "[";
        for (const P2pMember& member : program.members_of(step)) {
          const P2pMessage& message = program.messages[member.message];
          text += fmt::format("{}{}{}{}", text.size() > 1 ? "+" : "", member.send ? "S" : "R",
                              message.gradient ? "B" : "F",
                              member.send ? fmt::format("->{}", message.to_device)
                                          : fmt::format("<-{}", message.from_device));
        }
        result.push_back(text + "]");
        break;
      }
      case P2pStepKind::kWait:
        result.insert(result.end(), step.count, "wait");
        break;
    }
  }
  return result;
}

}  // namespace stagecraft
