#include <algorithm>

#include <fmt/core.h>

#include "grids.hpp"
#include "sections.hpp"

namespace stagecraft {
namespace {

struct LayerList {
  std::string_view path;
  std::vector<std::int64_t>* target;
};

/// Any stage may hold all layers, so their sum must be a quantity itself.
bool check_sum(Reader& reader, const LayerList& list) {
  std::int64_t room = kLargestQuantity;
  for (const std::int64_t value : *list.target) {
    room -= std::min(value, room + 1);
  }
  if (room < 0) {
    reader.fail(list.path, fmt::format("the values of '{}' sum to more than {} in engine units",
                                       list.path, kLargestQuantity));
  }
  return room >= 0;
}

/// Halves of what F allocates stay for W where the file does not say.
std::vector<std::int64_t> upper_halves(const std::vector<std::int64_t>& values) {
  std::vector<std::int64_t> halves;
  halves.reserve(values.size());
  for (const std::int64_t value : values) {
    halves.push_back(value - value / 2);
  }
  return halves;
}

void read_names(Reader& reader, LayerCosts& layers, std::size_t count) {
  const Node* names = reader.find("layers.names");
  if (names == nullptr) {
    return;
  }
  const bool texts = names->kind == Node::Kind::kList &&
                     std::all_of(names->items.begin(), names->items.end(), [](const auto& item) {
                       return item->kind == Node::Kind::kScalar;
                     });
  if (!texts || names->items.size() != count) {
    reader.fail(*names, fmt::format("'layers.names' is {}, expected a list of {} names",
                                    describe(*names), count));
    return;
  }
  for (const Node::Pointer& item : names->items) {
    layers.names.push_back(item->text);
  }
}

void check_backward(Reader& reader, const LayerCosts& layers) {
  const bool input = reader.has("layers.backward_input");
  const bool weight = reader.has("layers.backward_weight");
  if (input != weight) {
    reader.fail(input ? "layers.backward_input" : "layers.backward_weight",
                fmt::format("'layers.{}' is missing, expected it beside 'layers.{}'",
                            input ? "backward_weight" : "backward_input",
                            input ? "backward_input" : "backward_weight"),
                "or give layers.backward alone, when the backward is not split");
  } else if (!input && !reader.has("layers.backward")) {
    reader.fail("layers",
                "the backward's durations are missing, expected 'layers.backward_input' "
                "and 'layers.backward_weight', or 'layers.backward'");
  }
  for (std::size_t i = 0; i < layers.activation_kept.size(); ++i) {
    if (layers.activation_kept[i] > layers.activation[i]) {
      reader.fail("layers.activation_kept",
                  fmt::format("'layers.activation_kept' of layer {} is {} bytes, expected at most "
                              "the {} of 'layers.activation'",
                              i, layers.activation_kept[i], layers.activation[i]));
      return;
    }
  }
}

}  // namespace

void read_layers(Reader& reader, Scenario& scenario) {
  if (!reader.has("layers")) {
    return;
  }
  LayerCosts layers;
  const std::optional<Cells> forward = reader.cells("layers.forward");
  if (!forward) {
    if (!reader.has("layers.forward")) {
      reader.fail("layers", "'layers.forward' is missing, expected " +
                                expectation(*find_key("layers.forward")));
    }
    scenario.layers = layers;
    return;
  }
  const std::size_t count = forward->items.size();
  const LayerList lists[] = {{"layers.forward", &layers.forward},
                             {"layers.backward_input", &layers.backward_input},
                             {"layers.backward_weight", &layers.backward_weight},
                             {"layers.backward", &layers.backward},
                             {"layers.activation", &layers.activation},
                             {"layers.activation_kept", &layers.activation_kept},
                             {"layers.parameters", &layers.parameters}};
  bool whole = true;
  for (const LayerList& list : lists) {
    if (reader.has(list.path)) {
      std::optional<std::vector<std::int64_t>> values = reader.list(list.path, count);
      whole = whole && values.has_value();
      *list.target = std::move(values).value_or(std::vector<std::int64_t>{});
      whole = check_sum(reader, list) && whole;
    }
  }
  read_names(reader, layers, count);
  if (!reader.has("layers.activation") && reader.has("layers.activation_kept")) {
    reader.fail("layers.activation_kept",
                "'layers.activation' is missing, expected it beside 'layers.activation_kept'");
    layers.activation_kept.clear();
  }
  if (whole) {
    check_backward(reader, layers);
    if (layers.backward.empty() && layers.backward_input.size() == layers.backward_weight.size()) {
      std::transform(layers.backward_input.begin(), layers.backward_input.end(),
                     layers.backward_weight.begin(), std::back_inserter(layers.backward),
                     std::plus<>());
    }
    if (layers.activation_kept.empty()) {
      layers.activation_kept = upper_halves(layers.activation);
    }
  } else {
    // What is checked after a reported error must still find lists that fit together.
    layers = LayerCosts{};
    layers.forward.assign(count, 0);
  }
  scenario.layers = std::move(layers);
}

Grid sum_layers(const std::vector<std::int64_t>& values,
                const std::vector<std::int32_t>& partition) {
  if (values.empty()) {
    return Grid::constant(0);
  }
  std::vector<std::int64_t> sums;
  auto layer = values.begin();
  for (const std::int32_t count : partition) {
    std::int64_t sum = 0;
    for (std::int32_t i = 0; i < count; ++i) {
      sum += *layer++;
    }
    sums.push_back(sum);
  }
  return Grid::per_stage(std::move(sums));
}

void set_layer_costs(const LayerCosts& layers, const std::vector<std::int32_t>& partition,
                     CostTable& costs) {
  costs.forward = sum_layers(layers.forward, partition);
  costs.backward = sum_layers(layers.backward, partition);
  costs.split_backward = !layers.backward_input.empty() && !layers.backward_weight.empty();
  if (costs.split_backward) {
    costs.backward_input = sum_layers(layers.backward_input, partition);
    costs.backward_weight = sum_layers(layers.backward_weight, partition);
  }
  if (!layers.activation.empty()) {
    std::vector<std::int64_t> freed = layers.activation;
    for (std::size_t i = 0; i < freed.size(); ++i) {
      freed[i] -= layers.activation_kept[i];
    }
    costs.memory.given = true;
    costs.memory.forward = sum_layers(layers.activation, partition);
    costs.memory.backward_input = negate(sum_layers(freed, partition));
    costs.memory.backward_weight = negate(sum_layers(layers.activation_kept, partition));
  }
  costs.memory.given = costs.memory.given || !layers.parameters.empty();
}

}  // namespace stagecraft
