#include "execute/host/virtual_clock.hpp"

#include "stagecraft/core/check.hpp"

namespace stagecraft {

VirtualClock::VirtualClock(Board& board) : board_(board), look_pending_(board.devices(), false) {
  for (std::size_t i = 0; i < board.workers().size(); ++i) {
    signals_.push_back(std::make_unique<Signal>());
  }
}

void VirtualClock::push(Time time, EventClass event_class, std::uint32_t subject,
                        std::uint32_t generation) {
  queue_.push(time, event_class, subject, generation);
}

void VirtualClock::look_at(std::int32_t device) {
  const auto d = static_cast<std::size_t>(device);
  if (!look_pending_[d]) {
    look_pending_[d] = true;
    queue_.push(queue_.now(), EventClass::kStart, static_cast<std::uint32_t>(device));
  }
}

void VirtualClock::stop() {
  over_ = true;
  for (const auto& signal : signals_) {
    signal->raise();
  }
  ended_.raise();
}

void VirtualClock::start(BoardLock& /*lock*/) {
  for (std::size_t device = 0; device < look_pending_.size(); ++device) {
    look_at(static_cast<std::int32_t>(device));
  }
  hand_on();
}

void VirtualClock::enter(BoardLock& lock, WorkerIndex worker) {
  wait_for_turn(lock, worker);
}

void VirtualClock::wait(BoardLock& lock, WorkerIndex worker, Time /*until*/) {
  hand_on();
  wait_for_turn(lock, worker);
}

void VirtualClock::pass(BoardLock& lock, WorkerIndex worker, Time deadline) {
  lock.lock();
  if (deadline != kNever) {
    queue_.push(deadline, EventClass::kOpEnd, worker);
  }
  hand_on();
  wait_for_turn(lock, worker);
}

void VirtualClock::yield(BoardLock& lock, WorkerIndex worker) {
  board_.hold(worker, HeldBy::kTurn);
  hand_on();
  wait_for_turn(lock, worker);
}

void VirtualClock::leave(BoardLock& /*lock*/, WorkerIndex /*worker*/) {
  if (!over_) {
    hand_on();
  }
}

bool VirtualClock::wait_for_end(Time most) {
  return ended_.wait(monotonic_now() + most);
}

void VirtualClock::give(WorkerIndex worker) {
  turn_ = worker;
  ++hands_;
  signals_[worker]->raise();
}

void VirtualClock::wait_for_turn(BoardLock& lock, WorkerIndex worker) {
  while (turn_ != worker && !over_) {
    lock.unlock();
    signals_[worker]->wait();
    lock.lock();
  }
}

// Gives the turn to a worker; without any left the run is over.
void VirtualClock::hand_on() {
  turn_ = kNoWorker;
  while (!over_) {
    if (give_next_turn()) {
      return;
    }
    if (queue_.settled() && give_late_turn()) {
      return;
    }
    if (queue_.empty()) {
      if (!board_.let_someone_overtake()) {
        board_.stop();
      }
      continue;
    }
    const Event event = queue_.pop();
    if (event.event_class() == EventClass::kStart) {
      look_pending_[event.subject] = false;
      // A copy stands in the list before the compute ops that it runs beside.
      const auto& workers = board_.workers_of(static_cast<std::int32_t>(event.subject));
      turns_.assign(workers.begin(), workers.end());
    } else if (const WorkerIndex worker = board_.handle(event); worker != kNoWorker) {
      give(worker);
      return;
    }
  }
}

bool VirtualClock::give_next_turn() {
  while (!turns_.empty()) {
    const WorkerIndex worker = turns_.front();
    turns_.pop_front();
    if (board_.may_go(worker)) {
      give(worker);
      return true;
    }
  }
  return false;
}

// Waits that the engine does not know of (programs with more events than its graph has) end when
// everything else of the instant is settled.
bool VirtualClock::give_late_turn() {
  for (WorkerIndex worker = 0; worker < signals_.size(); ++worker) {
    if (board_.workers()[worker].held == HeldBy::kEvent && board_.may_go(worker)) {
      give(worker);
      return true;
    }
  }
  return false;
}

std::vector<std::pair<std::string, double>> VirtualClock::counters() const {
  return {{"turns", static_cast<double>(hands_)},
          {"events", static_cast<double>(queue_.delivered())}};
}

}  // namespace stagecraft
