// A flag that one thread waits for and any thread raises: a futex, because condition variables have
// no wait with an absolute time that costs a single call. See futex(2).
#pragma once

#include <atomic>
#include <cstdint>

#include "stagecraft/core/units.hpp"

namespace stagecraft {

/// ns of CLOCK_MONOTONIC.
[[nodiscard]] Time monotonic_now();

class Signal {
 public:
  /// From any thread. Raising twice before a wait is raising once.
  void raise();

  /// Takes the flag down, or waits until somebody raises it or until the monotonic time `until`
  /// (kNever: without limit). Turns for `turning` ns before it sleeps. False if time ran out.
  bool wait(Time until = kNever, Time turning = 0);

  /// Takes the flag down; false if it was not up.
  bool take() {
    std::uint32_t raised = kRaised;
    return state_.compare_exchange_strong(raised, kDown, std::memory_order_acquire,
                                          std::memory_order_relaxed);
  }

 private:
  static constexpr std::uint32_t kDown = 0, kRaised = 1, kSleeping = 2;

  std::atomic<std::uint32_t> state_{kDown};
};

/// Tells the processor that this thread turns in a loop.
inline void pause_turning() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

}  // namespace stagecraft
