// What is written reads back to the same costs, shape and model.
#include <doctest/doctest.h>
#include <fmt/core.h>

#include "stagecraft/engine/evaluate.hpp"
#include "stagecraft/scenario/write.hpp"
#include "support/random_schedule.hpp"

using namespace stagecraft;

namespace {

Scenario read(const std::string& text) {
  Result<Scenario> scenario = read_scenario(text, "written.yaml");
  if (!scenario) {
    MESSAGE(text);
    FAIL(to_string(scenario.failures()));
  }
  return std::move(scenario).value();
}

PreparedRun prepared(const Scenario& scenario, std::string_view schedule = {},
                     Recut recut = Recut::kOpenOnly) {
  Result<PreparedRun> run = prepare(scenario, schedule, recut);
  if (!run) {
    FAIL(to_string(run.failures()));
  }
  return std::move(run).value();
}

/// Entry by entry; how a grid is stored does not matter.
bool same(const Grid& a, const Grid& b, const Pipeline& pipeline) {
  for (std::int32_t s = 0; s < pipeline.stages; ++s) {
    for (std::int32_t m = 0; m < pipeline.microbatches; ++m) {
      for (std::int32_t q = 0; q < pipeline.slices_of(m); ++q) {
        if (a.at(s, m, q) != b.at(s, m, q)) {
          return false;
        }
      }
    }
  }
  return true;
}

void check_same_network(const Network& a, const Network& b) {
  CHECK(a.host.host_link_of == b.host.host_link_of);
  CHECK(a.host.sharing == b.host.sharing);
  REQUIRE(a.links.size() == b.links.size());
  CHECK((a.links.empty() || a.route_offsets == b.route_offsets));
  CHECK(a.route_links == b.route_links);
  for (std::size_t i = 0; i < a.links.size(); ++i) {
    const Link& x = a.links[i];
    const Link& y = b.links[i];
    CHECK(x.from == y.from);
    CHECK(x.to == y.to);
    CHECK(x.bytes_per_second == y.bytes_per_second);
    CHECK(x.latency == y.latency);
    CHECK(x.sharing == y.sharing);
    CHECK(x.name == y.name);
  }
}

/// What no op of the costs uses need not be the same.
void check_same(const CostTable& a, const CostTable& b, const Pipeline& pipeline) {
  CHECK(same(a.forward, b.forward, pipeline));
  CHECK((!a.split_backward || same(a.backward_input, b.backward_input, pipeline)));
  CHECK((!a.split_backward || same(a.backward_weight, b.backward_weight, pipeline)));
  CHECK(same(a.backward, b.backward, pipeline));
  CHECK(same(a.recompute, b.recompute, pipeline));
  CHECK((!a.overlapped_given || same(a.overlapped, b.overlapped, pipeline)));
  CHECK((!a.offload_given || same(a.offload, b.offload, pipeline)));
  CHECK((!a.offload_given || same(a.reload, b.reload, pipeline)));
  CHECK(a.split_backward == b.split_backward);
  CHECK(a.overlapped_given == b.overlapped_given);
  CHECK(a.offload_given == b.offload_given);
  CHECK(a.transfer_latency == b.transfer_latency);
  CHECK(a.transfer_bytes == b.transfer_bytes);
  for (std::int32_t s = 0; s + 1 < pipeline.stages && a.transfers_by_unit; ++s) {
    for (std::int32_t m = 0; m < pipeline.microbatches; ++m) {
      for (std::int32_t q = 0; q < pipeline.slices_of(m); ++q) {
        // What is the same for all units reads back to lists by boundary.
        const auto boundary = static_cast<std::size_t>(s);
        CHECK(a.unit_transfer_latency.at(s, m, q) == (b.transfers_by_unit
                                                          ? b.unit_transfer_latency.at(s, m, q)
                                                          : b.transfer_latency[boundary]));
        CHECK(
            a.unit_transfer_bytes.at(s, m, q) ==
            (b.transfers_by_unit ? b.unit_transfer_bytes.at(s, m, q) : b.transfer_bytes[boundary]));
      }
    }
  }
  CHECK(a.communication == b.communication);
  check_same_network(a.network, b.network);
  CHECK(same(a.memory.forward, b.memory.forward, pipeline));
  CHECK(same(a.memory.backward_input, b.memory.backward_input, pipeline));
  CHECK(same(a.memory.backward_weight, b.memory.backward_weight, pipeline));
  CHECK(same(a.memory.stage_input, b.memory.stage_input, pipeline));
  CHECK(a.memory.resident == b.memory.resident);
  CHECK(a.memory.capacity == b.memory.capacity);
  CHECK(a.memory.policy == b.memory.policy);
  CHECK(a.memory.given == b.memory.given);
  CHECK(a.gradient_reduction == b.gradient_reduction);
  CHECK(a.optimizer_step == b.optimizer_step);
  CHECK(a.post_validation == b.post_validation);
}

void check_round_trip(const PreparedRun& run, const std::optional<StageModel>& model) {
  const std::string text = write_scenario(run, model, "measured on nothing\n\nat all");
  CAPTURE(text);
  CHECK(text.starts_with("# measured on nothing\n#\n# at all\nname: "));
  const Scenario scenario = read(text);
  CHECK(scenario.name == run.scenario);
  CHECK(scenario.schedule.p2p == run.p2p);
  const PreparedRun back = prepared(scenario);
  CHECK(back.schedule == run.schedule);
  CHECK(back.options == run.options);
  CHECK(back.pipeline == run.pipeline);
  check_same(run.costs, back.costs, run.pipeline);
  REQUIRE(scenario.model.has_value() == model.has_value());
  if (model) {
    CHECK(scenario.model->hidden == model->hidden);
    CHECK(scenario.model->heads == model->heads);
    CHECK(scenario.model->ffn == model->ffn);
    CHECK(scenario.model->layers == model->layers);
    CHECK(scenario.model->tokens == model->tokens);
  }
  // And what is written of what was read is the same text.
  CHECK(write_scenario(back, scenario.model, "measured on nothing\n\nat all") == text);
}

Grid random_grid(Random& random, const Pipeline& pipeline, std::int64_t low, std::int64_t high) {
  std::vector<std::int64_t> values;
  const std::int32_t most = pipeline.max_slices();
  for (std::int64_t i = 0; i < std::int64_t{pipeline.stages} * pipeline.microbatches * most; ++i) {
    values.push_back(random.uniform(low, high));
  }
  return Grid::per_slice(std::move(values), pipeline.microbatches, most);
}

std::vector<std::int64_t> random_list(Random& random, std::int32_t count) {
  std::vector<std::int64_t> values;
  for (std::int32_t i = 0; i < count; ++i) {
    values.push_back(random.uniform(0, 1'000'000));
  }
  return values;
}

/// Everything that random_costs leaves out.
void add_costs(Random& random, const Pipeline& pipeline, CostTable& costs) {
  const auto chance = [&] { return random.chance(1, 2); };
  costs.offload_given = chance();
  costs.reload = chance() ? costs.offload : random_grid(random, pipeline, 0, 99);
  if (chance()) {
    costs.recompute = random_grid(random, pipeline, 0, 99);
  }
  if (chance()) {
    costs.overlapped_given = true;
    costs.overlapped = random_grid(random, pipeline, 0, 99);
  }
  if (chance()) {
    costs.backward = random_grid(random, pipeline, 0, 99);
  }
  if (chance()) {
    costs.split_backward = false;
    costs.backward_input = Grid{};
    costs.backward_weight = Grid{};
  }
  costs.communication = static_cast<Communication>(random.uniform(0, 3));
  if (chance()) {
    constexpr Topology kTopologies[] = {Topology::kLine, Topology::kRing, Topology::kSwitch,
                                        Topology::kFull};
    costs.network =
        make_network(kTopologies[random.uniform(0, 3)], pipeline.devices, 1'000'000'007, 42,
                     chance() ? LinkSharing::kFair : LinkSharing::kFirstComeFirstServed);
  }
  if (chance()) {
    const auto group = random.uniform(1, pipeline.devices);
    for (std::int32_t d = 0; d < pipeline.devices; ++d) {
      costs.network.host.host_link_of.push_back(static_cast<std::int32_t>(d / group));
    }
    costs.network.host.sharing = LinkSharing::kFirstComeFirstServed;
  }
  if (chance()) {
    costs.memory.resident = random_list(random, pipeline.devices);
    costs.memory.capacity = random_list(random, pipeline.devices);
    costs.memory.given = true;
    costs.memory.policy = chance() ? MemoryPolicy::kWait : MemoryPolicy::kFail;
  }
  if (chance()) {
    costs.optimizer_step = random_list(random, pipeline.devices);
    costs.gradient_reduction = random_list(random, pipeline.devices);
    costs.post_validation = chance();
  }
  if (pipeline.stages > 1 && !costs.transfers_by_unit) {
    costs.transfer_bytes = random_list(random, pipeline.stages - 1);
  }
}

StageModel random_model(Random& random, const Pipeline& pipeline) {
  StageModel model;
  model.heads = static_cast<std::int32_t>(random.uniform(1, 4));
  model.hidden = 8 * model.heads;
  for (std::int32_t s = 0; s < pipeline.stages; ++s) {
    model.ffn.push_back(static_cast<std::int32_t>(random.uniform(1, 3)) * 16);
    model.layers.push_back(static_cast<std::int32_t>(random.uniform(1, 3)));
  }
  for (std::int32_t m = 0; m < pipeline.microbatches; ++m) {
    model.tokens.emplace_back();
    for (std::int32_t q = 0; q < pipeline.slices_of(m); ++q) {
      model.tokens.back().push_back(static_cast<std::int32_t>(random.uniform(1, 9)));
    }
  }
  return model;
}

}  // namespace

