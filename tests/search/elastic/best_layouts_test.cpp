// Our own search over layouts: which there are, that it takes the better one and says so, and that
// everything that reads a plan goes by the plan's layout.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "search/elastic/batches.hpp"
#include "search/elastic/best/layouts.hpp"
#include "search/elastic/best/prospects.hpp"
#include "stagecraft/engine/evaluate.hpp"
#include "support/sanitized.hpp"

TEST_SUITE_BEGIN("search");

namespace stagecraft::elastic {
namespace {

constexpr std::uint64_t kLayoutSeeds = STAGECRAFT_SANITIZED != 0 ? 1 : 3;

std::vector<std::int32_t> stages_in(const std::vector<SequenceLayout>& layouts) {
  std::vector<std::int32_t> stages;
  for (const SequenceLayout& layout : layouts) {
    stages.push_back(layout.pipeline);
  }
  return stages;
}

struct BestRun {
  IterationPlan plan;
  IterationResult result;
};

BestRun run_best(const data::GlobalBatch& batch, const SequenceProfile& profile,
                 const SequenceLayout& layout, const GeneratorOptions& options) {
  const StrategyInput input{batch, profile, layout, 0, options};
  Result<IterationPlan> plan = plan_iteration("best", input);
  REQUIRE_MESSAGE(plan.ok(), to_string(plan.failures()));
  IterationResult result = evaluate_iteration(*plan, input);
  REQUIRE_MESSAGE(result.feasible, to_string(result.problems));
  return {std::move(plan).value(), std::move(result)};
}

TEST_CASE("layouts of the same GPUs: the given one first, none that the profile does not know") {
  SequenceProfile profile = test_profile();
  const SequenceLayout given = stages_of(4, 8);
  CHECK(stages_in(layouts_of(profile, given)) == std::vector<std::int32_t>{4, 1, 2, 8, 16, 32});
  // No more stages than layers.
  profile.layers = 20;
  CHECK(stages_in(layouts_of(profile, given)) == std::vector<std::int32_t>{4, 1, 2, 8, 16});
  // No degree without an all-to-all rate.
  std::erase_if(profile.all_to_all, [](const CollectiveRate& rate) { return rate.gpus == 4; });
  CHECK(stages_in(layouts_of(profile, given)) == std::vector<std::int32_t>{4, 1, 2, 16});
  SequenceLayout wide = stages_of(2, 2);
  wide.tensor = 2;
  wide.context = 4;
  const std::vector<SequenceLayout> all = layouts_of(test_profile(), wide);
  CHECK(all.size() > 1);
  for (const SequenceLayout& layout : all) {
    CHECK(layout.gpus() == wide.gpus());
    CHECK(layout.tensor == 2);
    CHECK(layout.context == 4);
    CHECK(layout.data == 1);
    CHECK(check_sequence_profile(test_profile(), layout).empty());
  }
}

TEST_CASE("best takes another layout where it is faster, and says which") {
  const SequenceProfile profile = test_profile();
  const GeneratorOptions any = {{"pipelines", "only"}};
  const GeneratorOptions given = {{"pipelines", "only"}, {"layouts", "given"}};
  const SequenceLayout layout = stages_of(4, 8);
  for (std::uint64_t seed = 1; seed <= kLayoutSeeds; ++seed) {
    CAPTURE(seed);
    const data::GlobalBatch batch = skewed_batch(seed, 96, 32'768);
    const BestRun free = run_best(batch, profile, layout, any);
    const BestRun bound = run_best(batch, profile, layout, given);
    CHECK(bound.plan.layout.pipeline == 4);
    CHECK(bound.plan.note.find(" stages x ") == std::string::npos);
    // Stages of one GPU move no parameters: much is to be had.
    CHECK(free.result.time < bound.result.time / 10 * 9);
    CHECK(free.plan.layout.pipeline != 4);
    CHECK(free.plan.layout.gpus() == layout.gpus());
    CHECK(free.plan.note.find(std::to_string(free.plan.layout.pipeline) + " stages x ") == 0);
    // Pipeline, costs, order and parts are those of the plan's layout.
    CHECK(free.plan.pipelined->pipeline.pipeline.stages == free.plan.layout.pipeline);
    CHECK(free.plan.predicted == free.result.time);
    CHECK(data::verify_formation(batch, free.plan.formation).empty());
    Time sum = 0;
    for (const Time part : free.result.parts) {
      CHECK(part >= 0);
      sum += part;
    }
    CHECK(sum == free.result.time);
    CHECK(free.result.peak_memory <= profile.capacity - profile.reserved);
    const BestRun again = run_best(batch, profile, layout, any);
    CHECK(again.plan.note == free.plan.note);
    CHECK(again.plan.predicted == free.plan.predicted);
    CHECK(again.plan.candidates == free.plan.candidates);
    CHECK(again.plan.pipelined->schedule.ops == free.plan.pipelined->schedule.ops);
  }
}

TEST_CASE("best plans on another layout where nothing fits on the given one") {
  SequenceProfile profile = test_profile();
  const data::GlobalBatch batch = skewed_batch(5, 12, 2048);
  const SequenceLayout given = stages_of(20, 1);
  // 32 layers on 20 stages: stages of two layers hold far more than 32 / 20 of the states.
  profile.reserved = 0;
  const SequenceLayout fewer = stages_of(5, 4);
  profile.capacity = model_state_bytes(profile, fewer, 0) + (Bytes{1} << 29);
  REQUIRE(model_state_bytes(profile, given, 0) > profile.capacity);
  const GeneratorOptions only = {{"pipelines", "only"}, {"layouts", "given"}};
  const GeneratorOptions any = {{"pipelines", "only"}};
  const StrategyInput bound{batch, profile, given, 0, only};
  const Result<IterationPlan> none = plan_iteration("best", bound);
  REQUIRE(!none);
  CHECK(none.failures().front().kind == FailureKind::kInfeasible);
  const BestRun free = run_best(batch, profile, given, any);
  CHECK(free.plan.layout.pipeline < 20);
  CHECK(free.plan.layout.gpus() == 20);
}

TEST_CASE("prospects promise no less than the least, and what is made of them keeps to it") {
  const GeneratorOptions none;
  const SequenceProfile profile = test_profile();
  for (const std::int32_t stages : {1, 4, 32}) {
    CAPTURE(stages);
    const SequenceLayout layout = stages_of(stages, 32 / stages);
    data::GlobalBatch batch = skewed_batch(static_cast<std::uint64_t>(stages), 64, 24'576);
    batch.sequences.push_back({64, 24'576});
    const StrategyInput input{batch, profile, layout, 0, none};
    const data::Tokens capacity = most_tokens_of_slice(profile, layout);
    const std::vector<ShapeProspect> prospects = prospects_on(input, capacity);
    REQUIRE(!prospects.empty());
    CHECK(std::ranges::is_sorted(prospects, {}, &ShapeProspect::promise));
    // Fine slices for many stages alone.
    const bool fine = std::ranges::any_of(
        prospects, [](const ShapeProspect& prospect) { return prospect.slices > 32; });
    CHECK(fine == (stages == 32));
    Sweep sweep(input);
    for (const ShapeProspect& prospect : prospects) {
      CHECK(prospect.promise >= prospect.least);
      const auto shape = make_shape(sweep, prospect, capacity);
      if (shape) {
        CHECK(shape->bound >= prospect.least);
        CHECK(shape->table.stages == stages);
        CHECK(data::verify_formation(batch, shape->formation).empty());
      }
    }
  }
}

}  // namespace
}  // namespace stagecraft::elastic

TEST_SUITE_END();
