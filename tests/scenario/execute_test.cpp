// The section `execute`: what the stages compute, by stage and slice.
#include <doctest/doctest.h>
#include <fmt/core.h>

#include "stagecraft/scenario/scenario.hpp"

using namespace stagecraft;

namespace {

using Tokens = std::vector<std::vector<std::int32_t>>;

Scenario read(const std::string& text, std::vector<std::string> overrides = {}) {
  Result<Scenario> scenario = read_scenario(text, "a.yaml", overrides);
  if (!scenario) {
    FAIL(to_string(scenario.failures()));
  }
  return std::move(scenario).value();
}

std::string scenario_text(std::string_view shape, std::string_view model) {
  return fmt::format("pipeline: {{devices: 2, microbatches: 2{}}}\nexecute: {{{}}}\n", shape,
                     model);
}

constexpr std::string_view kSizes = "hidden: 64, heads: 4, ffn: [128, 256], layers: 2";

Tokens tokens_of(std::string_view shape, std::string_view tokens, std::string_view shares = "") {
  std::string text = scenario_text(shape, fmt::format("{}, tokens: {}", kSizes, tokens));
  text += shares.empty() ? "" : fmt::format("costs: {{slice_shares: {}}}\n", shares);
  return read(text).model->tokens;
}

std::string failure_of(const Scenario& scenario, const Pipeline& pipeline) {
  const Result<StageModel> model = model_of(scenario, pipeline);
  return model ? "" : to_string(model.failures());
}

}  // namespace

TEST_SUITE("scenario") {
  TEST_CASE("the section execute is read into a model of the stages") {
    const Scenario scenario = read(scenario_text("", fmt::format("{}, tokens: 32", kSizes)));
    REQUIRE(scenario.model.has_value());
    CHECK(scenario.model->hidden == 64);
    CHECK(scenario.model->heads == 4);
    CHECK(scenario.model->ffn == std::vector<std::int32_t>{128, 256});
    CHECK(scenario.model->layers == std::vector<std::int32_t>{2, 2});
    CHECK(scenario.model->tokens == Tokens{{32}, {32}});
    CHECK_FALSE(scenario.costs_given);
    CHECK_FALSE(read("pipeline: {devices: 1, microbatches: 1}\n"
                     "costs: {forward: 1, backward: 2}\n")
                    .model.has_value());
  }

  TEST_CASE("lists of the model say how many stages there are") {
    const Scenario scenario = read(
        "pipeline: {devices: 2, microbatches: 2}\n"
        "execute: {hidden: 8, heads: 1, ffn: 16, layers: [1, 2, 3, 4], tokens: 4}\n");
    CHECK(scenario.pipeline.stages == 4);
    CHECK(scenario.model->layers == std::vector<std::int32_t>{1, 2, 3, 4});
  }

  TEST_CASE("tokens of a micro-batch are cut into slices, evenly or by shares") {
    CHECK(tokens_of("", "[7, 9]") == Tokens{{7}, {9}});
    CHECK(tokens_of(", slices: 3", "8") == Tokens{{3, 3, 2}, {3, 3, 2}});
    CHECK(tokens_of(", slices: [1, 3]", "[8, 7]") == Tokens{{8}, {3, 2, 2}});
    CHECK(tokens_of(", slices: [1, 3]", "[8, [1, 2, 3]]") == Tokens{{8}, {1, 2, 3}});
    CHECK(tokens_of(", slices: 2", "9", "[2, 1]") == Tokens{{6, 3}, {6, 3}});
    CHECK(tokens_of(", slices: 2", "10", "[[1, 1], [1, 4]]") == Tokens{{5, 5}, {2, 8}});
  }

  TEST_CASE("without durations nothing is prepared, and the message says how to get them") {
    const Scenario scenario = read(scenario_text("", fmt::format("{}, tokens: 32", kSizes)));
    const Result<PreparedRun> run = prepare(scenario);
    REQUIRE_FALSE(run.ok());
    const std::string text = to_string(run.failures());
    CHECK(text.starts_with("a.yaml:2:1: error: the costs are missing"));
    CHECK(text.find("stagecraft calibrate a.yaml --device host --out") != std::string::npos);
    CHECK(prepare(read(scenario_text("", fmt::format("{}, tokens: 32", kSizes)),
                       {"costs.forward=1", "costs.backward=2"}))
              .ok());
  }

  TEST_CASE("layers are divided among the pieces of a stage, or the message says what would fit") {
    const Scenario scenario = read(scenario_text("", fmt::format("{}, tokens: 32", kSizes)));
    const Pipeline four = *make_pipeline(2, 2, 2, PlacementKind::kVee);
    const Result<StageModel> model = model_of(scenario, four);
    REQUIRE(model.ok());
    CHECK(model->layers == std::vector<std::int32_t>{1, 1, 1, 1});
    CHECK(model->ffn == std::vector<std::int32_t>{128, 128, 256, 256});
    CHECK(model->tokens == scenario.model->tokens);
    CHECK(model_of(scenario, scenario.pipeline)->layers == scenario.model->layers);

    const std::string indivisible =
        failure_of(scenario, *make_pipeline(2, 3, 2, PlacementKind::kLoop));
    CHECK(
        indivisible.starts_with("a.yaml:2:1: error: the 2 layers of stage 0 cannot be divided "
                                "where 2 stages are cut into 6\n"));
    CHECK(indivisible.find("set execute.layers to a multiple of 3") != std::string::npos);
    const std::string unlike = failure_of(scenario, *make_pipeline(1, 1, 2, PlacementKind::kLoop));
    CHECK(unlike.find("stages 0 and 1 differ in execute.ffn") != std::string::npos);

    const Scenario alike = read(
        "pipeline: {devices: 2, chunks: 3, microbatches: 2}\n"
        "execute: {hidden: 8, heads: 1, ffn: 16, layers: [2, 4, 6, 2, 2, 2], tokens: 4}\n");
    CHECK(model_of(alike, four)->layers == std::vector<std::int32_t>{4, 8, 3, 3});
    CHECK(model_of(alike, *make_pipeline(2, 1, 2, PlacementKind::kLoop))->layers ==
          std::vector<std::int32_t>{12, 6});
  }

  TEST_CASE("stages that become too deep are refused") {
    const Scenario scenario = read(
        "pipeline: {devices: 2, microbatches: 2}\n"
        "execute: {hidden: 8, heads: 1, ffn: 16, layers: 1024, tokens: 4}\n");
    CHECK(failure_of(scenario, *make_pipeline(1, 1, 2, PlacementKind::kLoop))
              .find("a.yaml:2:1: error: of 1 stages: layers of stage 0 is 2048") == 0);
  }

  TEST_CASE("a scenario without a model says what to add") {
    const Scenario scenario =
        read("pipeline: {devices: 1, microbatches: 1}\ncosts: {forward: 1, backward: 2}\n");
    CHECK(failure_of(scenario, scenario.pipeline).find("no section 'execute'") !=
          std::string::npos);
  }
}
