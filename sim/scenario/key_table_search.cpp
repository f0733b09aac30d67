// The keys of the schedule, and of the search for a better one.
#include "key_tables.hpp"

namespace stagecraft {
namespace {

constexpr KeySpec kSearchKeys[] = {
    {.path = "schedule.kind",
     .default_value = "1f1b",
     .help = "Name of the schedule (`stagecraft list schedules`), or with data of the strategy "
             "(`stagecraft list strategies`); `schedule: NAME` is short for it."},
    {.path = "schedule.p2p",
     .type = KeyType::kChoice,
     .choices = "batched | overlap | send-first | recv-first | parity",
     .default_value = "batched",
     .help = "Order and batching of sends and receives in communication rendezvous."},

    {.path = "search.partition",
     .type = KeyType::kFlag,
     .default_value = "true unless pipeline.partition is stated",
     .help = "`stagecraft search` may move layers between stages; without `layers`, pieces of "
             "stages, where pipeline.chunks is open."},
    {.path = "search.placement",
     .type = KeyType::kFlag,
     .default_value = "true unless pipeline.placement is stated",
     .help = "It may move stages between devices."},
    {.path = "search.chunks",
     .type = KeyType::kInteger,
     .low = 1,
     .high = key_limits::kMostStages,
     .default_value = "as stated, else layers / devices, at most 32; without layers 2",
     .help = "Largest number of stages on one device; given, the number of stages is open."},
    {.path = "search.schedule",
     .type = KeyType::kFlag,
     .default_value = "true",
     .help = "It may choose any order of ops; false: only what the generators of "
             "search.schedules (without them, the stated schedule) make. A stated schedule is "
             "where a search begins, not a restriction."},
    {.path = "search.schedules",
     .axis = KeyAxis::kValue,
     .depth = 1,
     .default_value = "all",
     .help = "Names of the registered schedules to start from, or all. One of both directions "
             "among them, or costs.overlapped, opens bidirectional pipelines too, where the "
             "placement is open."},
    {.path = "search.recompute",
     .type = KeyType::kFlag,
     .default_value = "true if memory.stage_input is given",
     .help = "It may recompute units of its choice."},
    {.path = "search.offload",
     .type = KeyType::kFlag,
     .default_value = "true if costs.offload and memory.capacity are given",
     .help = "It may offload units of its choice to the host."},
    {.path = "search.microbatches",
     .type = KeyType::kInteger,
     .axis = KeyAxis::kValue,
     .depth = 1,
     .low = 1,
     .high = key_limits::kMostMicrobatches,
     .default_value = "pipeline.microbatches",
     .help = "Numbers of micro-batches to try for the same work per iteration: durations, memory "
             "and bytes of a micro-batch are scaled by the stated number over this one, latencies "
             "are not."},
    {.path = "search.overhead",
     .type = KeyType::kDuration,
     .high = kLargestQuantity,
     .default_value = "0",
     .help = "Part of every duration of a layer (of a stage, without layers) that does not shrink "
             "with the micro-batch."},
    {.path = "search.devices",
     .type = KeyType::kInteger,
     .axis = KeyAxis::kValue,
     .depth = 1,
     .low = 1,
     .high = key_limits::kMostStages,
     .default_value = "pipeline.devices",
     .help = "Numbers of devices to try, for scenarios of layers; see objective cost."},
    {.path = "search.objective",
     .type = KeyType::kChoice,
     .choices = "iteration | makespan | span | memory | cost | pareto",
     .default_value = "iteration",
     .help = "What is made small: a time, the largest peak memory, devices x iteration time; "
             "pareto: iteration time, with effort spread over memory limits."},
    {.path = "search.method",
     .default_value = "stagecraft",
     .help = "Name of the search method (`stagecraft list methods`)."},
    {.path = "search.options",
     .help = "Map of options of the method (`stagecraft list methods NAME`)."},
    {.path = "search.budget",
     .default_value = "30s",
     .help = "Wall time such as 500ms, 30s, 2min, or a number of candidates such as 100000evals."},
    {.path = "search.seed",
     .type = KeyType::kInteger,
     .low = 0,
     .high = kLargestQuantity,
     .default_value = "1",
     .help = "Seed of the search's random numbers."},
};

}  // namespace

std::span<const KeySpec> search_keys() {
  return kSearchKeys;
}

}  // namespace stagecraft
