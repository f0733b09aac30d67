// Rendezvous: the calls of lower_p2p as commands.
#include <algorithm>
#include <iterator>

#include "execute/program/lowering.hpp"
#include "stagecraft/core/check.hpp"

namespace stagecraft {
namespace {

// Does every post stand right before the wait for all of its members?
bool waited_at_once(const P2pProgram& calls) {
  for (std::size_t d = 0; d + 1 < calls.offsets.size(); ++d) {
    for (std::size_t i = calls.offsets[d]; i < calls.offsets[d + 1]; ++i) {
      if (calls.steps[i].kind != P2pStepKind::kPost) {
        continue;
      }
      if (i + 1 == calls.offsets[d + 1] || calls.steps[i + 1].kind != P2pStepKind::kWait) {
        return false;
      }
      const auto posted = calls.members_of(calls.steps[i]);
      const auto waited = calls.members_of(calls.steps[i + 1]);
      const bool same = std::equal(posted.begin(), posted.end(), waited.begin(), waited.end(),
                                   [](const P2pMember& a, const P2pMember& b) {
                                     return a.message == b.message && a.send == b.send;
                                   });
      if (!same) {
        return false;
      }
    }
  }
  return true;
}

}  // namespace

void Lowering::lower_calls() {
  P2pProgram calls = lower_p2p(schedule_, graph_, schedule_.p2p);
  number_members(calls);
  at_once_ = waited_at_once(calls);
  posted_.assign(2 * program_.messages.size(), kNoEvent);
  for (std::int32_t device = 0; device < graph_.devices; ++device) {
    lower_device(calls, device);
  }
  if (!paired_) {
    match_posts();
  }
}

// Members name messages as this program numbers them.
void Lowering::number_members(P2pProgram& calls) const {
  STAGECRAFT_CHECK(calls.messages.size() == number_.size(), "calls for all messages");
  for (P2pMember& member : calls.members) {
    member.message = number_[member.message];
  }
}

void Lowering::lower_device(const P2pProgram& calls, std::int32_t device) {
  const auto stream = static_cast<StreamIndex>(device);
  for (const P2pStep& step : calls.steps_of(device)) {
    switch (step.kind) {
      case P2pStepKind::kOp:
        run_op(stream, step.first);
        break;
      case P2pStepKind::kPost:
        post(device, calls.members_of(step));
        break;
      case P2pStepKind::kWait:
        for (const P2pMember& member : calls.members_of(step)) {
          STAGECRAFT_CHECK(done_[side(member)] != kNoEvent, "a wait for what was posted");
          streams_.wait(stream, done_[side(member)]);
        }
        break;
    }
  }
}

void Lowering::post(std::int32_t device, std::span<const P2pMember> members) {
  const EventIndex posted = streams_.new_event();
  streams_.record(static_cast<StreamIndex>(device), posted);
  if (!paired_) {
    for (const P2pMember& member : members) {
      posted_[side(member)] = posted;
    }
  } else if (at_once_) {
    post_call(device, members, posted);
  } else {
    post_members(members, posted);
  }
}

// One exchange for the activations of a call and one for its gradients.
void Lowering::post_call(std::int32_t device, std::span<const P2pMember> members,
                         EventIndex posted) {
  for (const bool gradient : {false, true}) {
    const auto first = static_cast<std::uint32_t>(program_.members.size());
    std::copy_if(members.begin(), members.end(), std::back_inserter(program_.members),
                 [&](const P2pMember& member) {
                   return program_.messages[member.message].gradient == gradient;
                 });
    const auto count = static_cast<std::uint32_t>(program_.members.size()) - first;
    if (count == 0) {
      continue;
    }
    const EventIndex done = streams_.new_event();
    for (const P2pMember& member : std::span(program_.members).subspan(first)) {
      done_[side(member)] = done;
    }
    const LinkData data = gradient ? LinkData::kGradients : LinkData::kActivations;
    const StreamIndex stream = streams_.link({StreamKind::kLink, device, -1, data});
    streams_.wait(stream, posted);
    streams_.exchange(stream, first, count, done);
  }
}

void Lowering::post_members(std::span<const P2pMember> members, EventIndex posted) {
  for (const P2pMember& member : members) {
    const P2pMessage& message = program_.messages[member.message];
    StreamSpec spec{StreamKind::kLink, message.from_device, message.to_device,
                    message.gradient ? LinkData::kGradients : LinkData::kActivations, !member.send};
    if (!member.send) {
      std::swap(spec.device, spec.peer);
    }
    const StreamIndex stream = streams_.link(spec);
    streams_.wait(stream, posted);
    done_[side(member)] = streams_.new_event();
    exchange(stream, member);
  }
}

// A transfer begins when both sides stand at it. Messages of a channel are sent and received in one
// order (p2p.hpp), so none waits in its link stream for one that is posted later.
void Lowering::match_posts() {
  for (MessageIndex number = 0; number < program_.messages.size(); ++number) {
    const P2pMessage& message = program_.messages[number];
    const EventIndex at_sender = posted_[sent(number)];
    const EventIndex at_receiver = posted_[received(number)];
    STAGECRAFT_CHECK(at_sender != kNoEvent && at_receiver != kNoEvent,
                     "every message is sent and received");
    const StreamIndex stream =
        streams_.link({StreamKind::kLink, message.from_device, message.to_device,
                       message.gradient ? LinkData::kGradients : LinkData::kActivations});
    streams_.wait(stream, at_sender);
    streams_.wait(stream, at_receiver);
    streams_.transfer(stream, number, done_[received(number)]);
  }
}

}  // namespace stagecraft
