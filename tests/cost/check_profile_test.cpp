#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>

#include "cost/small_profile.hpp"

using namespace stagecraft;

namespace {

using Change = std::function<void(SequenceProfile&, SequenceLayout&)>;

// All messages and hints for a valid profile after `change`.
std::string complaint(const Change& change) {
  SequenceProfile profile = test::small_profile();
  SequenceLayout layout;
  layout.sequence = 2;
  layout.pipeline = 2;
  REQUIRE(check_sequence_profile(profile, layout).empty());
  change(profile, layout);
  return to_string(check_sequence_profile(profile, layout));
}

}  // namespace

TEST_SUITE("cost") {
  TEST_CASE("every constant of a profile is checked") {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const double infinite = std::numeric_limits<double>::infinity();
    struct Wrong {
      const char* says;
      Change change;
    };
    const std::vector<Wrong> wrong = {
        {"time per token^2 is -1", [](auto& p, auto&) { p.quadratic_ns = -1; }},
        {"time per token is nan", [=](auto& p, auto&) { p.linear_ns = nan; }},
        {"fixed time is inf", [=](auto& p, auto&) { p.fixed_ns = infinite; }},
        {"per token and per token^2 are both 0",
         [](auto& p, auto&) { p.linear_ns = p.quadratic_ns = 0; }},
        {"forward's share is 1,", [](auto& p, auto&) { p.forward_share = 1; }},
        {"forward's share is nan", [=](auto& p, auto&) { p.forward_share = nan; }},
        {"share of moving parameters is -0.5", [](auto& p, auto&) { p.overlap.parameters = -0.5; }},
        {"share of moving parameters is nan", [=](auto& p, auto&) { p.overlap.parameters = nan; }},
        {"share of rings is 1.5", [](auto& p, auto&) { p.overlap.exchange = 1.5; }},
        {"number of layers is 0", [](auto& p, auto&) { p.layers = 0; }},
        {"hidden size is -4", [](auto& p, auto&) { p.hidden = -4; }},
        {"width of keys and values is 0", [](auto& p, auto&) { p.kv_width = 0; }},
        {"vocabulary is 0", [](auto& p, auto&) { p.vocabulary = 0; }},
        {"number of parameters is 0", [](auto& p, auto&) { p.parameters = 0; }},
        {"size of an element is 0", [](auto& p, auto&) { p.element_bytes = 0; }},
        {"activation of a token is 0,", [](auto& p, auto&) { p.activation_bytes = 0; }},
        {"less than the layers' inputs, keys and values",
         [](auto& p, auto&) { p.activation_bytes = 159; }},
        {"logits of a token is -1", [](auto& p, auto&) { p.logits_bytes = -1; }},
        {"model state of a parameter is -1", [](auto& p, auto&) { p.state_bytes = -1; }},
        {"number of GPUs per node is 0", [](auto& p, auto&) { p.gpus_per_node = 0; }},
        {"memory of a GPU is 0", [](auto& p, auto&) { p.capacity = 0; }},
        {"memory of a GPU is", [](auto& p, auto&) { p.capacity = kUnlimited; }},
        {"reserved memory is -1", [](auto& p, auto&) { p.reserved = -1; }},
        {"reserved memory is 1000000", [](auto& p, auto&) { p.reserved = p.capacity; }},
        {"bandwidth within a node is 0", [](auto& p, auto&) { p.node_bytes_per_second = 0; }},
        {"bandwidth between nodes is nan",
         [=](auto& p, auto&) { p.network_bytes_per_second = nan; }},
        {"latency of a message is -1", [](auto& p, auto&) { p.message_latency = -1; }},
        {"latency of a message is", [](auto& p, auto&) { p.message_latency = kNever; }},
        {"rate for 1 GPUs follows 1",
         [](auto& p, auto&) { p.all_to_all.insert(p.all_to_all.begin(), {1, 1e9}); }},
        {"rate for 2 GPUs follows 4", [](auto& p, auto&) { p.all_to_all.push_back({2, 1e9}); }},
        {"all-to-all rate of 4 GPUs is 0",
         [](auto& p, auto&) { p.all_to_all[1].bytes_per_second = 0; }},
        {"pipeline degree is 0", [](auto&, auto& l) { l.pipeline = 0; }},
        {"ulysses degree is 0", [](auto&, auto& l) { l.sequence = 0; }},
        {"tensor degree is -1", [](auto&, auto& l) { l.tensor = -1; }},
        {"context degree is 0", [](auto&, auto& l) { l.context = 0; }},
        {"data-parallel degree is 0", [](auto&, auto& l) { l.data = 0; }},
        {"multiply to more than 2^31 - 1 GPUs",
         [](auto&, auto& l) { l.tensor = l.context = l.data = 1 << 20; }},
        {"use at most 4 stages", [](auto&, auto& l) { l.pipeline = 5; }},
        {"the 3 GPUs of a stage neither divide a node of 2",
         [](auto&, auto& l) { l.sequence = 1, l.data = 3; }},
        {"known degrees: 1, 2, 4", [](auto&, auto& l) { l.sequence = 8; }},
        {"no all-to-all rate is known for 8 GPUs (tensor 4 times ulysses 2",
         [](auto&, auto& l) { l.tensor = 4; }},
    };
    for (const Wrong& one : wrong) {
      CAPTURE(one.says);
      const std::string said = complaint(one.change);
      CAPTURE(said);
      CHECK(said.find(one.says) != std::string::npos);
      // A mistake is told once.
      CHECK(said.find("error:", said.find("error:") + 1) == std::string::npos);
    }
  }

  TEST_CASE("everything that is wrong is listed at once, also by the pipeline") {
    const std::string said = complaint([](auto& p, auto& l) {
      p.capacity = 0;
      p.hidden = 0;
      l.pipeline = 9;
    });
    for (const char* part : {"memory of a GPU", "hidden size", "9 stages"}) {
      CHECK(said.find(part) != std::string::npos);
    }
    SequenceProfile profile = test::small_profile();
    profile.hidden = 0;
    profile.capacity = 0;
    const auto pipeline = sequence_pipeline(profile, {}, test::whole_sequences({3}));
    REQUIRE(!pipeline.ok());
    CHECK(pipeline.failures().size() == 2);
  }

  TEST_CASE("a degree of 1 needs no measured rate; tensor ranks that share a node need none more") {
    SequenceProfile profile = test::small_profile();
    SequenceLayout layout;
    layout.tensor = 2;
    layout.context = 4;
    CHECK(check_sequence_profile(profile, layout).empty());
    profile.all_to_all.clear();
    CHECK(check_sequence_profile(profile, layout).empty());
    profile.gpus_per_node = 8;
    profile.all_to_all = {{2, 1e9}};
    layout.context = 1;
    layout.sequence = 2;
    CHECK(check_sequence_profile(profile, layout).empty());
  }
}
