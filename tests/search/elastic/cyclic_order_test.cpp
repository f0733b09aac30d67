// DynaPipe's adaptive order: the authors' own figures, memory, and clusters of micro-batches.
#include "search/elastic/baselines/cyclic_order.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "search/elastic/batches.hpp"
#include "search/elastic/candidate.hpp"
#include "stagecraft/engine/evaluate.hpp"
#include "support/golden.hpp"
#include "support/sanitized.hpp"

TEST_SUITE_BEGIN("search");

namespace stagecraft::elastic {
namespace {

constexpr Bytes kPlenty = Bytes{1} << 40;

// Micro-batches of `times` (F; BW takes twice as long) that hold `bytes` on every stage.
UnitTable table_of(std::int32_t stages, const std::vector<Time>& times,
                   const std::vector<Bytes>& bytes, Bytes room) {
  UnitTable table;
  table.stages = stages;
  table.units = static_cast<std::int32_t>(times.size());
  table.first.resize(times.size() + 1);
  std::iota(table.first.begin(), table.first.end(), 0);
  table.microbatch.assign(table.first.begin(), table.first.end() - 1);
  for (std::int32_t p = 0; p < stages; ++p) {
    table.layers.push_back(4);
    table.resident.push_back(0);
    table.room.push_back(room);
    for (std::size_t u = 0; u < times.size(); ++u) {
      table.forward.push_back(times[u]);
      table.backward.push_back(2 * times[u]);
      table.layer.push_back(times[u] / 4);
      table.activation.push_back(bytes[u]);
      table.saving.push_back(bytes[u] / 8);
      if (p + 1 < stages) {
        table.latency.push_back(0);
      }
    }
  }
  return table;
}

std::vector<std::int32_t> as_they_come(const UnitTable& table) {
  std::vector<std::int32_t> order(static_cast<std::size_t>(table.units));
  std::iota(order.begin(), order.end(), 0);
  return order;
}

struct Figures {
  Time time = 0;
  std::vector<Bytes> peaks;
};

Figures figures_of(const UnitTable& table, const std::vector<std::int32_t>& layers) {
  const StageLists lists = cyclic_lists(table, as_they_come(table), layers);
  REQUIRE(!lists.empty());
  ListTimer timer;
  return {timer.run(table, lists, layers), list_peaks(table, lists, layers)};
}

Figures uniform_figures(std::int32_t stages, std::size_t microbatches, Bytes room) {
  const UnitTable table = table_of(stages, std::vector<Time>(microbatches, 1000),
                                   std::vector<Bytes>(microbatches, 1), room);
  return figures_of(table, std::vector<std::int32_t>(table.forward.size(), 0));
}

TEST_CASE("cyclic order is DynaPipe's own wait-free-cyclic order") {
  int rows = 0;
  for (const test::GoldenRow& row : test::golden_rows("DynaPipe", "wait-free-cyclic")) {
    const bool in_flight = row.at("knobs").find("max_otf") != std::string::npos;
    if (row.integer("V") != 1 || row.number("comm") != 0.0 || row.at("F") != "1000" || in_flight) {
      continue;
    }
    CAPTURE(row.at("case_id"));
    const Bytes limit =
        row.has("mem_limit") ? static_cast<Bytes>(row.number("mem_limit")) : kPlenty;
    const Figures ours =
        uniform_figures(row.integer("P"), static_cast<std::size_t>(row.integer("M")), limit);
    CHECK(static_cast<double>(ours.time) == row.number("peer_value"));
    const std::vector<double> peaks = row.numbers("peak_mem_per_device");
    REQUIRE(peaks.size() == ours.peaks.size());
    for (std::size_t p = 0; p < peaks.size(); ++p) {
      CHECK(static_cast<double>(ours.peaks[p]) == peaks[p]);
    }
    ++rows;
  }
  CHECK(rows >= 4);
  // The peer's own sweep of limits, 2 to 7 micro-batches.
  const std::vector<Time> swept = {51'000, 45'000, 36'000, 36'000, 33'000, 33'000};
  for (std::size_t i = 0; i < swept.size(); ++i) {
    CHECK(uniform_figures(4, 8, static_cast<Bytes>(i) + 2).time == swept[i]);
  }
}

TEST_CASE("cyclic order of uneven micro-batches takes as long as DynaPipe's") {
  int rows = 0;
  for (const test::GoldenRow& row : test::golden_rows("DynaPipe", "wait-free-cyclic")) {
    if (row.integer("V") != 1 || row.at("F") != "4000*m" || row.has("mem_limit")) {
      continue;  // its limits count memory that is held during F alone
    }
    const std::vector<Time> tenths = {10, 8, 12, 9, 11, 7, 14, 6};
    std::vector<Time> times;
    times.reserve(tenths.size());
    for (const Time tenth : tenths) {
      times.push_back(400 * tenth);
    }
    const UnitTable table = table_of(4, times, tenths, kPlenty);
    const Figures ours = figures_of(table, std::vector<std::int32_t>(table.forward.size(), 0));
    CHECK(static_cast<double>(ours.time) == row.number("peer_value"));
    ++rows;
  }
  CHECK(rows == 1);
}

TEST_CASE("cyclic order keeps to memory, recomputation included, down to one micro-batch") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    Random random(seed);
    std::vector<Time> times;
    std::vector<Bytes> bytes;
    const auto count = static_cast<std::size_t>(random.uniform(1, 20));
    for (std::size_t u = 0; u < count; ++u) {
      times.push_back(random.uniform(100, 3000));
      bytes.push_back(8 * random.uniform(10, 100));
    }
    const Bytes most = *std::max_element(bytes.begin(), bytes.end());
    UnitTable table = table_of(static_cast<std::int32_t>(random.uniform(1, 6)), times, bytes, most);
    std::vector<std::int32_t> layers;
    layers.reserve(table.forward.size());
    for (std::size_t i = 0; i < table.forward.size(); ++i) {
      layers.push_back(seed % 2 == 0 ? 0 : static_cast<std::int32_t>(random.uniform(0, 4)));
    }
    Time last = kNever;
    ListTimer timer;
    for (const Bytes room : {most, most + most / 2, 3 * most, kPlenty}) {
      CAPTURE(seed);
      CAPTURE(room);
      table.room.assign(table.room.size(), room);
      const StageLists lists = cyclic_lists(table, as_they_come(table), layers);
      REQUIRE(!lists.empty());
      CHECK(lists_fit(table, lists, layers));
      const Time time = timer.run(table, lists, layers);
      CHECK(time != kNever);
      CHECK(time >= order_bound(table));
      if (room == kPlenty) {
        CHECK(time <= last);  // against one micro-batch at a time
      } else if (room == most) {
        last = time;
      }
    }
    table.room.back() = most - 1;
    CHECK(cyclic_lists(table, as_they_come(table), layers).empty());
  }
}

