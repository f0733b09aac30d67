// Op by op the same order as independent public code bases (golden/README.md), and valid orders for
// random shapes.
#include <doctest/doctest.h>

#include <numeric>

#include "generators/generated.hpp"
#include "stagecraft/core/random.hpp"
#include "support/golden.hpp"

using namespace stagecraft;
using test::generated;
using test::golden_order;
using test::refused;
using test::texts;

namespace {

using Texts = std::vector<std::vector<std::string>>;

CostTable fused(const Pipeline& pipeline) {
  CostTable costs = uniform_costs(pipeline, 1, 1, 1);
  costs.split_backward = false;
  return costs;
}

/// Compute ops of PyTorch's text ("4B7", "0SEND_F3") in ours ("BW7@4"); sends and receives dropped.
Texts from_pytorch(const Texts& lists) {
  Texts result;
  for (const std::vector<std::string>& list : lists) {
    std::vector<std::string>& out = result.emplace_back();
    for (const std::string& cell : list) {
      const std::size_t kind = cell.find_first_not_of("0123456789");
      const std::size_t microbatch = cell.find_first_of("0123456789", kind);
      const std::string name = cell.substr(kind, microbatch - kind);
      if (name == "F" || name == "B") {
        out.push_back((name == "F" ? "F" : "BW") + cell.substr(microbatch) + "@" +
                      cell.substr(0, kind));
      }
    }
  }
  return result;
}

Pipeline sliced(Pipeline pipeline, std::int32_t slices) {
  pipeline.slices.assign(static_cast<std::size_t>(pipeline.microbatches), slices);
  return pipeline;
}

/// A random loop-like pipeline, sometimes with permuted devices, sometimes sliced.
Pipeline random_loop(Random& random, std::int32_t most_chunks) {
  const auto devices = static_cast<std::int32_t>(random.uniform(1, 9));
  const auto chunks = static_cast<std::int32_t>(random.uniform(1, most_chunks));
  const auto microbatches = static_cast<std::int32_t>(random.uniform(1, 20));
  Pipeline pipeline = *make_pipeline(devices, chunks, microbatches, PlacementKind::kLoop);
  if (random.chance(1, 3)) {
    std::vector<std::int32_t> permuted(static_cast<std::size_t>(devices));
    std::iota(permuted.begin(), permuted.end(), 0);
    for (std::size_t i = permuted.size(); i-- > 1;) {
      std::swap(permuted[i],
                permuted[static_cast<std::size_t>(random.uniform(0, static_cast<int>(i)))]);
    }
    std::vector<std::int32_t> device_of_stage;
    for (std::int32_t s = 0; s < pipeline.stages; ++s) {
      device_of_stage.push_back(permuted[static_cast<std::size_t>(s % devices)]);
    }
    pipeline = *make_explicit_pipeline(devices, device_of_stage, microbatches);
  }
  if (random.chance(1, 2)) {
    for (std::int32_t m = 0; m < microbatches; ++m) {
      pipeline.slices.push_back(static_cast<std::int32_t>(random.uniform(1, 6)));
    }
  }
  return pipeline;
}

}  // namespace

