#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <string>

#include "cost/small_profile.hpp"
#include "stagecraft/core/random.hpp"
#include "stagecraft/engine/evaluate.hpp"
#include "stagecraft/generators/generator.hpp"
#include "stagecraft/schedule/verify.hpp"

using namespace stagecraft;
using test::small_profile;
using test::split_sequence;
using test::whole_sequences;

namespace {

SequenceLayout two_stages() {
  SequenceLayout layout;
  layout.pipeline = 2;
  layout.sequence = 2;
  return layout;
}

// Micro-batch 0: a sequence in slices of 4, 4 tokens; micro-batch 1: a short sequence of 4.
data::Formation split_and_short() {
  data::Formation formation = whole_sequences({9, 4});
  formation.microbatches[0] = split_sequence(0, {4, 4});
  return formation;
}

Op f(std::int32_t m, std::int32_t stage, std::int32_t slice = 0) {
  return make_op(OpKind::kForward, m, stage, slice);
}
Op bw(std::int32_t m, std::int32_t stage, std::int32_t slice = 0) {
  return make_op(OpKind::kBackward, m, stage, slice);
}
Op r(std::int32_t m, std::int32_t stage, std::int32_t slice = 0) {
  return make_op(OpKind::kRecompute, m, stage, slice);
}

std::string complaint(const Result<SequencePipeline>& result) {
  REQUIRE(!result.ok());
  return to_string(result.failures());
}

}  // namespace

