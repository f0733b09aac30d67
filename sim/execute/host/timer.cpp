#include "execute/host/timer.hpp"

#include <sched.h>
#include <sys/prctl.h>

#include <algorithm>

namespace stagecraft {
namespace {

constexpr Time kLeastMargin = 5 * kMicrosecond;
constexpr Time kLargestMargin = 200 * kMicrosecond;

}  // namespace

void sharpen_timer() {
  prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
}

bool Timer::wait(Signal& signal, Time deadline, HostWait wait, bool crowded, Time longer) {
  Time now = monotonic_now();
  if (wait == HostWait::kSleep && deadline - now > margin_) {
    const Time wake = deadline - margin_;
    if (signal.wait(wake)) {
      return true;
    }
    now = monotonic_now();
    learn(now - wake);
  }
  while (now < deadline + longer) {
    if (signal.take()) {
      return true;
    }
    if (crowded && wait == HostWait::kSleep) {
      sched_yield();
    } else {
      pause_turning();
    }
    now = monotonic_now();
  }
  return false;
}

// Follows the 90 % quantile of lateness: up by 9 where a sleep was later, down by 1 where it was
// not, in units that let it move over its range within a few dozen sleeps.
void Timer::learn(Time late) {
  constexpr Time kStep = 500;
  margin_ =
      std::clamp(margin_ + (late > margin_ ? 9 * kStep : -kStep), kLeastMargin, kLargestMargin);
}

}  // namespace stagecraft
