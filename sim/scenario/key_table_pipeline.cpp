// The keys of a scenario file itself and of its pipeline: devices, stages, micro-batches, slices.
#include "key_tables.hpp"

namespace stagecraft {
namespace {

constexpr KeySpec kPipelineKeys[] = {
    {.path = "name", .default_value = "the file's name", .help = "Name of the scenario."},
    {.path = "time_unit",
     .type = KeyType::kChoice,
     .choices = "ns | us | ms | s",
     .default_value = "us",
     .help = "Unit of every bare duration in the file."},
    {.path = "communication",
     .type = KeyType::kChoice,
     .choices = "latency | link | blocking | rendezvous",
     .default_value = "latency",
     .help = "What a transfer occupies: nothing, the links of its route, also its sender, or both "
             "sides until they meet. Without a section `links`, bandwidth is unlimited and a "
             "transfer takes costs.transfer."},

    {.path = "pipeline.devices",
     .type = KeyType::kInteger,
     .low = 1,
     .high = key_limits::kMostStages,
     .help = "P, the number of devices."},
    {.path = "pipeline.chunks",
     .type = KeyType::kInteger,
     .low = 1,
     .high = key_limits::kMostStages,
     .default_value = "what lists per stage, partition or schedule ask for, else 1",
     .help = "V, stages per device."},
    {.path = "pipeline.microbatches",
     .type = KeyType::kInteger,
     .low = 1,
     .high = key_limits::kMostMicrobatches,
     .help = "M, micro-batches of one iteration; both directions together."},
    {.path = "pipeline.placement",
     .type = KeyType::kChoice,
     .axis = KeyAxis::kStage,
     .depth = 1,
     .low = 0,
     .high = key_limits::kMostStages,
     .choices = "loop | vee | wave | bidirectional",
     .default_value = "what the schedule asks for, else loop",
     .help = "Which device runs which stage: a name, or the device of every stage."},
    {.path = "pipeline.partition",
     .type = KeyType::kInteger,
     .axis = KeyAxis::kStage,
     .depth = 1,
     .low = 1,
     .high = kLargestQuantity,
     .default_value = "even by count, the first stages taking one more where it does not divide",
     .help = "Number of entries of `layers` in every stage.",
     .list_only = true},
    {.path = "pipeline.slices",
     .type = KeyType::kInteger,
     .axis = KeyAxis::kMicrobatch,
     .depth = 1,
     .low = 1,
     .high = key_limits::kMostStages,
     .default_value = "1",
     .help = "Slices per micro-batch."},
    {.path = "pipeline.speed",
     .type = KeyType::kRatio,
     .axis = KeyAxis::kDevice,
     .depth = 1,
     .low = key_limits::kBillion / 1'000,
     .high = key_limits::kBillion * 1'000,
     .default_value = "1",
     .help = "Speed of the devices: every duration of compute is divided by it and rounded."},
};

}  // namespace

std::span<const KeySpec> pipeline_keys() {
  return kPipelineKeys;
}

}  // namespace stagecraft
