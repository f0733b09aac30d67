// How far planning goes where memory is tight: bounded, counted and not timed, and said in the
// note.
#include <doctest/doctest.h>

#include <string>

#include "search/elastic/batches.hpp"
#include "search/elastic/elastic_plan.hpp"
#include "support/sanitized.hpp"

TEST_SUITE_BEGIN("search");

namespace stagecraft::elastic {
namespace {

TEST_CASE("a plan of elastic cut short is verified, says so, and is not far behind") {
  const SequenceLayout layout = stages_of(4, 8);
  const GeneratorOptions none;
  int said = 0;
  for (std::uint64_t seed = 1; seed <= (STAGECRAFT_SANITIZED != 0 ? 1 : 6); ++seed) {
    const data::GlobalBatch batch = skewed_batch(seed, 80, 32'768);
    const SequenceProfile profile = profile_with_room(layout, 1.2 * 32'768);
    const StrategyInput input{batch, profile, layout, 0, none};
    const data::Tokens capacity = most_tokens_of_slice(profile, layout);
    ElasticChoice choice;
    choice.slices = 8;
    const auto planned = [&](PlanEffort& effort) {
      Sweep sweep(input);
      auto chunks = elastic_chunks(sweep, choice, capacity);
      REQUIRE(chunks);
      return elastic_candidate(sweep, *std::move(chunks), effort);
    };
    CAPTURE(seed);
    PlanEffort plenty{.gap = 0.02, .work = 400'000'000};
    const auto whole = planned(plenty);
    REQUIRE(whole);
    CHECK(plenty.work < 400'000'000);  // what was done is taken off
    PlanEffort nothing{.gap = 0.02, .work = 0};
    const auto cut = planned(nothing);
    REQUIRE(cut);
    CHECK(nothing.work == 0);
    said += cut->note.find("not proved optimal (gap ") != std::string::npos ? 1 : 0;
    CHECK(whole->note.find("not proved") == std::string::npos);
    CHECK(cut->model <= whole->model * 3 / 2);
    const auto plan = make_plan("elastic", input, *cut);
    REQUIRE(plan.ok());
    const IterationResult result = evaluate_iteration(*plan, input);
    CHECK_MESSAGE(result.feasible, to_string(result.problems));
    // What costs as much as nothing is worth is given up before its programs are solved.
    PlanEffort hopeless{.gap = 0.02, .work = 400'000'000, .most = 1};
    CHECK_FALSE(planned(hopeless).has_value());
    CHECK(hopeless.work > plenty.work);
  }
  CHECK((said > 0 || STAGECRAFT_SANITIZED != 0));  // few seeds there
}

TEST_CASE("elastic where memory is tight plans the same twice") {
  const SequenceLayout layout = stages_of(4, 8);
  const GeneratorOptions none;
  const data::GlobalBatch batch = skewed_batch(5, 120, 32'768);
  const SequenceProfile profile = profile_with_room(layout, 1.0 * 32'768);
  const StrategyInput input{batch, profile, layout, 0, none};
  const IterationPlan once = plan_iteration("elastic", input).value();
  const IterationPlan twice = plan_iteration("elastic", input).value();
  CHECK(once.note == twice.note);
  CHECK(once.predicted == twice.predicted);
  CHECK(once.pipelined->checkpointing.layers == twice.pipelined->checkpointing.layers);
  CHECK(once.pipelined->groups.sizes == twice.pipelined->groups.sizes);
  CHECK_FALSE(once.pipelined->checkpointing.layers.empty());
}

TEST_CASE("chunkflow refuses chunks of which there are more than can be held, once and at once") {
  const SequenceLayout layout = stages_of(4, 8);
  const SequenceProfile profile = test_profile();
  const auto refusal = [&](const data::GlobalBatch& batch, const char* chunk) {
    const GeneratorOptions options = {{"chunk", chunk}};
    const auto plan = plan_iteration("chunkflow", {batch, profile, layout, 0, options});
    return plan.ok() ? Diagnostics{} : plan.failures();
  };
  const Diagnostics slices = refusal(equal_batch(2, 98'304), "1");
  REQUIRE(slices.size() == 1);
  CHECK(to_string(slices).find("cut the longest sequence into 98 304 or more, expected at most "
                               "65 535: use chunks of 2 tokens or more") != std::string::npos);
  const Diagnostics units = refusal(equal_batch(20'000, 10'000), "100");
  REQUIRE(units.size() == 1);
  CHECK(to_string(units).find("cut the batch into 2 000 000 or more, expected at most 262 144") !=
        std::string::npos);
  CHECK(refusal(equal_batch(2, 9'830), "4").empty());
}

}  // namespace
}  // namespace stagecraft::elastic

TEST_SUITE_END();
