#include "search/stagecraft/list_schedule.hpp"

#include <algorithm>
#include <vector>

#include <doctest/doctest.h>

#include "search/stagecraft/plan_search.hpp"
#include "stagecraft/core/random.hpp"
#include "stagecraft/schedule/verify.hpp"
#include "stagecraft/search/plan.hpp"
#include "support/random_schedule.hpp"

namespace stagecraft::search {
namespace {

constexpr test::RandomShape kPlain{.most_microbatches = 7,
                                   .most_slices = 1,
                                   .bidirectional = false,
                                   .recompute = false,
                                   .offload = false,
                                   .overlapped = false};

Instance random_instance(Random& random) {
  Instance instance;
  instance.pipeline = test::random_pipeline(random, kPlain);
  instance.costs = test::random_costs(random, instance.pipeline);
  instance.partition.assign(static_cast<std::size_t>(instance.pipeline.stages), 1);
  return instance;
}

// Memory that every device needs for its largest micro-batch.
std::vector<Bytes> one_microbatch(const Instance& instance) {
  const Pipeline& pipeline = instance.pipeline;
  std::vector<Bytes> most(static_cast<std::size_t>(pipeline.devices), 0);
  for (std::int32_t m = 0; m < pipeline.microbatches; ++m) {
    std::vector<Bytes> held(most.size(), 0);
    for (std::int32_t s = 0; s < pipeline.stages; ++s) {
      held[static_cast<std::size_t>(pipeline.device(s))] += instance.costs.memory.forward.at(s, m);
    }
    for (std::size_t d = 0; d < most.size(); ++d) {
      most[d] = std::max(most[d], held[d]);
    }
  }
  for (std::size_t d = 0; d < most.size(); ++d) {
    most[d] += instance.costs.memory.resident_of(static_cast<std::int32_t>(d));
  }
  return most;
}

TEST_SUITE("search") {
  TEST_CASE("a list schedule is valid and takes as long as the scheduler says") {
    Random random(11);
    ListInput input;
    ListScheduler scheduler;
    for (int k = 0; k < 400; ++k) {
      const Instance instance = random_instance(random);
      REQUIRE(input.assign(instance));
      ListRule rule = random_rule(random);
      rule.fused = random.chance(1, 4);
      const ListOutcome outcome = scheduler.run(input, rule);
      REQUIRE(outcome.complete);
      const Schedule schedule = scheduler.schedule(input, instance.pipeline);
      REQUIRE(verify(schedule, instance.costs).empty());
      const Figures figures = measure(schedule, instance.costs);
      REQUIRE(figures.feasible);
      CHECK(figures.makespan == outcome.makespan);
      CHECK(figures.span == outcome.span);
    }
  }

  TEST_CASE("memory is kept, and no limit that holds one micro-batch stops the scheduler") {
    Random random(12);
    ListInput input;
    ListScheduler scheduler;
    for (int k = 0; k < 400; ++k) {
      Instance instance = random_instance(random);
      MemoryCosts& memory = instance.costs.memory;
      memory.given = true;
      memory.capacity = one_microbatch(instance);
      for (Bytes& bytes : memory.capacity) {
        bytes += random.uniform(0, bytes);
      }
      REQUIRE(input.assign(instance));
      ListRule rule = random_rule(random);
      const ListOutcome outcome = scheduler.run(input, rule);
      REQUIRE(outcome.complete);
      const Schedule schedule = scheduler.schedule(input, instance.pipeline);
      const Figures figures = measure(schedule, instance.costs);
      REQUIRE_MESSAGE(figures.feasible, figures.why_not);
      CHECK(figures.makespan == outcome.makespan);
      CHECK(figures.peak_memory == outcome.peak);
    }
  }

  TEST_CASE("less than one micro-batch is refused") {
    Random random(13);
    int refused = 0;
    for (int k = 0; k < 50; ++k) {
      Instance instance = random_instance(random);
      instance.costs.memory.given = true;
      instance.costs.memory.capacity = one_microbatch(instance);
      if (instance.costs.memory.capacity[0] == instance.costs.memory.resident_of(0)) {
        continue;
      }
      --instance.costs.memory.capacity[0];
      ListInput input;
      CHECK_FALSE(input.assign(instance));
      ++refused;
    }
    CHECK(refused > 20);
  }

  TEST_CASE("slices and two directions are not covered") {
    Random random(14);
    const auto pipeline = make_pipeline(2, 1, 4, PlacementKind::kBidirectional);
    REQUIRE(pipeline.ok());
    ListInput input;
    CHECK_FALSE(input.assign({*pipeline, uniform_costs(*pipeline, 1, 1, 1), {1, 1}}));
  }
}

}  // namespace
}  // namespace stagecraft::search
