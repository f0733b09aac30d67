// Holds up streams until a thread has issued to them what shall run without a break.
//
// A host function waits in the stream. It must not call CUDA and does not; and since a driver call
// that waits for the stream would otherwise never return, it waits for a few seconds at most.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>

namespace stagecraft {

class Gate {
 public:
  Gate() = default;
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;
  ~Gate() = default;

  /// What `pass` needs to stop here until `open`; lives as long as the gate.
  [[nodiscard]] void* ticket() {
    const std::lock_guard lock(mutex_);
    tickets_.push_back({this, ++issued_});
    return &tickets_.back();
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = issued_;
    opened_.notify_all();
  }
  /// The host function.
  static void pass(void* ticket) {
    const Ticket& own = *static_cast<const Ticket*>(ticket);
    Gate& gate = *own.gate;
    std::unique_lock lock(gate.mutex_);
    gate.opened_.wait_for(lock, kPatience, [&] { return gate.open_ >= own.number; });
  }
  /// Nothing waits here any more.
  void forget() { tickets_.clear(); }

 private:
  static constexpr std::chrono::seconds kPatience{3};
  struct Ticket {
    Gate* gate = nullptr;
    std::uint64_t number = 0;
  };

  std::mutex mutex_;
  std::condition_variable opened_;
  std::deque<Ticket> tickets_;  // its elements stay where they are
  std::uint64_t issued_ = 0, open_ = 0;
};

}  // namespace stagecraft
