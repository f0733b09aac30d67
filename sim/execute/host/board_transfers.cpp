// How data gets from device to device, and copies over shared host links.
#include <algorithm>

#include "execute/host/board.hpp"
#include "stagecraft/core/check.hpp"

namespace stagecraft {

bool Board::needs_courier() const {
  const bool flows = !bodies_ && links_.routed() && mode_ != Communication::kLatency;
  bool copies = false;
  for (std::int32_t device = 0; device < graph_.devices && !bodies_; ++device) {
    copies = copies || links_.shared_host(device);
  }
  const auto late_link = [this](EventIndex event) {
    return event != kNoEvent && link_waits_[event];
  };
  return flows || copies || std::any_of(done_.begin(), done_.end(), late_link);
}

void Board::begin_transfer(MessageIndex number) {
  const P2pMessage& message = program_.messages[number];
  const Time now = clock_->now();
  transfer_start_[number] = now;
  received_[number] = sent_[number];
  Time latency = graph_.crossing_latency[message.crossing];
  if (mode_ == Communication::kBlocking) {
    ++blocking_sends_[static_cast<std::size_t>(message.from_device)];
  }
  if (mode_ == Communication::kLatency) {
    transfer_end_[number] = now + latency;
    record_at(done_[number], now + latency, message.from_device);
    if (latency > 0 && done_[number] != kNoEvent && (ties_ || link_waits_[done_[number]])) {
      clock_->push(now + latency, EventClass::kTransferEnd, number);
    }
    return;
  }
  latency += links_.route_latency(message.from_device, message.to_device);
  transfer_latency_[number] = latency;
  const Bytes bytes = graph_.crossing_bytes[message.crossing];
  if (links_.routed() && bytes > 0) {
    links_.request_transfer(message.from_device, message.to_device, bytes, number);
    request_arbitration();
  } else {
    end_transfer_at(number, now + latency);
  }
}

void Board::end_transfer_at(MessageIndex number, Time when) {
  transfer_end_[number] = when;
  const EventIndex done = done_[number];
  if (ties_) {
    clock_->push(when, EventClass::kTransferEnd, number);
    return;
  }
  // Who waits, waits until `when`. Asked before the time is: it goes on meanwhile.
  const bool later = when > clock_->now();
  record_at(done, when, program_.messages[number].from_device);
  if (later && done != kNoEvent && link_waits_[done]) {
    clock_->push(when, EventClass::kTransferEnd, number);
  }
}

// Its time has come.
void Board::end_transfer(MessageIndex number) {
  const P2pMessage& message = program_.messages[number];
  const EventIndex done = done_[number];
  if (!ties_ || mode_ == Communication::kLatency) {
    release(done, message.from_device);
    return;
  }
  transfer_end_[number] = clock_->now();
  record_at(done, clock_->now(), message.from_device);
  ties_->transfer_ended(number, *clock_);
  if (mode_ == Communication::kBlocking) {
    if (--blocking_sends_[static_cast<std::size_t>(message.from_device)] == 0) {
      clock_->look_at(message.from_device);
    }
  } else if (mode_ == Communication::kRendezvous) {
    clock_->look_at(message.from_device);
    clock_->look_at(message.to_device);
  }
}

std::optional<MessageIndex> Board::due_transfer() {
  if (due_.empty()) {
    return std::nullopt;
  }
  const MessageIndex message = due_.front();
  due_.erase(due_.begin());
  transfer_start_[message] = clock_->now();
  return message;
}

void Board::transferred(MessageIndex number) {
  const P2pMessage& message = program_.messages[number];
  ++ended_;
  const StreamIndex stream = stream_of_due_[number];
  ++next_[stream];
  end_transfer_at(number, clock_->now() + graph_.crossing_latency[message.crossing]);
  carry_on(stream);
}

bool Board::current(const Event& event) {
  return event.event_class() != EventClass::kFlowEnd ||
         links_.flows().current(event.subject, event.generation);
}

WorkerIndex Board::handle(const Event& event) {
  switch (event.event_class()) {
    case EventClass::kOpEnd:
      return event.subject;
    case EventClass::kFlowEnd:
      return current(event) ? end_flow(event.subject) : kNoWorker;
    case EventClass::kTransferEnd:
      end_transfer(event.subject);
      break;
    case EventClass::kReady:
      clock_->look_at(graph_.device[event.subject]);
      break;
    case EventClass::kArbitrate:
      arbitrate();
      break;
    case EventClass::kStart:
      STAGECRAFT_CHECK(false, "devices are looked at by the clock");
  }
  return kNoWorker;
}

WorkerIndex Board::end_flow(FlowId flow) {
  const std::uint32_t owner = links_.flows().owner(flow);
  links_.flows().finish(flow);
  request_arbitration();
  if ((owner & kCopyOwner) != 0) {
    const WorkerIndex worker = runs_on_[owner & ~kCopyOwner];
    flow_ended_[worker] = true;
    return worker;
  }
  ++ended_;
  const Time latency = transfer_latency_[owner];
  if (latency == 0 && ties_) {
    end_transfer(owner);
  } else {
    end_transfer_at(owner, clock_->now() + latency);
  }
  return kNoWorker;
}

void Board::request_arbitration() {
  if (!arbitration_pending_) {
    arbitration_pending_ = true;
    clock_->push(clock_->now(), EventClass::kArbitrate, 0);
  }
}

void Board::arbitrate() {
  arbitration_pending_ = false;
  const Time now = clock_->now();
  for (const Flows::Decision& decision : links_.flows().arbitrate(now)) {
    const std::uint32_t owner = links_.flows().owner(decision.flow);
    if (decision.begins) {
      // A copy's or transfer's own clock starts when its link serves it.
      ((owner & kCopyOwner) != 0 ? start_[owner & ~kCopyOwner] : transfer_start_[owner]) = now;
    }
    if ((owner & kCopyOwner) == 0 && !ties_) {
      expect(done_[owner], decision.end + transfer_latency_[owner]);
    }
    clock_->push(decision.end, EventClass::kFlowEnd, decision.flow, decision.generation);
  }
}

}  // namespace stagecraft
