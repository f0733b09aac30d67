// CLOCK_MONOTONIC: threads sleep until shortly before a time and turn for the rest.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <queue>
#include <thread>
#include <vector>

#include "execute/host/board.hpp"
#include "execute/host/signal.hpp"
#include "execute/host/timer.hpp"

namespace stagecraft {

class RealClock : public RunClock {
 public:
  RealClock(Board& board, HostWait wait);
  ~RealClock() override;

  [[nodiscard]] Time now() const override { return monotonic_now() - origin_; }
  [[nodiscard]] bool orders_instants() const override { return false; }

  void push(Time time, EventClass event_class, std::uint32_t subject,
            std::uint32_t generation) override;
  void look_at(std::int32_t device) override { board_.look_at_memory(device); }
  void released(WorkerIndex worker) override;
  void hinted(WorkerIndex worker) override { to_wake_.push_back(worker); }
  [[nodiscard]] bool something_is_due(Time grace) const override {
    return !agenda_.empty() && now() - agenda_.top().time < grace;
  }
  void stop() override;

  void start(BoardLock& lock) override;
  void enter(BoardLock& lock, WorkerIndex worker) override;
  void wait(BoardLock& lock, WorkerIndex worker, Time until) override;
  void unlock(BoardLock& lock) override;
  void pass(BoardLock& lock, WorkerIndex worker, Time deadline) override;
  void yield(BoardLock& /*lock*/, WorkerIndex /*worker*/) override {}
  void leave(BoardLock& lock, WorkerIndex worker) override;
  bool wait_for_end(Time most) override;
  void finish() override;

  [[nodiscard]] std::vector<std::pair<std::string, double>> counters() const override;

 private:
  struct Worker {
    Signal signal;
    Timer timer;
    std::vector<Time> late;  // of the ends of its ops
    std::uint64_t wakes = 0;
    bool blocked = false;  // until somebody releases it
  };
  struct Later {
    bool operator()(const Event& a, const Event& b) const {
      return a.time != b.time ? a.time > b.time : a.order > b.order;
    }
  };

  void wait_for_release(BoardLock& lock, WorkerIndex worker);
  void run_courier();
  void look_for_end();

  Board& board_;
  HostWait wait_;
  bool crowded_;  // more threads than cores: turning keeps others from running
  Time origin_ = 0;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<WorkerIndex> to_wake_;
  std::size_t active_ = 0;  // workers that run or wait for a known time
  std::size_t left_ = 0;
  bool started_ = false;
  std::atomic<bool> over_{false};
  Signal ended_;

  // What comes due without a worker: ends of flows and transfers.
  std::priority_queue<Event, std::vector<Event>, Later> agenda_;
  std::uint64_t sequence_ = 0;
  Signal courier_signal_;
  Timer courier_timer_;
  std::thread courier_;
};

}  // namespace stagecraft
