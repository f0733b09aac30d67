// The keys of what a device holds, and of what it does once per iteration.
#include "key_tables.hpp"

namespace stagecraft {
namespace {

constexpr KeySpec kDeviceKeys[] = {
    {.path = "memory.capacity",
     .type = KeyType::kBytes,
     .axis = KeyAxis::kDevice,
     .depth = 1,
     .high = kLargestQuantity,
     .default_value = "unlimited",
     .help = "Memory of a device."},
    {.path = "memory.forward",
     .type = KeyType::kBytes,
     .axis = KeyAxis::kStage,
     .depth = 3,
     .high = kLargestQuantity,
     .default_value = "0",
     .help = "Bytes that F of one micro-batch allocates; the three changes sum to 0."},
    {.path = "memory.backward_input",
     .type = KeyType::kBytes,
     .axis = KeyAxis::kStage,
     .depth = 3,
     .low = -kLargestQuantity,
     .high = 0,
     .default_value = "what makes the sum 0",
     .help = "Change at the end of B, at most 0."},
    {.path = "memory.backward_weight",
     .type = KeyType::kBytes,
     .axis = KeyAxis::kStage,
     .depth = 3,
     .low = -kLargestQuantity,
     .high = 0,
     .default_value = "what makes the sum 0",
     .help = "Change at the end of W, at most 0."},
    {.path = "memory.stage_input",
     .type = KeyType::kBytes,
     .axis = KeyAxis::kStage,
     .depth = 3,
     .high = kLargestQuantity,
     .default_value = "0",
     .help = "Bytes that a recomputed unit keeps from F to R; at most `forward`."},
    {.path = "memory.resident",
     .type = KeyType::kBytes,
     .axis = KeyAxis::kDevice,
     .depth = 1,
     .high = kLargestQuantity,
     .default_value = "0",
     .help = "Bytes a device holds all the time: parameters, gradients, optimizer state, buffers; "
             "added to layers.parameters."},
    {.path = "memory.policy",
     .type = KeyType::kChoice,
     .choices = "fail | wait",
     .default_value = "fail",
     .help = "What an op does whose memory does not fit: the plan fails, or the op waits."},

    {.path = "optimizer.step",
     .type = KeyType::kDuration,
     .axis = KeyAxis::kDevice,
     .depth = 1,
     .high = kLargestQuantity,
     .default_value = "0",
     .help = "Duration of the optimizer step of a device."},
    {.path = "optimizer.gradient_reduction",
     .type = KeyType::kDuration,
     .axis = KeyAxis::kDevice,
     .depth = 1,
     .high = kLargestQuantity,
     .default_value = "0",
     .help = "Duration of the gradient reduction of a device."},
    {.path = "optimizer.post_validation",
     .type = KeyType::kFlag,
     .default_value = "false",
     .help = "A device steps as soon as its own gradients are reduced, and starts the next "
             "iteration."},
};

}  // namespace

std::span<const KeySpec> device_keys() {
  return kDeviceKeys;
}

}  // namespace stagecraft
