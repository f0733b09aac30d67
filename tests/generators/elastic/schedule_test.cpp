// The order of elastic pipelines: one pipeline is seq1f1b, several follow each other, windows are
// as long as formula 7 says, and long micro-batches belong in front.
#include <doctest/doctest.h>

#include <map>
#include <numeric>
#include <string>

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

Groups reversed(Groups groups) {
  std::ranges::reverse(groups.order);
  return groups;
}

/// Some long micro-batches among whole sequences.
Pipeline mixed_pipeline(Random& random) {
  const auto devices = static_cast<std::int32_t>(random.uniform(2, 8));
  const auto microbatches = static_cast<std::int32_t>(random.uniform(4, 16));
  Pipeline pipeline = *make_pipeline(devices, 1, microbatches, PlacementKind::kLoop);
  for (std::int32_t m = 0; m < microbatches; ++m) {
    pipeline.slices.push_back(
        static_cast<std::int32_t>(random.chance(1, 3) ? random.uniform(2, 8) : 1));
  }
  return pipeline;
}

/// A time of its own for every unit, the same on all stages.
void make_uneven(Random& random, const Pipeline& pipeline, CostTable& costs) {
  const std::int32_t widest = pipeline.max_slices();
  std::vector<std::int64_t> one_stage, forward, backward;
  for (std::int32_t i = 0; i < pipeline.microbatches * widest; ++i) {
    one_stage.push_back(random.uniform(60, 140));
  }
  for (std::int32_t stage = 0; stage < pipeline.stages; ++stage) {
    for (const std::int64_t time : one_stage) {
      forward.push_back(time);
      backward.push_back(2 * time);
    }
  }
  costs.forward = Grid::per_slice(forward, pipeline.microbatches, widest);
  costs.backward = Grid::per_slice(backward, pipeline.microbatches, widest);
}

/// 1F1B whose stages hold d_p - p - 1 units and the slices of the micro-batch whose backward is
/// next, instead of those of the longest one.
Schedule following_window(const Pipeline& pipeline, const Groups& groups) {
  std::vector<std::vector<Op>> lists;
  for (std::int32_t stage = 0; stage < pipeline.stages; ++stage) {
    std::vector<Op> forwards, backwards;
    for (const std::int32_t m : groups.order) {
      for (std::int32_t q = 0; q < pipeline.slices_of(m); ++q) {
        forwards.push_back(make_op(OpKind::kForward, m, stage, q));
        backwards.push_back(make_op(OpKind::kBackward, m, stage, pipeline.slices_of(m) - 1 - q));
      }
    }
    std::vector<Op>& list = lists.emplace_back();
    std::size_t next = 0;
    for (std::size_t b = 0; b < backwards.size(); ++b) {
      const std::int32_t window =
          pipeline.stages - stage - 1 + pipeline.slices_of(backwards[b].unit.microbatch);
      while (next < forwards.size() && next < b + static_cast<std::size_t>(window)) {
        list.push_back(forwards[next++]);
      }
      list.push_back(backwards[b]);
    }
  }
  return make_schedule("following window", pipeline, lists);
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
          std::vector<std::vector<std::string>>{
              {"F1@0", "F1@0.1", "F0@0", "R1@0.1", "BW1@0.1", "BW1@0", "BW0@0", "F2@0", "BW2@0"},
              {"F1@1", "F1@1.1", "BW1@1.1", "F0@1", "BW1@1", "BW0@1", "F2@1", "BW2@1"}});
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

  // The window of formula 7 is as long as the longest micro-batch of the pipeline asks for, from
  // the first backward to the last: with equal units no order of micro-batches makes it wait.
  TEST_CASE("with equal units the order of micro-batches does not change the time") {
    Random random(3);
    for (int round = 0; round < 200; ++round) {
      const Pipeline pipeline = mixed_pipeline(random);
      const CostTable costs = uniform_costs(pipeline, 100, 100, 100);
      const Groups longest = elastic::one_group(pipeline, costs);
      const Time time = makespan(pipeline, longest, costs);
      CHECK(makespan(pipeline, reversed(longest), costs) == time);
      CHECK(makespan(pipeline, test::as_given(pipeline), costs) == time);
      const std::int64_t units =
          std::accumulate(pipeline.slices.begin(), pipeline.slices.end(), std::int64_t{0});
      CHECK(time == (units + pipeline.stages - 1) * 300);
    }
  }

  // "Penalty bubbles": where the window is only as long as the micro-batch at hand asks for, a long
  // one behind short ones stops every stage until its slices have come through.
  TEST_CASE("where the window follows the micro-batch at hand, longest first is faster") {
    Random random(4);
    for (const bool equal : {true, false}) {
      double longest_sum = 0, shortest_sum = 0, fixed_sum = 0, fixed_shortest_sum = 0;
      int better = 0, same = 0, worse = 0;
      for (int round = 0; round < 200; ++round) {
        const Pipeline pipeline = mixed_pipeline(random);
        CostTable costs = uniform_costs(pipeline, 100, 100, 100);
        if (!equal) {
          make_uneven(random, pipeline, costs);
        }
        const Groups longest = elastic::one_group(pipeline, costs);
        const auto follow = [&](const Groups& groups) {
          return reference_times(following_window(pipeline, groups), costs).makespan;
        };
        const Time first = follow(longest);
        const Time last = follow(reversed(longest));
        longest_sum += static_cast<double>(first);
        shortest_sum += static_cast<double>(last);
        fixed_sum += static_cast<double>(makespan(pipeline, longest, costs));
        fixed_shortest_sum += static_cast<double>(makespan(pipeline, reversed(longest), costs));
        ++(first < last ? better : first == last ? same : worse);
      }
      MESSAGE(std::string(equal ? "equal" : "uneven"), " units: longest first faster ", better,
              ", equal ", same, ", slower ", worse, "; mean time against it: shortest first ",
              shortest_sum / longest_sum, ", formula 7 longest first ", fixed_sum / longest_sum,
              ", shortest first ", fixed_shortest_sum / longest_sum);
      CHECK(longest_sum <= shortest_sum);
      CHECK(better > 10 * worse);
    }
  }

  TEST_CASE("a long micro-batch behind short ones makes penalty bubbles") {
    Pipeline pipeline = *make_pipeline(4, 1, 9, PlacementKind::kLoop);
    pipeline.slices = {6, 1, 1, 1, 1, 1, 1, 1, 1};
    const CostTable costs = uniform_costs(pipeline, 100, 100, 100);
    const Groups longest = elastic::one_group(pipeline, costs);
    // 14 units on the busiest stage and the way to it and back: no order is faster.
    CHECK(makespan(pipeline, longest, costs) == 14 * 300 + 3 * 300);
    CHECK(reference_times(following_window(pipeline, longest), costs).makespan == 5100);
    CHECK(reference_times(following_window(pipeline, reversed(longest)), costs).makespan == 5700);
  }
}
