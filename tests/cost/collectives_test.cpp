// Communication of the small profile, worked out by hand. Rates in bytes per ns: node 10,
// network 4.
#include <doctest/doctest.h>

#include "cost/sequences/collectives.hpp"
#include "cost/small_profile.hpp"

using namespace stagecraft;
using sequence_costs::boundary_time;
using sequence_costs::layer_exchange;
using sequence_costs::parameter_pass;

namespace {

SequenceLayout layout_of(std::int32_t tensor, std::int32_t sequence, std::int32_t context,
                         std::int32_t data = 1, std::int32_t pipeline = 1) {
  SequenceLayout layout;
  layout.tensor = tensor;
  layout.sequence = sequence;
  layout.context = context;
  layout.data = data;
  layout.pipeline = pipeline;
  return layout;
}

}  // namespace

TEST_SUITE("cost") {
  TEST_CASE("one GPU exchanges nothing") {
    SequenceProfile profile = test::small_profile();
    profile.message_latency = 7;
    const auto exchange = layer_exchange(profile, layout_of(1, 1, 1, 4, 2));
    for (const auto& way : {exchange.forward, exchange.backward}) {
      CHECK(way.per_token == 0.0);
      CHECK(way.per_context == 0.0);
      CHECK(way.latency == 0.0);
    }
  }

  TEST_CASE("all-to-alls of queries, keys, values and outputs") {
    SequenceProfile profile = test::small_profile();
    profile.message_latency = 7;
    // 2 bytes * (10 + 5 + 5 + 10) / 2 GPUs at 5 bytes/ns, the same in BW.
    const auto within = layer_exchange(profile, layout_of(1, 2, 1));
    CHECK(within.forward.per_token == doctest::Approx(6.0));
    CHECK(within.backward.per_token == doctest::Approx(6.0));
    CHECK(within.forward.per_context == 0.0);
    CHECK(within.forward.latency == 28.0);
    // Four GPUs at 1 byte/ns.
    CHECK(layer_exchange(profile, layout_of(1, 4, 1)).forward.per_token == doctest::Approx(15.0));
  }

  TEST_CASE("all-to-alls of several tensor ranks share the network") {
    const SequenceProfile profile = test::small_profile();
    // 4 GPUs leave the node: 2 bytes * 30 / 4 at the rate of 4 GPUs, and the all-reduces of 2
    // tensor ranks in a node: 2 * 2 * 1/2 * 10 * 2 bytes / 2 at 10 bytes/ns.
    CHECK(layer_exchange(profile, layout_of(2, 2, 1)).forward.per_token ==
          doctest::Approx(15.0 + 2.0));
  }

  TEST_CASE("two all-reduces per layer and direction") {
    SequenceProfile profile = test::small_profile();
    profile.message_latency = 7;
    // 2 * 2 (1/2) * 10 * 2 bytes at 10 bytes/ns; reduce-scatter and all-gather each.
    const auto within = layer_exchange(profile, layout_of(2, 1, 1));
    CHECK(within.forward.per_token == doctest::Approx(4.0));
    CHECK(within.backward.per_token == doctest::Approx(4.0));
    CHECK(within.backward.latency == 28.0);
    // Over two nodes: 2 * 2 (3/4) * 20 bytes at the network's 4.
    CHECK(layer_exchange(profile, layout_of(4, 1, 1)).forward.per_token == doctest::Approx(15.0));
  }

  TEST_CASE("a ring of keys and values, context included, twice in BW") {
    SequenceProfile profile = test::small_profile();
    profile.message_latency = 7;
    // (1/2) * 2 * 5 * 2 bytes at 10 bytes/ns, one message.
    const auto within = layer_exchange(profile, layout_of(1, 1, 2));
    CHECK(within.forward.per_token == doctest::Approx(1.0));
    CHECK(within.forward.per_context == doctest::Approx(1.0));
    CHECK(within.forward.latency == 7.0);
    CHECK(within.backward.per_token == doctest::Approx(2.0));
    CHECK(within.backward.per_context == doctest::Approx(2.0));
    CHECK(within.backward.latency == 14.0);
    // Two rings side by side (of 2 tensor ranks) share the network: (1/2) * 20 / 2 at 4/2.
    const auto across = layer_exchange(profile, layout_of(2, 1, 2));
    CHECK(across.forward.per_context == doctest::Approx(2.5));
    CHECK(across.forward.per_token == doctest::Approx(2.5 + 2.0));
  }

  TEST_CASE("parameters pass at the slower of both levels") {
    SequenceProfile profile = test::small_profile();
    CHECK(parameter_pass(profile, layout_of(1, 1, 1), 0) == 0.0);
    // 1600 bytes, half of them from the other GPU at 10 bytes/ns; the same for any degree.
    CHECK(parameter_pass(profile, layout_of(1, 2, 1), 0) == doctest::Approx(80.0));
    CHECK(parameter_pass(profile, layout_of(1, 1, 2), 0) == doctest::Approx(80.0));
    CHECK(parameter_pass(profile, layout_of(1, 1, 1, 2), 0) == doctest::Approx(80.0));
    // A stage of 2 of the 4 layers.
    CHECK(parameter_pass(profile, layout_of(1, 2, 1, 1, 2), 1) == doctest::Approx(40.0));
    // Two nodes: half of 1600 at 4 bytes/ns, or 3/4 of them at 10.
    CHECK(parameter_pass(profile, layout_of(1, 2, 1, 2), 0) == doctest::Approx(200.0));
    profile.network_bytes_per_second = 100e9;
    CHECK(parameter_pass(profile, layout_of(1, 2, 1, 2), 0) == doctest::Approx(120.0));
  }

  TEST_CASE("tensor parallelism leaves nothing to gather, and shares a node's network") {
    SequenceProfile profile = test::small_profile();
    CHECK(parameter_pass(profile, layout_of(2, 1, 1), 0) == 0.0);
    // Two shards of 800 bytes, each over 2 nodes: 2 * 800 / 2 at 4.
    CHECK(parameter_pass(profile, layout_of(2, 1, 1, 2), 0) == doctest::Approx(200.0));
    // Shards over two nodes each, 2 of 4 per node, shared by 3: 2 * 400 * 2/3 at 4.
    CHECK(parameter_pass(profile, layout_of(4, 1, 1, 3), 0) == doctest::Approx(400.0 / 3.0));
  }

  TEST_CASE("boundaries between stages lie within a node or between nodes") {
    SequenceProfile profile = test::small_profile();
    // One GPU per stage, two stages per node: 20 bytes at 10 or at 4.
    const SequenceLayout thin = layout_of(1, 1, 1, 1, 4);
    CHECK(boundary_time(profile, thin, 0) == doctest::Approx(2.0));
    CHECK(boundary_time(profile, thin, 1) == doctest::Approx(5.0));
    CHECK(boundary_time(profile, thin, 2) == doctest::Approx(2.0));
    // A node per stage: 10 bytes per GPU, two GPUs send at once.
    CHECK(boundary_time(profile, layout_of(1, 2, 1, 1, 4), 0) == doctest::Approx(5.0));
    // Replicas send at once too: 20 bytes each.
    CHECK(boundary_time(profile, layout_of(1, 1, 1, 2, 4), 0) == doctest::Approx(10.0));
    // Two nodes per stage: 5 bytes per GPU, two GPUs of each node.
    CHECK(boundary_time(profile, layout_of(1, 4, 1, 1, 4), 1) == doctest::Approx(2.5));
    profile.gpus_per_node = 8;
    CHECK(boundary_time(profile, layout_of(1, 2, 1, 1, 4), 2) == doctest::Approx(1.0));
  }
}
