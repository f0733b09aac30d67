// The compute and copy streams of a program, and its link streams where messages follow their
// producers at once (all modes but rendezvous, which is in lower_calls.cpp).
#include "execute/program/lowering.hpp"

#include <algorithm>
#include <utility>

#include "stagecraft/core/check.hpp"

namespace stagecraft {

Lowering::Lowering(const Schedule& schedule, const TaskGraph& graph, Communication mode,
                   Transport transport)
    : schedule_(schedule), graph_(graph), paired_(transport == Transport::kPaired) {
  program_.mode = mode;
  program_.transport = transport;
}

ExecutionProgram Lowering::run() {
  number_messages(cross_device_messages(schedule_, graph_));
  find_waits();
  make_events();
  add_streams();
  if (program_.mode == Communication::kRendezvous) {
    lower_calls();
  } else {
    lower_compute();
    lower_transfers();
  }
  lower_copies();
  program_.events = streams_.events();
  order_commands(streams_, program_);
  program_.streams = streams_.take_specs();
  return std::move(program_);
}

// Messages by (producer, consumer); `by_consumer` lists them in the order of the graph's edges.
void Lowering::number_messages(const std::vector<P2pMessage>& by_consumer) {
  sent_start_.assign(graph_.size() + 1, 0);
  for (const P2pMessage& message : by_consumer) {
    ++sent_start_[message.producer + 1];
  }
  for (std::size_t task = 0; task < graph_.size(); ++task) {
    sent_start_[task + 1] += sent_start_[task];
  }
  std::vector<MessageIndex> next(sent_start_.begin(), sent_start_.end() - 1);
  program_.messages.resize(by_consumer.size());
  number_.reserve(by_consumer.size());
  for (const P2pMessage& message : by_consumer) {
    number_.push_back(next[message.producer]++);
    program_.messages[number_.back()] = message;
  }
  edge_message_.assign(graph_.edges.size(), 0);
  std::size_t crossing = 0;
  for (std::size_t edge = 0; edge < graph_.edges.size(); ++edge) {
    if (graph_.edges[edge].crossing > 0) {
      edge_message_[edge] = number_[crossing++];
    }
  }
  STAGECRAFT_CHECK(crossing == number_.size(), "one message per edge that crosses devices");
}

// What every task waits for on another stream, without messages. Ops of a stream end in order, so a
// stream that has waited for one need not wait for those before it.
void Lowering::find_waits() {
  wait_start_.reserve(graph_.size() + 1);
  wait_start_.push_back(0);
  for (std::size_t device = 0; device + 1 < graph_.offsets.size(); ++device) {
    OpIndex waited[2] = {kNoOp, kNoOp};  // by compute tasks for copies, by copies for compute tasks
    for (auto task = static_cast<OpIndex>(graph_.offsets[device]);
         task < graph_.offsets[device + 1]; ++task) {
      const bool copy = is_copy(graph_.kind[task]);
      OpIndex latest = copy ? graph_.compute_before(task) : kNoOp;
      for (const TaskEdge edge : graph_.edges_of(task)) {
        if (edge.crossing > 0) {
          continue;
        }
        if (graph_.device[edge.producer] != device) {
          waits_.push_back(edge.producer);
        } else if (is_copy(graph_.kind[edge.producer]) != copy) {
          latest = latest == kNoOp ? edge.producer : std::max(latest, edge.producer);
        }
      }
      OpIndex& last = waited[copy ? 1 : 0];
      if (latest != kNoOp && (last == kNoOp || latest > last)) {
        waits_.push_back(latest);
        last = latest;
      }
      wait_start_.push_back(static_cast<std::uint32_t>(waits_.size()));
    }
  }
}

void Lowering::make_events() {
  program_.op_done.assign(graph_.size(), kNoEvent);
  const auto need = [this](OpIndex op) {
    if (program_.op_done[op] == kNoEvent) {
      program_.op_done[op] = streams_.new_event();
    }
  };
  std::for_each(waits_.begin(), waits_.end(), need);
  done_.assign(2 * program_.messages.size(), kNoEvent);
  const bool calls = program_.mode == Communication::kRendezvous;
  const bool blocking = program_.mode == Communication::kBlocking;
  for (MessageIndex message = 0; message < program_.messages.size(); ++message) {
    if (!calls) {
      need(program_.messages[message].producer);
    }
    if (!paired_) {
      done_[received(message)] = done_[sent(message)] = streams_.new_event();
    } else if (!calls) {
      done_[received(message)] = streams_.new_event();
      done_[sent(message)] = blocking ? streams_.new_event() : kNoEvent;
    }
  }
}

void Lowering::add_streams() {
  for (std::int32_t device = 0; device < graph_.devices; ++device) {
    streams_.add({StreamKind::kCompute, device});
  }
  copy_stream_.assign(static_cast<std::size_t>(graph_.devices), 0);
  for (OpIndex task = 0; task < graph_.size() && graph_.has_copies; ++task) {
    StreamIndex& stream = copy_stream_[graph_.device[task]];
    if (is_copy(graph_.kind[task]) && stream == 0) {
      stream = streams_.add({StreamKind::kCopy, graph_.device[task]});
    }
  }
}

// The task, behind what it waits for on other streams.
void Lowering::run_op(StreamIndex stream, OpIndex op) {
  for (std::uint32_t edge = graph_.edge_start[op]; edge < graph_.edge_start[op + 1]; ++edge) {
    if (graph_.edges[edge].crossing > 0) {
      streams_.wait(stream, done_[received(edge_message_[edge])]);
    }
  }
  for (std::uint32_t i = wait_start_[op]; i < wait_start_[op + 1]; ++i) {
    streams_.wait(stream, program_.op_done[waits_[i]]);
  }
  streams_.run(stream, op);
  if (program_.op_done[op] != kNoEvent) {
    streams_.record(stream, program_.op_done[op]);
  }
}

void Lowering::lower_compute() {
  for (OpIndex op = 0; op < graph_.size(); ++op) {
    if (is_copy(graph_.kind[op])) {
      continue;
    }
    run_op(graph_.device[op], op);
    if (program_.mode == Communication::kBlocking) {
      for (MessageIndex message = sent_start_[op]; message < sent_start_[op + 1]; ++message) {
        streams_.wait(graph_.device[op], done_[sent(message)]);
      }
    }
  }
}

void Lowering::lower_copies() {
  for (OpIndex op = 0; op < graph_.size() && graph_.has_copies; ++op) {
    if (is_copy(graph_.kind[op])) {
      run_op(copy_stream_[graph_.device[op]], op);
    }
  }
}

void Lowering::exchange(StreamIndex stream, P2pMember member) {
  program_.members.push_back(member);
  const EventIndex done = done_[member.send ? sent(member.message) : received(member.message)];
  streams_.exchange(stream, static_cast<std::uint32_t>(program_.members.size() - 1), 1, done);
}

void Lowering::lower_transfers() {
  for (MessageIndex number = 0; number < program_.messages.size(); ++number) {
    const P2pMessage& message = program_.messages[number];
    const StreamIndex from =
        streams_.link({StreamKind::kLink, message.from_device, message.to_device});
    streams_.wait(from, program_.op_done[message.producer]);
    if (!paired_) {
      streams_.transfer(from, number, done_[received(number)]);
      continue;
    }
    exchange(from, {number, true});
    const StreamSpec receives{StreamKind::kLink, message.to_device, message.from_device,
                              LinkData::kAll, true};
    exchange(streams_.link(receives), {number, false});
  }
}

ExecutionProgram lower_program(const Schedule& schedule, const TaskGraph& graph, Communication mode,
                               Transport transport) {
  return Lowering(schedule, graph, mode, transport).run();
}

}  // namespace stagecraft
