// The schedule `elastic`: options, memory, and what it says where nothing fits.
#include <doctest/doctest.h>

#include "generators/generated.hpp"
#include "instances.hpp"
#include "stagecraft/engine/evaluate.hpp"

using namespace stagecraft;
using test::generated;
using test::refused;
using test::texts;

namespace {

/// F and BW take 10 and 20, a unit holds 10 bytes and 1 when recomputed.
CostTable costs_with(const Pipeline& pipeline, Bytes capacity, Bytes stage_input = 1) {
  CostTable costs = uniform_costs(pipeline, 10, 10, 10);
  costs.memory.given = true;
  costs.memory.forward = Grid::constant(10);
  costs.memory.backward_input = Grid::constant(-10);
  costs.memory.backward_weight = Grid::constant(0);
  costs.memory.stage_input = Grid::constant(stage_input);
  costs.memory.capacity.assign(static_cast<std::size_t>(pipeline.devices), capacity);
  return costs;
}

std::int64_t count(const Schedule& schedule, OpKind kind) {
  return std::ranges::count(schedule.ops, kind, &Op::kind);
}

/// Pipelines that a device runs one after the other: it holds nothing in between.
std::int32_t pipelines(const Schedule& schedule, std::int32_t device) {
  std::int32_t held = 0, found = 0;
  for (const Op& op : schedule.device_ops(device)) {
    held += op.kind == OpKind::kForward ? 1 : op.kind == OpKind::kBackward ? -1 : 0;
    found += held == 0 ? 1 : 0;
  }
  return found;
}

}  // namespace

