// Partitions and placements by load, against enumeration.
#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <set>

#include "profiles.hpp"
#include "search/adaptis/partition.hpp"
#include "search/adaptis/placement.hpp"

namespace stagecraft::search::adaptis {
namespace {

using Partition = std::vector<std::int32_t>;

void each_partition(std::int32_t layers, std::int32_t stages, Partition& prefix,
                    const std::function<void(const Partition&)>& visit) {
  if (stages == 1) {
    prefix.push_back(layers);
    visit(prefix);
    prefix.pop_back();
    return;
  }
  for (std::int32_t first = 1; first <= layers - (stages - 1); ++first) {
    prefix.push_back(first);
    each_partition(layers - first, stages - 1, prefix, visit);
    prefix.pop_back();
  }
}

Load squares(const LayerLoads& layers, const Partition& partition) {
  Load sum = 0;
  for (const Load load : layers.of_stages(partition)) {
    sum += load * load;
  }
  return sum;
}

Problem random_problem(Random& random, std::int32_t devices, std::int32_t layers) {
  return make_layer_problem(
      random_layers(random, layers),
      {.devices = devices, .microbatches = static_cast<std::int32_t>(random.uniform(1, 9))});
}

// Mist's objective by its definition.
Time mist_objective(const Problem& problem, const Partition& partition,
                    const std::vector<Time>& extra) {
  Time largest = 0;
  Time sum = 0;
  Time last = std::numeric_limits<Time>::min();
  std::size_t l = 0;
  for (std::size_t i = 0; i < partition.size(); ++i) {
    last = std::max(last, extra[i] - sum);
    Time stage = 0;
    for (std::int32_t k = 0; k < partition[i]; ++k, ++l) {
      stage += problem.layers.forward[l] + problem.layers.backward_input[l] +
               problem.layers.backward_weight[l];
    }
    if (!problem.speed.empty()) {
      stage = stage * 1'000'000'000 / problem.speed[i];
    }
    largest = std::max(largest, stage);
    sum += stage;
  }
  return (problem.microbatches - 1) * largest + sum + last;
}

TEST_SUITE("search") {
  TEST_CASE("adaptis: the partitions of least variance are those that enumeration finds") {
    Random random(3);
    for (int round = 0; round < 30; ++round) {
      CAPTURE(round);
      const auto count = static_cast<std::int32_t>(random.uniform(4, 9));
      const auto stages = static_cast<std::int32_t>(random.uniform(1, count));
      const Problem problem = random_problem(random, 2, count);
      const LayerLoads layers(problem);
      std::vector<Load> all;
      Partition prefix;
      each_partition(count, stages, prefix,
                     [&](const Partition& p) { all.push_back(squares(layers, p)); });
      std::ranges::sort(all);
      const std::vector<Partition> best = best_partitions(layers, stages, 5);
      REQUIRE(best.size() == std::min<std::size_t>(5, all.size()));
      for (std::size_t k = 0; k < best.size(); ++k) {
        CHECK(squares(layers, best[k]) == all[k]);
        CHECK(std::ranges::min(best[k]) >= 1);
        CHECK(std::accumulate(best[k].begin(), best[k].end(), 0) == count);
      }
      CHECK(std::set<Partition>(best.begin(), best.end()).size() == best.size());
    }
  }

  TEST_CASE("adaptis: Mist's partition is the best by its objective") {
    Random random(4);
    for (int round = 0; round < 40; ++round) {
      CAPTURE(round);
      const auto devices = static_cast<std::int32_t>(random.uniform(1, 4));
      Problem problem =
          random_problem(random, devices, static_cast<std::int32_t>(random.uniform(devices, 9)));
      std::vector<Time> extra(static_cast<std::size_t>(devices), 0);
      if (round % 2 == 1) {
        for (Time& time : extra) {
          time = random.uniform(0, 300);
        }
      }
      if (round % 4 >= 2) {
        for (std::int32_t d = 0; d < devices; ++d) {
          problem.speed.push_back(random.uniform(1, 3) * 500'000'000);
        }
      }
      Time best = std::numeric_limits<Time>::max();
      Partition prefix;
      each_partition(problem.layers.count(), devices, prefix, [&](const Partition& p) {
        best = std::min(best, mist_objective(problem, p, extra));
      });
      CHECK(mist_objective(problem, mist_partition(problem, extra), extra) == best);
    }
  }

  TEST_CASE("adaptis: filling evens out loads, and keeps to memory") {
    const Problem problem =
        make_layer_problem(nemotron_layers(), {.devices = 4, .microbatches = 8});
    const LayerLoads layers(problem);
    const Partition filled = filled_partition(layers, [](const Shape&) { return true; });
    CHECK(std::accumulate(filled.begin(), filled.end(), 0) == 58);
    CHECK(squares(layers, filled) < squares(layers, {15, 14, 14, 15}));
    // No move of one layer over a boundary is better.
    for (std::size_t s = 0; s + 1 < filled.size(); ++s) {
      for (const int step : {-1, 1}) {
        Partition moved = filled;
        moved[s] += step;
        moved[s + 1] -= step;
        CHECK(variance(layers.of_stages(moved)) >= variance(layers.of_stages(filled)));
      }
    }
    int asked = 0;
    const Partition kept = filled_partition(layers, [&](const Shape&) { return ++asked < 0; });
    CHECK(std::accumulate(kept.begin(), kept.end(), 0) == 58);
    CHECK(squares(layers, kept) >= squares(layers, filled));
  }

  TEST_CASE("adaptis: layers anywhere, heaviest first, spread no worse than in any order of rows") {
    Random random(5);
    for (int round = 0; round < 10; ++round) {
      const Problem problem = random_problem(random, 3, 12);
      const LayerLoads layers(problem);
      const std::vector<std::int32_t> placed =
          longest_first(layers, [](const Shape&) { return true; });
      const std::vector<Load> loads = layers.of_stages(Partition(12, 1));
      const Proxy proxy = PlacementLoads(layers, loads, placed).proxy();
      for (const RankedPlacement& rows : row_placements(layers, loads, 100)) {
        CHECK(proxy.device_variance <= rows.proxy.device_variance);
      }
    }
  }

  TEST_CASE("adaptis: candidate placements are different, allowed and sorted") {
    Random random(6);
    for (int round = 0; round < 20; ++round) {
      CAPTURE(round);
      const auto devices = static_cast<std::int32_t>(random.uniform(2, 5));
      const auto count = static_cast<std::int32_t>(random.uniform(devices, 4 * devices));
      const std::int32_t most = (count + devices - 1) / devices + 1;
      const Problem problem = random_problem(random, devices, count);
      const LayerLoads layers(problem);
      const std::vector<Load> loads =
          layers.of_stages(Partition(static_cast<std::size_t>(count), 1));
      const auto placements = candidate_placements(layers, loads, most, 20, random);
      REQUIRE_FALSE(placements.empty());
      CHECK(placements.size() <= 20);
      std::set<std::vector<std::int32_t>> seen;
      for (const RankedPlacement& ranked : placements) {
        CHECK(seen.insert(ranked.device_of_stage).second);
        CHECK(PlacementLoads(layers, loads, ranked.device_of_stage).proxy() == ranked.proxy);
        for (std::int32_t d = 0; d < devices; ++d) {
          const auto held = std::ranges::count(ranked.device_of_stage, d);
          CHECK(held >= 1);
          CHECK(held <= most);
        }
      }
      CHECK(std::ranges::is_sorted(placements, {}, &RankedPlacement::proxy));
      CHECK(placements.front().proxy <=
            PlacementLoads(layers, loads, round_robin(count, devices)).proxy());
    }
  }

  TEST_CASE("adaptis: rows of a placement ascend or descend") {
    const Problem problem =
        make_layer_problem(nemotron_layers(), {.devices = 4, .microbatches = 8});
    const LayerLoads layers(problem);
    const std::vector<Load> loads(12, 5);
    const auto rows = row_placements(layers, loads, 100);
    REQUIRE(rows.size() == 4);
    std::set<std::vector<std::int32_t>> all;
    for (const RankedPlacement& row : rows) {
      all.insert(row.device_of_stage);
    }
    CHECK(all.contains({0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3}));
    CHECK(all.contains({0, 1, 2, 3, 3, 2, 1, 0, 0, 1, 2, 3}));
    CHECK(all.contains({0, 1, 2, 3, 3, 2, 1, 0, 3, 2, 1, 0}));
  }

  TEST_CASE("adaptis: ends that stand alone are not counted in even partitions") {
    const Layers layers = nemotron_layers();
    const Ends ends = find_ends(layers);
    CHECK(ends.embedding == 1);
    CHECK(ends.head == 1);
    CHECK(even_partition(58, 4, ends) == Partition{15, 14, 14, 15});
    CHECK(even_partition(33, 4, {0, 1}) == Partition{8, 8, 8, 9});
    CHECK(even_partition(29, 8, {0, 1}) == Partition{4, 4, 4, 4, 3, 3, 3, 4});
    CHECK(even_partition(4, 4, {0, 1}) == Partition{1, 1, 1, 1});
  }
}

}  // namespace
}  // namespace stagecraft::search::adaptis