TEST_CASE("clusters of micro-batches come in every permutation") {
  const std::vector<Time> times = {900, 10, 500, 11, 905, 100, 12, 510, 101};
  const UnitTable table = table_of(3, times, std::vector<Bytes>(times.size(), 1), kPlenty);
  const auto orders = clustered_orders(table, 4);
  CHECK(orders.size() == 24);
  CHECK(orders.front() == std::vector<std::int32_t>{0, 4, 2, 7, 5, 8, 1, 3, 6});
  CHECK(orders.back() == std::vector<std::int32_t>{1, 3, 6, 5, 8, 2, 7, 0, 4});
  CHECK(std::set<std::vector<std::int32_t>>(orders.begin(), orders.end()).size() == 24);
  for (std::vector<std::int32_t> order : orders) {
    std::sort(order.begin(), order.end());
    CHECK(order == as_they_come(table));
  }
  const UnitTable equal = table_of(2, {5, 5, 5}, {1, 1, 1}, kPlenty);
  CHECK(clustered_orders(equal, 4).size() == 6);  // no more clusters than micro-batches
  CHECK(clustered_orders(table_of(2, {5}, {1}, kPlenty), 4).size() == 1);
}

TEST_CASE("dynapipe takes the faster of its adaptive order and 1F1B, both within memory") {
  const SequenceLayout layout = stages_of(4, 8);
  int adaptive_wins = 0;
  int delayed = 0;
  for (std::uint64_t seed = 1; seed <= (STAGECRAFT_SANITIZED != 0 ? 2 : 8); ++seed) {
    CAPTURE(seed);
    const data::Tokens context = 16'384;
    const data::GlobalBatch batch = skewed_batch(seed + 20, 60, context);
    const SequenceProfile profile =
        profile_with_room(layout, (seed % 2 == 0 ? 1.2 : 3.0) * static_cast<double>(context));
    std::vector<Time> times;
    for (const char* order : {"auto", "adaptive", "1f1b"}) {
      const GeneratorOptions options = {{"order", order}};
      const StrategyInput input{batch, profile, layout, context, options};
      const Result<IterationPlan> plan = plan_iteration("dynapipe", input);
      REQUIRE_MESSAGE(plan.ok(), to_string(plan.failures()));
      const IterationResult result = evaluate_iteration(*plan, input);
      REQUIRE_MESSAGE(result.feasible, to_string(result.problems));
      CHECK(result.time == plan->predicted);
      CHECK(result.peak_memory <= profile.capacity);
      times.push_back(result.time);
      if (std::string(order) == "adaptive") {
        CHECK(plan->note.find("adaptive order") != std::string::npos);
        delayed += result.peak_memory > profile.capacity / 10 * 9 ? 1 : 0;
      }
    }
    CHECK(times[0] == std::min(times[1], times[2]));
    adaptive_wins += times[1] < times[2] ? 1 : 0;
  }
  CHECK(adaptive_wins > 0);
  CHECK(delayed > 0);
}

}  // namespace
}  // namespace stagecraft::elastic

TEST_SUITE_END();
