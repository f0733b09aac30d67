#include "stagecraft/scenario/keys.hpp"

#include <fmt/core.h>

#include "stagecraft/core/units.hpp"
#include "stagecraft/generators/generator.hpp"

namespace stagecraft {
namespace {

constexpr std::int64_t kMost = kLargestQuantity;
constexpr std::int64_t kMostStages = 65'535;
constexpr std::int64_t kMostMicrobatches = 1'000'000;
constexpr std::int64_t kBillion = 1'000'000'000;

// path, type, axis, depth, low, high, choices, default, help, list_only
constexpr KeySpec kKeys[] = {
    {.path = "name", .default_value = "the file's name", .help = "Name of the scenario."},
    {.path = "time_unit",
     .type = KeyType::kChoice,
     .choices = "ns | us | ms | s",
     .default_value = "us",
     .help = "Unit of every bare duration in the file."},

    {.path = "pipeline.devices",
     .type = KeyType::kInteger,
     .low = 1,
     .high = kMostStages,
     .help = "P, the number of devices."},
    {.path = "pipeline.chunks",
     .type = KeyType::kInteger,
     .low = 1,
     .high = kMostStages,
     .default_value = "what lists per stage, partition or schedule ask for, else 1",
     .help = "V, stages per device."},
    {.path = "pipeline.microbatches",
     .type = KeyType::kInteger,
     .low = 1,
     .high = kMostMicrobatches,
     .help = "M, micro-batches of one iteration; both directions together."},
    {.path = "pipeline.placement",
     .type = KeyType::kChoice,
     .axis = KeyAxis::kStage,
     .depth = 1,
     .low = 0,
     .high = kMostStages,
     .choices = "loop | vee | wave | bidirectional",
     .default_value = "what the schedule asks for, else loop",
     .help = "Which device runs which stage: a name, or the device of every stage."},
    {.path = "pipeline.partition",
     .type = KeyType::kInteger,
     .axis = KeyAxis::kStage,
     .depth = 1,
     .low = 1,
     .high = kMost,
     .default_value = "even by count, the first stages taking one more where it does not divide",
     .help = "Number of entries of `layers` in every stage.",
     .list_only = true},
    {.path = "pipeline.slices",
     .type = KeyType::kInteger,
     .axis = KeyAxis::kMicrobatch,
     .depth = 1,
     .low = 1,
     .high = kMostStages,
     .default_value = "1",
     .help = "Slices per micro-batch."},
    {.path = "pipeline.speed",
     .type = KeyType::kRatio,
     .axis = KeyAxis::kDevice,
     .depth = 1,
     .low = kBillion / 1'000,
     .high = kBillion * 1'000,
     .default_value = "1",
     .help = "Speed of the devices: every duration of compute is divided by it and rounded."},

    {.path = "costs.forward",
     .type = KeyType::kDuration,
     .axis = KeyAxis::kStage,
     .depth = 3,
     .high = kMost,
     .help = "Duration of F of one micro-batch."},
    {.path = "costs.backward_input",
     .type = KeyType::kDuration,
     .axis = KeyAxis::kStage,
     .depth = 3,
     .high = kMost,
     .help = "Duration of B; give it together with backward_weight."},
    {.path = "costs.backward_weight",
     .type = KeyType::kDuration,
     .axis = KeyAxis::kStage,
     .depth = 3,
     .high = kMost,
     .help = "Duration of W; give it together with backward_input."},
    {.path = "costs.backward",
     .type = KeyType::kDuration,
     .axis = KeyAxis::kStage,
     .depth = 3,
     .high = kMost,
     .default_value = "backward_input + backward_weight",
     .help = "Duration of the fused backward BW; alone, the backward is not split."},
    {.path = "costs.overlapped",
     .type = KeyType::kDuration,
     .axis = KeyAxis::kStage,
     .depth = 3,
     .high = kMost,
     .default_value = "the sum of its halves",
     .help = "Duration of an overlapped pair F+BW, by the stage of its forward half."},
    {.path = "costs.recompute",
     .type = KeyType::kDuration,
     .axis = KeyAxis::kStage,
     .depth = 3,
     .high = kMost,
     .default_value = "forward",
     .help = "Duration of R."},
    {.path = "costs.offload",
     .type = KeyType::kDuration,
     .axis = KeyAxis::kStage,
     .depth = 3,
     .high = kMost,
     .help = "One-way copy time O of one unit's activation to the host."},
    {.path = "costs.reload",
     .type = KeyType::kDuration,
     .axis = KeyAxis::kStage,
     .depth = 3,
     .high = kMost,
     .default_value = "offload",
     .help = "One-way copy time L back from the host."},
    {.path = "costs.transfer",
     .type = KeyType::kDuration,
     .axis = KeyAxis::kBoundary,
     .depth = 1,
     .high = kMost,
     .default_value = "0",
     .help = "Latency between neighbouring stages on different devices."},
    {.path = "costs.transfer_bytes",
     .type = KeyType::kBytes,
     .axis = KeyAxis::kBoundary,
     .depth = 1,
     .high = kMost,
     .default_value = "0",
     .help = "Bytes of one unit that cross a boundary, for communication link, blocking and "
             "rendezvous."},
    {.path = "costs.slice_shares",
     .type = KeyType::kRatio,
     .axis = KeyAxis::kMicrobatch,
     .depth = 2,
     .low = 0,
     .high = kBillion * 100'000,
     .default_value = "equal",
     .help = "Share of a micro-batch's durations in each slice: one list of numbers in any scale, "
             "or one list per micro-batch. Slices add up to the micro-batch exactly.",
     .list_only = true},

    {.path = "layers.names",
     .axis = KeyAxis::kLayer,
     .depth = 1,
     .help = "Names of the layers, for messages.",
     .list_only = true},
    {.path = "layers.forward",
     .type = KeyType::kDuration,
     .axis = KeyAxis::kLayer,
     .depth = 1,
     .high = kMost,
     .help = "Duration of F of every layer; embedding first, head last.",
     .list_only = true},
    {.path = "layers.backward_input",
     .type = KeyType::kDuration,
     .axis = KeyAxis::kLayer,
     .depth = 1,
     .high = kMost,
     .help = "Duration of B of every layer; give it together with backward_weight.",
     .list_only = true},
    {.path = "layers.backward_weight",
     .type = KeyType::kDuration,
     .axis = KeyAxis::kLayer,
     .depth = 1,
     .high = kMost,
     .help = "Duration of W of every layer; give it together with backward_input.",
     .list_only = true},
    {.path = "layers.backward",
     .type = KeyType::kDuration,
     .axis = KeyAxis::kLayer,
     .depth = 1,
     .high = kMost,
     .default_value = "backward_input + backward_weight",
     .help = "Duration of BW of every layer; alone, the backward is not split.",
     .list_only = true},
    {.path = "layers.activation",
     .type = KeyType::kBytes,
     .axis = KeyAxis::kLayer,
     .depth = 1,
     .high = kMost,
     .default_value = "0",
     .help = "Bytes that F of one micro-batch allocates in every layer.",
     .list_only = true},
    {.path = "layers.activation_kept",
     .type = KeyType::kBytes,
     .axis = KeyAxis::kLayer,
     .depth = 1,
     .high = kMost,
     .default_value = "half of activation, rounded up",
     .help = "The part of `activation` that stays after B, until W.",
     .list_only = true},
    {.path = "layers.parameters",
     .type = KeyType::kBytes,
     .axis = KeyAxis::kLayer,
     .depth = 1,
     .high = kMost,
     .default_value = "0",
     .help = "Bytes that every layer holds for the whole iteration (parameters, gradients, "
             "optimizer state).",
     .list_only = true},

    {.path = "communication",
     .type = KeyType::kChoice,
     .choices = "latency | link | blocking | rendezvous",
     .default_value = "latency",
     .help = "What a transfer occupies: nothing, the links of its route, also its sender, or both "
             "sides until they meet."},
    {.path = "links.topology",
     .type = KeyType::kChoice,
     .choices = "line | ring | switch | full",
     .default_value = "switch",
     .help = "How the devices are connected."},
    {.path = "links.bandwidth",
     .type = KeyType::kBandwidth,
     .low = 1,
     .high = kMost,
     .help = "Bandwidth of every link in each direction."},
    {.path = "links.latency",
     .type = KeyType::kDuration,
     .high = kMost,
     .default_value = "0",
     .help = "Latency of every link, added once per link of a route."},
    {.path = "links.sharing",
     .type = KeyType::kChoice,
     .choices = "fair | fifo",
     .default_value = "fair",
     .help = "Concurrent transfers share a link fairly, or take it one after the other."},
    {.path = "host_link.shared_by",
     .type = KeyType::kInteger,
     .low = 1,
     .high = kMostStages,
     .default_value = "1",
     .help = "Number of neighbouring devices that share one link to host memory."},
    {.path = "host_link.sharing",
     .type = KeyType::kChoice,
     .choices = "fair | fifo",
     .default_value = "fair",
     .help = "Concurrent copies share the host link fairly, or take it one after the other."},

    {.path = "memory.capacity",
     .type = KeyType::kBytes,
     .axis = KeyAxis::kDevice,
     .depth = 1,
     .high = kMost,
     .default_value = "unlimited",
     .help = "Memory of a device."},
    {.path = "memory.forward",
     .type = KeyType::kBytes,
     .axis = KeyAxis::kStage,
     .depth = 2,
     .high = kMost,
     .default_value = "0",
     .help = "Bytes that F of one micro-batch allocates; the three changes sum to 0."},
    {.path = "memory.backward_input",
     .type = KeyType::kBytes,
     .axis = KeyAxis::kStage,
     .depth = 2,
     .low = -kMost,
     .high = 0,
     .default_value = "what makes the sum 0",
     .help = "Change at the end of B, at most 0."},
    {.path = "memory.backward_weight",
     .type = KeyType::kBytes,
     .axis = KeyAxis::kStage,
     .depth = 2,
     .low = -kMost,
     .high = 0,
     .default_value = "what makes the sum 0",
     .help = "Change at the end of W, at most 0."},
    {.path = "memory.stage_input",
     .type = KeyType::kBytes,
     .axis = KeyAxis::kStage,
     .depth = 2,
     .high = kMost,
     .default_value = "0",
     .help = "Bytes that a recomputed unit keeps from F to R; at most `forward`."},
    {.path = "memory.resident",
     .type = KeyType::kBytes,
     .axis = KeyAxis::kDevice,
     .depth = 1,
     .high = kMost,
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
     .high = kMost,
     .default_value = "0",
     .help = "Duration of the optimizer step of a device."},
    {.path = "optimizer.gradient_reduction",
     .type = KeyType::kDuration,
     .axis = KeyAxis::kDevice,
     .depth = 1,
     .high = kMost,
     .default_value = "0",
     .help = "Duration of the gradient reduction of a device."},
    {.path = "optimizer.post_validation",
     .type = KeyType::kFlag,
     .default_value = "false",
     .help = "A device steps as soon as its own gradients are reduced, and starts the next "
             "iteration."},

    {.path = "schedule.kind",
     .default_value = "1f1b",
     .help =
         "Name of the schedule (`stagecraft list schedules`); `schedule: NAME` is short for it."},
    {.path = "schedule.p2p",
     .type = KeyType::kChoice,
     .choices = "batched | overlap | send-first | recv-first | parity",
     .default_value = "batched",
     .help = "Order and batching of sends and receives in communication rendezvous."},
};

std::string_view axis_words(KeyAxis axis) {
  switch (axis) {
    case KeyAxis::kStage:
      return "per stage";
    case KeyAxis::kBoundary:
      return "per boundary between stages";
    case KeyAxis::kDevice:
      return "per device";
    case KeyAxis::kLayer:
      return "per layer";
    case KeyAxis::kMicrobatch:
      return "per micro-batch";
    case KeyAxis::kNone:
      break;
  }
  return "";
}

std::string value_words(const KeySpec& spec) {
  switch (spec.type) {
    case KeyType::kText:
      return "text";
    case KeyType::kFlag:
      return "true or false";
    case KeyType::kChoice:
      return fmt::format("one of {}", spec.choices);
    case KeyType::kInteger:
      return spec.high == kMost ? fmt::format("an integer, at least {}", spec.low)
                                : fmt::format("an integer from {} to {}", spec.low, spec.high);
    case KeyType::kDuration:
      return "a duration such as 1.5 or 5us, at least 0";
    case KeyType::kBytes:
      return spec.high == 0 ? "a size such as -1 or -1.5MB, at most 0"
                            : "a size such as 16 or 80GiB, at least 0";
    case KeyType::kBandwidth:
      return "a bandwidth such as 25GB/s";
    case KeyType::kRatio:
      return spec.low == 0 ? "a number from 0 to 100000" : "a number from 0.001 to 1000";
  }
  return "";
}

std::string lists_words(const KeySpec& spec) {
  std::string words;
  if (spec.depth >= 1 && spec.path == "costs.slice_shares") {
    return "a list, or a list per micro-batch of lists";
  }
  if (spec.depth >= 1) {
    words = fmt::format("a list {}", axis_words(spec.axis));
  }
  if (spec.depth == 2) {
    words += " (nested: and per micro-batch)";
  } else if (spec.depth == 3) {
    words += " (nested: and per micro-batch and slice)";
  }
  return words;
}

/// A bar inside a cell would end it.
std::string cell(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    escaped += c == '|' ? "\\|" : std::string(1, c);
  }
  return escaped;
}

std::string table_row(std::string_view key, std::string_view value, std::string_view fallback,
                      std::string_view help) {
  return fmt::format("| `{}` | {} | {} | {} |\n", key, cell(value), cell(fallback), cell(help));
}

}  // namespace

