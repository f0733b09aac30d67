// Time that advances when every thread waits. Threads run one after another, in the engine's order
// of an instant (event_queue.hpp), so results are deterministic and equal the engine's.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <vector>

#include "execute/host/board.hpp"
#include "execute/host/signal.hpp"

namespace stagecraft {

class VirtualClock : public RunClock {
 public:
  explicit VirtualClock(Board& board);

  [[nodiscard]] Time now() const override { return queue_.now(); }
  [[nodiscard]] bool orders_instants() const override { return true; }

  void push(Time time, EventClass event_class, std::uint32_t subject,
            std::uint32_t generation) override;
  void look_at(std::int32_t device) override;
  void released(WorkerIndex /*worker*/) override {}  // its device is looked at
  void hinted(WorkerIndex /*worker*/) override {}
  void stop() override;

  void start(BoardLock& lock) override;
  void enter(BoardLock& lock, WorkerIndex worker) override;
  void wait(BoardLock& lock, WorkerIndex worker, Time until) override;
  void unlock(BoardLock& lock) override { lock.unlock(); }
  void pass(BoardLock& lock, WorkerIndex worker, Time deadline) override;
  void yield(BoardLock& lock, WorkerIndex worker) override;
  void leave(BoardLock& lock, WorkerIndex worker) override;
  bool wait_for_end(Time most) override;

  [[nodiscard]] std::vector<std::pair<std::string, double>> counters() const override;

 private:
  void hand_on();
  bool give_next_turn();
  bool give_late_turn();
  void give(WorkerIndex worker);
  void wait_for_turn(BoardLock& lock, WorkerIndex worker);

  Board& board_;
  EventQueue queue_;
  std::vector<std::unique_ptr<Signal>> signals_;  // [workers]
  Signal ended_;
  std::vector<bool> look_pending_;  // [P]
  std::deque<WorkerIndex> turns_;   // of the device that is looked at
  WorkerIndex turn_ = kNoWorker;    // who runs
  std::uint64_t hands_ = 0;
  bool over_ = false;
};

}  // namespace stagecraft
