// Compute and copy streams, calls and memory; transfers are in simulator_transfers.cpp.
#include "engine/simulator.hpp"

#include <algorithm>
#include <tuple>

#include "stagecraft/core/check.hpp"

namespace stagecraft {

Simulator::Simulator(const Schedule& schedule, const TaskGraph& graph, const CostTable& costs,
                     const SimulateOptions& options)
    : schedule_(schedule),
      graph_(graph),
      costs_(costs),
      options_(options),
      mode_(costs.communication),
      successors_(data_successors(graph)),
      links_(costs, graph.devices),
      devices_(static_cast<std::size_t>(graph.devices)),
      ops_(graph.size()),
      start_(graph.size(), kNever),
      end_(graph.size(), kNever),
      left_(graph.size()) {
  for (OpIndex op = 0; op < graph.size(); ++op) {
    ops_[op].missing = graph.edge_start[op + 1] - graph.edge_start[op];
  }
  if (options.waits) {
    waits_.resize(graph.size());
  }
  for (std::int32_t device = 0; device < graph.devices; ++device) {
    const auto d = static_cast<std::size_t>(device);
    Device& at = devices_[d];
    at.compute = {static_cast<OpIndex>(graph.offsets[d]),
                  static_cast<OpIndex>(graph.offsets[d + 1]), false};
    at.copies = at.compute;
    skip(at.compute, false);
    skip(at.copies, true);
    if (costs.memory.policy == MemoryPolicy::kWait && costs.memory.given) {
      pools_.emplace_back(costs.memory.capacity_of(device), costs.memory.resident_of(device));
    }
  }
  if (rendezvous()) {
    program_ = lower_p2p(schedule, graph, schedule.p2p);
    messages_.resize(program_.messages.size());
    transfer_latency_.resize(messages_.size());
    for (std::size_t d = 0; d < devices_.size(); ++d) {
      devices_[d].step = program_.offsets[d];
    }
    for (const P2pMessage& message : program_.messages) {
      transfers_.push_back({message.producer, message.consumer, message.from_device,
                            message.to_device, kNever, kNever,
                            graph.crossing_bytes[message.crossing]});
    }
  }
}

// Moves the head to the next op of its stream.
void Simulator::skip(Stream& stream, bool copies) {
  if (copies && !graph_.has_copies) {
    stream.head = stream.end;
  }
  while (stream.head != stream.end && is_copy(graph_.kind[stream.head]) != copies) {
    ++stream.head;
  }
}

SimulationResult Simulator::run() {
  for (std::int32_t device = 0; device < graph_.devices; ++device) {
    look_at(device);
  }
  do {
    while (!queue_.empty()) {
      handle(queue_.pop());
    }
  } while (left_ > 0 && let_someone_overtake());
  SimulationResult result;
  if (left_ > 0) {
    result.problems.push_back(explain_stop(*this, result.outcome));
  }
  finish(result);
  return result;
}

void Simulator::handle(const Event& event) {
  switch (event.event_class()) {
    case EventClass::kOpEnd:
      end_op(event.subject);
      break;
    case EventClass::kFlowEnd:
      if (links_.flows().current(event.subject, event.generation)) {
        end_flow(event.subject);
      }
      break;
    case EventClass::kTransferEnd:
      end_transfer(event.subject);
      break;
    case EventClass::kReady:
      look_at(graph_.device[event.subject]);
      break;
    case EventClass::kStart: {
      const auto device = static_cast<std::int32_t>(event.subject);
      devices_[event.subject].start_pending = false;
      // A copy stands in the list before the compute ops that it runs beside.
      advance_copies(device);
      advance_compute(device);
      break;
    }
    case EventClass::kArbitrate:
      arbitrate();
      break;
  }
}

void Simulator::look_at(std::int32_t device) {
  Device& at = devices_[static_cast<std::size_t>(device)];
  if (!at.start_pending) {
    at.start_pending = true;
    queue_.push(queue_.now(), EventClass::kStart, static_cast<std::uint32_t>(device));
  }
}

bool Simulator::ready(OpIndex op) const {
  return ops_[op].missing == 0 && ops_[op].arrived <= queue_.now();
}

bool Simulator::take_memory(OpIndex op, std::int32_t device) {
  if (pools_.empty()) {
    return true;
  }
  MemoryPool& pool = pools_[static_cast<std::size_t>(device)];
  const bool waited = !pool.line().empty();
  if (!pool.take(op, graph_.memory_at_start[op])) {
    return false;
  }
  if (waited) {
    if (options_.waits) {
      waits_[op].memory_there = queue_.now();
    }
    look_at(device);  // the other stream may be next in line
  }
  return true;
}

void Simulator::advance_compute(std::int32_t device) {
  Device& at = devices_[static_cast<std::size_t>(device)];
  Stream& stream = at.compute;
  if (stream.busy || at.blocking_sends > 0 || (rendezvous() && !advance_calls(device)) ||
      stream.head == stream.end) {
    return;
  }
  const OpIndex op = stream.head;
  if (!ready(op) || !take_memory(op, device)) {
    return;
  }
  if (options_.waits) {
    waits_[op].produced = std::max(waits_[op].produced, at.partners_posted);
  }
  at.partners_posted = 0;
  stream.busy = true;
  ++stream.head;
  skip(stream, false);
  if (rendezvous()) {
    ++at.step;
  }
  begin(op, device, at.free_since);
}

void Simulator::advance_copies(std::int32_t device) {
  Device& at = devices_[static_cast<std::size_t>(device)];
  Stream& stream = at.copies;
  if (stream.busy || stream.head == stream.end) {
    return;
  }
  const OpIndex op = stream.head;
  const OpIndex before = graph_.compute_before(op);
  if ((before != kNoOp && !ops_[before].ended) || !ready(op) || !take_memory(op, device)) {
    return;
  }
  const OpIndex copy_before = graph_.copy_before(op);
  stream.busy = true;
  ++stream.head;
  skip(stream, true);
  begin(op, device,
        std::max(before == kNoOp ? 0 : end_[before], copy_before == kNoOp ? 0 : end_[copy_before]));
}

void Simulator::begin(OpIndex op, std::int32_t device, Time stream_free) {
  ops_[op].started = true;
  start_[op] = queue_.now();
  if (options_.waits) {
    waits_[op].arrived = ops_[op].arrived;
    waits_[op].stream_free = stream_free;
    waits_[op].last_producer = ops_[op].last_producer;
  }
  const Time duration = graph_.duration[op];
  if (is_copy(graph_.kind[op]) && links_.shared_host(device)) {
    begin_copy(op, device);
    return;
  }
  end_[op] = queue_.now() + duration;
  queue_.push(end_[op], EventClass::kOpEnd, op);
}

void Simulator::end_op(OpIndex op) {
  const std::int32_t device = graph_.device[op];
  Device& at = devices_[static_cast<std::size_t>(device)];
  ops_[op].ended = true;
  --left_;
  if (is_copy(graph_.kind[op])) {
    at.copies.busy = false;
  } else {
    at.compute.busy = false;
    at.free_since = queue_.now();
  }
  if (!pools_.empty()) {
    pools_[static_cast<std::size_t>(device)].give_back(graph_.memory_at_end[op]);
  }
  for (const TaskSuccessors::Edge edge : successors_.of(op)) {
    deliver(op, edge);
  }
  look_at(device);
}

bool Simulator::advance_calls(std::int32_t device) {
  const auto d = static_cast<std::size_t>(device);
  Device& at = devices_[d];
  for (; at.step < program_.offsets[d + 1]; ++at.step) {
    const P2pStep& step = program_.steps[at.step];
    switch (step.kind) {
      case P2pStepKind::kOp:
        return true;
      case P2pStepKind::kPost:
        post(step);
        break;
      case P2pStepKind::kWait:
        if (!waited_for(at, step)) {
          return false;
        }
        break;
    }
  }
  return true;
}

void Simulator::post(const P2pStep& step) {
  for (const P2pMember& member : program_.members_of(step)) {
    Message& message = messages_[member.message];
    (member.send ? message.sent : message.received) = true;
    if (message.sent && message.received) {
      message.matched = queue_.now();
      begin_transfer(member.message,
                     graph_.crossing_latency[program_.messages[member.message].crossing]);
    }
  }
}

bool Simulator::waited_for(Device& at, const P2pStep& step) {
  const auto members = program_.members_of(step);
  if (!std::all_of(members.begin(), members.end(),
                   [this](const P2pMember& member) { return messages_[member.message].done; })) {
    return false;
  }
  for (const P2pMember& member : members) {
    at.partners_posted = std::max(at.partners_posted, messages_[member.message].matched);
  }
  at.free_since = queue_.now();
  return true;
}

bool Simulator::let_someone_overtake() {
  for (std::size_t d = 0; d < pools_.size(); ++d) {
    const std::vector<OpIndex>& line = pools_[d].line();
    for (std::size_t i = 1; i < line.size(); ++i) {
      if (pools_[d].fits(graph_.memory_at_start[line[i]])) {
        pools_[d].let_overtake(line[i]);
        look_at(static_cast<std::int32_t>(d));
        return true;
      }
    }
  }
  return false;
}

void Simulator::finish(SimulationResult& result) {
  Timeline& timeline = result.timeline;
  timeline.pipeline = schedule_.pipeline;
  timeline.offsets = graph_.offsets;
  timeline.ops.reserve(graph_.size());
  for (OpIndex op = 0; op < graph_.size(); ++op) {
    timeline.ops.push_back(op_of(graph_, schedule_, op));
  }
  timeline.start = std::move(start_);
  timeline.end = std::move(end_);
  if (options_.transfers) {
    std::erase_if(transfers_, [](const Transfer& transfer) { return transfer.end == kNever; });
    const auto key = [](const Transfer& t) { return std::tie(t.start, t.producer, t.consumer); };
    const auto before = [&](const Transfer& a, const Transfer& b) { return key(a) < key(b); };
    if (!std::is_sorted(transfers_.begin(), transfers_.end(), before)) {
      std::stable_sort(transfers_.begin(), transfers_.end(), before);
    }
    timeline.transfers = std::move(transfers_);
  }
  result.waits = std::move(waits_);
  result.events = queue_.delivered();
}

}  // namespace stagecraft
