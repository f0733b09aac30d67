#include "stagecraft/engine/event_queue.hpp"

#include <algorithm>
#include <tuple>
#include <vector>

#include <doctest/doctest.h>

#include "stagecraft/core/random.hpp"

using namespace stagecraft;

TEST_SUITE("engine") {
  TEST_CASE("events come out by time, class and order of push, however they were pushed") {
    Random random(5);
    for (int round = 0; round < 50; ++round) {
      // Few distinct times, so that most events are simultaneous.
      EventQueue queue;
      std::vector<std::tuple<Time, int, std::uint32_t>> expected;
      std::vector<std::tuple<Time, int, std::uint32_t>> delivered;
      std::uint32_t pushed = 0;
      const auto push = [&](Time time) {
        const auto lane = static_cast<int>(random.uniform(0, kEventClassCount - 1));
        queue.push(time, static_cast<EventClass>(lane), pushed);
        expected.emplace_back(time, lane, pushed++);
      };
      for (int i = 0; i < 40; ++i) {
        push(random.uniform(0, 4));
      }
      while (!queue.empty()) {
        const Event event = queue.pop();
        CHECK(event.time == queue.now());
        delivered.emplace_back(event.time, static_cast<int>(event.event_class()), event.subject);
      }
      std::sort(expected.begin(), expected.end());
      CHECK(delivered == expected);
      CHECK(queue.delivered() == expected.size());
    }
  }

  TEST_CASE("what is pushed at the current instant is delivered before time advances") {
    Random random(6);
    EventQueue queue;
    queue.push(10, EventClass::kStart, 0);
    queue.push(10, EventClass::kArbitrate, 1);
    queue.push(11, EventClass::kOpEnd, 2);
    CHECK(queue.pop().subject == 0);
    queue.push(10, EventClass::kArbitrate, 3);
    queue.push(10, EventClass::kOpEnd, 4);
    CHECK_FALSE(queue.settled());
    CHECK(queue.pop().subject == 4);
    CHECK(queue.pop().subject == 1);  // pushed before 3
    CHECK(queue.pop().subject == 3);
    CHECK(queue.settled());
    CHECK(queue.now() == 10);
    CHECK(queue.pop().subject == 2);
    CHECK(queue.now() == 11);
    CHECK(queue.empty());
  }
}
