// One run of a program on threads: what each thread does with the commands of its stream.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "execute/host/board.hpp"
#include "execute/host/message_rows.hpp"
#include "execute/host/run_clock.hpp"
#include "stagecraft/execute/host_backend.hpp"

namespace stagecraft {

class HostRun {
 public:
  /// `bodies` may be null: then ops are timed.
  HostRun(const ExecutionJob& job, const HostOptions& options, OpBodies* bodies, Board& board,
          RunClock& clock);

  [[nodiscard]] Result<ExecutionRun> run();

 private:
  // Of one thread.
  struct Thread {
    WorkerIndex worker = 0;
    CopyBuffers buffers;
    std::vector<MessageNote> incoming, outgoing;  // of the op that runs
    std::uint64_t checked = 0;
  };

  void work(Thread& thread);
  bool await(BoardLock& lock, WorkerIndex worker, EventIndex event);
  bool run_op(BoardLock& lock, Thread& thread, const Command& command);
  void pass_time(BoardLock& lock, Thread& thread, OpIndex op);
  std::string check_incoming(Thread& thread, OpIndex op) const;
  void move_bytes(Thread& thread, OpIndex op, Time deadline) const;
  void do_transfers(BoardLock& lock);
  void watch();
  [[nodiscard]] Bytes largest_copy(const Board::Worker& worker) const;
  [[nodiscard]] Bytes copied_by(OpIndex op) const;

  const ExecutionJob& job_;
  const HostOptions& options_;
  OpBodies* bodies_;
  Board& board_;
  RunClock& clock_;
  std::vector<Thread> threads_;
  MessageRows sent_, received_;  // by producer, by consumer; empty if notes are not asked for
  bool interrupted_ = false;
};

}  // namespace stagecraft
