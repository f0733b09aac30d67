#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "execute/host/signal.hpp"
#include "execute/host/timer.hpp"
#include "stagecraft/core/check.hpp"

namespace stagecraft {
namespace {

Time quantile(std::vector<Time>& values, std::size_t percent) {
  if (values.empty()) {
    return 0;
  }
  const auto at = values.begin() + static_cast<std::ptrdiff_t>((values.size() - 1) * percent / 100);
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

// How late waits of a timed op end.
std::vector<Time> measure_sleeps(Time length, std::int32_t sleeps, bool crowded) {
  std::vector<Time> late;
  sharpen_timer();
  Signal nobody;
  Timer timer;
  for (std::int32_t i = 0; i < sleeps; ++i) {
    const Time deadline = monotonic_now() + length;
    timer.wait(nobody, deadline, HostWait::kSleep, crowded);
    late.push_back(monotonic_now() - deadline);
  }
  return late;
}

// From a signal raised on one thread to the thread that slept for it.
std::vector<Time> measure_wakes(Time length, std::int32_t wakes) {
  std::vector<Time> late;
  Signal ping;
  Signal pong;
  std::atomic<Time> raised{0};
  std::thread sleeper([&] {
    for (std::int32_t i = 0; i < wakes; ++i) {
      while (!ping.wait()) {
      }
      late.push_back(monotonic_now() - raised.load());
      pong.raise();
    }
  });
  Signal nobody;
  for (std::int32_t i = 0; i < wakes; ++i) {
    nobody.wait(monotonic_now() + length);  // it sleeps by then
    raised.store(monotonic_now());
    ping.raise();
    while (!pong.wait()) {
    }
  }
  sleeper.join();
  return late;
}

}  // namespace

TimerError measure_timer(std::int32_t threads, Time length, std::int32_t sleeps) {
  STAGECRAFT_CHECK(threads >= 1 && sleeps >= 1 && length > 0, "something to measure");
  std::vector<std::vector<Time>> each(static_cast<std::size_t>(threads));
  const bool crowded = each.size() > std::thread::hardware_concurrency();
  std::vector<std::thread> running;
  running.reserve(each.size());
  for (std::vector<Time>& late : each) {
    running.emplace_back(
        [&late, length, sleeps, crowded] { late = measure_sleeps(length, sleeps, crowded); });
  }
  std::vector<Time> late;
  for (std::size_t i = 0; i < each.size(); ++i) {
    running[i].join();
    late.insert(late.end(), each[i].begin(), each[i].end());
  }
  std::vector<Time> wakes = measure_wakes(std::min(length, 100 * kMicrosecond), sleeps);
  TimerError error;
  error.median = quantile(late, 50);
  error.p99 = quantile(late, 99);
  error.wake_median = quantile(wakes, 50);
  error.wake_p99 = quantile(wakes, 99);
  return error;
}

}  // namespace stagecraft
