// How data gets from op to op: edges on one device, latencies, links.
#include <algorithm>

#include "engine/simulator.hpp"

namespace stagecraft {
namespace {

// Owners of flows: a transfer's number, or a copy op with this bit. Task numbers stay below it.
constexpr std::uint32_t kCopyOwner = std::uint32_t{1} << 31U;

}  // namespace

void Simulator::deliver(OpIndex producer, TaskSuccessors::Edge edge) {
  const Time now = queue_.now();
  if (edge.crossing == 0) {
    arrive(edge.consumer, producer, now);
    return;
  }
  if (rendezvous()) {
    return;  // the calls of the program carry it
  }
  const std::int32_t from = graph_.device[producer];
  const std::int32_t to = graph_.device[edge.consumer];
  const Time latency = graph_.crossing_latency[edge.crossing];
  const Bytes bytes = graph_.crossing_bytes[edge.crossing];
  if (mode_ == Communication::kLatency) {
    if (options_.transfers) {
      transfers_.push_back({producer, edge.consumer, from, to, now, now + latency, bytes});
    }
    if (latency > 0 && !pools_.empty()) {
      // It is under way, even to an op that waits for more: nobody overtakes in a line for memory.
      queue_.push(now + latency, EventClass::kTransferEnd, edge.consumer);
    }
    arrive(edge.consumer, producer, now + latency);
    return;
  }
  const auto transfer = static_cast<std::uint32_t>(transfers_.size());
  transfers_.push_back({producer, edge.consumer, from, to, now, kNever, bytes});
  transfer_latency_.push_back(0);
  if (mode_ == Communication::kBlocking) {
    ++devices_[static_cast<std::size_t>(from)].blocking_sends;
  }
  begin_transfer(transfer, latency);
}

void Simulator::arrive(OpIndex consumer, OpIndex producer, Time when) {
  OpState& state = ops_[consumer];
  if (state.last_producer == kNoOp || when > state.arrived ||
      (when == state.arrived && producer < state.last_producer)) {
    state.last_producer = producer;
  }
  state.arrived = std::max(state.arrived, when);
  if (options_.waits) {
    waits_[consumer].produced = std::max(waits_[consumer].produced, end_[producer]);
  }
  if (--state.missing > 0) {
    return;
  }
  if (state.arrived <= queue_.now()) {
    look_at(graph_.device[consumer]);
  } else {
    queue_.push(state.arrived, EventClass::kReady, consumer);
  }
}

void Simulator::begin_transfer(std::uint32_t number, Time latency) {
  Transfer& transfer = transfers_[number];
  transfer.start = queue_.now();
  latency += links_.route_latency(transfer.from_device, transfer.to_device);
  if (links_.routed() && transfer.bytes > 0) {
    transfer_latency_[number] = latency;
    links_.request_transfer(transfer.from_device, transfer.to_device, transfer.bytes, number);
    request_arbitration();
  } else {
    queue_.push(queue_.now() + latency, EventClass::kTransferEnd, number);
  }
}

void Simulator::begin_copy(OpIndex op, std::int32_t device) {
  links_.request_copy(device, graph_.duration[op], op | kCopyOwner);
  request_arbitration();
}

void Simulator::end_flow(FlowId flow) {
  const std::uint32_t owner = links_.flows().owner(flow);
  links_.flows().finish(flow);
  request_arbitration();
  if ((owner & kCopyOwner) != 0) {
    const OpIndex op = owner & ~kCopyOwner;
    end_[op] = queue_.now();
    end_op(op);
  } else if (transfer_latency_[owner] == 0) {
    end_transfer(owner);
  } else {
    queue_.push(queue_.now() + transfer_latency_[owner], EventClass::kTransferEnd, owner);
  }
}

void Simulator::end_transfer(std::uint32_t number) {
  if (mode_ == Communication::kLatency) {
    return;  // arrive() knew the time
  }
  Transfer& transfer = transfers_[number];
  transfer.end = queue_.now();
  arrive(transfer.consumer, transfer.producer, queue_.now());
  if (mode_ == Communication::kBlocking) {
    Device& sender = devices_[static_cast<std::size_t>(transfer.from_device)];
    if (--sender.blocking_sends == 0) {
      sender.free_since = queue_.now();
      look_at(transfer.from_device);
    }
  } else if (rendezvous()) {
    messages_[number].done = true;
    look_at(transfer.from_device);
    look_at(transfer.to_device);
  }
}

void Simulator::request_arbitration() {
  if (!arbitration_pending_) {
    arbitration_pending_ = true;
    queue_.push(queue_.now(), EventClass::kArbitrate, 0);
  }
}

void Simulator::arbitrate() {
  arbitration_pending_ = false;
  for (const Flows::Decision& decision : links_.flows().arbitrate(queue_.now())) {
    const std::uint32_t owner = links_.flows().owner(decision.flow);
    if (decision.begins) {
      // A copy's or transfer's own clock starts when its link serves it.
      ((owner & kCopyOwner) != 0 ? start_[owner & ~kCopyOwner] : transfers_[owner].start) =
          queue_.now();
    }
    queue_.push(decision.end, EventClass::kFlowEnd, decision.flow, decision.generation);
  }
}

}  // namespace stagecraft
