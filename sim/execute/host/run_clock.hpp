// How time passes for the threads of the host backend: really, or virtually.
//
// All functions are called with the board's mutex held, but where they say otherwise. The board
// tells the clock what will happen at a time, and who may go on; the threads of streams ("workers")
// wait through the clock.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "stagecraft/core/units.hpp"
#include "stagecraft/engine/event_queue.hpp"

namespace stagecraft {

using WorkerIndex = std::uint32_t;
inline constexpr WorkerIndex kNoWorker = UINT32_MAX;
using BoardLock = std::unique_lock<std::mutex>;

class RunClock {
 public:
  RunClock() = default;
  RunClock(const RunClock&) = delete;
  RunClock& operator=(const RunClock&) = delete;
  virtual ~RunClock() = default;

  /// ns since the start of the run. Also without the mutex, by a thread that runs.
  [[nodiscard]] virtual Time now() const = 0;

  /// True if the clock orders what happens at one instant, as the engine does, and wants to know of
  /// everything that will happen; false if threads wait for known times by themselves.
  [[nodiscard]] virtual bool orders_instants() const = 0;

  // Called by the board.
  /// The board wants handle() to be called for this at `time`.
  virtual void push(Time time, EventClass event_class, std::uint32_t subject,
                    std::uint32_t generation = 0) = 0;
  /// Something of the device may be able to start.
  virtual void look_at(std::int32_t device) = 0;
  /// What the worker is held by is there, or it is known when it will be.
  virtual void released(WorkerIndex worker) = 0;
  /// It became known when that will probably be (Board::expected).
  virtual void hinted(WorkerIndex worker) = 0;
  /// Will something that was pushed come due later, so that a run in which nothing ends meanwhile
  /// does not stand still? What is less than `grace` overdue counts: its thread is about to wake.
  [[nodiscard]] virtual bool something_is_due(Time grace) const {
    static_cast<void>(grace);
    return false;
  }
  /// Everybody shall wake and leave.
  virtual void stop() = 0;

  // Called by the threads.
  /// From the thread that runs the job, once all workers exist.
  virtual void start(BoardLock& lock) = 0;
  /// First call of a worker: returns when the run begins.
  virtual void enter(BoardLock& lock, WorkerIndex worker) = 0;
  /// Returns when the worker may look again whether it can go on (or the run stops); at the latest
  /// at `until`.
  virtual void wait(BoardLock& lock, WorkerIndex worker, Time until) = 0;
  /// Unlocks for work that takes a while.
  virtual void unlock(BoardLock& lock) = 0;
  /// Called and returns without the mutex: lets the time of an op pass until `deadline`. At once if
  /// the run stops.
  virtual void pass(BoardLock& lock, WorkerIndex worker, Time deadline) = 0;
  /// After the end of an op: others may have to go first.
  virtual void yield(BoardLock& lock, WorkerIndex worker) = 0;
  /// Last call of a worker.
  virtual void leave(BoardLock& lock, WorkerIndex worker) = 0;
  /// From the thread that runs the job, without the mutex: waits until all is done, at most
  /// `most` ns. True if it is.
  virtual bool wait_for_end(Time most) = 0;
  /// Without the mutex, after the last worker was joined.
  virtual void finish() {}

  /// For the record.
  [[nodiscard]] virtual std::vector<std::pair<std::string, double>> counters() const = 0;
};

}  // namespace stagecraft
