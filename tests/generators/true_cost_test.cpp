// Cost-driven generators where more than latency counts: never worse than the plain orders.
#include <doctest/doctest.h>

#include <array>
#include <optional>

#include "generators/generated.hpp"
#include "generators/uneven_costs.hpp"
#include "stagecraft/core/random.hpp"
#include "stagecraft/engine/evaluate.hpp"

using namespace stagecraft;
using test::generated;
using test::reference_peaks;

namespace {

constexpr std::array kModes = {Communication::kLatency, Communication::kLink,
                               Communication::kBlocking, Communication::kRendezvous};

/// Nothing if the schedule is infeasible in its mode.
std::optional<Time> makespan(const Schedule& schedule, const CostTable& costs) {
  const Evaluation evaluation = evaluate(schedule, costs);
  return evaluation.feasible ? std::optional(evaluation.makespan) : std::nullopt;
}

}  // namespace

TEST_SUITE("generators") {
  TEST_CASE("rendezvous: zb-auto and greedy are no worse than zb-h1") {
    const Pipeline pipeline = *make_pipeline(2, 1, 8, PlacementKind::kLoop);
    CostTable costs = uniform_costs(pipeline, 4, 1, 2, 1);
    costs.communication = Communication::kRendezvous;
    CHECK(makespan(generated("zb-h1", pipeline, costs), costs) == 70);
    CHECK(makespan(generated("1f1b", pipeline, costs), costs) == 72);
    CHECK(makespan(generated("zb-auto", pipeline, costs), costs).value() <= 70);
    CHECK(makespan(generated("greedy", pipeline, costs), costs).value() <= 70);
  }

  TEST_CASE("never worse than 1f1b in any mode of communication and policy of memory") {
    Random random(41);
    for (int round = 0; round < 64; ++round) {
      const bool vee = round % 8 == 7;
      const Pipeline pipeline =
          *make_pipeline(static_cast<std::int32_t>(random.uniform(1, vee ? 3 : 5)), vee ? 2 : 1,
                         static_cast<std::int32_t>(random.uniform(1, 10)),
                         vee ? PlacementKind::kVee : PlacementKind::kLoop);
      CostTable costs = random.chance(1, 2)
                            ? test::uneven_costs(random, pipeline)
                            : uniform_costs(pipeline, random.uniform(1, 5), random.uniform(1, 5),
                                            random.uniform(0, 5), random.uniform(0, 5));
      costs.communication = kModes[static_cast<std::size_t>(round / 8) % 4];
      if (random.chance(1, 2)) {
        costs.memory.policy = MemoryPolicy::kWait;
      }
      const Schedule plain = generated(vee ? "v-1f1b" : "1f1b", pipeline, costs);
      const std::optional<Time> limit = makespan(plain, costs);
      if (!limit) {
        continue;  // sends of the plain order wait for each other
      }
      if (!vee && random.chance(1, 2)) {
        costs.memory.capacity = reference_peaks(plain, costs);
      }
      CAPTURE(round);
      CAPTURE(pipeline.devices);
      CAPTURE(pipeline.microbatches);
      const std::array names = vee ? std::array{"zbv", "v-flex"} : std::array{"zb-auto", "greedy"};
      for (const char* name : names) {
        CAPTURE(name);
        const std::optional<Time> time = makespan(generated(name, pipeline, costs), costs);
        REQUIRE(time.has_value());
        CHECK(*time <= *limit);
      }
    }
  }
}
