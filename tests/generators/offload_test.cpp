// PipeOffload: copies never delay compute, memory never grows, a slow link means less offload.
#include <doctest/doctest.h>

#include <algorithm>

#include "generators/generated.hpp"
#include "stagecraft/core/random.hpp"
#include "stagecraft/engine/evaluate.hpp"
#include "support/random_schedule.hpp"

using namespace stagecraft;
using test::generated;
using test::refused;

namespace {

CostTable with_offload(CostTable costs, Time copy) {
  costs.offload = costs.reload = Grid::constant(copy);
  costs.offload_given = true;
  costs.memory.given = true;
  return costs;
}

std::ptrdiff_t copies(const Schedule& schedule) {
  return std::count_if(schedule.ops.begin(), schedule.ops.end(),
                       [](const Op& op) { return is_copy(op.kind); });
}

/// Pairs of devices share a host link.
void share_links(CostTable& costs, std::int32_t devices, LinkSharing sharing) {
  for (std::int32_t d = 0; d < devices; ++d) {
    costs.network.host.host_link_of.push_back(d / 2);
  }
  costs.network.host.sharing = sharing;
}

}  // namespace

TEST_SUITE("generators") {
  TEST_CASE("offload delays no compute op and adds no memory, for any costs and host links") {
    Random random(13);
    std::ptrdiff_t copied = 0;
    for (int round = 0; round < 60; ++round) {
      CAPTURE(round);
      test::RandomShape shape;
      shape.bidirectional = shape.explicit_placement = false;
      const auto devices = static_cast<std::int32_t>(random.uniform(1, 5));
      const auto chunks = static_cast<std::int32_t>(random.uniform(1, 3));
      Pipeline pipeline = *make_pipeline(
          devices, chunks, static_cast<std::int32_t>(random.uniform(1, 8)), PlacementKind::kLoop);
      if (random.chance(1, 3)) {
        pipeline.slices.assign(static_cast<std::size_t>(pipeline.microbatches), 2);
      }
      CostTable costs = with_offload(test::random_costs(random, pipeline), random.uniform(0, 40));
      costs.reload = Grid::constant(random.uniform(0, 40));
      const std::string group = std::to_string(random.uniform(1, pipeline.microbatches));
      const int host = static_cast<int>(random.uniform(0, 2));
      if (host > 0) {
        share_links(costs, devices,
                    host == 1 ? LinkSharing::kFair : LinkSharing::kFirstComeFirstServed);
      }
      const Schedule kept = generated("pipeoffload", pipeline, costs,
                                      {{"group_size", group}, {"offload_chunks", "0"}});
      const Schedule moved = generated("pipeoffload", pipeline, costs, {{"group_size", group}});
      CHECK(copies(kept) == 0);
      copied += copies(moved);
      const Evaluation before = evaluate(kept, costs);
      const Evaluation after = evaluate(moved, costs);
      REQUIRE(after.complete);
      CHECK(after.makespan == before.makespan);
      CHECK(after.span == before.span);
      for (std::size_t d = 0; d < after.devices.size(); ++d) {
        CHECK(after.devices[d].peak_memory <= before.devices[d].peak_memory);
      }
    }
    CHECK(copied > 500);
  }

  TEST_CASE("a slower link carries less, down to nothing") {
    const Pipeline pipeline = *make_pipeline(4, 2, 16, PlacementKind::kLoop);
    const CostTable base = uniform_costs(pipeline, 1000, 1000, 1000);
    std::ptrdiff_t more = copies(generated("pipeoffload", pipeline, with_offload(base, 100)));
    // 2 copies of 2 chunks of 16 micro-batches on 4 devices; the last device's last chunk goes from
    // F to B at once.
    CHECK(more > 2 * 2 * 16 * 4 * 9 / 10 - 2 * 16);
    for (const Time copy : {1000, 3000, 10'000, 1'000'000}) {
      const CostTable costs = with_offload(base, copy);
      const Schedule schedule = generated("pipeoffload", pipeline, costs);
      CHECK(copies(schedule) <= more);
      CHECK(evaluate(schedule, costs).feasible);
      more = copies(schedule);
    }
    CHECK(more == 0);
    // Two devices on one link move no more than each on its own.
    CostTable shared = with_offload(base, 1500);
    share_links(shared, 4, LinkSharing::kFair);
    CHECK(copies(generated("pipeoffload", pipeline, shared)) <=
          copies(generated("pipeoffload", pipeline, with_offload(base, 1500))));
  }

  TEST_CASE("which chunks are offloaded is the user's choice") {
    const Pipeline pipeline = *make_pipeline(4, 3, 8, PlacementKind::kLoop);
    const CostTable costs = with_offload(uniform_costs(pipeline, 1000, 1000, 1000), 200);
    const auto chunks_of = [&](const GeneratorOptions& options) {
      std::vector<bool> chunks(3, false);
      for (const Op& op : generated("pipeoffload", pipeline, costs, options).ops) {
        if (is_copy(op.kind)) {
          chunks[op.unit.stage / 4U] = true;
        }
      }
      return chunks;
    };
    CHECK(chunks_of({{"offload_chunks", "1"}}) == std::vector<bool>{true, false, false});
    CHECK(chunks_of({{"offload_chunks", "2"}}) == std::vector<bool>{true, true, false});
    CHECK(chunks_of({{"offload_list", "0, 2"}}) == std::vector<bool>{true, false, true});
    CHECK(chunks_of({{"offload_list", ""}}) == std::vector<bool>{false, false, false});
    const auto complaint = [&](const GeneratorOptions& options) {
      return refused("pipeoffload", pipeline, costs, options);
    };
    CHECK(complaint({{"offload_list", "3"}}).find("from 0 to 2") != std::string::npos);
    CHECK(complaint({{"offload_list", "0;1"}}).find("from 0 to 2") != std::string::npos);
    CHECK(complaint({{"offload_chunks", "4"}}).find("0 to 3") != std::string::npos);
    CHECK(complaint({{"offload_chunks", "1"}, {"offload_list", "1"}}).find("exclude") !=
          std::string::npos);
    CHECK(
        refused("pipeoffload", pipeline, uniform_costs(pipeline, 1, 1, 1)).find("costs.offload") !=
        std::string::npos);
  }
}
