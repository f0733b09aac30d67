#include "stagecraft/engine/policy.hpp"

#include <algorithm>

#include <doctest/doctest.h>

#include "stagecraft/core/random.hpp"
#include "support/reference.hpp"

using namespace stagecraft;

namespace {

// Backward before forward, at most `limit` forwards ahead of the backwards: 1F1B where it is P - d.
Policy backward_first(std::int32_t limit_of_first_device) {
  return [limit_of_first_device](const PolicyState& state, std::int32_t device,
                                 std::span<const ReadyOp> candidates) {
    std::int32_t in_flight = 0;
    for (const RanOp& ran : state.ran[static_cast<std::size_t>(device)]) {
      in_flight += ran.op.kind == OpKind::kForward ? 1 : ran.op.kind == OpKind::kBackward ? -1 : 0;
    }
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      if (candidates[i].op.kind == OpKind::kBackward) {
        return i;
      }
    }
    return in_flight < limit_of_first_device - device ? std::size_t{0} : kStayIdle;
  };
}

Policy first_of_list() {
  return [](const PolicyState&, std::int32_t, std::span<const ReadyOp>) { return std::size_t{0}; };
}

}  // namespace

TEST_SUITE("engine") {
  TEST_CASE("a policy that prefers backwards produces 1F1B") {
    const Pipeline pipeline = make_pipeline(4, 1, 8, PlacementKind::kLoop).value();
    const CostTable costs = uniform_costs(pipeline, 1000, 1000, 1000);
    const auto run = run_policy("backward-first", pipeline, costs, backward_first(4));
    REQUIRE(run.ok());
    CHECK(to_string(run->schedule.device_ops(0)[4]) == "BW0@0");
    CHECK(run->timeline.end.back() <= 33000);
    const auto times = test::reference_times(run->schedule, costs);
    CHECK(times.makespan == 33000);
    CHECK(times.start == run->timeline.start);
  }

  TEST_CASE("a policy's timeline is that of the schedule it produced") {
    Random random(11);
    for (int round = 0; round < 60; ++round) {
      const auto kind = static_cast<PlacementKind>(random.uniform(0, 3));
      const auto chunks =
          static_cast<std::int32_t>(kind == PlacementKind::kVee             ? 2
                                    : kind == PlacementKind::kBidirectional ? 1
                                                                            : random.uniform(1, 3));
      Pipeline pipeline = make_pipeline(static_cast<std::int32_t>(random.uniform(1, 4)), chunks,
                                        static_cast<std::int32_t>(random.uniform(2, 7)), kind)
                              .value();
      for (std::int32_t m = 0; m < pipeline.microbatches; ++m) {
        pipeline.slices.push_back(static_cast<std::int32_t>(random.uniform(1, 3)));
      }
      CostTable costs = uniform_costs(pipeline, random.uniform(0, 9), random.uniform(0, 9),
                                      random.uniform(0, 9), random.uniform(0, 5));
      const Policy any = [&random](const PolicyState&, std::int32_t,
                                   std::span<const ReadyOp> candidates) {
        return static_cast<std::size_t>(
            random.uniform(0, static_cast<std::int64_t>(candidates.size()) - 1));
      };
      PolicyOptions options;
      options.split_backward = random.chance(1, 2);
      const auto run = run_policy("any", pipeline, costs, any, options);
      REQUIRE(run.ok());
      const auto times = test::reference_times(run->schedule, costs);
      REQUIRE(times.complete);
      CHECK(times.start == run->timeline.start);
      CHECK(times.end == run->timeline.end);
    }
  }

  TEST_CASE("forwards that do not fit are not offered") {
    const Pipeline pipeline = make_pipeline(2, 1, 4, PlacementKind::kLoop).value();
    CostTable costs = uniform_costs(pipeline, 10, 10, 10);
    costs.memory.capacity = {4, 4};
    const auto run = run_policy("gated", pipeline, costs, first_of_list());
    REQUIRE(run.ok());
    for (const Bytes peak : test::reference_peaks(run->schedule, costs)) {
      CHECK(peak <= 4);
    }
    costs.memory.capacity = {4, 1};
    const auto failed = run_policy("gated", pipeline, costs, first_of_list());
    REQUIRE_FALSE(failed.ok());
    CHECK(failed.failures()[0].kind == FailureKind::kInfeasible);
    CHECK(failed.failures()[0].message ==
          "F0@1 never fits on device 1: it needs 2 bytes besides the 0 resident ones, and there "
          "are 1");

    // Forwards of the first stage take all memory that the last stage's would need.
    const Pipeline vee = make_pipeline(1, 2, 3, PlacementKind::kVee).value();
    CostTable tight = uniform_costs(vee, 10, 10, 10);
    tight.memory.capacity = {5};
    const Policy breadth_first = [](const PolicyState&, std::int32_t,
                                    std::span<const ReadyOp> candidates) {
      const auto lowest = std::min_element(
          candidates.begin(), candidates.end(),
          [](const ReadyOp& a, const ReadyOp& b) { return a.op.unit.stage < b.op.unit.stage; });
      return static_cast<std::size_t>(lowest - candidates.begin());
    };
    const auto stuck = run_policy("gated", vee, tight, breadth_first);
    REQUIRE_FALSE(stuck.ok());
    CHECK(stuck.failures()[0].message ==
          "F0@1 on device 0 waits for memory for good: it needs 2 bytes, 4 of 5 are in use, and "
          "no op that runs or is ready would release some");
  }

  TEST_CASE("a policy that stays idle for good is reported") {
    const Pipeline pipeline = make_pipeline(2, 1, 2, PlacementKind::kLoop).value();
    const CostTable costs = uniform_costs(pipeline, 10, 10, 10);
    const Policy lazy = [](const PolicyState&, std::int32_t, std::span<const ReadyOp>) {
      return kStayIdle;
    };
    const auto failed = run_policy("lazy", pipeline, costs, lazy);
    REQUIRE_FALSE(failed.ok());
    CHECK(failed.failures()[0].message ==
          "the policy keeps device 0 idle for good although F0@0 is ready");
  }
}
