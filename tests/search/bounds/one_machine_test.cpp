#include "search/bounds/one_machine.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>

#include "stagecraft/core/random.hpp"

namespace stagecraft::search {
namespace {

// Every order without preemption: never below the bound.
Time best_order(const std::vector<HeadTail>& ops) {
  std::vector<std::size_t> order(ops.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  Time best = kNever;
  do {
    Time now = 0;
    Time end = 0;
    for (const std::size_t k : order) {
      now = std::max(now, ops[k].head) + ops[k].duration;
      end = std::max(end, now + ops[k].tail);
    }
    best = std::min(best, end);
  } while (std::ranges::next_permutation(order).found);
  return best;
}

TEST_SUITE("search") {
  TEST_CASE("the one-machine bound of ops without choice is what they take") {
    CHECK(one_machine_bound({}) == 0);
    CHECK(one_machine_bound({{3, 4, 5}}) == 12);
    CHECK(one_machine_bound({{0, 4, 0}, {0, 4, 0}}) == 8);
    CHECK(one_machine_bound({{0, 4, 0}, {1, 2, 9}}) == 12);  // preempts the long op at 1
  }

  TEST_CASE("the one-machine bound lies below every order, and is met by some") {
    Random random(5);
    int met = 0;
    for (int round = 0; round < 200; ++round) {
      std::vector<HeadTail> ops(static_cast<std::size_t>(random.uniform(1, 6)));
      for (HeadTail& op : ops) {
        op = {random.uniform(0, 12), random.uniform(0, 6), random.uniform(0, 12)};
      }
      const Time best = best_order(ops);
      const Time bound = one_machine_bound(ops);
      CHECK(bound <= best);
      met += bound == best ? 1 : 0;
    }
    CHECK(met > 100);
  }
}

}  // namespace
}  // namespace stagecraft::search