TEST_SUITE("generators") {
  TEST_CASE("elastic on equal micro-batches is seq1f1b") {
    Random random(51);
    for (int round = 0; round < 60; ++round) {
      Pipeline pipeline =
          *make_pipeline(static_cast<std::int32_t>(random.uniform(1, 8)), 1,
                         static_cast<std::int32_t>(random.uniform(1, 12)), PlacementKind::kLoop);
      pipeline.slices.assign(static_cast<std::size_t>(pipeline.microbatches),
                             static_cast<std::int32_t>(random.uniform(1, 5)));
      const CostTable costs = uniform_costs(pipeline, 3, 2, 4, 1);
      CHECK(texts(generated("elastic", pipeline, costs)) ==
            texts(generated("seq1f1b", pipeline, costs)));
      CHECK(texts(generated("elastic", pipeline, costs, {{"order", "as-given"}})) ==
            texts(generated("seq1f1b", pipeline, costs)));
    }
  }

  TEST_CASE("elastic fits in whatever memory it accepts") {
    Random random(52);
    int recomputing = 0, several = 0, refusals = 0;
    for (int round = 0; round < 300; ++round) {
      Pipeline pipeline =
          *make_pipeline(static_cast<std::int32_t>(random.uniform(1, 5)), 1,
                         static_cast<std::int32_t>(random.uniform(1, 9)), PlacementKind::kLoop);
      for (std::int32_t m = 0; m < pipeline.microbatches; ++m) {
        pipeline.slices.push_back(static_cast<std::int32_t>(random.uniform(1, 4)));
      }
      CostTable costs = costs_with(pipeline, random.uniform(10, 90), random.uniform(1, 5));
      if (random.chance(1, 2)) {
        costs.memory.resident.assign(static_cast<std::size_t>(pipeline.devices),
                                     random.uniform(0, 20));
      }
      const char* const recompute = random.chance(1, 3) ? "none" : "auto";
      const GeneratorOptions options{{"recompute", recompute},
                                     {"order", random.chance(1, 2) ? "as-given" : "longest-first"}};
      const Result<Schedule> schedule = generate("elastic", {pipeline, costs, options});
      if (!schedule) {
        REQUIRE(schedule.failures().size() == 1);
        CHECK(schedule.failures().front().kind == FailureKind::kInfeasible);
        ++refusals;
        continue;
      }
      const Evaluation evaluation = evaluate(*schedule, costs);
      CHECK_MESSAGE(evaluation.feasible, to_string(evaluation.problems));
      recomputing += count(*schedule, OpKind::kRecompute) > 0 ? 1 : 0;
      several += pipelines(*schedule, 0) > 1 ? 1 : 0;
      if (std::string_view(recompute) == "none") {
        CHECK(count(*schedule, OpKind::kRecompute) == 0);
      }
    }
    CHECK(recomputing > 50);
    CHECK(several > 20);
    CHECK(refusals > 20);
  }

  TEST_CASE("recompute: all, none and auto") {
    const Pipeline pipeline = *make_pipeline(4, 1, 8, PlacementKind::kLoop);
    const CostTable roomy = costs_with(pipeline, 1000);
    CHECK(count(generated("elastic", pipeline, roomy), OpKind::kRecompute) == 0);
    CHECK(count(generated("elastic", pipeline, roomy, {{"recompute", "all"}}),
                OpKind::kRecompute) == 32);
    // 4 units at most on stage 0: 40 bytes; 25 hold one in full and the rest recomputed.
    const CostTable tight = costs_with(pipeline, 25);
    const Schedule automatic = generated("elastic", pipeline, tight);
    CHECK(count(automatic, OpKind::kRecompute) > 0);
    CHECK(count(automatic, OpKind::kRecompute) < 32);
    CHECK(evaluate(automatic, tight).feasible);
    const Schedule all = generated("elastic", pipeline, tight, {{"recompute", "all"}});
    CHECK(evaluate(all, tight).feasible);
    CHECK(evaluate(automatic, tight).makespan <= evaluate(all, tight).makespan);
    // Without recomputation at most two units at a time fit: pipelines of two micro-batches.
    const Schedule none = generated("elastic", pipeline, tight, {{"recompute", "none"}});
    CHECK(pipelines(none, 0) == 4);
    CHECK(evaluate(none, tight).feasible);
    // What a recomputed unit keeps is not known: auto does not assume that it is nothing.
    const CostTable unknown = costs_with(pipeline, 25, 0);
    CHECK(texts(generated("elastic", pipeline, unknown)) == texts(none));
    CHECK(count(generated("elastic", pipeline, unknown, {{"recompute", "all"}}),
                OpKind::kRecompute) == 32);
  }

  TEST_CASE("groups given by hand") {
    const Pipeline pipeline = *make_pipeline(3, 1, 6, PlacementKind::kLoop);
    const CostTable costs = costs_with(pipeline, 1000);
    const Schedule schedule = generated("elastic", pipeline, costs, {{"groups", "3, 2,1"}});
    CHECK(pipelines(schedule, 0) == 3);
    CHECK(pipelines(generated("elastic", pipeline, costs, {{"groups", "6"}}), 0) == 1);
    const CostTable tight = costs_with(pipeline, 21);
    const Schedule planned = generated("elastic", pipeline, tight, {{"groups", "4,2"}});
    CHECK(count(planned, OpKind::kRecompute) > 0);
    CHECK(evaluate(planned, tight).feasible);
    for (const char* wrong :
         {"3,2", "7", "3,x", "6,0", "-6", "6 micro-batches", "", ",", "99999999999", "auto,6"}) {
      CAPTURE(wrong);
      CHECK(refused("elastic", pipeline, costs, {{"groups", wrong}})
                .find("numbers of micro-batches above 0 that sum to 6") != std::string::npos);
    }
  }

  TEST_CASE("wrong options and shapes are refused with what would fit") {
    const Pipeline pipeline = *make_pipeline(3, 1, 6, PlacementKind::kLoop);
    const CostTable costs = costs_with(pipeline, 1000);
    const std::string both =
        refused("elastic", pipeline, costs, {{"order", "random"}, {"recompute", "some"}});
    CHECK(both.find("expected longest-first or as-given") != std::string::npos);
    CHECK(both.find("expected auto, none or all") != std::string::npos);
    const Pipeline chunks = *make_pipeline(3, 2, 6, PlacementKind::kLoop);
    CHECK(refused("elastic", chunks, costs_with(chunks, 100)).find("one stage on every device") !=
          std::string::npos);
    const Pipeline both_ways = *make_pipeline(4, 1, 6, PlacementKind::kBidirectional);
    CHECK(refused("elastic", both_ways, costs_with(both_ways, 100)).find("one direction") !=
          std::string::npos);
  }

  TEST_CASE("a micro-batch that fits in no way is named, with the bytes") {
    Pipeline pipeline = *make_pipeline(2, 1, 3, PlacementKind::kLoop);
    pipeline.slices = {1, 4, 2};
    const CostTable tight = costs_with(pipeline, 12);
    // Stage 0 holds all 4 slices at once: one in full and three inputs.
    CHECK(
        refused("elastic", pipeline, tight) ==
        "error: elastic: micro-batch 1 in a pipeline of its own does not fit even if all of it is "
        "recomputed: stage 0 needs 13 bytes for activations, device 0 has 12\n"
        "  raise memory.capacity, or cut micro-batches into more slices\n");
    CHECK(refused("elastic", pipeline, tight, {{"recompute", "none"}}) ==
          "error: elastic: micro-batch 1 in a pipeline of its own does not fit: stage 0 needs 40 "
          "bytes for activations, device 0 has 12\n"
          "  set schedule.recompute to auto, or raise memory.capacity\n");
    CHECK(
        refused("elastic", pipeline, costs_with(pipeline, 12, 0)).find("give memory.stage_input") !=
        std::string::npos);
    CHECK(refused("elastic", pipeline, tight, {{"groups", "1,2"}})
              .find("pipeline 0 of option 'groups' does not fit") != std::string::npos);
    CostTable resident = costs_with(pipeline, 100);
    resident.memory.resident = {95, 0};
    CHECK(refused("elastic", pipeline, resident).find("device 0 has 5") != std::string::npos);
  }

  TEST_CASE("quantities beyond what can be added up are left to the engine to refuse") {
    const Pipeline pipeline = *make_pipeline(2, 1, 3000, PlacementKind::kLoop);
    CostTable costs = costs_with(pipeline, kLargestQuantity);
    costs.memory.forward = Grid::constant(kLargestQuantity);
    costs.memory.backward_input = Grid::constant(-kLargestQuantity);
    costs.recompute = Grid::constant(kLargestQuantity);
    CHECK(generate("elastic", {pipeline, costs, {}}).ok());
  }
}
