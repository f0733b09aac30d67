// The order of elastic pipelines: one pipeline is seq1f1b, several follow each other, windows are
// as long as formula 7 says, and long micro-batches belong in front.
#include <doctest/doctest.h>

#include <map>
#include <numeric>

#include "generators/generated.hpp"
#include "instances.hpp"
#include "stagecraft/schedule/verify.hpp"
#include "support/reference.hpp"

using namespace stagecraft;
using elastic::elastic_schedule;
using elastic::Groups;
using test::generated;
using test::reference_times;
using test::texts;

namespace {

Pipeline random_pipeline(Random& random, bool permuted) {
  const auto devices = static_cast<std::int32_t>(random.uniform(1, 8));
  const auto microbatches = static_cast<std::int32_t>(random.uniform(1, 14));
  Pipeline pipeline = *make_pipeline(devices, 1, microbatches, PlacementKind::kLoop);
  if (permuted) {
    std::vector<std::int32_t> device_of_stage(static_cast<std::size_t>(devices));
    std::iota(device_of_stage.begin(), device_of_stage.end(), 0);
    for (std::size_t i = device_of_stage.size(); i-- > 1;) {
      std::swap(device_of_stage[i], device_of_stage[static_cast<std::size_t>(
                                        random.uniform(0, static_cast<std::int64_t>(i)))]);
    }
    pipeline = *make_explicit_pipeline(devices, device_of_stage, microbatches);
  }
  if (random.chance(3, 4)) {
    for (std::int32_t m = 0; m < microbatches; ++m) {
      pipeline.slices.push_back(static_cast<std::int32_t>(random.uniform(1, 6)));
    }
  }
  return pipeline;
}

/// A random order in random groups.
Groups random_groups(Random& random, const Pipeline& pipeline) {
  Groups groups = test::as_given(pipeline);
  for (std::size_t i = groups.order.size(); i-- > 1;) {
    std::swap(
        groups.order[i],
        groups.order[static_cast<std::size_t>(random.uniform(0, static_cast<std::int64_t>(i)))]);
  }
  groups.sizes.clear();
  for (std::int32_t left = pipeline.microbatches; left > 0; left -= groups.sizes.back()) {
    groups.sizes.push_back(static_cast<std::int32_t>(random.uniform(1, left)));
  }
  return groups;
}

struct Held {
  std::int64_t most = 0;
  std::int64_t before_first_backward = 0;
};

/// The units that a device holds during the ops of micro-batches in one group.
std::map<std::int32_t, Held> held_by_group(std::span<const Op> ops,
                                           const std::vector<std::int32_t>& group_of) {
  std::map<std::int32_t, Held> held;
  std::map<std::int32_t, std::int64_t> now, backwards;
  for (const Op& op : ops) {
    const std::int32_t group = group_of[static_cast<std::size_t>(op.unit.microbatch)];
    if (op.kind == OpKind::kForward) {
      held[group].most = std::max(held[group].most, ++now[group]);
      held[group].before_first_backward += backwards[group] == 0 ? 1 : 0;
    } else if (op.kind == OpKind::kBackward) {
      --now[group];
      ++backwards[group];
    }
  }
  return held;
}

Time makespan(const Pipeline& pipeline, const Groups& groups, const CostTable& costs) {
  return reference_times(elastic_schedule(pipeline, groups, {}), costs).makespan;
}

}  // namespace

