// Waits that end on time: a sleep up to shortly before, then turning. How much before follows from
// how late this thread's sleeps were.
#pragma once

#include "execute/host/signal.hpp"
#include "stagecraft/core/units.hpp"
#include "stagecraft/execute/host_backend.hpp"

namespace stagecraft {

/// Lets sleeps of this thread end within a nanosecond of the kernel's timer, instead of the 50 us
/// that it may use by default to join wake-ups: prctl(2), PR_SET_TIMERSLACK.
void sharpen_timer();

class Timer {
 public:
  /// Waits until the monotonic time `deadline`, or until somebody raises the signal (true).
  /// `crowded`: others may want the core while this thread turns. Turns for `longer` ns beyond the
  /// deadline before it gives up.
  bool wait(Signal& signal, Time deadline, HostWait wait, bool crowded, Time longer = 0);

 private:
  void learn(Time late);

  Time margin_ = 60 * kMicrosecond;  // sleeps end this much before the deadline
};

}  // namespace stagecraft
