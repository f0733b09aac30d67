// The keys of durations and sizes stated by layer.
#include "key_tables.hpp"

namespace stagecraft {
namespace {

constexpr KeySpec kLayerKeys[] = {
    {.path = "layers.names",
     .axis = KeyAxis::kLayer,
     .depth = 1,
     .help = "Names of the layers, for messages.",
     .list_only = true},
    {.path = "layers.forward",
     .type = KeyType::kDuration,
     .axis = KeyAxis::kLayer,
     .depth = 1,
     .high = kLargestQuantity,
     .help = "Duration of F of every layer; embedding first, head last.",
     .list_only = true},
    {.path = "layers.backward_input",
     .type = KeyType::kDuration,
     .axis = KeyAxis::kLayer,
     .depth = 1,
     .high = kLargestQuantity,
     .help = "Duration of B of every layer; give it together with backward_weight.",
     .list_only = true},
    {.path = "layers.backward_weight",
     .type = KeyType::kDuration,
     .axis = KeyAxis::kLayer,
     .depth = 1,
     .high = kLargestQuantity,
     .help = "Duration of W of every layer; give it together with backward_input.",
     .list_only = true},
    {.path = "layers.backward",
     .type = KeyType::kDuration,
     .axis = KeyAxis::kLayer,
     .depth = 1,
     .high = kLargestQuantity,
     .default_value = "backward_input + backward_weight",
     .help = "Duration of BW of every layer; alone, the backward is not split.",
     .list_only = true},
    {.path = "layers.activation",
     .type = KeyType::kBytes,
     .axis = KeyAxis::kLayer,
     .depth = 1,
     .high = kLargestQuantity,
     .default_value = "0",
     .help = "Bytes that F of one micro-batch allocates in every layer.",
     .list_only = true},
    {.path = "layers.activation_kept",
     .type = KeyType::kBytes,
     .axis = KeyAxis::kLayer,
     .depth = 1,
     .high = kLargestQuantity,
     .default_value = "half of activation, rounded up",
     .help = "The part of `activation` that stays after B, until W.",
     .list_only = true},
    {.path = "layers.parameters",
     .type = KeyType::kBytes,
     .axis = KeyAxis::kLayer,
     .depth = 1,
     .high = kLargestQuantity,
     .default_value = "0",
     .help = "Bytes that every layer holds for the whole iteration (parameters, gradients, "
             "optimizer state).",
     .list_only = true},
};

}  // namespace

std::span<const KeySpec> layer_keys() {
  return kLayerKeys;
}

}  // namespace stagecraft