TEST_SUITE("scenario") {
  TEST_CASE("what is written reads back to the identical costs, shape and model") {
    std::size_t sliced = 0;
    std::size_t bidirectional = 0;
    std::size_t unlike = 0;
    for (std::uint64_t seed = 0; seed < 300; ++seed) {
      CAPTURE(seed);
      Random random(seed);
      PreparedRun run;
      run.pipeline = test::random_pipeline(random);
      if (run.pipeline.max_slices() == 1) {
        run.pipeline.slices.clear();  // as it is read
      }
      run.scenario = seed % 3 == 0 ? "Ein \"Name\": # mit\tallem, ü" : "plain-name";
      run.schedule = "file";
      run.options = {{"file", "/no/such folder/a.json"}};
      run.costs = test::random_costs(random, run.pipeline);
      run.p2p = static_cast<P2pLowering>(random.uniform(0, 4));
      add_costs(random, run.pipeline, run.costs);
      sliced += run.pipeline.max_slices() > 1 ? 1U : 0U;
      bidirectional += run.pipeline.bidirectional() ? 1U : 0U;
      unlike += run.costs.transfers_by_unit ? 1U : 0U;
      const bool with_model = random.chance(1, 2);
      check_round_trip(
          run, with_model ? std::optional(random_model(random, run.pipeline)) : std::nullopt);
    }
    CHECK(sliced > 30);
    CHECK(bidirectional > 10);
    CHECK(unlike > 60);
  }

  TEST_CASE("pieces, slices, speeds and layers are folded into what is written") {
    const Scenario scenario = read(R"(
name: folded
pipeline: {devices: 2, microbatches: 4, slices: 2, speed: [1, 1.5]}
layers:
  forward: [5, 6, 7, 8]
  backward_input: [5, 6, 7, 8]
  backward_weight: [3, 3, 3, 3]
  activation: [101, 101, 101, 103]
  parameters: [10, 20, 30, 40]
costs: {slice_shares: [2, 1], transfer: 2, transfer_bytes: 1kB}
links: {topology: ring, bandwidth: 25GB/s, latency: 1}
communication: link
)");
    for (const std::string_view schedule : {"1f1b", "zbv", "dualpipe", "terapipe", "v-half"}) {
      CAPTURE(schedule);
      const PreparedRun run = prepared(scenario, schedule, Recut::kAllowed);
      check_round_trip(run, std::nullopt);
      const Result<Schedule> made = make_schedule(scenario, run);
      const Scenario written = read(write_scenario(run, std::nullopt));
      const PreparedRun again = prepared(written);
      const Result<Schedule> remade = make_schedule(written, again);
      REQUIRE(made.ok() == remade.ok());
      if (made) {
        CHECK(evaluate(*made, run.costs).fingerprint == evaluate(*remade, again.costs).fingerprint);
      }
    }
  }
}
