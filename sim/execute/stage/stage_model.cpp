// Sizes of a stage model: checks, layouts of blocks, parameters. Counts of work and memory are in
// model_costs.cpp.
#include "stagecraft/execute/stage_model.hpp"

#include <fmt/format.h>

#include <string>

#include "execute/stage/align.hpp"
#include "stagecraft/core/check.hpp"

namespace stagecraft {
namespace {

// With these no product of sizes below leaves 64 bits.
constexpr std::int32_t kLargestHidden = 1 << 17;
constexpr std::int32_t kLargestFfn = 1 << 19;
constexpr std::int32_t kMostLayers = 1 << 10;
constexpr std::int64_t kLongestSequence = 1 << 21;

void check_range(Diagnostics& errors, const std::string& what, std::int64_t value,
                 std::int64_t largest) {
  if (value < 1 || value > largest) {
    errors.push_back(
        bad_input(fmt::format("{} is {}; expected a count from 1 to {}", what, value, largest)));
  }
}

void check_per_stage(Diagnostics& errors, const char* name, const std::vector<std::int32_t>& values,
                     std::int32_t stages, std::int32_t largest) {
  if (values.size() != static_cast<std::size_t>(stages)) {
    errors.push_back(bad_input(fmt::format("{} has {} entries; expected one for each of {} stages",
                                           name, values.size(), stages)));
  }
  for (std::size_t s = 0; s < values.size(); ++s) {
    check_range(errors, fmt::format("{} of stage {}", name, s), values[s], largest);
  }
}

void check_tokens(Diagnostics& errors, const StageModel& model, const Pipeline& pipeline) {
  const std::size_t microbatches = model.tokens.size();
  if (microbatches != static_cast<std::size_t>(pipeline.microbatches)) {
    errors.push_back(
        bad_input(fmt::format("tokens has {} entries; expected one for each of {} micro-batches",
                              microbatches, pipeline.microbatches)));
    return;
  }
  for (std::size_t m = 0; m < microbatches; ++m) {
    const auto slices = static_cast<std::size_t>(pipeline.slices_of(static_cast<std::int32_t>(m)));
    if (model.tokens[m].size() != slices) {
      errors.push_back(bad_input(
          fmt::format("tokens of micro-batch {} has {} entries; expected one for each of {} slices",
                      m, model.tokens[m].size(), slices)));
    }
    std::int64_t sum = 0;
    for (std::size_t q = 0; q < model.tokens[m].size(); ++q) {
      check_range(errors, fmt::format("tokens of micro-batch {}, slice {}", m, q),
                  model.tokens[m][q], kLongestSequence);
      sum += model.tokens[m][q];
    }
    if (sum > kLongestSequence && model.tokens[m].size() > 1) {
      errors.push_back(bad_input(fmt::format("micro-batch {} has {} tokens; expected at most {}", m,
                                             sum, kLongestSequence)));
    }
  }
}

}  // namespace

std::int64_t StageModel::all_tokens() const {
  std::int64_t sum = 0;
  for (const std::vector<std::int32_t>& microbatch : tokens) {
    for (const std::int32_t slice : microbatch) {
      sum += slice;
    }
  }
  return sum;
}

Diagnostics check_model(const StageModel& model, const Pipeline& pipeline) {
  Diagnostics errors;
  check_range(errors, "hidden", model.hidden, kLargestHidden);
  check_range(errors, "heads", model.heads, kLargestHidden);
  if (model.heads > 0 && model.hidden > 0 && model.hidden % model.heads != 0) {
    errors.push_back(bad_input(fmt::format("hidden is {}; expected a multiple of the {} heads",
                                           model.hidden, model.heads)));
  }
  check_per_stage(errors, "ffn", model.ffn, pipeline.stages, kLargestFfn);
  check_per_stage(errors, "layers", model.layers, pipeline.stages, kMostLayers);
  check_tokens(errors, model, pipeline);
  return errors;
}

Bytes BlockLayout::floats_offset(std::int32_t element_size) const {
  return align_bytes(static_cast<Bytes>(elements) * element_size);
}

Bytes BlockLayout::bytes(std::int32_t element_size) const {
  return floats_offset(element_size) +
         align_bytes(static_cast<Bytes>(floats) * static_cast<Bytes>(sizeof(float)));
}

Bytes BlockLayout::input_bytes(std::int32_t element_size) const {
  return align_bytes(static_cast<Bytes>(input) * element_size);
}

BlockLayout block_layout(const StageModel& model, std::int32_t stage, std::int32_t tokens,
                         bool sliced) {
  STAGECRAFT_CHECK(tokens >= 1, "a unit has tokens");
  const auto s = static_cast<std::size_t>(stage);
  const auto rows = static_cast<std::size_t>(tokens);
  const std::size_t wide = rows * static_cast<std::size_t>(model.ffn[s]);
  BlockLayout layout;
  layout.input = rows * static_cast<std::size_t>(model.hidden);
  const auto take = [&](std::size_t elements) {
    const std::size_t at = layout.elements;
    layout.elements += align_elements(elements);
    return at;
  };
  for (std::int32_t l = 0; l < model.layers[s]; ++l) {
    LayerLayout layer;
    layer.x = take(layout.input);
    layer.n1 = take(layout.input);
    layer.qkv = take(3 * layout.input);
    layer.o = take(layout.input);
    layer.x1 = take(layout.input);
    layer.n2 = take(layout.input);
    layer.h = take(wide);
    layer.a = take(wide);
    layer.kv_grad = sliced ? take(2 * layout.input) : 0;
    layer.rstd1 = layout.floats;
    layer.rstd2 = layout.floats + rows;
    layout.floats += 2 * rows;
    layout.layers.push_back(layer);
  }
  layout.output = take(layout.input);
  return layout;
}

std::int64_t stage_parameters(const StageModel& model, std::int32_t stage) {
  const auto s = static_cast<std::size_t>(stage);
  const std::int64_t h = model.hidden;
  return model.layers[s] * (4 * h * h + 2 * h * model.ffn[s] + 2 * h);
}

}  // namespace stagecraft
