#include <doctest/doctest.h>

#include <cmath>
#include <set>
#include <string>

#include "stagecraft/cost/sequence_profile.hpp"

using namespace stagecraft;

namespace {

SequenceProfile flexsp(const char* model) {
  const auto profile = find_sequence_profile("a800-80gb-flexsp", model);
  REQUIRE(profile.ok());
  return *profile;
}

}  // namespace

TEST_SUITE("cost") {
  TEST_CASE("every ready-made profile stands once and is in order") {
    std::set<std::string> seen;
    for (const SequenceProfile& profile : sequence_profiles()) {
      CAPTURE(profile.model);
      CHECK(seen.insert(profile.name + "/" + profile.model).second);
      SequenceLayout layout;
      layout.pipeline = 4;
      layout.sequence = 8;
      CHECK(to_string(check_sequence_profile(profile, layout)) == "");
      const auto found = find_sequence_profile(profile.name, profile.model);
      REQUIRE(found.ok());
      CHECK(found->linear_ns == profile.linear_ns);
      CHECK(profile.capacity == 81'920 * (Bytes{1} << 20));
      CHECK(profile.reserved * 10 == profile.capacity);
    }
    CHECK(seen.size() == 3);
  }

  TEST_CASE("unknown profiles and models are told what there is") {
    const auto name = find_sequence_profile("a800-80gb-flexps", "llama-7b");
    REQUIRE(!name.ok());
    CHECK(name.failures()[0].hint == "did you mean 'a800-80gb-flexsp'?");
    const auto model = find_sequence_profile("a800-80gb-flexsp", "gpt3-175b");
    REQUIRE(!model.ok());
    CHECK(model.failures()[0].message ==
          "profile 'a800-80gb-flexsp' has no model 'gpt3-175b', it has llama-7b, llama-13b, "
          "llama-30b");
    CHECK(model.failures()[0].hint.empty());
    const auto near = find_sequence_profile("a800-80gb-flexsp", "llama7b");
    REQUIRE(!near.ok());
    CHECK(near.failures()[0].hint == "did you mean 'llama-7b'?");
  }

  TEST_CASE("34 D bytes per token and layer meet the fit that recomputes nothing, and only that") {
    CHECK(flexsp("llama-7b").activation_bytes == 34.0 * 4096 * 32);
    CHECK(flexsp("llama-7b").activation_bytes / 4.480e6 == doctest::Approx(1).epsilon(0.006));
    // The fits of the larger models are below: layers were recomputed.
    CHECK(flexsp("llama-13b").activation_bytes == doctest::Approx(6.963e6).epsilon(1e-4));
    CHECK(flexsp("llama-13b").activation_bytes > 1.6 * 4.220e6);
    CHECK(flexsp("llama-30b").activation_bytes == doctest::Approx(13.578e6).epsilon(1e-4));
    CHECK(flexsp("llama-30b").activation_bytes > 3.9 * 3.417e6);
  }

  // The figures in the first lines of profiles.cpp and in the notes.
  TEST_CASE("FlexSP's constant is ZeRO-3 traffic over four nodes") {
    struct Fit {
      const char* model;
      double traffic_ms;
      double off;  // of the fitted constant, at most
    };
    for (const Fit& fit : {Fit{"llama-7b", 585.9, 0.07}, Fit{"llama-13b", 1112.4, 0.018},
                           Fit{"llama-30b", 2748.6, 0.015}}) {
      CAPTURE(fit.model);
      SequenceProfile profile = flexsp(fit.model);
      SequenceLayout layout;
      layout.sequence = 8;
      layout.data = 4;
      const data::Slice slice{{{0, 0, 4096, 4096}}};
      const UnitCost cost = unit_cost(profile, layout, 0, slice, false);
      const auto traffic =
          static_cast<double>(cost.parameters_forward + cost.parameters_backward) * 1e-6;
      CHECK(traffic == doctest::Approx(fit.traffic_ms).epsilon(1e-4));
      CHECK(std::abs(traffic / (profile.fixed_ns * 1e-6) - 1.0) < fit.off);
      // Twice the work moved in BW, to the ns.
      CHECK(std::abs(cost.parameters_backward - 2 * cost.parameters_forward) <= 1);

      // Within one node it is NVLink's: 7/8 of 3 * 2 B of a quarter of the parameters.
      layout.data = 1;
      layout.pipeline = 4;
      const UnitCost staged = unit_cost(profile, layout, 1, slice, false);
      CHECK(static_cast<double>(staged.parameters_forward + staged.parameters_backward) ==
            doctest::Approx(6 * profile.parameters / 4 * 7 / 8 / 200e9 * 1e9).epsilon(1e-8));

      profile.fixed = FixedCost::kFitted;
      const UnitCost fitted = unit_cost(profile, layout, 1, slice, false);
      CHECK(static_cast<double>(fitted.parameters_forward + fitted.parameters_backward) ==
            doctest::Approx(profile.fixed_ns / 4).epsilon(1e-8));
      profile.fixed = FixedCost::kNone;
      const UnitCost none = unit_cost(profile, layout, 1, slice, false);
      CHECK(none.parameters_forward + none.parameters_backward == 0);
    }
  }

  TEST_CASE("notes are one paragraph per assumption, each with its topic") {
    const std::string_view notes = sequence_profile_notes();
    REQUIRE(!notes.empty());
    CHECK(notes.back() == '\n');
    std::size_t begin = 0;
    int paragraphs = 0;
    std::set<std::string_view> topics;
    while (begin < notes.size()) {
      const std::size_t end = notes.find('\n', begin);
      const std::string_view line = notes.substr(begin, end - begin);
      const std::size_t colon = line.find(": ");
      REQUIRE(colon != std::string_view::npos);
      CHECK(colon < 25);
      topics.insert(line.substr(0, colon));
      begin = end + 1;
      ++paragraphs;
    }
    CHECK(topics.size() == static_cast<std::size_t>(paragraphs));
    CHECK(paragraphs >= 12);
  }
}
