// When a run is given up, and when it is not.
#include <stdexcept>
#include <string>

#include <doctest/doctest.h>

#include "execute/host/host_support.hpp"
#include "execute/host/little_memory.hpp"
#include "execute/host/patience.hpp"
#include "stagecraft/generators/generator.hpp"
#include "support/sanitized.hpp"

TEST_SUITE_BEGIN("execute");

namespace stagecraft {
namespace {

Schedule gpipe(const Pipeline& pipeline, const CostTable& costs) {
  return generate("gpipe", {pipeline, costs, {}}).value();
}

TEST_CASE("patience ends when nothing has ended for longer than the limit") {
  Patience patience(100, 40, 1000);
  CHECK_FALSE(patience.over(0, 1040));
  CHECK_FALSE(patience.over(0, 1080));
  CHECK_FALSE(patience.over(0, 1100));
  CHECK(patience.over(0, 1101));
  CHECK_FALSE(patience.over(1, 1102));
  CHECK_FALSE(patience.over(1, 1140));
  CHECK(patience.over(1, 1300) == false);
}

TEST_CASE("a look that comes late does not use patience up") {
  Patience patience(100, 40, 0);
  CHECK_FALSE(patience.over(0, 1'000'000));
  CHECK_FALSE(patience.over(0, 2'000'000));
  CHECK(patience.over(0, 3'000'000));
}

TEST_CASE("transfers that take longer than the watchdog are waited for") {
  const Pipeline pipeline = make_pipeline(2, 1, 1, PlacementKind::kLoop).value();
  CostTable costs = uniform_costs(pipeline, 1000, 1000, 1000, 400 * kMillisecond);
  const Schedule schedule = gpipe(pipeline, costs);
  SUBCASE("by latency") {}
  SUBCASE("on a link that is slow") {
    costs.communication = Communication::kLink;
    costs.transfer_latency = {0};
    costs.transfer_bytes = {400};
    costs.network = make_network(Topology::kLine, 2, 1000, 0, LinkSharing::kFair);
  }
  const TaskGraph graph = build_task_graph(schedule, costs).value();
  const ExecutionRun run =
      test::run_on_host(schedule, graph, costs, {}, 200 * kMillisecond).value();
  CHECK(run.complete);
  CHECK(run.transfer_end[0] - run.transfer_start[0] >= 400 * kMillisecond);
}

TEST_CASE("what the caller's function throws comes out when all threads have left") {
  const Pipeline pipeline = make_pipeline(4, 1, 4, PlacementKind::kLoop).value();
  const CostTable costs = uniform_costs(pipeline, 1000 * kSecond, 0, 0);
  const Schedule schedule = gpipe(pipeline, costs);
  const TaskGraph graph = build_task_graph(schedule, costs).value();
  const ExecutionProgram program = lower_program(schedule, graph, Communication::kLatency);
  const auto asked = []() -> bool { throw std::runtime_error("asked"); };
  CHECK_THROWS_WITH(make_host_backend()->run({schedule, graph, costs, program, kSecond, asked}),
                    "asked");
}

#if !STAGECRAFT_SANITIZED
TEST_CASE("threads that cannot be had are a failure that says so") {
  const Pipeline pipeline = make_pipeline(128, 1, 128, PlacementKind::kLoop).value();
  const CostTable costs = uniform_costs(pipeline, 1000, 1000, 1000);
  const Schedule schedule = gpipe(pipeline, costs);
  const TaskGraph graph = build_task_graph(schedule, costs).value();
  for (const HostClock clock : {HostClock::kReal, HostClock::kVirtual}) {
    const auto result = [&] {
      const test::LittleMemory little(Bytes{64} << 20);
      return test::run_on_host(schedule, graph, costs, {.clock = clock});
    }();
    REQUIRE_FALSE(result.ok());
    CHECK(result.failures()[0].message.starts_with("cannot start a thread: "));
  }
}
#endif

}  // namespace
}  // namespace stagecraft

TEST_SUITE_END();
