// The list scheduler of our own search: its windows, its clock, its memory.
#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "search/elastic/batches.hpp"
#include "search/elastic/best/local_search.hpp"
#include "search/elastic/best/unit_scheduler.hpp"
#include "support/sanitized.hpp"

TEST_SUITE_BEGIN("search");

namespace stagecraft::elastic {
namespace {

// Units of one length each, without transfers: backward twice the forward.
UnitTable plain_table(std::int32_t stages, const std::vector<std::int32_t>& slices, Bytes room) {
  UnitTable table;
  table.stages = stages;
  table.first = {0};
  for (std::size_t m = 0; m < slices.size(); ++m) {
    table.first.push_back(table.first.back() + slices[m]);
    table.microbatch.insert(table.microbatch.end(), static_cast<std::size_t>(slices[m]),
                            static_cast<std::int32_t>(m));
  }
  table.units = table.first.back();
  const auto cells = static_cast<std::size_t>(stages) * static_cast<std::size_t>(table.units);
  table.layers.assign(static_cast<std::size_t>(stages), 4);
  table.forward.assign(cells, 100);
  table.backward.assign(cells, 200);
  table.layer.assign(cells, 25);
  table.activation.assign(cells, 40);
  table.saving.assign(cells, 9);
  table.latency.assign(cells - static_cast<std::size_t>(table.units), 0);
  table.resident.assign(static_cast<std::size_t>(stages), 0);
  table.room.assign(static_cast<std::size_t>(stages), room);
  return table;
}

std::vector<std::int32_t> in_order(const UnitTable& table) {
  std::vector<std::int32_t> order(static_cast<std::size_t>(table.microbatches()));
  std::iota(order.begin(), order.end(), 0);
  return order;
}

// Most units of a stage that are forwarded and not yet backwarded.
std::int32_t most_in_flight(const std::vector<ListOp>& list) {
  std::int32_t held = 0;
  std::int32_t most = 0;
  for (const ListOp& op : list) {
    held += op.kind == ListOpKind::kForward ? 1 : op.kind == ListOpKind::kBackward ? -1 : 0;
    most = std::max(most, held);
  }
  return most;
}

// The same once the first eight micro-batches are gone.
std::int32_t in_flight_later(const UnitTable& table, const std::vector<ListOp>& list) {
  std::int32_t held = 0;
  std::int32_t most = 0;
  bool later = false;
  for (const ListOp& op : list) {
    held += op.kind == ListOpKind::kForward ? 1 : op.kind == ListOpKind::kBackward ? -1 : 0;
    later = later || (op.kind == ListOpKind::kBackward && op.unit >= table.first[8]);
    most = later ? std::max(most, held) : most;
  }
  return most;
}

TEST_CASE("best's window follows the micro-batch whose backward is next, or stays") {
  std::vector<std::int32_t> slices(24, 1);
  slices.front() = 6;
  UnitTable table = plain_table(4, slices, 1'000'000);
  const std::vector<std::int32_t> none(table.forward.size(), 0);
  UnitScheduler scheduler;
  REQUIRE(scheduler.run(table, in_order(table), none, UnitRule{0, 0, false}));
  // Formula 7: d_p - p - 1 + 6. Equal units never wait.
  CHECK(most_in_flight(scheduler.lists()[0]) == 9);
  CHECK(scheduler.time() == (29 + 3) * 300);
  // Where backwards are long on their way, as many forwards run ahead as the window lets.
  std::ranges::fill(table.latency, 1000);
  REQUIRE(scheduler.run(table, in_order(table), none, UnitRule{0, 0, false}));
  CHECK(most_in_flight(scheduler.lists()[0]) == 9);
  CHECK(in_flight_later(table, scheduler.lists()[0]) == 9);
  REQUIRE(scheduler.run(table, in_order(table), none, UnitRule{0, 0, true}));
  CHECK(most_in_flight(scheduler.lists()[0]) == 9);
  CHECK(in_flight_later(table, scheduler.lists()[0]) == 4);
  // A long micro-batch behind short ones gets the window that it needs.
  std::vector<std::int32_t> shortest_first = in_order(table);
  std::ranges::reverse(shortest_first);
  REQUIRE(scheduler.run(table, shortest_first, none, UnitRule{0, 0, true}));
  ListTimer timer;
  CHECK(timer.run(table, scheduler.lists(), none) == scheduler.time());
}

TEST_CASE("best's scheduler keeps to memory, and its clock is that of a replay") {
  Random random(3);
  UnitScheduler scheduler;
  ListTimer timer;
  int ran = 0;
  int short_of_memory = 0;
  for (int round = 0; round < (STAGECRAFT_SANITIZED != 0 ? 50 : 500); ++round) {
    std::vector<std::int32_t> slices;
    for (std::int64_t m = random.uniform(1, 12); m > 0; --m) {
      slices.push_back(random.chance(1, 3) ? static_cast<std::int32_t>(random.uniform(2, 6)) : 1);
    }
    const auto stages = static_cast<std::int32_t>(random.uniform(1, 9));
    UnitTable table = plain_table(stages, slices, random.uniform(40, 600));
    std::vector<std::int32_t> layers(table.forward.size(), 0);
    for (std::size_t i = 0; i < layers.size(); ++i) {
      table.forward[i] = random.uniform(1, 200);
      table.backward[i] = random.uniform(1, 400);
      layers[i] = static_cast<std::int32_t>(random.uniform(0, 4));
    }
    for (Time& latency : table.latency) {
      latency = random.uniform(0, 50);
    }
    const UnitRule rule{
        random.chance(1, 2) ? UnitRule::kNoLimit : static_cast<std::int32_t>(random.uniform(0, 3)),
        static_cast<std::int32_t>(random.uniform(0, 24)), random.chance(1, 2)};
    if (!scheduler.run(table, in_order(table), layers, rule)) {
      continue;  // a micro-batch alone does not fit
    }
    ++ran;
    short_of_memory += scheduler.short_of_memory() ? 1 : 0;
    CHECK(lists_fit(table, scheduler.lists(), layers));
    CHECK(timer.run(table, scheduler.lists(), layers) == scheduler.time());
  }
  CHECK(ran > 20);
  CHECK(short_of_memory > (STAGECRAFT_SANITIZED != 0 ? 0 : 10));
}

TEST_CASE("bounds of orders hold for the lists that are made") {
  Random random(4);
  UnitScheduler scheduler;
  for (int round = 0; round < 100; ++round) {
    const auto stages = static_cast<std::int32_t>(random.uniform(1, 6));
    UnitTable table = plain_table(stages, {3, 1, 2, 1, 1}, 1'000'000);
    for (std::size_t i = 0; i < table.forward.size(); ++i) {
      table.forward[i] = random.uniform(1, 200);
      table.backward[i] = random.uniform(1, 400);
    }
    for (Time& latency : table.latency) {
      latency = random.uniform(0, 50);
    }
    const std::vector<std::int32_t> none(table.forward.size(), 0);
    REQUIRE(scheduler.run(table, in_order(table), none, UnitRule{}));
    const Time bound = order_bound(table);
    CHECK(scheduler.time() >= bound);
    // Not below the last stage's work and the shortest way to it.
    Time load = 0;
    for (std::int32_t u = 0; u < table.units; ++u) {
      load += table.forward[table.at(stages - 1, u)] + table.backward[table.at(stages - 1, u)];
    }
    CHECK(bound >= load + 2 * (stages - 1));
  }
}

}  // namespace
}  // namespace stagecraft::elastic

TEST_SUITE_END();
