// PipeOffload: group-interleaved 1F1B whose activations spend the time between forward and backward
// in host memory, those that live longest first (Wan et al., "PipeOffload", 2503.01328).
#include <algorithm>
#include <charconv>
#include <vector>

#include <fmt/core.h>

#include "all.hpp"
#include "group_interleaved.hpp"
#include "offload_plan.hpp"

namespace stagecraft {
namespace {

constexpr OptionSpec kOptions[] = {
    {.name = "group_size",
     .unit = "micro-batches",
     .default_value = "P",
     .range = "1 to M",
     .help = "micro-batches per group of the order, as in group-interleaved"},
    {.name = "offload_chunks",
     .unit = "chunks",
     .default_value = "V",
     .range = "0 to V",
     .help =
         "how many chunks per device are offloaded, those that live longest (the lowest) first"},
    {.name = "offload_list",
     .unit = "chunks",
     .default_value = "",
     .range = "chunk numbers from 0 to V-1, separated by blanks or commas",
     .help = "which chunks per device are offloaded, in place of offload_chunks"}};

/// "0, 2" -> chunks 0 and 2.
Result<std::vector<bool>> listed_chunks(const std::string& text, std::int32_t chunks) {
  std::vector<bool> result(static_cast<std::size_t>(chunks), false);
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) {
    if (*at == ' ' || *at == ',') {
      ++at;
      continue;
    }
    std::int32_t chunk = -1;
    const auto [next, error] = std::from_chars(at, end, chunk);
    if (error != std::errc{} || chunk < 0 || chunk >= chunks) {
      return bad_input(
          fmt::format("schedule option 'offload_list' is '{}', expected chunk numbers "
                      "from 0 to {}",
                      text, chunks - 1));
    }
    result[static_cast<std::size_t>(chunk)] = true;
    at = next;
  }
  return result;
}

Result<std::vector<bool>> offloaded_chunks(const GeneratorInput& input) {
  const std::int32_t chunks = input.pipeline.chunks();
  const auto list = input.options.find("offload_list");
  const Result<std::int64_t> count = integer_option(input, "offload_chunks", chunks, 0, chunks);
  if (!count) {
    return count.failures();
  }
  if (list != input.options.end()) {
    if (input.options.contains("offload_chunks")) {
      return bad_input("schedule options 'offload_chunks' and 'offload_list' exclude each other");
    }
    return listed_chunks(list->second, chunks);
  }
  // A chunk lives from its forward until the backwards of all later chunks have passed.
  std::vector<bool> result(static_cast<std::size_t>(chunks), false);
  std::fill_n(result.begin(), *count, true);
  return result;
}

Result<Schedule> generate_pipeoffload(const GeneratorInput& input) {
  const Pipeline& pipeline = input.pipeline;
  if (!input.costs.offload_given) {
    return bad_input("pipeoffload needs the time of a copy between device and host",
                     "set costs.offload, the one-way copy time of one unit's activation");
  }
  const Result<std::int64_t> group =
      integer_option(input, "group_size", std::min(pipeline.devices, pipeline.microbatches), 1,
                     pipeline.microbatches);
  if (!group) {
    return group.failures();
  }
  const Result<std::vector<bool>> chunks = offloaded_chunks(input);
  if (!chunks) {
    return chunks.failures();
  }
  const Result<Schedule> order = group_interleaved_order(input, "pipeoffload", *group, 0);
  if (!order) {
    return order.failures();
  }
  return add_offload(*order, input.costs, *chunks);
}

}  // namespace

const GeneratorInfo& pipeoffload_info() {
  static const GeneratorInfo info = {
      .name = "pipeoffload",
      .summary = "group-interleaved with activations parked in host memory between F and B",
      .source = "Wan et al., PipeOffload, 2503.01328 (GIS, selective offload)",
      .order =
          "group-interleaved; O as soon after F as the copy stream is free, L as late before B "
          "as it can be, so that no compute op waits; units for which the link has no time stay "
          "on the device (less offload instead of none)",
      .constraints =
          "placement loop; any P, M, V; needs costs.offload. Devices that share a host "
          "link plan as if all of them copied at once",
      .bubble = "as group-interleaved",
      .memory =
          "about (V-k)/V of group-interleaved with k of V chunks offloaded, plus the units in "
          "the copy stream",
      .placement = PlacementKind::kLoop,
      .chunks = 0,
      .usual_chunks = 2,
      .needs_split_backward = false,
      .options = kOptions,
      .generate = generate_pipeoffload,
  };
  return info;
}

}  // namespace stagecraft
