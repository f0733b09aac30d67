#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>

#include "cost/small_profile.hpp"
#include "stagecraft/core/random.hpp"

using namespace stagecraft;
using test::piece;
using test::slice_of;
using test::small_profile;

namespace {

SequenceLayout pipelined(std::int32_t pipeline, std::int32_t sequence = 1) {
  SequenceLayout layout;
  layout.pipeline = pipeline;
  layout.sequence = sequence;
  return layout;
}

}  // namespace

TEST_SUITE("cost") {
  TEST_CASE("a unit by hand: 2 of 4 layers, 2 GPUs, a tail with context and a short sequence") {
    SequenceProfile profile = small_profile();
    profile.message_latency = 7;
    profile.fixed = FixedCost::kParameterTraffic;
    const SequenceLayout layout = pipelined(2, 2);
    const data::Slice slice = slice_of({piece(4, 2), {1, 0, 3, 4}});  // one token of padding
    // 8 ((6^2 - 4^2) + 4^2) + 24 * 6 = 432, over N = 4 GPUs: 108, a quarter of it F.
    const UnitCost cost = unit_cost(profile, layout, 1, slice, true);
    CHECK(cost.compute_forward == 27);
    CHECK(cost.compute_backward == 81);
    // 2 layers of 6 ns per token and 4 latencies, both ways.
    CHECK(cost.exchange_forward == 2 * (6 * 6 + 4 * 7));
    CHECK(cost.exchange_backward == cost.exchange_forward);
    // 800 bytes of parameters, half at 10 bytes/ns.
    CHECK(cost.parameters_forward == 40);
    CHECK(cost.parameters_backward == 80);
    CHECK(cost.forward() == 27 + 128 + 40);
    CHECK(cost.backward() == 81 + 128 + 80);
    // One layer, without the gather: 13.5 rounded up.
    CHECK(cost.layer_forward == 14 + 64);
    // 6 tokens: 400/4 + 60/2 and gradients of keys and values 2 * 2 * 4 * 5 / 4.
    CHECK(cost.activation == 6 * (100 + 30 + 20));
    // A layer's 100/2 less its input 2 * 10 / 2 less its keys and values 2 * 2 * 5 / 2.
    CHECK(cost.layer_saving == 6 * (50 - 10 - 10));

    const UnitCost whole = unit_cost(profile, layout, 1, slice, false);
    CHECK(whole.activation == 6 * (100 + 30));
    CHECK(whole.layer_saving == 6 * (50 - 10));
    CHECK(whole.forward() == cost.forward());
    // No logits on the first stage.
    CHECK(unit_cost(profile, layout, 0, slice, false).activation == 6 * 100);
  }

  TEST_CASE("the first stages take the layers that are left over") {
    const SequenceProfile profile = small_profile();
    const SequenceLayout layout = pipelined(3);
    CHECK(layers_of_stage(profile, layout, 0) == 2);
    CHECK(layers_of_stage(profile, layout, 1) == 1);
    CHECK(layers_of_stage(profile, layout, 2) == 1);
    CHECK_THROWS_AS((void)layers_of_stage(profile, layout, 3), CheckFailure);
    const data::Slice slice = slice_of({piece(0, 4)});
    // 8 * 16 + 24 * 4 = 224: half and quarters of it.
    CHECK(unit_cost(profile, layout, 0, slice, false).forward() == 28);
    CHECK(unit_cost(profile, layout, 1, slice, false).forward() == 14);
    CHECK(unit_cost(profile, layout, 0, slice, false).layer_forward == 14);
    CHECK(unit_cost(profile, layout, 1, slice, false).layer_forward == 14);
    CHECK(model_state_bytes(profile, layout, 0) == 16 * 400);
    CHECK(model_state_bytes(profile, layout, 2) == 16 * 200);
  }

  TEST_CASE("model states are shared by all GPUs of a stage") {
    const SequenceProfile profile = small_profile();
    SequenceLayout layout = pipelined(2, 2);
    layout.data = 5;
    layout.tensor = 2;
    CHECK(model_state_bytes(profile, layout, 1) == 16 * 400 / 20);
  }

  // FlexSP: T = (alpha1 s^2 + alpha2 s) / SP + all-to-all of 4 * 2 * L h s * 2 / SP bytes + beta1.
  TEST_CASE("without a pipeline the costs are FlexSP's") {
    for (SequenceProfile profile : sequence_profiles()) {
      profile.fixed = FixedCost::kFitted;
      profile.message_latency = 0;
      for (const CollectiveRate& rate : profile.all_to_all) {
        SequenceLayout layout = pipelined(1, rate.gpus);
        const double s = 49'152;
        const double compute = (profile.quadratic_ns * s * s + profile.linear_ns * s) / rate.gpus;
        const double bytes = 4.0 * 2 * profile.layers * profile.hidden * s * 2 / rate.gpus;
        const double time = compute + bytes / rate.bytes_per_second * 1e9 + profile.fixed_ns;
        const UnitCost cost = unit_cost(profile, layout, 0, slice_of({piece(0, 49'152)}), false);
        CHECK(static_cast<double>(cost.forward() + cost.backward()) ==
              doctest::Approx(time).epsilon(1e-9));
        CHECK(static_cast<double>(cost.compute_forward) ==
              doctest::Approx(compute / 3).epsilon(1e-8));
      }
    }
  }

  TEST_CASE("slices of a sequence add up to the whole, rounding aside") {
    Random random(11);
    for (int round = 0; round < 300; ++round) {
      const auto profiles = sequence_profiles();
      SequenceProfile profile = profiles[static_cast<std::size_t>(random.uniform(0, 2))];
      profile.message_latency = 0;
      profile.fixed = FixedCost::kNone;
      const SequenceLayout layout =
          pipelined(static_cast<std::int32_t>(random.uniform(1, 7)), 1 << random.uniform(0, 4));
      const auto stage = static_cast<std::int32_t>(random.uniform(0, layout.pipeline - 1));
      const data::Tokens length = random.uniform(2, 200'000);
      const auto slices = random.uniform(1, 9);
      UnitCost sum;
      data::Tokens begin = 0;
      for (std::int64_t k = 0; k < slices; ++k) {
        const data::Tokens end = k + 1 == slices ? length : random.uniform(begin, length);
        const UnitCost part =
            unit_cost(profile, layout, stage, slice_of({piece(begin, end - begin)}), true);
        sum.compute_forward += part.compute_forward;
        sum.compute_backward += part.compute_backward;
        sum.exchange_forward += part.exchange_forward;
        sum.layer_forward += part.layer_forward;
        sum.activation += part.activation;
        sum.layer_saving += part.layer_saving;
        begin = end;
      }
      const UnitCost whole = unit_cost(profile, layout, stage, slice_of({piece(0, length)}), true);
      // Half a unit per slice and one for the whole; 1e-15 of a double on top.
      const auto near = [&](std::int64_t a, std::int64_t b) {
        return std::abs(a - b) <= slices + 1;
      };
      CHECK(near(sum.compute_forward, whole.compute_forward));
      CHECK(near(sum.compute_backward, whole.compute_backward));
      CHECK(near(sum.exchange_forward, whole.exchange_forward));
      CHECK(near(sum.layer_forward, whole.layer_forward));
      CHECK(sum.activation >= whole.activation);
      CHECK(near(sum.activation, whole.activation));
      CHECK(sum.layer_saving <= whole.layer_saving);
      CHECK(near(sum.layer_saving, whole.layer_saving));
    }
  }

  TEST_CASE("packed sequences cost the sum of each; more tokens, more context, more GPUs order") {
    Random random(12);
    SequenceProfile profile = sequence_profiles()[0];
    profile.message_latency = 0;
    profile.fixed = FixedCost::kNone;
    for (int round = 0; round < 200; ++round) {
      const SequenceLayout layout = pipelined(4, 8);
      const data::Piece a = piece(random.uniform(0, 50'000), random.uniform(1, 20'000));
      const data::Piece b{1, 0, random.uniform(1, 20'000), 20'000};
      const UnitCost both = unit_cost(profile, layout, 0, slice_of({a, b}), false);
      const UnitCost one = unit_cost(profile, layout, 0, slice_of({a}), false);
      const UnitCost other = unit_cost(profile, layout, 0, slice_of({b}), false);
      CHECK(std::abs(both.forward() - one.forward() - other.forward()) <= 4);
      CHECK(std::abs(both.activation - one.activation - other.activation) <= 2);

      data::Piece longer = a;
      longer.padded += 10;
      const UnitCost more = unit_cost(profile, layout, 0, slice_of({longer}), false);
      CHECK(more.compute_forward > one.compute_forward);
      CHECK(more.exchange_forward > one.exchange_forward);
      CHECK(more.activation > one.activation);
      data::Piece later = a;
      later.begin += 1'000;
      const UnitCost behind = unit_cost(profile, layout, 0, slice_of({later}), false);
      CHECK(behind.compute_backward > one.compute_backward);
      CHECK(behind.exchange_forward == one.exchange_forward);
      CHECK(behind.activation == one.activation);
      CHECK(unit_cost(profile, pipelined(4, 4), 0, slice_of({a}), false).compute_forward >
            one.compute_forward);
    }
  }

  TEST_CASE("recomputing all layers leaves inputs, keys and values, their gradients and logits") {
    Random random(13);
    for (const SequenceProfile& profile : sequence_profiles()) {
      for (int round = 0; round < 50; ++round) {
        const auto stages = static_cast<std::int32_t>(random.uniform(1, 9));
        const SequenceLayout layout = pipelined(stages, 8);
        const auto stage = static_cast<std::int32_t>(random.uniform(0, stages - 1));
        const bool split = random.chance(1, 2);
        const data::Tokens tokens = random.uniform(1, 100'000);
        const UnitCost cost =
            unit_cost(profile, layout, stage, slice_of({piece(0, tokens)}), split);
        const std::int32_t layers = layers_of_stage(profile, layout, stage);
        const double per_layer =
            2.0 * profile.hidden + (split ? 2.0 * 2 * 2 * profile.kv_width : 0);
        const double logits = stage + 1 == stages ? 50'257 * 2.0 : 0.0;
        const double left = (layers * per_layer + logits) * static_cast<double>(tokens) / 8;
        const auto kept = static_cast<double>(cost.activation - layers * cost.layer_saving);
        CHECK(cost.layer_saving > 0);
        CHECK(kept >= left - 1e-3);
        CHECK(kept <= left + layers + 1);
        const Time forward = cost.compute_forward + cost.exchange_forward;
        CHECK(std::abs(layers * cost.layer_forward - forward) <= layers);
      }
    }
  }

  TEST_CASE("what is kept is rounded up, what is freed down") {
    SequenceProfile profile = small_profile();
    profile.activation_bytes = 401;
    // One token on 2 GPUs: 401/2 + 60/2, and a layer frees 401/8 less 20/2.
    const UnitCost cost = unit_cost(profile, pipelined(1, 2), 0, slice_of({piece(0, 1)}), false);
    CHECK(cost.activation == 231);
    CHECK(cost.layer_saving == 40);
    profile.activation_bytes = 407;  // 50.875 less 10
    CHECK(unit_cost(profile, pipelined(1, 2), 0, slice_of({piece(0, 1)}), false).layer_saving ==
          40);
  }

  TEST_CASE("what formation counts with is the cost of the largest stage") {
    for (const FixedCost fixed :
         {FixedCost::kNone, FixedCost::kFitted, FixedCost::kParameterTraffic}) {
      SequenceProfile profile = sequence_profiles()[1];
      profile.fixed = fixed;
      SequenceLayout layout = pipelined(3, 8);
      layout.data = 2;
      const TokenCosts costs = stage_token_costs(profile, layout);
      const double constant = stage_fixed_cost(profile, layout);
      const data::Slice slice = slice_of({piece(20'000, 7'000), {1, 0, 900, 1'000}});
      const UnitCost cost = unit_cost(profile, layout, 0, slice, true);
      const double expected = constant + costs.of(20'000, 27'000) + costs.of(0, 1'000);
      CHECK(std::abs(static_cast<double>(cost.forward() + cost.backward()) - expected) <= 4);
      for (std::int32_t stage = 1; stage < 3; ++stage) {
        const UnitCost less = unit_cost(profile, layout, stage, slice, true);
        CHECK(less.forward() + less.backward() <= cost.forward() + cost.backward());
      }
    }
  }

  TEST_CASE("rings pass on the context that a slice attends to") {
    SequenceProfile profile = small_profile();
    SequenceLayout layout = pipelined(1);
    layout.context = 2;
    const auto exchange = [&](const data::Piece& one) {
      return unit_cost(profile, layout, 0, slice_of({one}), true);
    };
    // 4 layers, 1 ns per token in F and 2 in BW.
    CHECK(exchange(piece(0, 6)).exchange_forward == 24);
    CHECK(exchange(piece(5, 6)).exchange_forward == 44);
    CHECK(exchange(piece(5, 6)).exchange_backward == 88);
  }

  TEST_CASE("times and sizes beyond the engine's range stay there, they do not wrap") {
    SequenceProfile profile = small_profile();
    profile.quadratic_ns = 1e300;
    const UnitCost cost = unit_cost(profile, {}, 0, slice_of({piece(0, 1'000'000)}), false);
    CHECK(cost.compute_forward == kLargestQuantity + 1);
    CHECK(cost.compute_backward == kLargestQuantity + 1);
    CHECK(cost.layer_forward == kLargestQuantity + 1);
  }
}