std::span<const KeySpec> scenario_keys() {
  return kKeys;
}

const KeySpec* find_key(std::string_view path) {
  for (const KeySpec& spec : kKeys) {
    if (spec.path == path) {
      return &spec;
    }
  }
  return nullptr;
}

std::string expectation(const KeySpec& spec) {
  const std::string lists = lists_words(spec);
  if (lists.empty()) {
    return value_words(spec);
  }
  if (spec.list_only) {
    return fmt::format("{}: {} each", lists, value_words(spec));
  }
  return fmt::format("{}, or {}", value_words(spec), lists);
}

std::string keys_reference() {
  std::string page = "# Keys of a scenario file\n";
  std::string_view section = "?";
  for (const KeySpec& spec : kKeys) {
    const std::size_t dot = spec.path.find('.');
    const std::string_view own = dot == std::string_view::npos ? "" : spec.path.substr(0, dot);
    if (own != section) {
      section = own;
      page += fmt::format("\n## {}\n\n| key | value | default | meaning |\n|---|---|---|---|\n",
                          own.empty() ? "top level" : own);
    }
    page += table_row(spec.path, expectation(spec), spec.default_value, spec.help);
  }
  page +=
      "\n## options of schedules, beside schedule.kind\n\n"
      "| key | value | default | meaning |\n|---|---|---|---|\n";
  for (const GeneratorInfo& info : generators()) {
    for (const OptionSpec& option : info.options) {
      page += table_row(fmt::format("schedule.{}", option.name), option.range, option.default_value,
                        fmt::format("{}: {}", info.name, option.help));
    }
  }
  return page;
}

}  // namespace stagecraft
