// Our own search over everything the other strategies decide, and what they do not: pipelines that
// overlap where memory allows, recomputation by unit with the engine's own memory, the order of
// micro-batches. The plans of all other strategies are candidates, so none is better.
#include <array>
#include <string_view>
#include <utility>

#include <fmt/core.h>

#include "search/elastic/all.hpp"
#include "search/elastic/best/best_pipeline.hpp"
#include "search/elastic/best/no_pipeline.hpp"
#include "search/elastic/options.hpp"

namespace stagecraft::elastic {
namespace {

constexpr std::int64_t kMostEvaluations = 100'000'000;
constexpr std::array<std::string_view, 2> kPipelines = {"any", "only"};
constexpr std::array<std::string_view, 2> kLayouts = {"any", "given"};

Result<IterationPlan> plan(const StrategyInput& input) {
  const auto evaluations =
      number_option(input.options, "evaluations", kBestEvaluations, 0, kMostEvaluations);
  const auto pipelines = choice_option(input.options, "pipelines", kPipelines);
  const auto layouts = choice_option(input.options, "layouts", kLayouts);
  Diagnostics problems;
  collect_failures(evaluations, problems);
  collect_failures(pipelines, problems);
  collect_failures(layouts, problems);
  if (!problems.empty()) {
    return problems;
  }
  BestPipelineChoice choice;
  choice.evaluations = *evaluations;
  choice.evaluations_given = input.options.contains("evaluations");
  choice.any_layout = *layouts == 0;
  Result<IterationPlan> pipeline = best_pipeline(input, choice);
  if (*pipelines == 1) {
    return pipeline;
  }
  NoPipeline other = best_without_pipeline(input);
  if (!other.plan || (pipeline && pipeline->predicted <= other.plan->predicted)) {
    if (pipeline) {
      pipeline->candidates += other.compared;
    }
    return pipeline;
  }
  other.plan->candidates = other.compared + (pipeline ? pipeline->candidates : 0);
  if (pipeline) {
    other.plan->note += fmt::format("; the best pipeline takes {:.3f} s",
                                    static_cast<double>(pipeline->predicted) / kSecond);
  }
  return *std::move(other.plan);
}

constexpr std::array kOptions = {
    OptionSpec{.name = "evaluations",
               .unit = "",
               .default_value = "20000",
               .range = "0 to 100000000",
               .help = "orders that local search replays; fewer by default where units are many"},
    OptionSpec{.name = "pipelines",
               .unit = "",
               .default_value = "any",
               .range = "any | only",
               .help = "any: groups of GPUs without a pipeline where those are faster; only: a "
                       "pipeline always"},
    OptionSpec{.name = "layouts",
               .unit = "",
               .default_value = "any",
               .range = "any | given",
               .help = "any: the pipeline and sequence degrees that are fastest on the same GPUs; "
                       "given: those of the scenario"},
};

}  // namespace

const StrategyInfo& best_info() {
  static const StrategyInfo info = {
      .name = "best",
      .summary =
          "our own search: any chunks, any number of stages, overlapping pipelines, recomputation "
          "by "
          "unit, or no pipeline where groups of GPUs are faster",
      .source = "this project",
      .assumptions =
          "never slower than another strategy with its default options on the same layout: their "
          "plans are where it begins, those of deepspeed, flexsp and megatron included "
          "(pipelines = only leaves them out); pipeline and sequence degree are its own choice "
          "within their product (layouts = given takes the scenario's)",
      .options = kOptions,
      .pipelined = true,
      .plan = plan,
  };
  return info;
}

}  // namespace stagecraft::elastic