TEST_SUITE("cost") {
  TEST_CASE("a pipeline's table holds the cost of every unit") {
    Random random(21);
    for (int round = 0; round < 40; ++round) {
      SequenceProfile profile = sequence_profiles()[static_cast<std::size_t>(round) % 3];
      SequenceLayout layout;
      layout.pipeline = static_cast<std::int32_t>(random.uniform(1, 5));
      layout.sequence = 8;
      data::Formation formation;
      const auto count = random.uniform(1, 6);
      for (std::int64_t m = 0; m < count; ++m) {
        std::vector<data::Tokens> lengths(static_cast<std::size_t>(random.uniform(1, 4)));
        std::generate(lengths.begin(), lengths.end(), [&] { return random.uniform(1, 20'000); });
        formation.microbatches.push_back(split_sequence(static_cast<std::int32_t>(m), lengths));
      }
      std::int32_t units = 0;
      for (const data::MicroBatch& microbatch : formation.microbatches) {
        units += static_cast<std::int32_t>(microbatch.slices.size());
      }
      Checkpointing checkpointing;
      if (random.chance(3, 4)) {
        for (std::int32_t k = 0; k < units * layout.pipeline; ++k) {
          checkpointing.layers.push_back(static_cast<std::int32_t>(
              random.uniform(0, layers_of_stage(profile, layout, k / units))));
        }
      }
      const auto result = sequence_pipeline(profile, layout, formation, checkpointing);
      REQUIRE(result.ok());
      const CostTable& costs = result->costs;
      CHECK(result->pipeline.devices == layout.pipeline);
      CHECK(result->pipeline.stages == layout.pipeline);
      CHECK(result->pipeline.microbatches == count);
      CHECK(!costs.split_backward);
      CHECK(costs.transfers_by_unit == (layout.pipeline > 1));
      CHECK(costs.memory.given);
      for (std::int32_t stage = 0; stage < layout.pipeline; ++stage) {
        CHECK(costs.memory.resident_of(stage) == model_state_bytes(profile, layout, stage));
        CHECK(costs.memory.capacity_of(stage) == profile.capacity - profile.reserved);
        Time least = kNever;
        Bytes least_bytes = kUnlimited;
        std::int32_t k = 0;
        for (std::int32_t m = 0; m < count; ++m) {
          const data::MicroBatch& microbatch = formation.microbatches[static_cast<std::size_t>(m)];
          CHECK(result->pipeline.slices_of(m) ==
                static_cast<std::int32_t>(microbatch.slices.size()));
          for (std::int32_t s = 0; s < result->pipeline.slices_of(m); ++s, ++k) {
            const data::Slice& slice = microbatch.slices[static_cast<std::size_t>(s)];
            const UnitCost cost =
                unit_cost(profile, layout, stage, slice, microbatch.slices.size() > 1);
            const std::int32_t layers = checkpointing.at(stage, k, units);
            CHECK(costs.forward.at(stage, m, s) == cost.forward());
            CHECK(costs.backward.at(stage, m, s) == cost.backward());
            CHECK(costs.recompute.at(stage, m, s) == layers * cost.layer_forward);
            CHECK(costs.memory.forward.at(stage, m, s) == cost.activation);
            CHECK(costs.memory.backward_input.at(stage, m, s) == 0);
            CHECK(costs.memory.backward_weight.at(stage, m, s) == -cost.activation);
            CHECK(costs.memory.stage_input.at(stage, m, s) ==
                  cost.activation - layers * cost.layer_saving);
            CHECK(costs.memory.stage_input.at(stage, m, s) > 0);
            if (stage + 1 < layout.pipeline) {
              // Eight GPUs of a node send e D bytes per token together.
              const double bytes =
                  2.0 * profile.hidden * static_cast<double>(slice.pieces[0].padded);
              const Time time = costs.unit_transfer_latency.at(stage, m, s);
              CHECK(static_cast<double>(time - profile.message_latency) ==
                    doctest::Approx(bytes / 50.0).epsilon(1e-4));
              CHECK(static_cast<double>(costs.unit_transfer_bytes.at(stage, m, s)) ==
                    doctest::Approx(bytes / 8));
              least = std::min(least, time);
              least_bytes = std::min(least_bytes, costs.unit_transfer_bytes.at(stage, m, s));
            }
          }
        }
        if (stage + 1 < layout.pipeline) {
          CHECK(costs.transfer_latency[static_cast<std::size_t>(stage)] == least);
          CHECK(costs.transfer_bytes[static_cast<std::size_t>(stage)] == least_bytes);
        }
      }
      CHECK(costs.transfer_latency.size() == static_cast<std::size_t>(layout.pipeline - 1));
    }
  }

  TEST_CASE("micro-batches of one slice each make a pipeline without slices") {
    const auto whole = sequence_pipeline(small_profile(), two_stages(), whole_sequences({3, 5}));
    REQUIRE(whole.ok());
    CHECK(!whole->pipeline.sliced());
    const auto split = sequence_pipeline(small_profile(), two_stages(), split_and_short());
    REQUIRE(split.ok());
    CHECK(split->pipeline.slices == std::vector<std::int32_t>{2, 1});
  }

  // Law 8: stage p holds d_p - p + N_split - 1 units (p from 0) in the steady phase.
  TEST_CASE("the peak of a stage is its states and the units of its window") {
    SequenceProfile profile = small_profile();
    profile.logits_bytes = 0;
    SequenceLayout layout = two_stages();
    layout.pipeline = 4;
    const auto whole =
        sequence_pipeline(profile, layout, whole_sequences(std::vector<data::Tokens>(8, 6)));
    REQUIRE(whole.ok());
    const auto schedule = generate("1f1b", {whole->pipeline, whole->costs, {}});
    REQUIRE(schedule.ok());
    const Evaluation plain = evaluate(*schedule, whole->costs);
    REQUIRE(plain.feasible);
    const UnitCost unit =
        unit_cost(profile, layout, 0, whole_sequences({6}).microbatches[0].slices[0], false);
    for (std::int32_t p = 0; p < 4; ++p) {
      CHECK(plain.devices[static_cast<std::size_t>(p)].peak_memory ==
            model_state_bytes(profile, layout, p) + (4 - p) * unit.activation);
    }

    data::Formation formation;
    for (std::int32_t m = 0; m < 6; ++m) {
      formation.microbatches.push_back(split_sequence(m, {6, 6, 6}));
    }
    const auto sliced = sequence_pipeline(profile, layout, formation);
    REQUIRE(sliced.ok());
    const auto seq = generate("seq1f1b", {sliced->pipeline, sliced->costs, {}});
    REQUIRE(seq.ok());
    const Evaluation evaluation = evaluate(*seq, sliced->costs);
    REQUIRE(evaluation.feasible);
    const UnitCost part = unit_cost(profile, layout, 0, formation.microbatches[0].slices[0], true);
    for (std::int32_t p = 0; p < 4; ++p) {
      CHECK(evaluation.devices[static_cast<std::size_t>(p)].peak_memory ==
            model_state_bytes(profile, layout, p) + (4 - p + 3 - 1) * part.activation);
    }
  }

  // All units have 4 tokens, so that every transfer takes the same.
  TEST_CASE("a small pipeline with partial recomputation runs as worked out by hand") {
    SequenceProfile profile = small_profile();
    profile.message_latency = 3;
    const SequenceLayout layout = two_stages();
    const data::Formation formation = split_and_short();
    Checkpointing checkpointing;
    checkpointing.layers = {1, 2, 0, 0, 1, 0};  // [stages][units]
    auto result = sequence_pipeline(profile, layout, formation, checkpointing);
    REQUIRE(result.ok());
    const Schedule schedule = make_schedule(
        "by hand", result->pipeline,
        {{f(0, 0, 0), f(0, 0, 1), f(1, 0), r(0, 0, 1), bw(0, 0, 1), r(0, 0, 0), bw(0, 0, 0),
          bw(1, 0)},
         {f(0, 1, 0), f(0, 1, 1), r(0, 1, 1), bw(0, 1, 1), f(1, 1), bw(0, 1, 0), bw(1, 1)}});
    CHECK(to_string(verify(schedule, result->costs)) == "");
    const Evaluation evaluation = evaluate(schedule, result->costs);
    CHECK(evaluation.feasible);

    // Compute of a unit on a stage: (8 ((b+4)^2 - b^2) + 24 * 4) / 4 = 56 and 120 (b = 4); a
    // quarter is F. All-to-all: 2 layers * 6 ns * 4 tokens and 2 * 4 latencies of 3 ns, 72.
    const Time f0 = 14 + 72;
    const Time f1 = 30 + 72;
    const Time b0 = 42 + 72;
    const Time b1 = 90 + 72;
    const Time layer0 = 7 + 36;
    const Time layer1 = 15 + 36;
    const Time send = 4 * 5 + 3;  // 20 bytes a token over 4 bytes/ns
    const Time f01_end = std::max(f0 + send + f0, f0 + f1 + send) + f1;
    const Time b01_end = f01_end + layer1 + b1;  // stage 1
    const Time f1_end = std::max(b01_end, 2 * f0 + f1 + send) + f0;
    const Time b00_end = f1_end + b0;
    const Time b1_end = b00_end + b0;
    // Stage 0: R of a unit does not wait for the gradient, its BW does.
    const Time r01_end = 2 * f0 + f1 + 2 * layer1;
    const Time s0_b01 = std::max(r01_end, b01_end + send) + b1;
    const Time s0_b00 = std::max(s0_b01 + layer0, b00_end + send) + b0;
    const Time makespan = std::max(s0_b00, b1_end + send) + b0;
    CHECK(evaluation.makespan == makespan);

    // Stage 0, 4 tokens a unit: 100 bytes a token, 20 more when split, saving 30 a layer.
    const Bytes states = Bytes{16} * 400 / 2;
    const Bytes tokens = 4;
    const Bytes peak = states + tokens * (120 - 30 + 120 - 60 + 100) + tokens * 60;
    CHECK(evaluation.devices[0].peak_memory == peak);
    result->costs.memory.capacity[0] = peak;
    CHECK(evaluate(schedule, result->costs).feasible);
    result->costs.memory.capacity[0] -= 1;
    CHECK(!evaluate(schedule, result->costs).feasible);
  }

  TEST_CASE("recomputing nothing costs nothing and keeps all") {
    const auto result = sequence_pipeline(small_profile(), two_stages(), split_and_short());
    REQUIRE(result.ok());
    CHECK(result->costs.recompute.at(1, 0, 1) == 0);
    CHECK(result->costs.memory.stage_input.values == result->costs.memory.forward.values);
  }

  TEST_CASE("formations that no pipeline can run are bad input") {
    const auto build = [](const std::function<void(data::Formation&)>& change) {
      data::Formation formation = split_and_short();
      change(formation);
      return complaint(sequence_pipeline(small_profile(), two_stages(), formation));
    };
    const auto says = [](const std::string& text, const char* part) {
      CAPTURE(text);
      CHECK(text.find(part) != std::string::npos);
    };
    says(build([](auto& all) { all.microbatches.clear(); }), "the formation has no micro-batch");
    says(build([](auto& all) { all.microbatches[1].slices.clear(); }),
         "micro-batch 1 of the formation has no slice");
    says(build([](auto& all) { all.microbatches[0].slices[1].pieces.clear(); }),
         "slice 1 of micro-batch 0 is empty");
    says(build([](auto& all) { all.microbatches[0].slices[1].pieces[0].padded = 0; }),
         "slice 1 of micro-batch 0 has a piece without tokens");
    says(build([](auto& all) { all.microbatches[0].slices[0].pieces[0].begin = -1; }),
         "slice 0 of micro-batch 0 has a piece without tokens or with a negative place");
    says(build([](auto& all) {
           all.microbatches[0].slices.resize(65'536, all.microbatches[0].slices[0]);
         }),
         "micro-batch 0 has 65536 slices, expected at most 65535");
  }

  TEST_CASE("checkpointing that does not fit is a bug of the caller") {
    Checkpointing checkpointing;
    checkpointing.layers = {0, 0, 0, 0, 0};
    CHECK_THROWS_AS(
        (void)sequence_pipeline(small_profile(), two_stages(), split_and_short(), checkpointing),
        CheckFailure);
    checkpointing.layers = {0, 0, 0, 0, 0, 3};
    CHECK_THROWS_AS(
        (void)sequence_pipeline(small_profile(), two_stages(), split_and_short(), checkpointing),
        CheckFailure);
  }

  TEST_CASE("times and sizes beyond the engine's range are bad input") {
    const auto build = [](const std::function<void(SequenceProfile&)>& change,
                          std::int32_t layers) {
      SequenceProfile profile = small_profile();
      change(profile);
      Checkpointing checkpointing;
      checkpointing.layers.assign(6, layers);
      return sequence_pipeline(profile, two_stages(), split_and_short(), checkpointing);
    };
    for (const std::int32_t layers : {0, 2}) {
      CHECK(build([](auto&) {}, layers).ok());
      for (const std::function<void(SequenceProfile&)>& change :
           std::initializer_list<std::function<void(SequenceProfile&)>>{
               [](auto& p) { p.linear_ns = 1e300; }, [](auto& p) { p.quadratic_ns = 1e16; },
               [](auto& p) { p.fixed = FixedCost::kFitted, p.fixed_ns = 1e18; },
               [](auto& p) { p.activation_bytes = 1e300; }, [](auto& p) { p.logits_bytes = 1e17; },
               [](auto& p) { p.state_bytes = 1e20; },
               [](auto& p) { p.network_bytes_per_second = 1e-6; },
               [](auto& p) { p.message_latency = kLargestQuantity; }}) {
        CHECK(complaint(build(change, layers)).find("beyond") != std::string::npos);
      }
    }
    // A forward within range, whose recomputation is not counted twice.
    CHECK(build([](auto& p) { p.quadratic_ns = 1e13; }, 2).ok());
  }
}
