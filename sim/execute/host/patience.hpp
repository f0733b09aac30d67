// How long a run may stand still before it is given up.
#pragma once

#include <algorithm>
#include <cstdint>

#include "stagecraft/core/units.hpp"

namespace stagecraft {

/// Counts the time in which nothing ended, as somebody who looks at the run now and then sees it. A
/// look that comes much later than meant counts as `most_per_look`: what kept it (a stopped
/// process, a machine asleep or overloaded) kept the run, too.
class Patience {
 public:
  Patience(Time limit, Time most_per_look, Time now)
      : limit_(limit), most_per_look_(most_per_look), looked_(now) {}

  /// `ended`: how much has ended so far. True if nothing has for longer than the limit.
  [[nodiscard]] bool over(std::uint64_t ended, Time now) {
    const Time since = std::min(now - looked_, most_per_look_);
    looked_ = now;
    quiet_ = ended == ended_ ? quiet_ + since : 0;
    ended_ = ended;
    return quiet_ > limit_;
  }

 private:
  Time limit_;
  Time most_per_look_;
  Time looked_;
  Time quiet_ = 0;
  std::uint64_t ended_ = 0;
};

}  // namespace stagecraft
