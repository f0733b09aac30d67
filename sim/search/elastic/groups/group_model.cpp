#include "group_model.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/core.h>

#include "stagecraft/core/check.hpp"
#include "stagecraft/core/text.hpp"

namespace stagecraft::elastic::rounds {
namespace {

// Long enough that rounding to whole ns and bytes is lost in them, short enough that their squares
// stay far inside the range of Time.
constexpr data::Tokens kSample = 1 << 14;
constexpr data::Tokens kLongestPiece = 1 << 16;
constexpr data::Tokens kMostTokens = data::Tokens{1} << 34;  // of a unit: far above any memory

data::Slice one_sequence(data::Tokens tokens) {
  return {{data::Piece{0, 0, tokens, tokens}}};
}

// Memory goes by tokens alone, so any sequences will do; short ones keep times in range.
data::Slice many_sequences(data::Tokens tokens) {
  data::Slice slice;
  std::int32_t sequence = 0;
  for (data::Tokens left = tokens; left > 0;) {
    const data::Tokens piece = std::min(left, kLongestPiece);
    slice.pieces.push_back({sequence++, 0, piece, piece});
    left -= piece;
  }
  return slice;
}

double memory_per_token(const SequenceProfile& profile, const SequenceLayout& layout,
                        std::int32_t layers) {
  constexpr data::Tokens kMany = 64 * kLongestPiece;
  const UnitCost cost = group_cost(profile, layout, many_sequences(kMany));
  return static_cast<double>(unit_memory(cost, layers, profile.layers)) /
         static_cast<double>(kMany);
}

}  // namespace

SequenceLayout ulysses_layout(std::int32_t degree, std::int32_t gpus) {
  STAGECRAFT_CHECK(degree > 0 && gpus % degree == 0, "groups must divide the GPUs");
  SequenceLayout layout;
  layout.sequence = degree;
  layout.data = gpus / degree;
  return layout;
}

std::vector<std::int32_t> group_degrees(const SequenceProfile& profile, std::int32_t gpus) {
  std::vector<std::int32_t> degrees;
  for (std::int32_t degree = 1; degree <= gpus && gpus % degree == 0; degree *= 2) {
    if (check_sequence_profile(profile, ulysses_layout(degree, gpus)).empty()) {
      degrees.push_back(degree);
    }
    if (degree > gpus / 2) {
      break;
    }
  }
  return degrees;
}

Bytes activation_room(const SequenceProfile& profile, Bytes states) {
  return profile.capacity - profile.reserved - states;
}

Time unit_time(const UnitCost& cost, std::int32_t layers) {
  // Durations beyond the range of a quantity are one above it (unit_cost), and stay there.
  const double time = static_cast<double>(cost.forward() + cost.backward()) +
                      static_cast<double>(layers) * static_cast<double>(cost.layer_forward);
  if (time > static_cast<double>(kLargestQuantity)) {
    return kLargestQuantity + 1;
  }
  return cost.forward() + cost.backward() + layers * cost.layer_forward;
}

Bytes unit_memory(const UnitCost& cost, std::int32_t layers, std::int32_t of_layers) {
  // A layer that is recomputed is held whole while its backward runs. The first layers are those
  // recomputed: by then the later ones have gone, and there is room, unless there are none.
  const std::int32_t given_back = std::min(layers, of_layers - 1);
  return cost.activation > kLargestQuantity ? kLargestQuantity + 1
                                            : cost.activation - given_back * cost.layer_saving;
}

UnitCost group_cost(const SequenceProfile& profile, const SequenceLayout& layout,
                    const data::Slice& slice) {
  STAGECRAFT_CHECK(layout.pipeline == 1, "groups hold the whole model");
  return unit_cost(profile, layout, 0, slice, false);
}

data::Tokens token_capacity(const SequenceProfile& profile, const SequenceLayout& layout,
                            std::int32_t layers, Bytes room, data::Tokens limit) {
  if (room < 0) {
    return 0;
  }
  limit = std::min(limit, kMostTokens);
  const double per_token = memory_per_token(profile, layout, layers);
  const double guess = per_token > 0.0 ? std::floor(static_cast<double>(room) / per_token)
                                       : static_cast<double>(limit);
  auto tokens = guess >= static_cast<double>(limit) ? limit : static_cast<data::Tokens>(guess);
  // Sizes of units are whole bytes: what is promised must hold to the byte.
  const auto fits = [&](data::Tokens t) {
    return unit_memory(group_cost(profile, layout, many_sequences(t)), layers, profile.layers) <=
           room;
  };
  while (tokens > 0 && !fits(tokens)) {
    --tokens;
  }
  return tokens;
}

std::optional<std::int32_t> fewest_layers(const SequenceProfile& profile,
                                          const SequenceLayout& layout, data::Tokens tokens,
                                          Bytes room) {
  const UnitCost cost = group_cost(profile, layout, many_sequences(tokens));
  for (std::int32_t layers = 0; layers <= profile.layers; ++layers) {
    if (unit_memory(cost, layers, profile.layers) <= room) {
      return layers;
    }
  }
  return std::nullopt;
}

GroupModel group_model(const SequenceProfile& profile, const SequenceLayout& layout,
                       std::int32_t layers, Bytes room, data::Tokens limit) {
  // Times are a quadratic in the length of a sequence, to the ns: three lengths tell its terms.
  // What hides is none, and depends on all sequences of a unit.
  SequenceProfile visible = profile;
  visible.overlap = {};
  double time[3] = {};
  for (int i = 0; i < 3; ++i) {
    const UnitCost cost = group_cost(visible, layout, one_sequence((i + 1) * kSample));
    time[i] = static_cast<double>(unit_time(cost, layers));
  }
  constexpr auto kStep = static_cast<double>(kSample);
  GroupModel model;
  model.layout = layout;
  model.per_square = std::max(0.0, (time[2] - 2 * time[1] + time[0]) / (2 * kStep * kStep));
  model.per_token =
      std::max(0.0, (time[1] - time[0] - 3 * model.per_square * kStep * kStep) / kStep);
  model.fixed = std::max(0.0, time[0] - (model.per_square * kStep + model.per_token) * kStep);
  model.capacity = token_capacity(profile, layout, layers, room, limit);
  return model;
}

std::string bytes_text(Bytes bytes) {
  return fmt::format("{} bytes ({:.3f} GiB)", with_thousands(bytes),
                     static_cast<double>(bytes) / static_cast<double>(Bytes{1} << 30));
}

Diagnostic misfit(const SequenceProfile& profile, const SequenceLayout& layout, std::int32_t layers,
                  data::Tokens tokens, Bytes states,
                  const std::vector<SequenceLayout>& other_layouts) {
  const Bytes room = activation_room(profile, states);
  if (room < 0) {
    return infeasible(
        fmt::format("parameters, gradients and optimizer state take {} of each of {} GPUs, {} more "
                    "than there are",
                    bytes_text(states), layout.gpus(), bytes_text(-room)),
        "more GPUs to share them would help");
  }
  const UnitCost cost = group_cost(profile, layout, many_sequences(tokens));
  const Bytes missing = unit_memory(cost, layers, profile.layers) - room;
  std::string helps;
  const auto add = [&](const std::string& help) { helps += (helps.empty() ? "" : ", or ") + help; };
  for (const SequenceLayout& other : other_layouts) {
    if (other.group() > layout.group() &&
        unit_memory(group_cost(profile, other, many_sequences(tokens)), layers, profile.layers) <=
            room) {
      add(fmt::format("groups of {} GPUs", other.group()));
      break;
    }
  }
  if (const auto enough = fewest_layers(profile, layout, tokens, room)) {
    add(fmt::format("{} recomputed layers", *enough));
  }
  const data::Tokens fit = token_capacity(profile, layout, layers, room, tokens);
  add(fit > 0 ? fmt::format("a context of {} tokens", fit) : "more GPUs");
  return infeasible(
      fmt::format("a sequence of {} tokens on a group of {} GPUs with {} of {} layers recomputed "
                  "misses {} on each",
                  tokens, layout.group(), layers, profile.layers, bytes_text(missing)),
      helps + " would do");
}

}  // namespace stagecraft::elastic::rounds
