#include "execute/host/signal.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <ctime>

namespace stagecraft {

static_assert(sizeof(std::atomic<std::uint32_t>) == sizeof(std::uint32_t) &&
                  std::atomic<std::uint32_t>::is_always_lock_free,
              "a futex is the word itself");

Time monotonic_now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return Time{now.tv_sec} * kSecond + now.tv_nsec;
}

void Signal::raise() {
  if (state_.exchange(kRaised, std::memory_order_acq_rel) == kSleeping) {
    syscall(SYS_futex, &state_, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, nullptr, nullptr, 0);
  }
}

bool Signal::wait(Time until, Time turning) {
  if (take()) {
    return true;
  }
  if (turning > 0) {
    const Time stop = monotonic_now() + turning;
    while (monotonic_now() < stop) {
      if (take()) {
        return true;
      }
      pause_turning();
    }
  }
  std::uint32_t down = kDown;
  if (!state_.compare_exchange_strong(down, kSleeping, std::memory_order_acq_rel)) {
    return take();
  }
  timespec limit{};
  if (until != kNever) {
    limit.tv_sec = until / kSecond;
    limit.tv_nsec = until % kSecond;
  }
  while (state_.load(std::memory_order_acquire) == kSleeping) {
    if (until != kNever && monotonic_now() >= until) {
      break;
    }
    // Returns at once if the word is not kSleeping any more; may return for no reason.
    syscall(SYS_futex, &state_, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, kSleeping,
            until == kNever ? nullptr : &limit, nullptr, FUTEX_BITSET_MATCH_ANY);
  }
  return state_.exchange(kDown, std::memory_order_acq_rel) == kRaised;
}

}  // namespace stagecraft
