// Interleaved 1F1B: every device runs V chunks of the model in turn, a group of micro-batches at a
// time (Narayanan et al., "Efficient large-scale language model training", 2104.04473). Group sizes
// other than P follow Megatron-LM's microbatch_group_size_per_vp_stage.
#include <vector>

#include <fmt/core.h>

#include "all.hpp"
#include "order.hpp"
#include "shape.hpp"
#include "stagecraft/schedule/verify.hpp"

namespace stagecraft {
namespace {

constexpr OptionSpec kOptions[] = {
    {.name = "group_size",
     .unit = "micro-batches",
     .default_value = "",
     .range = "P to M, with M mod group_size 0 or at least P",
     .help = "micro-batches that pass a chunk before the next chunk begins; left out: the smallest "
             "that fits, which is P where P divides M"},
    {.name = "any_remainder",
     .unit = "",
     .default_value = "false",
     .range = "true | false",
     .help = "also take a last group of fewer than P micro-batches, which Megatron-LM refuses, "
             "where no cycle arises"}};

/// Megatron-LM's rule. Fewer than P micro-batches form one group, as in PyTorch.
bool fits(std::int64_t group, std::int64_t devices, std::int64_t microbatches,
          bool any_remainder = false) {
  if (microbatches < devices) {
    return group == microbatches;
  }
  const std::int64_t rest = microbatches % group;
  return group >= devices && group <= microbatches &&
         (rest == 0 || rest >= devices || any_remainder);
}

std::string fitting_groups(std::int64_t devices, std::int64_t microbatches) {
  constexpr int kMost = 6;
  std::string list;
  int count = 0;
  for (std::int64_t group = 1; group <= microbatches && count < kMost; ++group) {
    if (fits(group, devices, microbatches)) {
      list += fmt::format("{}{}", count == 0 ? "" : ", ", group);
      ++count;
    }
  }
  return list;
}

Result<std::int64_t> group_size(const GeneratorInput& input) {
  const std::int64_t devices = input.pipeline.devices;
  const std::int64_t microbatches = input.pipeline.microbatches;
  const Result<std::int64_t> given =
      integer_option(input, "group_size", 0, 1, input.pipeline.microbatches);
  if (!given) {
    return given;
  }
  const Result<bool> any_remainder = flag_option(input, "any_remainder", false);
  if (!any_remainder) {
    return any_remainder.failures();
  }
  if (*given == 0) {
    std::int64_t group = std::min(devices, microbatches);
    while (!fits(group, devices, microbatches)) {  // M itself always fits
      ++group;
    }
    return group;
  }
  if (!fits(*given, devices, microbatches, *any_remainder)) {
    return bad_input(
        fmt::format(
            "interleaved cannot run {} micro-batches on {} devices in groups of {}: a group "
            "has {} to {} micro-batches, and the last one none or at least {} left",
            microbatches, devices, *given, std::min(devices, microbatches), microbatches, devices),
        fmt::format("group_size that fits: {}", fitting_groups(devices, microbatches)));
  }
  return given;
}

Result<Schedule> generate_interleaved(const GeneratorInput& input) {
  const Pipeline& pipeline = input.pipeline;
  const Result<std::vector<std::int32_t>> ranks = loop_ranks(pipeline, "interleaved");
  if (!ranks) {
    return ranks.failures();
  }
  const Result<std::int64_t> group = group_size(input);
  if (!group) {
    return group.failures();
  }
  const std::int32_t devices = pipeline.devices;
  const std::int32_t chunks = pipeline.stages / devices;
  std::vector<std::int32_t> group_ends;
  for (std::int64_t end = *group; end < pipeline.microbatches; end += *group) {
    group_ends.push_back(static_cast<std::int32_t>(end));
  }
  group_ends.push_back(pipeline.microbatches);

  OrderWriter writer("interleaved", pipeline, fused_op_count(pipeline));
  for (const std::int32_t rank : *ranks) {
    const std::int64_t to_last = devices - 1 - rank;
    // One chunk leaves nothing to interleave: Megatron-LM runs plain 1F1B then.
    const std::int64_t warmup = chunks == 1 ? to_last : 2 * to_last + (chunks - 1) * *group;
    ChunkWalk forwards(group_ends, chunks, false);
    ChunkWalk backwards(group_ends, chunks, true);
    one_forward_one_backward(
        warmup, std::int64_t{chunks} * pipeline.microbatches,
        [&](std::int64_t) {
          const ChunkWalk::Step step = forwards.next();
          writer.forward(step.unit, rank + step.chunk * devices);
        },
        [&](std::int64_t) {
          const ChunkWalk::Step step = backwards.next();
          writer.backward(step.unit, rank + step.chunk * devices);
        });
    writer.end_device();
  }
  Schedule schedule = writer.take();
  // Megatron-LM's rule rules out cycles; without it a short last group may close one.
  if (!fits(*group, devices, pipeline.microbatches)) {
    if (Diagnostics broken = verify(schedule); !broken.empty()) {
      broken.front().hint =
          "group_size that fits: " + fitting_groups(devices, pipeline.microbatches);
      return broken;
    }
  }
  return schedule;
}

}  // namespace

const GeneratorInfo& interleaved_info() {
  static const GeneratorInfo info = {
      .name = "interleaved",
      .summary = "1f1b over several chunks per device: a smaller bubble for more transfers",
      .source = "Narayanan et al., 2104.04473; Megatron-LM (group_size); PyTorch Interleaved1F1B",
      .order =
          "forwards in groups of g micro-batches, chunk by chunk; backwards with the chunks "
          "reversed; min(2(P-1-d)+(V-1)g, MV) forwards on device d, then F and BW in turn. "
          "PyTorch's g is M / max(1, M/P) and must divide M",
      .constraints =
          "placement loop; P <= g <= M and M mod g is 0 or at least P (fewer than P "
          "micro-batches form one group); V = 1 is 1f1b",
      .bubble = "(P-1)(F+BW)/V; makespan VM(f+bw) + (P-1)(f+bw) with f, bw of one chunk",
      .memory = "min(VM, 2(P-1-d)+(V-1)g+1) chunks on device d",
      .placement = PlacementKind::kLoop,
      .chunks = 0,
      .usual_chunks = 2,
      .needs_split_backward = false,
      .options = kOptions,
      .generate = generate_interleaved,
  };
  return info;
}

}  // namespace stagecraft
