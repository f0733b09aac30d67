#include "search/bounds/one_machine.hpp"

#include <algorithm>
#include <queue>
#include <utility>

namespace stagecraft::search {

Time one_machine_bound(std::vector<HeadTail> ops) {
  std::ranges::sort(ops, {}, &HeadTail::head);
  std::priority_queue<std::pair<Time, Time>> ready;  // tail, what is left of the duration
  Time now = 0;
  Time bound = 0;
  for (std::size_t next = 0; next < ops.size() || !ready.empty();) {
    if (ready.empty()) {
      now = std::max(now, ops[next].head);
    }
    for (; next < ops.size() && ops[next].head <= now; ++next) {
      ready.emplace(ops[next].tail, ops[next].duration);
    }
    const auto [tail, left] = ready.top();
    ready.pop();
    const Time until = next < ops.size() ? ops[next].head : kNever;
    const Time run = std::min(left, until - now);
    now += run;
    if (run < left) {
      ready.emplace(tail, left - run);
    } else {
      bound = std::max(bound, now + tail);
    }
  }
  return bound;
}

}  // namespace stagecraft::search
