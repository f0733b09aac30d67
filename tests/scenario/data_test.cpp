// Scenarios that bring their data: what is read, and what follows from it for an iteration.
#include <doctest/doctest.h>

#include "stagecraft/engine/evaluate.hpp"
#include "stagecraft/scenario/data_scenario.hpp"
#include "stagecraft/scenario/scenario.hpp"
#include "stagecraft/schedule/verify.hpp"

using namespace stagecraft;

namespace {

constexpr const char* kText = R"(
name: test
model: llama-7b
profile: a800-80gb-flexsp
parallelism: {pipeline: 4, ulysses: 8}
data: {lengths: github, context: 48K, seed: 7, iterations: 3}
training: {global_batch: 32}
schedule: elastic
)";

Scenario read(const std::string& text, std::vector<std::string> overrides = {}) {
  const Result<Scenario> scenario = read_scenario(text, "test.yaml", overrides);
  if (!scenario) {
    FAIL(to_string(scenario.failures()));
  }
  return *scenario;
}

std::string failure(const std::string& text, std::vector<std::string> overrides = {}) {
  const Result<Scenario> scenario = read_scenario(text, "test.yaml", overrides);
  REQUIRE_FALSE(scenario.ok());
  return to_string(scenario.failures());
}

}  // namespace

TEST_SUITE("scenario") {
  TEST_CASE("a scenario of data is read with its profile, layout and sampling") {
    const Scenario scenario = read(kText);
    REQUIRE(scenario.data.has_value());
    CHECK(scenario.data->sampling.context == 49'152);
    CHECK(scenario.data->sampling.seed == 7);
    CHECK(scenario.data->sampling.global_batch == 32);
    CHECK(scenario.data->iterations == 3);
    CHECK(scenario.data->layout.gpus() == 32);
    CHECK(scenario.data->layout.pipeline == 4);
    CHECK(scenario.data->profile.model == "llama-7b");
    CHECK(scenario.data->profile.layers == 32);
    CHECK(scenario.data->regimes == std::vector<data::Tokens>{2'048, 8'192, 32'768});
    CHECK(scenario.schedule.kind == "elastic");
    CHECK_FALSE(scenario.costs_given);
  }

  TEST_CASE("single constants of a profile are replaced, in their units") {
    const Scenario scenario =
        read(kText, {"profile={name: a800-80gb-flexsp, quadratic: 0.25, linear: 100, fixed: 5ms, "
                     "fixed_cost: fitted, capacity: 40GiB, node_bandwidth: 100GB/s, "
                     "all_to_all: {8: 50GB/s, 4: 60GB/s}}"});
    const SequenceProfile& profile = scenario.data->profile;
    CHECK(profile.quadratic_ns == doctest::Approx(0.25));
    CHECK(profile.linear_ns == doctest::Approx(100.0));
    CHECK(profile.fixed_ns == doctest::Approx(5e6));
    CHECK(profile.fixed == FixedCost::kFitted);
    CHECK(profile.capacity == Bytes{40} << 30);
    CHECK(profile.node_bytes_per_second == doctest::Approx(100e9));
    REQUIRE(profile.all_to_all.size() == 2);
    CHECK(profile.all_to_all[0].gpus == 4);
    CHECK(profile.all_to_all[1].bytes_per_second == doctest::Approx(50e9));
    CHECK(profile.layers == 32);
  }

  TEST_CASE("shares that overlap are constants of a profile, 0 unless given") {
    CHECK(read(kText).data->profile.overlap == Overlap{});
    const Overlap both =
        read(kText, {"profile.overlap={parameters: 0.75, exchange: 1}"}).data->profile.overlap;
    CHECK(both.parameters == doctest::Approx(0.75));
    CHECK(both.exchange == 1.0);
    CHECK(read(kText, {"profile.overlap.exchange=0.5"}).data->profile.overlap.parameters == 0.0);

    std::string text = kText;
    text.replace(text.find("profile: a800-80gb-flexsp"), 25,
                 "profile: {overlap: {parameters: 1.01, exchange: -0.1}}");
    const std::string said = failure(text);
    CHECK(
        said.find("test.yaml:4:33: error: 'profile.overlap.parameters' is 1.01, expected a number "
                  "from 0 to 1") != std::string::npos);
    CHECK(said.find("test.yaml:4:49: error: 'profile.overlap.exchange' is -0.1") !=
          std::string::npos);
    CHECK(failure(kText, {"profile.overlap=0.5"}).find("'profile.overlap' is a section") !=
          std::string::npos);
    CHECK(
        failure(kText, {"profile={overlap: {parameter: 1}}"}).find("did you mean 'parameters'?") !=
        std::string::npos);
  }

  TEST_CASE("standard input holds the scenario or what it names, not both") {
    std::string text = kText;
    text.replace(text.find("lengths: github"), 15, "lengths: '-'");
    CHECK(read_scenario(text, "test.yaml").ok());
    const Result<Scenario> both = read_scenario(text, "-");
    REQUIRE_FALSE(both.ok());
    CHECK(to_string(both.failures())
              .find("<standard input>:6:17: error: the scenario itself is read from standard "
                    "input, expected a file as 'data.lengths': only one of them can be '-'") !=
          std::string::npos);

    const std::string explicit_text =
        "pipeline: {devices: 1, microbatches: 1}\ncosts: {forward: 1, backward: 1}\n"
        "schedule: {kind: file, file: '-'}\n";
    const Result<Scenario> file = read_scenario(explicit_text, "folder/test.yaml");
    REQUIRE(file.ok());
    CHECK(file->schedule.options.at("file") == "-");
    const Result<Scenario> twice = read_scenario(explicit_text, "-");
    REQUIRE_FALSE(twice.ok());
    CHECK(to_string(twice.failures()).find("<standard input>:3:30: error:") != std::string::npos);
  }

  TEST_CASE("token counts take K and M, and nothing that is no whole number of tokens") {
    CHECK(read(kText, {"data.context=1.5K"}).data->sampling.context == 1'536);
    CHECK(read(kText, {"data.context=1M"}).data->sampling.context == 1'048'576);
    CHECK(failure(kText, {"data.context=1.3"}).find("has a fraction") != std::string::npos);
    CHECK(failure(kText, {"data.context=4GB"}).find("unit of size") != std::string::npos);
    CHECK(failure(kText, {"training.global_batch=0"}).find("from 1 to") != std::string::npos);
  }

  TEST_CASE("overrides give options of strategies, and the file's do not bind another one") {
    std::string text = kText;
    const auto options = [&](std::vector<std::string> overrides) {
      return read(text, std::move(overrides)).schedule.options;
    };
    CHECK(options({"schedule.slices=8"}) == GeneratorOptions{{"slices", "8"}});
    CHECK(options({"schedule.kind=elastic", "schedule.slices=8"}) ==
          GeneratorOptions{{"slices", "8"}});
    text.replace(text.find("schedule: elastic"), 17,
                 "schedule: {kind: elastic, slices: 8, checkpoint: full}");
    CHECK(options({"schedule.slices=4"}) ==
          GeneratorOptions{{"checkpoint", "full"}, {"slices", "4"}});
    CHECK(options({"schedule.kind=1f1b"}).empty());
    CHECK(options({"schedule.kind=flexsp"}).empty());
    CHECK(failure(text, {"schedule.slices=4", "schedule.kind=1f1b"})
              .find("--set schedule.slices=4:1:1: error: strategy 1f1b has no option 'slices'") !=
          std::string::npos);
  }

  TEST_CASE("numbers of tokens among options take K and M") {
    const auto tokens = [](const char* given) {
      return read(kText, {std::string("schedule={kind: seq1f1b, tokens: ") + given + "}"})
          .schedule.options.at("tokens");
    };
    CHECK(tokens("96K") == "98304");
    CHECK(tokens("0.5M") == "524288");
    CHECK(tokens("4096") == "4096");
    CHECK(tokens("many") == "many");
    CHECK(read(kText, {"schedule.kind=seq1f1b", "schedule.tokens=96K"})
              .schedule.options.at("tokens") == "98304");
  }

  TEST_CASE("keys of files are refused where the lengths are none") {
    std::string text = kText;
    text.replace(text.find("lengths: github"), 15, "lengths: github, column: 1");
    CHECK(failure(text).find("test.yaml:6:33: error: 'data.column' says how to read a file, and "
                             "'github' is none") != std::string::npos);
    CHECK(
        read_scenario(text, "test.yaml", std::vector<std::string>{"data.lengths=wikipedia"}).ok());
    CHECK(
        failure(kText, {"data.skip_malformed=true"}).find("--set data.skip_malformed=true:1:21") !=
        std::string::npos);
  }

  TEST_CASE("a model of one's own is one whose constants are all given") {
    std::string text = kText;
    text.replace(text.find("model: llama-7b"), 15, "model: mine");
    CHECK(failure(text).find("takes 'profile' with all of: quadratic, linear, layers") !=
          std::string::npos);
    text.replace(text.find("profile: a800-80gb-flexsp"), 25,
                 "profile: {quadratic: 3, linear: 1e5, layers: 24, hidden: 2048, kv_width: 512,\n"
                 "  vocabulary: 32000, parameters: 3000000000, activation: 2MB}");
    CHECK(failure(text).find("these as well: logits") != std::string::npos);
    const SequenceProfile profile = read(text, {"profile.logits=64kB"}).data->profile;
    CHECK(profile.model == "mine");
    CHECK(profile.layers == 24);
    CHECK(profile.fixed_ns == 0.0);
    CHECK(profile.capacity == Bytes{80} << 30);
    CHECK(failure(text, {"profile.logits=64kB", "profile.fixed_cost=fitted"})
              .find("these as well: fixed") != std::string::npos);
  }

  TEST_CASE("a scenario of data cannot be prepared as if it had costs") {
    const Result<PreparedRun> prepared = prepare(read(kText), "1f1b");
    REQUIRE_FALSE(prepared.ok());
    CHECK(to_string(prepared.failures()).find("data") != std::string::npos);
  }

  TEST_CASE("an iteration becomes a scenario with explicit costs and the same times") {
    for (const char* strategy : {"elastic", "1f1b", "seq1f1b"}) {
      CAPTURE(strategy);
      const Scenario scenario = read(kText);
      const Result<data::GlobalBatch> batch = chosen_batch(scenario, nullptr);
      REQUIRE(batch.ok());
      CHECK(batch->sequences.size() == 32);
      const Result<IterationRun> run = run_iteration(scenario, strategy, *batch);
      REQUIRE(run.ok());
      REQUIRE(run->result.feasible);
      CHECK(run->result.tokens == batch->tokens());

      const Result<Scenario> explicit_costs = explicit_iteration(scenario, strategy);
      if (!explicit_costs) {
        FAIL(to_string(explicit_costs.failures()));
      }
      CHECK_FALSE(explicit_costs->data.has_value());
      const Result<PreparedRun> prepared = prepare(*explicit_costs);
      if (!prepared) {
        FAIL(to_string(prepared.failures()));
      }
      const Result<Schedule> schedule = make_schedule(*explicit_costs, *prepared);
      if (!schedule) {
        FAIL(to_string(schedule.failures()));
      }
      const Evaluation again = evaluate(*schedule, prepared->costs);
      const Evaluation direct =
          evaluate(run->plan.pipelined->schedule, run->plan.pipelined->pipeline.costs);
      CHECK(again.feasible);
      CHECK(again.fingerprint == direct.fingerprint);
      CHECK(again.iteration == direct.iteration);
      CHECK(again.peak_memory == direct.peak_memory);
    }
  }

  TEST_CASE("a strategy without a pipeline has no explicit costs") {
    const Result<Scenario> none = explicit_iteration(read(kText), "deepspeed");
    REQUIRE_FALSE(none.ok());
    CHECK(to_string(none.failures()).find("has no pipeline") != std::string::npos);
  }

  TEST_CASE("iterations are the same however they are taken") {
    const Scenario scenario = read(kText);
    Result<data::BatchSampler> sampler = open_batches(scenario);
    REQUIRE(sampler.ok());
    const auto three = take_batches(scenario, *sampler, 3);
    REQUIRE(three.ok());
    REQUIRE(three->size() == 3);
    for (std::int32_t i = 0; i < 3; ++i) {
      const Scenario other = read(kText, {"data.iteration=" + std::to_string(i)});
      const Result<data::GlobalBatch> one = chosen_batch(other, nullptr);
      REQUIRE(one.ok());
      CHECK(one->sequences == (*three)[static_cast<std::size_t>(i)].sequences);
    }
  }

  TEST_CASE("a regime's batch has only its lengths and about the tokens asked for") {
    const Scenario scenario = read(kText);
    const auto batch = regime_batch(scenario, 2'048, 8'192, 100'000);
    REQUIRE(batch.ok());
    CHECK(batch->note.empty());
    for (const data::Sequence& sequence : batch->batch.sequences) {
      CHECK(sequence.tokens > 2'048);
      CHECK(sequence.tokens <= 8'192);
    }
    CHECK(batch->batch.tokens() >= 100'000);
    CHECK(batch->batch.tokens() < 100'000 + 8'192);
    const auto none = regime_batch(scenario, 49'152, 100'000, 100'000);
    REQUIRE(none.ok());
    CHECK(none->batch.sequences.empty());
    CHECK(none->note == "no winner for 49153 to 100000 tokens: the context is 49152");
  }

  TEST_CASE("a regime that the data lack, or have too few of, is said with its figures") {
    const auto note_of = [](const char* lengths, data::Tokens above, data::Tokens up_to) {
      const Scenario scenario = read(kText, {std::string("data.lengths=") + lengths});
      const auto batch = regime_batch(scenario, above, up_to, 1'000'000'000);
      REQUIRE(batch.ok());
      return batch->note;
    };
    CHECK(
        note_of("constant(100)", 100, 200) ==
        "no winner for 101 to 200 tokens: none of 1 000 000 sequences looked at has such a length");
    CHECK(note_of("\"mix(99999 constant(100), 1 constant(150))\"", 100, 200) ==
          "the winner for 101 to 200 tokens is of a batch of only 14 550 of 1 000 000 000 tokens: "
          "97 of 10 000 000 sequences looked at have such a length");
  }

  TEST_CASE("what is wrong with constants is said of the profile, not of the layout") {
    const auto wrong = [](const char* profile) {
      const Result<Scenario> scenario =
          read_scenario("model: llama-7b\nprofile: {" + std::string(profile) +
                            "}\nparallelism: {pipeline: 4, ulysses: 8}\ndata: {lengths: github}\n",
                        "wrong.yaml");
      REQUIRE_FALSE(scenario.ok());
      return scenario.failures();
    };
    for (const char* profile : {"quadratic: 0, linear: 0", "forward_share: 1", "activation: 0",
                                "activation: 1", "capacity: 0", "element: 0"}) {
      CHECK(wrong(profile).front().place.line == 2);
    }
    CHECK(wrong("all_to_all: {4: 96GB/s}").front().place.line == 3);
    CHECK(wrong("all_to_all: {}").front().message.find("is empty") != std::string::npos);
  }

  TEST_CASE("finite data end, and the message says after how many batches") {
    const Scenario scenario = read(kText, {"data.lengths=constant(100)", "data.iteration=2"});
    CHECK(chosen_batch(scenario, nullptr).ok());
  }
}
