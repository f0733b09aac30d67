#include "execute/host/host_run.hpp"

#include <algorithm>
#include <exception>
#include <thread>

#include "execute/host/patience.hpp"
#include "execute/host/signal.hpp"
#include "stagecraft/core/check.hpp"

namespace stagecraft {
namespace {

// How often the thread that started the run looks at it.
constexpr Time kWatch = 5 * kMillisecond;

// What ends without anybody's doing, once it has begun: no command may end for that long.
Time longest_wait(const TaskGraph& graph) {
  Time longest = 0;
  for (const std::vector<Time>* times : {&graph.duration, &graph.crossing_latency}) {
    for (const Time time : *times) {
      longest = std::max(longest, time);
    }
  }
  return longest;
}

}  // namespace

HostRun::HostRun(const ExecutionJob& job, const HostOptions& options, OpBodies* bodies,
                 Board& board, RunClock& clock)
    : job_(job), options_(options), bodies_(bodies), board_(board), clock_(clock) {
  if (bodies == nullptr && options.move_bytes) {
    const auto& messages = job.program.messages;
    sent_ = MessageRows(messages, job.graph.size(), &P2pMessage::producer);
    received_ = MessageRows(messages, job.graph.size(), &P2pMessage::consumer);
  }
  for (WorkerIndex worker = 0; worker < board.workers().size(); ++worker) {
    threads_.push_back({worker, CopyBuffers(largest_copy(board.workers()[worker])), {}, {}, 0});
  }
}

// Bytes that an offload or reload moves, or that an op receives.
Bytes HostRun::copied_by(OpIndex op) const {
  const TaskGraph& graph = job_.graph;
  if (is_copy(graph.kind[op])) {
    return graph.memory_at_start.empty() ? 0 : graph.memory_at_start[op] - graph.memory_at_end[op];
  }
  Bytes bytes = 0;
  for (const MessageIndex message : received_.of(op)) {
    bytes += graph.crossing_bytes[job_.program.messages[message].crossing];
  }
  return bytes;
}

Bytes HostRun::largest_copy(const Board::Worker& worker) const {
  Bytes largest = 0;
  if (bodies_ == nullptr && options_.move_bytes) {
    for (const std::uint32_t index : job_.program.commands_of(worker.stream)) {
      const Command& command = job_.program.commands[index];
      if (command.kind == CommandKind::kOp) {
        largest = std::max(largest, copied_by(command.index));
      }
    }
  }
  return std::min(largest, options_.largest_copy);
}

Result<ExecutionRun> HostRun::run() {
  std::vector<std::thread> running;
  running.reserve(threads_.size());
  try {
    for (Thread& thread : threads_) {
      running.emplace_back([this, &thread] { work(thread); });
    }
    BoardLock lock(board_.mutex);
    clock_.start(lock);
  } catch (const std::exception& failure) {  // no thread to be had
    const BoardLock lock(board_.mutex);
    board_.fail(infeasible(std::string("cannot start a thread: ") + failure.what()));
  }
  std::exception_ptr stopped_by;  // what the caller's function threw
  try {
    watch();
  } catch (...) {
    stopped_by = std::current_exception();
    const BoardLock lock(board_.mutex);
    board_.stop();
  }
  for (std::thread& thread : running) {
    thread.join();
  }
  clock_.finish();
  if (stopped_by) {
    std::rethrow_exception(stopped_by);
  }
  const BoardLock lock(board_.mutex);
  if (const auto& failure = board_.failure(); failure.has_value()) {
    return *failure;
  }
  ExecutionRun result = board_.result();
  result.interrupted = interrupted_;
  std::uint64_t checked = 0;
  Bytes copied = 0;
  for (const Thread& thread : threads_) {
    checked += thread.checked;
    copied += thread.buffers.copied();
  }
  result.counters.emplace_back("threads", static_cast<double>(threads_.size()));
  result.counters.emplace_back("messages checked", static_cast<double>(checked));
  result.counters.emplace_back("bytes copied", static_cast<double>(copied));
  for (auto& counter : clock_.counters()) {
    result.counters.push_back(std::move(counter));
  }
  return result;
}

// Looks at the run from outside: was it interrupted, does it still move?
void HostRun::watch() {
  const Time longest = longest_wait(job_.graph);
  const Time limit = longest > kNever - job_.watchdog ? kNever : longest + job_.watchdog;
  Patience patience(limit, 4 * kWatch, monotonic_now());
  bool moves = true;
  while (moves && !interrupted_ &&
         !clock_.wait_for_end(std::min(kWatch, std::max<Time>(job_.watchdog, 1)))) {
    BoardLock lock(board_.mutex);
    const bool quiet = patience.over(board_.commands_ended(), monotonic_now());
    moves = !quiet || clock_.something_is_due(limit);
    if (!moves) {
      board_.stop();
    }
    lock.unlock();
    if (job_.interrupted && job_.interrupted()) {
      lock.lock();
      interrupted_ = true;
      board_.stop();
    }
  }
}

void HostRun::work(Thread& thread) {
  const WorkerIndex worker = thread.worker;
  BoardLock lock(board_.mutex);
  try {
    clock_.enter(lock, worker);
    board_.let_go(worker);
    do_transfers(lock);
    for (bool on = true; on && !board_.stopped();) {
      const Command* command = board_.next(worker);
      if (command == nullptr) {
        break;
      }
      switch (command->kind) {
        case CommandKind::kWait:
          on = await(lock, worker, command->index);
          if (on) {
            board_.done_with_command(worker);
          }
          break;
        case CommandKind::kOp:
          on = run_op(lock, thread, *command);
          break;
        case CommandKind::kRecord:
          board_.record(command->index, board_.workers()[worker].device);
          board_.done_with_command(worker);
          break;
        case CommandKind::kTransfer:
        case CommandKind::kExchange:
          STAGECRAFT_CHECK(false, "not on a stream with a thread");
      }
      if (on) {
        do_transfers(lock);
        if (command->kind == CommandKind::kOp) {
          clock_.yield(lock, worker);
          board_.let_go(worker);
        }
      }
    }
  } catch (const std::exception& failure) {
    if (!lock.owns_lock()) {
      lock.lock();
    }
    board_.fail(infeasible(std::string("an op failed: ") + failure.what()));
  } catch (...) {
    if (!lock.owns_lock()) {
      lock.lock();
    }
    board_.fail(infeasible("an op failed with an unknown exception"));
  }
  board_.leave(worker);
  clock_.leave(lock, worker);
}

// False if the run stops before.
bool HostRun::await(BoardLock& lock, WorkerIndex worker, EventIndex event) {
  while (board_.recorded(event) > clock_.now()) {
    board_.hold(worker, HeldBy::kEvent, event);
    clock_.wait(lock, worker, board_.recorded(event));
    board_.let_go(worker);
    if (board_.stopped()) {
      return false;
    }
  }
  return true;
}

bool HostRun::run_op(BoardLock& lock, Thread& thread, const Command& command) {
  const OpIndex op = command.index;
  while (!board_.take_memory(op)) {
    board_.hold(thread.worker, HeldBy::kMemory);
    clock_.wait(lock, thread.worker, kNever);
    board_.let_go(thread.worker);
    if (board_.stopped()) {
      return false;
    }
  }
  if (bodies_ == nullptr) {
    pass_time(lock, thread, op);
    if (board_.stopped()) {
      return false;
    }
  } else {
    board_.begin(op, thread.worker);
    clock_.unlock(lock);
    bodies_->run(op, op_of(job_.graph, job_.schedule, op), job_.graph.device[op]);
    lock.lock();
  }
  board_.end(thread.worker, command);
  return true;
}

// The time of an op, in which it reads what it received, moves bytes and writes what it sends.
void HostRun::pass_time(BoardLock& lock, Thread& thread, OpIndex op) {
  thread.incoming.clear();
  for (const MessageIndex message : received_.of(op)) {
    thread.incoming.push_back(board_.received(message));
  }
  const bool by_flow = board_.begin(op, thread.worker);
  const Time deadline = clock_.now() + job_.graph.duration[op];
  clock_.unlock(lock);
  const std::string wrong = check_incoming(thread, op);
  move_bytes(thread, op, deadline);
  thread.outgoing.clear();
  for (const MessageIndex message : sent_.of(op)) {
    thread.outgoing.push_back(make_note(op, job_.program.messages[message].consumer,
                                        op_of(job_.graph, job_.schedule, op)));
  }
  clock_.pass(lock, thread.worker, by_flow ? kNever : deadline);
  board_.let_go(thread.worker);
  if (!wrong.empty()) {
    board_.fail(infeasible("internal error: " + wrong));
  }
  for (std::size_t i = 0; i < thread.outgoing.size(); ++i) {
    board_.send(thread.outgoing[i], sent_.of(op)[i]);
  }
}

std::string HostRun::check_incoming(Thread& thread, OpIndex op) const {
  for (std::size_t i = 0; i < thread.incoming.size(); ++i) {
    std::string wrong = check_note(thread.incoming[i], job_.program.messages[received_.of(op)[i]],
                                   job_.schedule, job_.graph);
    if (!wrong.empty()) {
      return wrong;
    }
    ++thread.checked;
  }
  return {};
}

void HostRun::move_bytes(Thread& thread, OpIndex op, Time deadline) const {
  if (!options_.move_bytes) {
    return;
  }
  const Bytes bytes = copied_by(op);
  if (bytes > 0) {
    thread.buffers.copy(bytes, [&] { return clock_.orders_instants() || clock_.now() < deadline; });
  }
}

void HostRun::do_transfers(BoardLock& lock) {
  while (const auto message = board_.due_transfer()) {
    clock_.unlock(lock);
    bodies_->transfer(job_.program.messages[*message]);
    lock.lock();
    board_.transferred(*message);
  }
}

}  // namespace stagecraft
