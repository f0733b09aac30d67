// Whole iterations whose communication hides behind computation in part.
#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <string>

#include "group_batches.hpp"
#include "search/elastic/groups/groups.hpp"
#include "search/elastic/groups/round_plan.hpp"
#include "stagecraft/engine/evaluate.hpp"

using namespace stagecraft;
using namespace stagecraft::elastic;
using namespace stagecraft::elastic::group_tests;

namespace {

const GeneratorOptions kDefaults;
constexpr double kShares[] = {0.0, 0.5, 1.0};

SequenceProfile overlapping(std::string_view model, double share) {
  SequenceProfile profile = a800(model);
  profile.overlap = {share, share};
  return profile;
}

SequenceLayout pipeline_of(std::int32_t stages, std::int32_t sequence, std::int32_t context) {
  SequenceLayout layout;
  layout.pipeline = stages;
  layout.sequence = sequence;
  layout.context = context;
  return layout;
}

Time sum_of_parts(const IterationResult& result) {
  return std::accumulate(result.parts.begin(), result.parts.end(), Time{0});
}

Time makespan_of(const SequencePipeline& pipeline, const Schedule& schedule) {
  EvaluateOptions options;
  options.iteration_time = false;
  options.memory_curve = false;
  options.critical_path = false;
  return evaluate(schedule, pipeline.costs, options).makespan;
}

IterationPlan megatron_plan(const data::GlobalBatch& batch, double share,
                            const GeneratorOptions& options) {
  const SequenceProfile profile = overlapping("llama-7b", share);
  const StrategyInput input{batch, profile, gpus_of(16), 0, options};
  return megatron_info().plan(input).value();
}

}  // namespace

TEST_SUITE_BEGIN("search");

TEST_CASE("overlap: the same pipeline is never slower, the more overlaps") {
  const data::GlobalBatch batch = log_normal_batch(1500, 1.4, 32'768, 96, 3);
  for (const SequenceLayout& layout : {pipeline_of(4, 8, 1), pipeline_of(4, 2, 4)}) {
    for (const char* strategy : {"1f1b", "seq1f1b", "elastic", "dynapipe"}) {
      CAPTURE(strategy);
      const SequenceProfile plain = a800("llama-7b");
      const StrategyInput input{batch, plain, layout, 0, kDefaults};
      const Result<IterationPlan> plan = plan_iteration(strategy, input);
      REQUIRE(plan.ok());
      REQUIRE(plan->pipelined.has_value());
      Time before = makespan_of(plan->pipelined->pipeline, plan->pipelined->schedule);
      const Time none = before;
      for (const double share : kShares) {
        const Result<SequencePipeline> costed =
            sequence_pipeline(overlapping("llama-7b", share), plan->layout, plan->formation,
                              plan->pipelined->checkpointing);
        REQUIRE(costed.ok());
        const Time time = makespan_of(*costed, plan->pipelined->schedule);
        CHECK(time <= before);
        CHECK((share > 0.0 ? time < none : time == none));
        before = time;
      }
    }
  }
}

TEST_CASE("overlap: parts add up to the iteration, none of them below 0") {
  const data::GlobalBatch batch = log_normal_batch(1500, 1.4, 32'768, 64, 4);
  for (const double share : kShares) {
    const SequenceProfile profile = overlapping("llama-7b", share);
    for (const char* strategy : {"1f1b", "seq1f1b", "elastic", "dynapipe", "chunkflow", "terapipe",
                                 "deepspeed", "flexsp", "megatron"}) {
      CAPTURE(strategy);
      CAPTURE(share);
      const StrategyInput input{batch, profile, pipeline_of(2, 4, 2), 0, kDefaults};
      const Result<IterationPlan> plan = plan_iteration(strategy, input);
      REQUIRE(plan.ok());
      const IterationResult result = evaluate_iteration(*plan, input);
      CHECK(result.feasible);
      CHECK(sum_of_parts(result) == result.time);
      CHECK(*std::ranges::min_element(result.parts) >= 0);
      CHECK(result.lower_bound <= result.time);
    }
  }
}

TEST_CASE("overlap: strategies without a pipeline get faster") {
  const data::GlobalBatch batch = log_normal_batch(2000, 1.5, 49'152, 128, 5);
  for (const char* strategy : {"deepspeed", "flexsp", "megatron"}) {
    CAPTURE(strategy);
    Time before = kLargestQuantity;
    for (const double share : kShares) {
      const SequenceProfile profile = overlapping("llama-7b", share);
      const StrategyInput input{batch, profile, gpus_of(32), 0, kDefaults};
      const IterationPlan plan = plan_iteration(strategy, input).value();
      const IterationResult result = evaluate_iteration(plan, input);
      REQUIRE(result.feasible);
      CHECK(result.time == plan.predicted);
      CHECK(result.time < before);
      before = result.time;
    }
  }
}

TEST_CASE("overlap: megatron's exchange once per iteration hides behind first F and last BW") {
  const GeneratorOptions fixed = {{"tensor", "8"}, {"context_parallel", "1"}, {"layers", "0"}};
  // Two replicas of long micro-batches: all of it may hide.
  const data::GlobalBatch large = batch_of({32'768, 32'768, 32'768, 32'768});
  const Time once = megatron_plan(large, 0.0, fixed).round_terms.once;
  CHECK(once > 0);
  CHECK(std::abs(megatron_plan(large, 0.5, fixed).round_terms.once - once / 2) <= 2);
  CHECK(megatron_plan(large, 1.0, fixed).round_terms.once <= 2);
  // The last micro-batch of each is its longest.
  const data::GlobalBatch mixed = batch_of({32'768, 32'768, 30'000, 29'000, 200, 100});
  const IterationPlan ordered = megatron_plan(mixed, 1.0, fixed);
  for (const std::int32_t microbatch : ordered.rounds.back().microbatch) {
    REQUIRE(microbatch >= 0);
    CHECK(ordered.formation.microbatches[static_cast<std::size_t>(microbatch)].tokens() >= 30'000);
  }
  // Little computation hides little: of F and BW of one token nearly nothing.
  const data::GlobalBatch tiny = batch_of({1, 1});
  CHECK(megatron_plan(tiny, 1.0, fixed).round_terms.once > once * 9 / 10);
}

TEST_CASE("overlap: models of groups show all communication") {
  const SequenceLayout layout = rounds::ulysses_layout(8, 32);
  const rounds::GroupModel none =
      rounds::group_model(a800("llama-7b"), layout, 3, Bytes{1} << 36, 1 << 20);
  const rounds::GroupModel all =
      rounds::group_model(overlapping("llama-7b", 1.0), layout, 3, Bytes{1} << 36, 1 << 20);
  CHECK(all.fixed == none.fixed);
  CHECK(all.per_token == none.per_token);
  CHECK(all.per_square == none.per_square);
  CHECK(all.capacity == none.capacity);
}

TEST_SUITE_END();
