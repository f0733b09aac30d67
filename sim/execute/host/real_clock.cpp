#include "execute/host/real_clock.hpp"

#include <algorithm>

namespace stagecraft {
namespace {

// A wake-up takes 5 to 10 us; where a core is free, a wait that short is better spent turning.
constexpr Time kTurning = 30 * kMicrosecond;

}  // namespace

RealClock::RealClock(Board& board, HostWait wait)
    : board_(board),
      wait_(wait),
      crowded_(board.workers().size() > std::thread::hardware_concurrency()),
      active_(board.workers().size()) {
  for (std::size_t i = 0; i < board.workers().size(); ++i) {
    workers_.push_back(std::make_unique<Worker>());
  }
  if (board.needs_courier()) {
    courier_ = std::thread([this] { run_courier(); });
  }
}

RealClock::~RealClock() {
  RealClock::finish();
}

void RealClock::finish() {
  if (courier_.joinable()) {
    over_.store(true);
    courier_signal_.raise();
    courier_.join();
  }
}

void RealClock::push(Time time, EventClass event_class, std::uint32_t subject,
                     std::uint32_t generation) {
  if (event_class == EventClass::kArbitrate) {
    board_.handle({time, static_cast<std::uint64_t>(event_class) << 56U, 0, 0});
    return;
  }
  const bool first = agenda_.empty() || time < agenda_.top().time;
  agenda_.push(
      {time, (static_cast<std::uint64_t>(event_class) << 56U) | sequence_++, subject, generation});
  if (first) {
    courier_signal_.raise();
  }
}

void RealClock::released(WorkerIndex worker) {
  Worker& at = *workers_[worker];
  if (at.blocked) {
    at.blocked = false;
    ++active_;
    to_wake_.push_back(worker);
  }
}

void RealClock::stop() {
  over_.store(true);
  for (const auto& worker : workers_) {
    worker->signal.raise();
  }
  courier_signal_.raise();
  ended_.raise();
}

// All streams begin together, when every thread is there: a little later than now.
void RealClock::start(BoardLock& /*lock*/) {
  const auto count = static_cast<Time>(workers_.size());
  origin_ = monotonic_now() + 200 * kMicrosecond + count * 20 * kMicrosecond;
  started_ = true;
  for (const auto& worker : workers_) {
    worker->signal.raise();
  }
}

void RealClock::enter(BoardLock& lock, WorkerIndex worker) {
  sharpen_timer();
  Worker& at = *workers_[worker];
  while (!started_ && !over_) {
    lock.unlock();
    at.signal.wait();
    lock.lock();
  }
  lock.unlock();
  pass(lock, worker, 0);
  at.late.clear();
}

void RealClock::unlock(BoardLock& lock) {
  if (to_wake_.empty()) {
    lock.unlock();
    return;
  }
  std::vector<WorkerIndex> wake;
  wake.swap(to_wake_);
  lock.unlock();
  for (const WorkerIndex worker : wake) {
    workers_[worker]->signal.raise();
  }
}

void RealClock::wait(BoardLock& lock, WorkerIndex worker, Time until) {
  Worker& at = *workers_[worker];
  if (until != kNever) {
    unlock(lock);
    at.timer.wait(at.signal, origin_ + until, HostWait::kSleep, crowded_);
    lock.lock();
    return;
  }
  if (!at.blocked) {
    at.blocked = true;
    --active_;
    look_for_end();
  }
  wait_for_release(lock, worker);
  ++at.wakes;
}

// Until somebody raises the worker's signal. If it is known when that will be, the thread is awake
// by then, so that nobody has to wake it.
void RealClock::wait_for_release(BoardLock& lock, WorkerIndex worker) {
  const Board::Worker& what = board_.workers()[worker];
  const Time expected =
      what.held == HeldBy::kEvent && what.event != kNoEvent ? board_.expected(what.event) : kNever;
  Worker& at = *workers_[worker];
  unlock(lock);
  const bool hinted = expected != kNever && expected + kTurning > now();
  if (!hinted ||
      !at.timer.wait(at.signal, origin_ + expected, HostWait::kSleep, crowded_, kTurning)) {
    at.signal.wait(kNever, crowded_ || hinted ? 0 : kTurning);
  }
  lock.lock();
}

void RealClock::pass(BoardLock& lock, WorkerIndex worker, Time deadline) {
  Worker& at = *workers_[worker];
  if (deadline == kNever) {
    lock.lock();
    while (!board_.flow_ended(worker) && !over_) {
      wait(lock, worker, kNever);
    }
    return;
  }
  while (now() < deadline && !over_.load(std::memory_order_relaxed)) {
    at.timer.wait(at.signal, origin_ + deadline, wait_, crowded_);
  }
  at.late.push_back(now() - deadline);
  lock.lock();
}

void RealClock::leave(BoardLock& lock, WorkerIndex worker) {
  static_cast<void>(worker);
  --active_;
  ++left_;
  look_for_end();
  unlock(lock);
  lock.lock();
}

// Everybody is blocked and nothing is on its way: nothing will ever happen by itself.
void RealClock::look_for_end() {
  if (active_ > 0 || !agenda_.empty() || over_) {
    return;
  }
  if (left_ == workers_.size() || !board_.let_someone_overtake()) {
    board_.stop();
  }
}

bool RealClock::wait_for_end(Time most) {
  return ended_.wait(monotonic_now() + most);
}

void RealClock::run_courier() {
  sharpen_timer();
  BoardLock lock(board_.mutex);
  while (!over_) {
    if (agenda_.empty()) {
      unlock(lock);
      courier_signal_.wait();
      lock.lock();
      continue;
    }
    const Event event = agenda_.top();
    if (now() < event.time && board_.current(event)) {
      unlock(lock);
      courier_timer_.wait(courier_signal_, origin_ + event.time, HostWait::kSleep, crowded_);
      lock.lock();
      continue;
    }
    agenda_.pop();
    if (const WorkerIndex worker = board_.handle(event); worker != kNoWorker) {
      released(worker);
    }
    look_for_end();
  }
  unlock(lock);
}

std::vector<std::pair<std::string, double>> RealClock::counters() const {
  std::vector<Time> late;
  std::uint64_t wakes = 0;
  for (const auto& worker : workers_) {
    late.insert(late.end(), worker->late.begin(), worker->late.end());
    wakes += worker->wakes;
  }
  std::vector<std::pair<std::string, double>> counters{{"wake-ups", static_cast<double>(wakes)}};
  if (!late.empty()) {
    std::sort(late.begin(), late.end());
    counters.emplace_back("op ends late, median (ns)", static_cast<double>(late[late.size() / 2]));
    counters.emplace_back("op ends late, p99 (ns)",
                          static_cast<double>(late[late.size() * 99 / 100]));
  }
  return counters;
}

}  // namespace stagecraft
