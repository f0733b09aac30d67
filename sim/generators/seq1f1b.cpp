// Seq1F1B: 1F1B over slices of sequences (Sun et al., "Seq1F1B", 2406.03488), also interleaved over
// chunks, and with a number of slices of its own for every micro-batch (the window of 2509.21275,
// formula 7: as many slices as the longest sequence has).
#include <vector>

#include <fmt/core.h>

#include "all.hpp"
#include "order.hpp"
#include "shape.hpp"

namespace stagecraft {
namespace {

struct Slice {
  std::int32_t microbatch;
  std::int32_t slice;
};

/// The slices of all micro-batches in the order in which one chunk runs them.
std::vector<Slice> slice_order(const Pipeline& pipeline, bool backward) {
  std::vector<Slice> order;
  order.reserve(static_cast<std::size_t>(total_slices(pipeline)));
  for (std::int32_t m = 0; m < pipeline.microbatches; ++m) {
    const std::int32_t slices = pipeline.slices_of(m);
    for (std::int32_t q = 0; q < slices; ++q) {
      order.push_back({m, backward ? slices - 1 - q : q});
    }
  }
  return order;
}

/// Groups of whole micro-batches with at least P slices each; what is left joins the last group.
std::vector<std::int32_t> group_ends(const Pipeline& pipeline) {
  std::vector<std::int32_t> ends;
  std::int32_t end = 0;
  std::int32_t begin = 0;
  for (std::int32_t m = 0; m < pipeline.microbatches; ++m) {
    end += pipeline.slices_of(m);
    if (end - begin >= pipeline.devices) {
      ends.push_back(end);
      begin = end;
    }
  }
  if (ends.empty()) {
    ends.push_back(end);
  }
  ends.back() = end;
  return ends;
}

/// Forwards that the last device runs before its first backward: so many that every backward finds
/// its own forward done.
std::int64_t warmup_of_last_device(const Pipeline& pipeline, std::span<const std::int32_t> ends,
                                   std::int32_t chunks) {
  std::int64_t largest_group = 0;
  std::int32_t begin = 0;
  for (const std::int32_t end : ends) {
    largest_group = std::max<std::int64_t>(largest_group, end - begin);
    begin = end;
  }
  return (chunks - 1) * largest_group + pipeline.max_slices() - 1;
}

Result<Schedule> generate_seq1f1b(const GeneratorInput& input) {
  const Pipeline& pipeline = input.pipeline;
  const Result<std::vector<std::int32_t>> ranks = loop_ranks(pipeline, "seq1f1b");
  if (!ranks) {
    return ranks.failures();
  }
  const std::int32_t devices = pipeline.devices;
  const std::int32_t chunks = pipeline.stages / devices;
  const std::vector<Slice> forward_order = slice_order(pipeline, false);
  const std::vector<Slice> backward_order = slice_order(pipeline, true);
  const std::vector<std::int32_t> ends = group_ends(pipeline);
  const std::int64_t last = warmup_of_last_device(pipeline, ends, chunks);
  const std::int64_t per_device = chunks == 1 ? 1 : 2;

  OrderWriter writer("seq1f1b", pipeline, fused_op_count(pipeline));
  const auto put = [&](OpKind kind, const Slice& unit, std::int32_t stage) {
    writer.put(make_op(kind, unit.microbatch, stage, unit.slice));
  };
  for (const std::int32_t rank : *ranks) {
    ChunkWalk forwards(ends, chunks, false);
    ChunkWalk backwards(ends, chunks, true);
    one_forward_one_backward(
        last + per_device * (devices - 1 - rank), chunks * total_slices(pipeline),
        [&](std::int64_t) {
          const ChunkWalk::Step step = forwards.next();
          put(OpKind::kForward, forward_order[static_cast<std::size_t>(step.unit)],
              rank + step.chunk * devices);
        },
        [&](std::int64_t) {
          const ChunkWalk::Step step = backwards.next();
          put(OpKind::kBackward, backward_order[static_cast<std::size_t>(step.unit)],
              rank + step.chunk * devices);
        });
    writer.end_device();
  }
  return writer.take();
}

}  // namespace

const GeneratorInfo& seq1f1b_info() {
  static const GeneratorInfo info = {
      .name = "seq1f1b",
      .summary = "1f1b over slices of sequences: bubble and memory shrink with the slices",
      .source = "Sun et al., Seq1F1B, 2406.03488; slices per micro-batch: 2509.21275, formula 7",
      .order =
          "forwards by (micro-batch, slice), backwards by (micro-batch, slice descending); "
          "min(P-d-2+K, slices) forwards on device d, then F and BW in turn; K: most slices of "
          "a micro-batch. V > 1: in groups of at least P slices, chunk by chunk, "
          "2(P-1-d)+(V-1)g+K-1 forwards",
      .constraints =
          "placement loop; any P, M, V and slices per micro-batch (pipeline.slices); one "
          "slice and V = 1 is 1f1b",
      .bubble = "(P-1)(F+BW)/K for slices of equal cost",
      .memory = "min(P-d-1+K, MK)/K micro-batches on device d",
      .placement = PlacementKind::kLoop,
      .chunks = 0,
      .needs_split_backward = false,
      .options = {},
      .generate = generate_seq1f1b,
  };
  return info;
}

}  // namespace stagecraft
