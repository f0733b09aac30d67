#include "stagecraft/execute/stage_model.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <utility>

#include "stagecraft/execute/stage_compute.hpp"

namespace stagecraft {
namespace {

Pipeline line(std::int32_t devices, std::int32_t microbatches) {
  return make_pipeline(devices, 1, microbatches, PlacementKind::kLoop).value();
}

StageModel two_stages() {
  return {8, 2, {16, 24}, {1, 2}, {{5}, {3}}};
}

bool mentions(const Diagnostics& errors, const std::string& text) {
  return std::any_of(errors.begin(), errors.end(), [&](const Diagnostic& error) {
    return error.message.find(text) != std::string::npos;
  });
}

TEST_SUITE_BEGIN("execute");

TEST_CASE("a model that fits its pipeline has no errors") {
  CHECK(check_model(two_stages(), line(2, 2)).empty());
}

TEST_CASE("all errors of a model are found at once, with what was expected") {
  StageModel model = two_stages();
  model.hidden = 9;
  model.ffn = {0};
  model.layers = {1, 1 << 20};
  model.tokens = {{5, 1}, {-3}};
  const Diagnostics errors = check_model(model, line(2, 2));
  CHECK(errors.size() == 6);
  CHECK(mentions(errors, "hidden is 9; expected a multiple of the 2 heads"));
  CHECK(mentions(errors, "ffn has 1 entries; expected one for each of 2 stages"));
  CHECK(mentions(errors, "ffn of stage 0 is 0; expected a count from 1 to 524288"));
  CHECK(mentions(errors, "layers of stage 1 is 1048576; expected a count from 1 to 1024"));
  CHECK(mentions(errors, "tokens of micro-batch 0 has 2 entries; expected one for each of 1"));
  CHECK(mentions(errors, "tokens of micro-batch 1, slice 0 is -3; expected a count from 1"));
  model.heads = 0;
  model.tokens.pop_back();
  CHECK(mentions(check_model(model, line(2, 2)), "heads is 0"));
  CHECK(mentions(check_model(model, line(2, 2)), "tokens has 1 entries; expected one for each"));
}

TEST_CASE("slices of a model are those of the pipeline") {
  Pipeline pipeline = line(2, 2);
  pipeline.slices = {2, 3};
  StageModel model = two_stages();
  model.tokens = {{4, 4}, {3, 2, 1}};
  CHECK(check_model(model, pipeline).empty());
  CHECK(model.all_tokens() == 14);
  model.tokens[1] = {1 << 20, 1 << 20, 1};
  CHECK(mentions(check_model(model, pipeline), "micro-batch 1 has 2097153 tokens"));
}

TEST_CASE("tensors of a block do not overlap, and begin at multiples of 128 elements") {
  const StageModel model{24, 4, {40}, {3}, {{37}}};
  for (const bool sliced : {false, true}) {
    const BlockLayout layout = block_layout(model, 0, 37, sliced);
    const std::size_t narrow = std::size_t{37} * 24;
    const std::size_t wide = std::size_t{37} * 40;
    std::vector<std::pair<std::size_t, std::size_t>> parts = {{layout.output, narrow}};
    for (const LayerLayout& l : layout.layers) {
      for (const std::size_t at : {l.x, l.n1, l.o, l.x1, l.n2}) {
        parts.emplace_back(at, narrow);
      }
      parts.emplace_back(l.qkv, 3 * narrow);
      parts.emplace_back(l.h, wide);
      parts.emplace_back(l.a, wide);
      if (sliced) {
        parts.emplace_back(l.kv_grad, 2 * narrow);
      }
    }
    std::sort(parts.begin(), parts.end());
    for (std::size_t i = 0; i < parts.size(); ++i) {
      CHECK(parts[i].first % 128 == 0);
      const std::size_t end = parts[i].first + parts[i].second;
      CHECK(end <= (i + 1 < parts.size() ? parts[i + 1].first : layout.elements));
    }
    CHECK(layout.layers[0].x == 0);
    CHECK(layout.input == narrow);
    CHECK(layout.floats == std::size_t{3} * 2 * 37);
    CHECK(layout.layers[2].rstd2 + 37 == layout.floats);
    CHECK(layout.bytes(2) % 256 == 0);
    CHECK(layout.bytes(2) >= static_cast<Bytes>(2 * layout.elements + 4 * layout.floats));
    CHECK(layout.floats_offset(4) == static_cast<Bytes>(4 * layout.elements));
  }
}

TEST_CASE("parameters, work and traffic are the formulas'") {
  const StageModel model = two_stages();
  CHECK(stage_parameters(model, 0) == 4 * 64 + 2 * 8 * 16 + 16);
  CHECK(stage_parameters(model, 1) == 2 * (4 * 64 + 2 * 8 * 24 + 16));
  // 5 tokens: 15 pairs of tokens; per weight matrix 2 m n k.
  const std::int64_t dense = 2 * 5 * (4 * 64 + 2 * 8 * 16);
  const std::int64_t attention = 2 * 15 * 8;
  CHECK(op_flops(model, make_op(OpKind::kForward, 0, 0)) == dense + 2 * attention);
  CHECK(op_flops(model, make_op(OpKind::kRecompute, 0, 0)) == dense + 2 * attention);
  CHECK(op_flops(model, make_op(OpKind::kBackwardInput, 0, 0)) == dense + 5 * attention);
  CHECK(op_flops(model, make_op(OpKind::kBackwardWeight, 0, 0)) == dense);
  CHECK(op_flops(model, make_op(OpKind::kBackward, 0, 0)) == 2 * dense + 5 * attention);
  CHECK(op_flops(model, make_op(OpKind::kOffload, 0, 0)) == 0);
  CHECK(op_flops(model, make_overlapped(make_op(OpKind::kForward, 0, 0),
                                        make_op(OpKind::kBackward, 0, 0))) ==
        3 * dense + 7 * attention);
  // The up direction counts its micro-batches behind those of the down direction.
  CHECK(op_flops(model, make_op(OpKind::kForward, 0, 0, 0, Direction::kUp)) ==
        op_flops(model, make_op(OpKind::kForward, 1, 0)));
  CHECK(boundary_bytes(model, 2) == std::vector<Bytes>{5 * 8 * 2});
}

TEST_CASE("slices see the slices before them") {
  const StageModel model{8, 2, {16}, {1}, {{3, 2}}};
  const StageModel whole{8, 2, {16}, {1}, {{5}}};
  for (const OpKind kind : {OpKind::kForward, OpKind::kBackwardInput, OpKind::kBackwardWeight}) {
    CHECK(op_flops(model, make_op(kind, 0, 0, 0)) + op_flops(model, make_op(kind, 0, 0, 1)) ==
          op_flops(whole, make_op(kind, 0, 0)));
  }
}

TEST_CASE("memory is the block's, and what a device holds all the time") {
  const StageModel model = two_stages();
  const MemoryCosts memory = model_memory(model, line(2, 2), 2);
  CHECK(memory.given);
  for (std::int32_t s = 0; s < 2; ++s) {
    for (std::int32_t m = 0; m < 2; ++m) {
      const BlockLayout layout = block_layout(model, s, model.tokens_of(m, 0), false);
      CHECK(memory.forward.at(s, m) == layout.bytes(2));
      CHECK(memory.backward_input.at(s, m) == 0);
      CHECK(memory.backward_weight.at(s, m) == -layout.bytes(2));
      CHECK(memory.stage_input.at(s, m) == layout.input_bytes(2));
    }
  }
  // Weights of 2 bytes, gradients and two moments of 4 each; one message buffer of 5 x 8 elements.
  REQUIRE(memory.resident.size() == 2);
  for (std::int32_t d = 0; d < 2; ++d) {
    CHECK(memory.resident_of(d) ==
          14 * stage_parameters(model, d) + workspace_bytes(model, d, 2) + 80);
  }
}

TEST_CASE("a device of a bidirectional pipeline holds a replica of two stages") {
  const StageModel model{8, 2, {16, 24}, {1, 2}, {{4}, {4}}};
  const Pipeline both = make_pipeline(2, 1, 2, PlacementKind::kBidirectional).value();
  const MemoryCosts memory = model_memory(model, both, 4);
  const Bytes parameters = 16 * (stage_parameters(model, 0) + stage_parameters(model, 1));
  const Bytes workspace = std::max(workspace_bytes(model, 0, 4), workspace_bytes(model, 1, 4));
  CHECK(memory.resident_of(0) == parameters + workspace + 2 * 4 * 8 * 4);
  CHECK(memory.resident_of(1) == memory.resident_of(0));
}

TEST_SUITE_END();

}  // namespace
}  // namespace stagecraft