TEST_SUITE("generators") {
  TEST_CASE("one pipeline in the given order is seq1f1b, op by op") {
    Random random(1);
    for (int round = 0; round < 300; ++round) {
      const Pipeline pipeline = random_pipeline(random, round % 2 == 1);
      const CostTable costs = uniform_costs(pipeline, 1, 1, 1);
      const Schedule ours = elastic_schedule(pipeline, test::as_given(pipeline), {});
      CHECK(texts(ours) == texts(generated("seq1f1b", pipeline, costs)));
    }
  }

  TEST_CASE("several pipelines follow each other, and every order is valid") {
    Random random(2);
    for (int round = 0; round < 300; ++round) {
      const Pipeline pipeline = random_pipeline(random, round % 2 == 1);
      const Groups groups = random_groups(random, pipeline);
      const auto recomputed = [](std::int32_t stage, std::int32_t m, std::int32_t q) {
        return (stage + 2 * m + q) % 3 == 0;
      };
      const Schedule schedule = elastic_schedule(pipeline, groups, recomputed);
      const Diagnostics broken = verify(schedule);
      CHECK_MESSAGE(broken.empty(), to_string(broken));

      std::vector<std::int32_t> group_of(static_cast<std::size_t>(pipeline.microbatches));
      std::vector<std::int32_t> most_slices, units;
      std::size_t at = 0;
      for (std::size_t group = 0; group < groups.sizes.size(); ++group) {
        most_slices.push_back(0);
        units.push_back(0);
        for (std::int32_t i = 0; i < groups.sizes[group]; ++i) {
          const std::int32_t m = groups.order[at++];
          group_of[static_cast<std::size_t>(m)] = static_cast<std::int32_t>(group);
          most_slices.back() = std::max(most_slices.back(), pipeline.slices_of(m));
          units.back() += pipeline.slices_of(m);
        }
      }
      for (std::int32_t stage = 0; stage < pipeline.stages; ++stage) {
        const auto ops = schedule.device_ops(pipeline.device(stage));
        std::int32_t last_group = 0;
        for (std::size_t i = 0; i < ops.size(); ++i) {
          const Unit& unit = ops[i].unit;
          const std::int32_t group = group_of[static_cast<std::size_t>(unit.microbatch)];
          CHECK(group >= last_group);
          last_group = group;
          // R right before BW, for the units asked for and no others.
          const bool after_r =
              i > 0 && ops[i - 1].kind == OpKind::kRecompute && ops[i - 1].unit == unit;
          if (ops[i].kind == OpKind::kBackward) {
            CHECK(after_r == recomputed(stage, unit.microbatch, unit.slice));
          }
        }
        const auto held = held_by_group(ops, group_of);
        for (std::size_t group = 0; group < groups.sizes.size(); ++group) {
          // |W_p| = d_p - p + N_split with p from 1, at most all units.
          const std::int64_t window = std::min<std::int64_t>(
              units[group], pipeline.stages - (stage + 1) + most_slices[group]);
          CHECK(held.at(static_cast<std::int32_t>(group)).most == window);
          CHECK(held.at(static_cast<std::int32_t>(group)).before_first_backward == window);
          CHECK(elastic::elastic_warmup(pipeline.stages, stage, most_slices[group], units[group]) ==
                window);
        }
      }
    }
  }

  TEST_CASE("two pipelines, written out") {
    Pipeline pipeline = *make_pipeline(2, 1, 3, PlacementKind::kLoop);
    pipeline.slices = {1, 2, 1};
    const Schedule schedule = elastic_schedule(
        pipeline, {{1, 0, 2}, {2, 1}}, [](std::int32_t stage, std::int32_t m, std::int32_t q) {
          return stage == 0 && m == 1 && q == 1;
        });
    CHECK(texts(schedule) ==
          std::vector<std::vector<std::string>>{{"F1@0.0", "F1@0.1", "F0@0.0", "R1@0.1", "BW1@0.1",
                                                 "BW1@0.0", "BW0@0.0", "F2@0.0", "BW2@0.0"},
                                                {"F1@1.0", "F1@1.1", "BW1@1.1", "F0@1.0", "BW1@1.0",
                                                 "BW0@1.0", "F2@1.0", "BW2@1.0"}});
  }

  TEST_CASE("longest first: most slices, then the longest forward, then as given") {
    Pipeline pipeline = *make_pipeline(2, 1, 5, PlacementKind::kLoop);
    pipeline.slices = {1, 3, 1, 3, 1};
    CostTable costs = uniform_costs(pipeline, 1, 1, 1);
    costs.forward = Grid::per_microbatch({5, 1, 9, 1, 5, 5, 1, 9, 2, 5}, 5);
    const Groups groups = elastic::one_group(pipeline, costs);
    CHECK(groups.order == std::vector<std::int32_t>{3, 1, 2, 0, 4});
    CHECK(groups.sizes == std::vector<std::int32_t>{5});
  }

  TEST_CASE("groups that do not hold every micro-batch once are refused") {
    const Pipeline pipeline = *make_pipeline(2, 1, 3, PlacementKind::kLoop);
    CHECK_THROWS_AS((void)elastic_schedule(pipeline, {{0, 1, 1}, {3}}, {}), CheckFailure);
    CHECK_THROWS_AS((void)elastic_schedule(pipeline, {{0, 1, 2}, {2}}, {}), CheckFailure);
    CHECK_THROWS_AS((void)elastic_schedule(pipeline, {{0, 1, 2}, {4, -1}}, {}), CheckFailure);
    CHECK_THROWS_AS(
        (void)elastic_schedule(*make_pipeline(2, 2, 3, PlacementKind::kLoop), {{0, 1, 2}, {3}}, {}),
        CheckFailure);
  }

  // "Penalty bubbles": a long sequence behind short ones makes every stage wait in the steady phase
  // while its slices come through, although the warm-up was as long as the long one asks for.
  TEST_CASE("longest first is faster than shortest first on average") {
    Random random(3);
    double sum_longest = 0, sum_shortest = 0, sum_given = 0;
    int better = 0, equal = 0, worse = 0;
    for (int round = 0; round < 400; ++round) {
      const auto devices = static_cast<std::int32_t>(random.uniform(2, 8));
      const auto microbatches = static_cast<std::int32_t>(random.uniform(4, 14));
      Pipeline pipeline = *make_pipeline(devices, 1, microbatches, PlacementKind::kLoop);
      for (std::int32_t m = 0; m < microbatches; ++m) {
        pipeline.slices.push_back(
            static_cast<std::int32_t>(random.chance(1, 3) ? random.uniform(2, 6) : 1));
      }
      // Balanced chunks, as the formation makes them: every unit takes about the same time.
      CostTable costs = uniform_costs(pipeline, 100, 100, 100);
      const Groups longest = elastic::one_group(pipeline, costs);
      Groups shortest = longest;
      std::ranges::reverse(shortest.order);
      const Time first = makespan(pipeline, longest, costs);
      const Time last = makespan(pipeline, shortest, costs);
      sum_longest += static_cast<double>(first);
      sum_shortest += static_cast<double>(last);
      sum_given += static_cast<double>(makespan(pipeline, test::as_given(pipeline), costs));
      better += first < last ? 1 : 0;
      equal += first == last ? 1 : 0;
      worse += first > last ? 1 : 0;
    }
    MESSAGE("longest first against shortest first, 400 pipelines of equal units: faster ", better,
            ", equal ", equal, ", slower ", worse, "; mean time ", sum_shortest / sum_longest,
            " of it shortest first, ", sum_given / sum_longest, " as given");
    CHECK(sum_longest <= sum_shortest);
    CHECK(sum_longest <= sum_given);
    CHECK(better > worse);
  }

  TEST_CASE("a long micro-batch behind short ones makes penalty bubbles") {
    Pipeline pipeline = *make_pipeline(4, 1, 9, PlacementKind::kLoop);
    pipeline.slices = {6, 1, 1, 1, 1, 1, 1, 1, 1};
    const CostTable costs = uniform_costs(pipeline, 100, 100, 100);
    const Groups longest = elastic::one_group(pipeline, costs);
    Groups shortest = longest;
    std::ranges::reverse(shortest.order);
    const Time first = makespan(pipeline, longest, costs);
    const Time last = makespan(pipeline, shortest, costs);
    MESSAGE("6 slices and 8 whole sequences on 4 stages: longest first ", first,
            ", shortest first ", last);
    // 14 units on the busiest stage and the way to it and back: no order is faster.
    CHECK(first == 14 * 300 + 3 * 300);
    CHECK(last > first);
  }
}
