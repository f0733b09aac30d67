// Streams, events and memory; transfers and links are in board_transfers.cpp.
#include "execute/host/board.hpp"

#include <algorithm>

#include "stagecraft/core/check.hpp"

namespace stagecraft {
namespace {

constexpr StreamIndex kNoStream = UINT32_MAX;

}  // namespace

Board::Board(const ExecutionJob& job, bool bodies)
    : job_(job),
      program_(job.program),
      graph_(job.graph),
      mode_(job.costs.communication),
      bodies_(bodies),
      links_(job.costs, job.graph.devices),
      device_workers_(static_cast<std::size_t>(job.graph.devices)),
      worker_of_(program_.streams.size(), kNoWorker),
      next_(program_.streams.size(), 0),
      recorded_(program_.events, kNever),
      expected_(program_.events, kNever),
      first_waiter_(program_.events, kNoStream),
      next_waiter_(program_.streams.size(), kNoStream),
      link_waits_(program_.events, false),
      done_(program_.messages.size(), kNoEvent),
      stream_of_due_(program_.messages.size(), kNoStream),
      blocking_sends_(static_cast<std::size_t>(job.graph.devices), 0),
      start_(graph_.size(), kNever),
      end_(graph_.size(), kNever),
      transfer_start_(program_.messages.size(), kNever),
      transfer_end_(program_.messages.size(), kNever),
      transfer_latency_(program_.messages.size(), 0),
      runs_on_(graph_.size(), kNoWorker),
      messages_of_(program_.messages, graph_.size(), &P2pMessage::producer),
      sent_(program_.messages.size()),
      received_(program_.messages.size()) {
  for (StreamIndex stream = 0; stream < program_.streams.size(); ++stream) {
    const StreamSpec& spec = program_.streams[stream];
    if (spec.kind != StreamKind::kLink) {
      worker_of_[stream] = static_cast<WorkerIndex>(workers_.size());
      workers_.push_back({stream, spec.device, HeldBy::kTurn, kNoEvent, false});
    }
  }
  for (const StreamKind kind : {StreamKind::kCopy, StreamKind::kCompute}) {
    for (WorkerIndex worker = 0; worker < workers_.size(); ++worker) {
      if (program_.streams[workers_[worker].stream].kind == kind) {
        device_workers_[static_cast<std::size_t>(workers_[worker].device)].push_back(worker);
      }
    }
  }
  flow_ended_.assign(workers_.size(), false);
  for (const Command& command : program_.commands) {
    STAGECRAFT_CHECK(command.kind != CommandKind::kExchange, "the host pushes its messages");
    if (worker_of_[command.stream] == kNoWorker) {
      STAGECRAFT_CHECK(command.kind != CommandKind::kOp, "an op on a link stream");
      if (command.kind == CommandKind::kWait) {
        link_waits_[command.index] = true;
      } else if (command.kind == CommandKind::kTransfer) {
        done_[command.index] = command.done;
      }
    } else {
      STAGECRAFT_CHECK(command.kind != CommandKind::kTransfer, "a transfer needs a link stream");
    }
  }
  const MemoryCosts& memory = job.costs.memory;
  if (memory.policy == MemoryPolicy::kWait && memory.given) {
    for (std::int32_t device = 0; device < graph_.devices; ++device) {
      pools_.emplace_back(memory.capacity_of(device), memory.resident_of(device));
    }
  }
}

void Board::use(RunClock& clock) {
  clock_ = &clock;
  if (clock.orders_instants()) {
    ties_.emplace(job_);
  }
  for (StreamIndex stream = 0; stream < next_.size(); ++stream) {
    if (worker_of_[stream] == kNoWorker) {
      carry_on(stream);
    }
  }
}

const Command* Board::next(WorkerIndex worker) const {
  const StreamIndex stream = workers_[worker].stream;
  const auto commands = program_.commands_of(stream);
  return next_[stream] == commands.size() ? nullptr : &program_.commands[commands[next_[stream]]];
}

void Board::record(EventIndex event, std::int32_t device) {
  record_at(event, clock_->now(), device);
}

void Board::hold(WorkerIndex worker, HeldBy by, EventIndex event) {
  Worker& at = workers_[worker];
  at.held = by;
  if (by != HeldBy::kEvent) {
    return;
  }
  const bool in_line = at.event == event;
  at.event = event;
  if (!in_line && recorded_[event] == kNever) {
    next_waiter_[at.stream] = first_waiter_[event];
    first_waiter_[event] = at.stream;
  }
}

void Board::leave(WorkerIndex worker) {
  workers_[worker].left = true;
  workers_[worker].held = HeldBy::kNothing;
}

void Board::record_at(EventIndex event, Time when, std::int32_t device) {
  if (event == kNoEvent) {
    return;
  }
  STAGECRAFT_CHECK(recorded_[event] == kNever, "an event is recorded once");
  recorded_[event] = when;
  if (when > clock_->now()) {
    release_workers(event);
    return;
  }
  release(event, device);
}

// Workers wait for the known time by themselves and leave the chain, since they may stand in
// another one by then; link streams stay until it has come.
void Board::release_workers(EventIndex event) {
  StreamIndex links = kNoStream;
  StreamIndex next = kNoStream;
  for (StreamIndex s = first_waiter_[event]; s != kNoStream; s = next) {
    next = next_waiter_[s];
    if (worker_of_[s] != kNoWorker) {
      clock_->released(worker_of_[s]);
    } else {
      next_waiter_[s] = links;
      links = s;
    }
  }
  first_waiter_[event] = links;
}

void Board::release(EventIndex event, std::int32_t device) {
  if (first_waiter_[event] == kNoStream) {
    return;
  }
  std::vector<StreamIndex> links;
  std::swap(links, released_);  // its memory; carry_on may come here again
  links.clear();
  for (StreamIndex s = first_waiter_[event]; s != kNoStream; s = next_waiter_[s]) {
    if (worker_of_[s] == kNoWorker) {
      links.push_back(s);
    } else {
      clock_->released(worker_of_[s]);
    }
  }
  first_waiter_[event] = kNoStream;
  if (ties_ && links.size() > 1) {
    std::sort(links.begin(), links.end(),
              [&](StreamIndex a, StreamIndex b) { return place(a, device) < place(b, device); });
  }
  for (const StreamIndex stream : links) {
    carry_on(stream);
  }
  std::swap(links, released_);
}

// Of the transfer that a link stream will begin next.
std::uint64_t Board::place(StreamIndex stream, std::int32_t device) const {
  const auto commands = program_.commands_of(stream);
  for (std::size_t i = next_[stream]; i < commands.size(); ++i) {
    const Command& command = program_.commands[commands[i]];
    if (command.kind == CommandKind::kTransfer && ties_.has_value()) {
      return ties_->place(command.index, device);
    }
  }
  return UINT64_MAX;
}

void Board::carry_on(StreamIndex stream) {
  const auto commands = program_.commands_of(stream);
  while (next_[stream] < commands.size()) {
    const Command& command = program_.commands[commands[next_[stream]]];
    if (command.kind == CommandKind::kWait) {
      if (recorded_[command.index] > clock_->now()) {
        next_waiter_[stream] = first_waiter_[command.index];
        first_waiter_[command.index] = stream;
        return;
      }
      ++next_[stream];
    } else if (command.kind == CommandKind::kRecord) {
      ++next_[stream];
      record(command.index, program_.streams[stream].device);
    } else if (bodies_) {
      due_.push_back(command.index);
      stream_of_due_[command.index] = stream;
      return;
    } else {
      ++next_[stream];
      begin_transfer(command.index);
    }
  }
}

bool Board::take_memory(OpIndex op) {
  if (pools_.empty()) {
    return true;
  }
  const std::int32_t device = graph_.device[op];
  MemoryPool& pool = pools_[static_cast<std::size_t>(device)];
  const auto& line = pool.line();
  const bool first_time = std::find(line.begin(), line.end(), op) == line.end();
  const bool somebody_waited = !line.empty();
  if (!pool.take(op, graph_.memory_at_start[op])) {
    waited_for_memory_ += first_time ? 1 : 0;
    return false;
  }
  if (somebody_waited) {
    clock_->look_at(device);  // the other stream may be next in line
  }
  return true;
}

bool Board::begin(OpIndex op, WorkerIndex worker) {
  start_[op] = clock_->now();
  workers_[worker].held = HeldBy::kNothing;
  if (bodies_ || !is_copy(graph_.kind[op]) || !links_.shared_host(graph_.device[op])) {
    expect_end(op, start_[op] + graph_.duration[op]);
    return false;
  }
  runs_on_[op] = worker;
  flow_ended_[worker] = false;
  workers_[worker].held = HeldBy::kFlow;
  links_.request_copy(graph_.device[op], graph_.duration[op], op | kCopyOwner);
  request_arbitration();
  return true;
}

// Tells who waits for the event already.
void Board::expect(EventIndex event, Time when) {
  if (event == kNoEvent) {
    return;
  }
  expected_[event] = when;
  for (StreamIndex s = first_waiter_[event]; s != kNoStream; s = next_waiter_[s]) {
    if (worker_of_[s] != kNoWorker) {
      clock_->hinted(worker_of_[s]);
    }
  }
}

void Board::expect_end(OpIndex op, Time when) {
  // Short ops are over before a hint would help.
  constexpr Time kWorthAHint = 200 * kMicrosecond;
  if (bodies_ || ties_ || graph_.duration[op] < kWorthAHint) {
    return;
  }
  expect(program_.op_done[op], when);
  if (mode_ == Communication::kRendezvous ||
      (mode_ != Communication::kLatency && links_.routed())) {
    return;  // others have a say in when the data arrives
  }
  for (const MessageIndex message : messages_of_.of(op)) {
    expect(done_[message], when + graph_.crossing_latency[program_.messages[message].crossing]);
  }
}

void Board::end(WorkerIndex worker, const Command& command) {
  const OpIndex op = command.index;
  const std::int32_t device = graph_.device[op];
  end_[op] = clock_->now();
  ++ended_;
  done_with_command(worker);
  if (!pools_.empty()) {
    pools_[static_cast<std::size_t>(device)].give_back(graph_.memory_at_end[op]);
  }
  record_at(command.done, end_[op], device);
  // What the program records of the op's end belongs to the end.
  const Command* after = next(worker);
  if (after != nullptr && after->kind == CommandKind::kRecord &&
      after->index == program_.op_done[op]) {
    record_at(after->index, end_[op], device);
    done_with_command(worker);
  }
  if (ties_) {
    ties_->op_ended(op, *clock_);
  }
  clock_->look_at(device);
}

bool Board::may_go(WorkerIndex worker) const {
  const Worker& at = workers_[worker];
  if (at.left) {
    return false;
  }
  switch (at.held) {
    case HeldBy::kEvent:
      return recorded_[at.event] <= clock_->now();
    case HeldBy::kMemory:
    case HeldBy::kTurn:
      return true;
    case HeldBy::kNothing:
    case HeldBy::kFlow:
      break;
  }
  return false;
}

void Board::look_at_memory(std::int32_t device) {
  for (const WorkerIndex worker : workers_of(device)) {
    if (workers_[worker].held == HeldBy::kMemory) {
      clock_->released(worker);
    }
  }
}

bool Board::let_someone_overtake() {
  for (std::size_t d = 0; d < pools_.size(); ++d) {
    const std::vector<OpIndex>& line = pools_[d].line();
    for (std::size_t i = 1; i < line.size(); ++i) {
      if (pools_[d].fits(graph_.memory_at_start[line[i]])) {
        pools_[d].let_overtake(line[i]);
        clock_->look_at(static_cast<std::int32_t>(d));
        return true;
      }
    }
  }
  return false;
}

void Board::stop() {
  stopped_ = true;
  clock_->stop();
}

void Board::fail(Diagnostic why) {
  if (!failure_) {
    failure_ = std::move(why);
  }
  stop();
}

bool Board::complete() const {
  for (StreamIndex stream = 0; stream < next_.size(); ++stream) {
    if (next_[stream] < program_.commands_of(stream).size()) {
      return false;
    }
  }
  return std::all_of(transfer_end_.begin(), transfer_end_.end(),
                     [](Time end) { return end != kNever; });
}

ExecutionRun Board::result() const {
  ExecutionRun run;
  run.complete = complete();
  run.start = start_;
  run.end = end_;
  run.transfer_start = transfer_start_;
  run.transfer_end = transfer_end_;
  run.next = next_;
  const Time first = start_.empty() ? kNever : *std::min_element(start_.begin(), start_.end());
  for (std::vector<Time>* times : {&run.start, &run.end, &run.transfer_start, &run.transfer_end}) {
    for (Time& time : *times) {
      time -= time == kNever ? 0 : first;
    }
  }
  run.counters.emplace_back("ops that waited for memory", static_cast<double>(waited_for_memory_));
  return run;
}

}  // namespace stagecraft
