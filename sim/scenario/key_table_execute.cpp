// The keys of the model that `execute` and `calibrate` really compute.
#include "key_tables.hpp"

namespace stagecraft {
namespace {

// The limits of check_model.
constexpr std::int64_t kMostHidden = 1 << 17;
constexpr std::int64_t kMostFeedForward = 1 << 19;
constexpr std::int64_t kMostStageLayers = 1 << 10;
constexpr std::int64_t kMostTokens = 1 << 21;

constexpr KeySpec kExecuteKeys[] = {
    {.path = "execute.hidden",
     .type = KeyType::kInteger,
     .low = 1,
     .high = kMostHidden,
     .help = "H, the width of the model that `stagecraft execute` and `calibrate` really compute: "
             "pre-norm transformer layers, without embedding and head. With this section the "
             "durations under `costs` may be left out, until they are measured."},
    {.path = "execute.heads",
     .type = KeyType::kInteger,
     .low = 1,
     .high = kMostHidden,
     .help = "Attention heads; they divide `hidden`."},
    {.path = "execute.ffn",
     .type = KeyType::kInteger,
     .axis = KeyAxis::kStage,
     .depth = 1,
     .low = 1,
     .high = kMostFeedForward,
     .help = "Width of the feed-forward part of every layer of a stage."},
    {.path = "execute.layers",
     .type = KeyType::kInteger,
     .axis = KeyAxis::kStage,
     .depth = 1,
     .low = 1,
     .high = kMostStageLayers,
     .help = "Transformer layers of a stage. A schedule that needs more stages than the scenario "
             "has divides them, where they divide."},
    {.path = "execute.tokens",
     .type = KeyType::kInteger,
     .axis = KeyAxis::kMicrobatch,
     .depth = 2,
     .low = 1,
     .high = kMostTokens,
     .help = "Tokens of a micro-batch (one sequence), or of each of its slices. Tokens of a whole "
             "micro-batch are cut into slices by costs.slice_shares, equally without them."},
};

}  // namespace

std::span<const KeySpec> execute_keys() {
  return kExecuteKeys;
}

}  // namespace stagecraft
