// Models of groups against the costs that they sum up.
#include "search/elastic/groups/group_model.hpp"

#include <doctest/doctest.h>

#include "group_batches.hpp"

using namespace stagecraft;
using namespace stagecraft::elastic;
using namespace stagecraft::elastic::group_tests;

TEST_SUITE_BEGIN("search");

TEST_CASE("groups: a model foretells the time of units of several sequences") {
  Random random(7);
  for (const std::string_view name : {"llama-7b", "llama-13b", "llama-30b"}) {
    const SequenceProfile profile = a800(name);
    for (const std::int32_t degree : rounds::group_degrees(profile, 32)) {
      const SequenceLayout layout = rounds::ulysses_layout(degree, 32);
      for (const std::int32_t layers : {0, 5, profile.layers}) {
        const rounds::GroupModel model =
            rounds::group_model(profile, layout, layers, profile.capacity, 1 << 20);
        data::Slice slice;
        double foretold = model.fixed;
        for (std::int32_t i = 0; i < 9; ++i) {
          const data::Tokens tokens = random.uniform(1, 100'000);
          slice.pieces.push_back({i, 0, tokens, tokens});
          foretold += model.time(tokens);
        }
        const Time time = rounds::unit_time(rounds::group_cost(profile, layout, slice), layers);
        CHECK(foretold == doctest::Approx(static_cast<double>(time)).epsilon(1e-6));
      }
    }
  }
}

TEST_CASE("groups: capacity is the most that fits, to the token") {
  const SequenceProfile profile = a800("llama-7b");
  const auto memory = [&](const SequenceLayout& layout, data::Tokens tokens, std::int32_t layers) {
    return rounds::unit_memory(
        rounds::group_cost(profile, layout, {{data::Piece{0, 0, tokens, tokens}}}), layers,
        profile.layers);
  };
  Random random(8);
  for (const std::int32_t degree : {1, 4, 32}) {
    const SequenceLayout layout = rounds::ulysses_layout(degree, 32);
    for (int trial = 0; trial < 20; ++trial) {
      const Bytes room = random.uniform(0, Bytes{1} << 36);
      const auto layers = static_cast<std::int32_t>(random.uniform(0, profile.layers));
      const data::Tokens fit =
          rounds::token_capacity(profile, layout, layers, room, data::Tokens{1} << 30);
      CHECK(memory(layout, fit, layers) <= room);
      // Sizes are rounded up to the byte, so that the estimate may be a few bytes short.
      CHECK(memory(layout, fit + 2, layers) > room);
      const auto fewest = rounds::fewest_layers(profile, layout, fit + 1000, room);
      if (fewest) {
        CHECK(memory(layout, fit + 1000, *fewest) <= room);
        CHECK((*fewest == 0 || memory(layout, fit + 1000, *fewest - 1) > room));
      } else {
        CHECK(memory(layout, fit + 1000, profile.layers) > room);
      }
    }
    CHECK(rounds::token_capacity(profile, layout, 0, -1, 100) == 0);
    CHECK(rounds::token_capacity(profile, layout, 0, profile.capacity, 100) == 100);
  }
}

TEST_CASE("groups: a layer that is recomputed is held while its backward runs") {
  const SequenceProfile profile = a800("llama-30b");
  const SequenceLayout layout = rounds::ulysses_layout(8, 32);
  const UnitCost cost = rounds::group_cost(profile, layout, {{data::Piece{0, 0, 9000, 9000}}});
  const auto memory = [&](std::int32_t layers) {
    return rounds::unit_memory(cost, layers, profile.layers);
  };
  CHECK(memory(0) == cost.activation);
  for (std::int32_t layers = 0; layers <= profile.layers; ++layers) {
    // Slow reference: backward from the last layer on; what a layer holds above its input goes.
    Bytes held = cost.activation - layers * cost.layer_saving;
    Bytes peak = held;
    for (std::int32_t layer = profile.layers - 1; layer >= 0; --layer) {
      if (layer < layers) {
        held += cost.layer_saving;
        peak = std::max(peak, held);
      }
      held -= cost.layer_saving;
    }
    CHECK(memory(layers) == peak);
  }
  CHECK(memory(profile.layers) == memory(profile.layers - 1));
}

TEST_CASE("groups: degrees are those that divide the GPUs and have a measured rate") {
  const SequenceProfile profile = a800("llama-7b");
  CHECK(rounds::group_degrees(profile, 1) == std::vector<std::int32_t>{1});
  CHECK(rounds::group_degrees(profile, 24) == std::vector<std::int32_t>{1, 2, 4, 8});
  CHECK(rounds::group_degrees(profile, 256) == std::vector<std::int32_t>{1, 2, 4, 8, 16, 32, 64});
}

TEST_CASE("groups: what does not fit names the missing bytes and what would help") {
  SequenceProfile profile = a800("llama-7b");
  const SequenceLayout narrow = rounds::ulysses_layout(2, 32);
  const std::vector<SequenceLayout> all = {narrow, rounds::ulysses_layout(8, 32)};
  const Bytes states = model_state_bytes(profile, narrow, 0);
  const data::Tokens tokens = 98'304;
  const Bytes need = rounds::unit_memory(
      rounds::group_cost(profile, narrow, {{data::Piece{0, 0, tokens, tokens}}}), 0,
      profile.layers);
  const Bytes missing = need + states + profile.reserved - profile.capacity;
  const Diagnostic why = rounds::misfit(profile, narrow, 0, tokens, states, all);
  CHECK(why.kind == FailureKind::kInfeasible);
  CHECK(why.message.find(rounds::bytes_text(missing)) != std::string::npos);
  CHECK(why.hint.find("groups of 8 GPUs") != std::string::npos);
  CHECK(why.hint.find("recomputed layers") != std::string::npos);
  CHECK(why.hint.find("a context of") != std::string::npos);

  const Diagnostic full = rounds::misfit(profile, narrow, 0, tokens, profile.capacity, all);
  CHECK(full.kind == FailureKind::kInfeasible);
  CHECK(full.message.find(rounds::bytes_text(profile.reserved)) != std::string::npos);
  CHECK(full.hint.find("more GPUs") != std::string::npos);
}

TEST_SUITE_END();
