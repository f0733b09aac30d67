#include "execute/gpu/gpu_run.hpp"

#include <algorithm>
#include <chrono>
#include <thread>

#include "stagecraft/core/check.hpp"

namespace stagecraft {
namespace {

// Commands of a stream that may be issued before an earlier one was seen to end: enough to keep a
// GPU busy, far fewer than a driver's queue holds (about a thousand launches).
constexpr std::size_t kAhead = 64;

constexpr std::chrono::microseconds kPoll{20};

}  // namespace

GpuRun::GpuRun(GpuApi& api, const ExecutionJob& job, const StageModel& model,
               const GpuProgram& ready, GpuRunState& state, bool graphs)
    : api_(api),
      job_(job),
      model_(model),
      ready_(ready),
      state_(state),
      graphs_(graphs),
      recorded_(ready.program.events, false),
      put_off_(ready.program.streams.size()),
      arrived_(ready.devices.size(), 0),
      waiting_(ready.devices.size(), false),
      reduction_task_(ready.devices.size(), kNoOp),
      issued_(ready.program.streams.size(), 0),
      marks_(ready.program.streams.size()),
      passed_(ready.program.streams.size(), 0) {
  for (std::size_t d = 0; d < ready.devices.size(); ++d) {
    const auto partition = static_cast<std::int32_t>(d);
    lanes_[0].push_back(stage_device(api, partition, ready.queues[d], ready.devices[d], 0));
    if (ready.second[d] != kNone) {
      lanes_[1].push_back(stage_device(api, partition, ready.second[d], ready.devices[d], 1));
    }
  }
}

Result<ExecutionRun> GpuRun::run() {
  ExecutionRun result;
  result.start.assign(job_.graph.size(), kNever);
  result.end = result.start;
  result.transfer_start.assign(job_.program.messages.size(), kNever);
  result.transfer_end = result.transfer_start;
  if (!state_.ran && ready_.program.transport == Transport::kPaired) {
    load_kernels();
  }
  if (graphs_ && state_.ran) {
    capture_all();
  }
  clear_gradients();  // whatever became of the captures
  failures_ = failures_.empty() ? api_.synchronize() : failures_;
  if (!failures_.empty()) {
    return failures_;
  }
  start_clocks();
  issue_all();
  const auto all_passed = [this] {
    for (std::size_t s = 0; s < marks_.size(); ++s) {
      if (passed_[s] < marks_[s].size()) {
        return false;
      }
    }
    return true;
  };
  wait_until(all_passed);
  result.next = without_plan(job_.program, ready_.program, ended());
  if (!stuck_) {
    if (Diagnostics failed = api_.synchronize(); !failed.empty()) {
      return failed;
    }
  }
  read_clocks(result);
  if (stuck_) {
    api_.abandon();
  }
  state_.ran = state_.ran || (!stuck_ && !interrupted_);
  state_.steps += job_.graph.iteration_end ? job_.graph.iterations : 0;
  result.interrupted = interrupted_;
  result.complete = !stuck_ && !interrupted_;
  result.held = ready_.held;
  result.counters = {{"ops launched as graphs", graph_launches_},
                     {"ops launched kernel by kernel", launches_},
                     {"ops whose graph was refused", refused_},
                     {"graphs", static_cast<double>(state_.graphs.size())}};
  return result;
}

// All partitions' clocks start when the first does: nothing else runs then. That one is held up
// until the others wait for it; otherwise theirs would start when the host comes to them.
void GpuRun::start_clocks() {
  api_.hold(ready_.queues[0]);
  api_.record(ready_.queues[0], ready_.base[0]);
  for (std::size_t d = 1; d < ready_.devices.size(); ++d) {
    api_.wait(ready_.queues[d], ready_.base[0]);
    api_.record(ready_.queues[d], ready_.base[d]);
  }
  api_.resume();
}

void GpuRun::issue_all() {
  for (const Command& command : ready_.program.commands) {
    if (stuck_ || (interrupted_ && ready_.program.transport == Transport::kPush)) {
      return;  // a send without its receive would never end, so calls are issued to the last
    }
    if (!put_off_[command.stream].empty() || !issue(command)) {
      put_off_[command.stream].push_back(command);
      ++put_off_count_;
    } else if (put_off_count_ > 0) {
      drain();
    }
  }
  drain();
  STAGECRAFT_CHECK(put_off_count_ == 0 || stuck_, "every command can be issued");
}

// Commands that were put off and can be issued by now.
void GpuRun::drain() {
  for (bool progress = true; progress && put_off_count_ > 0;) {
    progress = false;
    for (std::deque<Command>& line : put_off_) {
      while (!line.empty() && !stuck_ && issue(line.front())) {
        line.pop_front();
        --put_off_count_;
        progress = true;
      }
    }
  }
}

// False if it cannot be issued yet.
bool GpuRun::issue(const Command& command) {
  const StreamIndex s = command.stream;
  const Queue queue = ready_.queues[s];
  if (command.kind == CommandKind::kWait && !recorded_[command.index]) {
    return false;
  }
  if (command.kind == CommandKind::kOp &&
      job_.graph.kind[command.index] == OpKind::kGradientReduce && !ready_.pairs.empty() &&
      !meet(command)) {
    return false;
  }
  if (!throttle(s)) {
    return true;  // stuck: what is issued makes no difference
  }
  GpuEvent mark = kNone;
  switch (command.kind) {
    case CommandKind::kOp:
      issue_op(command);
      mark = ready_.task_times[command.index].after;
      break;
    case CommandKind::kTransfer:
      transfer(command);
      mark = ready_.sent_times[command.index].after;
      break;
    case CommandKind::kExchange: {
      exchange(command);
      mark = times_of(command).after;
      break;
    }
    case CommandKind::kRecord:
      api_.record(queue, ready_.events[command.index]);
      recorded_[command.index] = true;
      mark = ready_.events[command.index];
      break;
    case CommandKind::kWait:
      api_.wait(queue, ready_.events[command.index]);
      break;
  }
  if (command.done != kNoEvent) {
    api_.record(queue, ready_.events[command.done]);
    recorded_[command.done] = true;
  }
  ++issued_[s];
  if (mark != kNone) {
    marks_[s].push_back({issued_[s], mark});
  }
  return true;
}

EventPair GpuRun::times_of(const Command& exchange) const {
  const P2pMember& member = ready_.program.members[exchange.index];
  return (member.send ? ready_.sent_times : ready_.received_times)[member.message];
}

bool GpuRun::throttle(StreamIndex stream) {
  if (marks_[stream].size() - passed_[stream] < kAhead) {
    return true;
  }
  watch();
  return wait_until([&] { return marks_[stream].size() - passed_[stream] < kAhead; });
}

// Sees which marks were reached; true if any more were.
bool GpuRun::watch() {
  bool progress = false;
  for (std::size_t s = 0; s < marks_.size(); ++s) {
    while (passed_[s] < marks_[s].size() && api_.reached(marks_[s][passed_[s]].event)) {
      ++passed_[s];
      progress = true;
    }
  }
  return progress;
}

bool GpuRun::wait_until(const std::function<bool()>& done) {
  using Clock = std::chrono::steady_clock;
  const Time longest = job_.graph.duration.empty() ? 0
                                                   : *std::max_element(job_.graph.duration.begin(),
                                                                       job_.graph.duration.end());
  const auto patience = std::chrono::nanoseconds(job_.watchdog + longest);
  auto last = Clock::now();
  while (!done()) {
    if (watch()) {
      last = Clock::now();
      continue;
    }
    interrupted_ = interrupted_ || (job_.interrupted && job_.interrupted());
    if (Clock::now() - last > patience) {
      stuck_ = true;
      return false;
    }
    std::this_thread::sleep_for(kPoll);
  }
  return true;
}

// Commands of every stream that have ended; a transfer counts once it is under way.
std::vector<std::uint32_t> GpuRun::ended() const {
  std::vector<std::uint32_t> counts(marks_.size(), 0);
  for (std::size_t s = 0; s < marks_.size(); ++s) {
    std::uint32_t& n = counts[s];
    n = passed_[s] == 0 ? 0 : marks_[s][passed_[s] - 1].commands;
    const auto commands = ready_.program.commands_of(static_cast<StreamIndex>(s));
    for (; n < issued_[s]; ++n) {
      const Command& command = ready_.program.commands[commands[n]];
      if (command.kind == CommandKind::kTransfer) {
        n += api_.reached(ready_.sent_times[command.index].before) ? 1U : 0U;
        break;
      }
      if (command.kind != CommandKind::kWait || !api_.reached(ready_.events[command.index])) {
        break;
      }
    }
  }
  return counts;
}

void GpuRun::read_clocks(ExecutionRun& result) {
  const auto since_base = [this](std::int32_t device, GpuEvent event) {
    return api_.elapsed(ready_.base[static_cast<std::size_t>(device)], event);
  };
  Time first = kNever;
  for (std::size_t s = 0; s < marks_.size(); ++s) {
    const auto commands = ready_.program.commands_of(static_cast<StreamIndex>(s));
    const std::int32_t device = ready_.program.streams[s].device;
    for (std::size_t m = 0; m < passed_[s]; ++m) {
      const Command& command = ready_.program.commands[commands[marks_[s][m].commands - 1]];
      if (command.kind == CommandKind::kOp) {
        const EventPair times = ready_.task_times[command.index];
        result.start[command.index] = since_base(device, times.before);
        result.end[command.index] = since_base(device, times.after);
        first = std::min(first, result.start[command.index]);
      } else if (command.kind == CommandKind::kTransfer) {
        const EventPair times = ready_.sent_times[command.index];
        result.transfer_start[command.index] = since_base(device, times.before);
        result.transfer_end[command.index] = since_base(device, times.after);
      } else if (command.kind == CommandKind::kExchange) {
        read_exchange(command, device, result);
      }
    }
  }
  for (std::vector<Time>* times :
       {&result.start, &result.end, &result.transfer_start, &result.transfer_end}) {
    for (Time& time : *times) {
      time = time == kNever ? kNever : time - first;
    }
  }
}

// A message is under way from when its sender stands at it until its receiver has it.
void GpuRun::read_exchange(const Command& command, std::int32_t device, ExecutionRun& result) {
  for (std::uint32_t i = command.index; i < command.index + command.count; ++i) {
    const P2pMember& member = ready_.program.members[i];
    const EventPair times =
        (member.send ? ready_.sent_times : ready_.received_times)[member.message];
    const GpuEvent base = ready_.base[static_cast<std::size_t>(device)];
    if (member.send) {
      result.transfer_start[member.message] = api_.elapsed(base, times.before);
    } else {
      result.transfer_end[member.message] = api_.elapsed(base, times.after);
    }
  }
}

}  // namespace stagecraft