TEST_SUITE("generators") {
  TEST_CASE("orders on which public code bases agree are ours, op by op") {
    const Pipeline line = *make_pipeline(4, 1, 8, PlacementKind::kLoop);
    const Pipeline loop = *make_pipeline(4, 2, 8, PlacementKind::kLoop);
    CHECK(texts(generated("1f1b", line, fused(line))) == golden_order("megatron/1F1B P4M8"));
    CHECK(texts(generated("gpipe", line, fused(line))) == golden_order("minPP/gpipe P4M8"));
    CHECK(texts(generated("gpipe", line, fused(line))) ==
          from_pytorch(golden_order("pytorch/comm-lowered/GPipe P4M8V1")));
    CHECK(texts(generated("interleaved", loop, fused(loop))) ==
          golden_order("megatron/interleaved P4M8V2"));
    CHECK(texts(generated("interleaved", loop, fused(loop))) ==
          from_pytorch(golden_order("pytorch/comm-lowered/Interleaved1F1B P4M8V2")));
    CHECK(texts(generated("eager-1f1b", line, fused(line))) ==
          golden_order("minPP/eager1f1b P4M8"));
  }

  TEST_CASE("orders of a single code base that we meet op by op") {
    const Pipeline halves = sliced(*make_pipeline(4, 1, 8, PlacementKind::kLoop), 2);
    CHECK(texts(generated("seq1f1b", halves, fused(halves))) ==
          golden_order("zero-bubble/Seq1F1B/S=2"));
    const Pipeline loop = *make_pipeline(4, 2, 8, PlacementKind::kLoop);
    CHECK(texts(generated("group-interleaved", loop, uniform_costs(loop, 1, 1, 1),
                          {{"group_size", "2"}})) ==
          golden_order("zero-bubble/group-interleaved V=2 group=2"));
  }

  TEST_CASE("looped-bfs is no worse than PyTorch's order, which runs backwards in reverse") {
    const Pipeline loop = *make_pipeline(4, 2, 8, PlacementKind::kLoop);
    const Texts theirs = from_pytorch(golden_order("pytorch/LoopedBFS P4M8V2"));
    const Texts ours = texts(generated("looped-bfs", loop, fused(loop)));
    REQUIRE(ours.size() == theirs.size());
    for (std::size_t d = 0; d < ours.size(); ++d) {
      CHECK(
          std::is_permutation(ours[d].begin(), ours[d].end(), theirs[d].begin(), theirs[d].end()));
      // The forwards stand alike.
      CHECK(std::equal(ours[d].begin(), ours[d].begin() + 16, theirs[d].begin()));
    }
    CHECK(test::reference_times(generated("looped-bfs", loop, fused(loop)), fused(loop)).makespan ==
          57);
  }

  TEST_CASE("orders are valid for any shape, also for fewer micro-batches than devices") {
    Random random(7);
    for (int round = 0; round < 300; ++round) {
      const Pipeline pipeline = random_loop(random, 4);
      CAPTURE(round);
      CAPTURE(pipeline.devices);
      CAPTURE(pipeline.stages);
      CAPTURE(pipeline.microbatches);
      CostTable costs = uniform_costs(pipeline, 3, 4, 2, 1);
      costs.split_backward = random.chance(1, 2);
      for (const char* name : {"interleaved", "looped-bfs", "seq1f1b", "group-interleaved"}) {
        CAPTURE(name);
        generated(name, pipeline, costs);
      }
      const std::string group = std::to_string(random.uniform(1, pipeline.microbatches));
      const std::string chunks = std::to_string(random.uniform(0, pipeline.chunks()));
      CAPTURE(group);
      generated("group-interleaved", pipeline, costs,
                {{"group_size", group}, {"recompute_chunks", chunks}});
      if (pipeline.stages == pipeline.devices) {
        for (const char* name : {"gpipe", "1f1b", "eager-1f1b", "terapipe"}) {
          CAPTURE(name);
          generated(name, pipeline, costs);
        }
      }
    }
  }

  TEST_CASE("interleaved takes the group sizes that Megatron-LM takes") {
    int ran = 0;
    for (std::int32_t devices = 1; devices <= 6; ++devices) {
      for (std::int32_t microbatches = devices; microbatches <= 20; ++microbatches) {
        const Pipeline pipeline = *make_pipeline(devices, 2, microbatches, PlacementKind::kLoop);
        for (std::int32_t group = 1; group <= microbatches; ++group) {
          const bool fits =
              group >= devices && (microbatches % group == 0 || microbatches % group >= devices);
          const GeneratorOptions options{{"group_size", std::to_string(group)}};
          const CostTable costs = fused(pipeline);
          if (fits) {
            generated("interleaved", pipeline, costs, options);
          } else {
            CHECK(refused("interleaved", pipeline, costs, options).find("group_size that fits") !=
                  std::string::npos);
            if (group >= devices) {
              // Some short last groups can run, some close a cycle; never a broken schedule.
              const Result<Schedule> tried =
                  generate("interleaved",
                           {pipeline,
                            costs,
                            {{"group_size", std::to_string(group)}, {"any_remainder", "true"}}});
              ran += tried.ok() ? 1 : 0;
              CHECK((tried.ok() ? verify(*tried).empty()
                                : to_string(tried.failures()).find("group_size that fits") !=
                                      std::string::npos));
            }
          }
        }
      }
    }
    CHECK(ran > 0);
    const Pipeline ten = *make_pipeline(4, 2, 10, PlacementKind::kLoop);
    CHECK(refused("interleaved", ten, fused(ten), {{"group_size", "4"}})
              .find("group_size that fits: 5, 6, 10") != std::string::npos);
  }

  TEST_CASE("chimera is valid in both directions, and says what fits") {
    for (const std::int32_t devices : {2, 4, 6, 8}) {
      for (std::int32_t microbatches = 2; microbatches <= 3 * devices; microbatches += 2) {
        Pipeline pipeline = *make_pipeline(devices, 1, microbatches, PlacementKind::kBidirectional);
        generated("chimera", pipeline, fused(pipeline));
        pipeline = sliced(pipeline, 2);
        generated("chimera", pipeline, fused(pipeline));
      }
    }
    const Pipeline odd = *make_pipeline(4, 1, 7, PlacementKind::kBidirectional);
    CHECK(refused("chimera", odd, fused(odd)).find("6 or 8 micro-batches fit") !=
          std::string::npos);
    const Pipeline three = *make_pipeline(3, 1, 6, PlacementKind::kBidirectional);
    CHECK(refused("chimera", three, fused(three)).find("2 or 4 devices fit") != std::string::npos);
    const Pipeline line = *make_pipeline(4, 1, 8, PlacementKind::kLoop);
    CHECK(refused("chimera", line, fused(line)).find("placement to bidirectional") !=
          std::string::npos);
  }

  TEST_CASE("hanayo is valid for any wave, and refuses other placements") {
    Random random(11);
    for (int round = 0; round < 60; ++round) {
      const auto devices = static_cast<std::int32_t>(random.uniform(1, 7));
      const auto chunks = static_cast<std::int32_t>(random.uniform(1, 6));
      const auto microbatches = static_cast<std::int32_t>(random.uniform(1, 20));
      Pipeline pipeline = *make_pipeline(devices, chunks, microbatches, PlacementKind::kWave);
      if (random.chance(1, 3)) {
        pipeline = sliced(pipeline, 2);
      }
      CostTable costs = uniform_costs(pipeline, random.uniform(1, 9), random.uniform(1, 9), 2,
                                      random.uniform(0, 3));
      generated("hanayo", pipeline, costs);
      generated("hanayo", pipeline, costs,
                {{"inflight", std::to_string(random.uniform(1, microbatches))}});
    }
    const Pipeline loop = *make_pipeline(4, 2, 8, PlacementKind::kLoop);
    CHECK(refused("hanayo", loop, fused(loop)).find("set placement to wave") != std::string::npos);
    const Pipeline uneven = *make_explicit_pipeline(2, {0, 1, 0}, 4);
    CHECK_FALSE(generate("hanayo", {uneven, fused(uneven), {}}).ok());
    const Pipeline wave = *make_pipeline(4, 4, 8, PlacementKind::kWave);
    CHECK(refused("hanayo", wave, fused(wave), {{"inflight", "9"}}).find("1 to 8") !=
          std::string::npos);
  }

  TEST_CASE("interleaved orders refuse placements that are not loops") {
    const Pipeline vee = *make_pipeline(4, 2, 8, PlacementKind::kVee);
    for (const char* name : {"interleaved", "seq1f1b", "group-interleaved"}) {
      CHECK(refused(name, vee, fused(vee)).find("v-1f1b, zbv, hanayo and greedy") !=
            std::string::npos);
    }
    const Pipeline uneven = *make_explicit_pipeline(2, {0, 1, 0}, 4);
    CHECK(refused("interleaved", uneven, fused(uneven)).find("looped-bfs and greedy") !=
          std::string::npos);
    generated("looped-bfs", uneven, fused(uneven));
    const Pipeline both = *make_pipeline(4, 1, 8, PlacementKind::kBidirectional);
    CHECK_FALSE(generate("looped-bfs", {both, fused(both), {}}).ok());
  }
}
