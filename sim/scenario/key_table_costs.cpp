// The keys of durations, transfers and shares of slices, stated by stage.
#include "key_tables.hpp"

namespace stagecraft {
namespace {

constexpr KeySpec kCostKeys[] = {
    {.path = "costs.forward",
     .type = KeyType::kDuration,
     .axis = KeyAxis::kStage,
     .depth = 3,
     .high = kLargestQuantity,
     .help = "Duration of F of one micro-batch."},
    {.path = "costs.backward_input",
     .type = KeyType::kDuration,
     .axis = KeyAxis::kStage,
     .depth = 3,
     .high = kLargestQuantity,
     .help = "Duration of B; give it together with backward_weight."},
    {.path = "costs.backward_weight",
     .type = KeyType::kDuration,
     .axis = KeyAxis::kStage,
     .depth = 3,
     .high = kLargestQuantity,
     .help = "Duration of W; give it together with backward_input."},
    {.path = "costs.backward",
     .type = KeyType::kDuration,
     .axis = KeyAxis::kStage,
     .depth = 3,
     .high = kLargestQuantity,
     .default_value = "backward_input + backward_weight",
     .help = "Duration of the fused backward BW; alone, the backward is not split."},
    {.path = "costs.overlapped",
     .type = KeyType::kDuration,
     .axis = KeyAxis::kStage,
     .depth = 3,
     .high = kLargestQuantity,
     .default_value = "the sum of its halves",
     .help = "Duration of an overlapped pair F+BW, by the stage of its forward half."},
    {.path = "costs.recompute",
     .type = KeyType::kDuration,
     .axis = KeyAxis::kStage,
     .depth = 3,
     .high = kLargestQuantity,
     .default_value = "forward",
     .help = "Duration of R."},
    {.path = "costs.offload",
     .type = KeyType::kDuration,
     .axis = KeyAxis::kStage,
     .depth = 3,
     .high = kLargestQuantity,
     .help = "Time O of the one-way copy of one unit's activation to the host, on an idle host "
             "link. PipeOffload's own `offload_time` is the time of a pair of copies of two "
             "devices on one link: give half of it here."},
    {.path = "costs.reload",
     .type = KeyType::kDuration,
     .axis = KeyAxis::kStage,
     .depth = 3,
     .high = kLargestQuantity,
     .default_value = "offload",
     .help = "Time L of the one-way copy back from the host, on an idle host link."},
    {.path = "costs.transfer",
     .type = KeyType::kDuration,
     .axis = KeyAxis::kBoundary,
     .depth = 3,
     .high = kLargestQuantity,
     .default_value = "0",
     .help =
         "Latency between neighbouring stages on different devices, of one unit: slices are not "
         "cut from a micro-batch's, each takes it in full."},
    {.path = "costs.transfer_bytes",
     .type = KeyType::kBytes,
     .axis = KeyAxis::kBoundary,
     .depth = 3,
     .high = kLargestQuantity,
     .default_value = "0",
     .help = "Bytes of one unit that cross a boundary, for communication link, blocking and "
             "rendezvous."},
    {.path = "costs.slice_shares",
     .type = KeyType::kRatio,
     .axis = KeyAxis::kMicrobatch,
     .depth = 2,
     .low = 0,
     .high = key_limits::kBillion * 100'000,
     .default_value = "equal",
     .help = "Share of a micro-batch's durations in each slice: one list of numbers in any scale, "
             "or one list per micro-batch. Slices add up to the micro-batch exactly.",
     .list_only = true},
};

}  // namespace

std::span<const KeySpec> cost_keys() {
  return kCostKeys;
}

}  // namespace stagecraft
