// Group-interleaved 1F1B (GIS), the base of PipeOffload (Wan et al., "PipeOffload", 2503.01328):
// interleaved 1F1B with groups of fewer than P micro-batches and no more warm-up than the way to
// the last device asks for.
//
// The order is that of a building block in a grid of equal slots (F = B = W = 1). A position is
// three slots: one F, then one B with its W. A group of g micro-batches takes g positions per
// chunk, and groups follow each other every gV positions. Going down, a forward arrives one and two
// slots later on every second device; going up, a backward two and one, so that F, B and W never
// meet. A chunk begins as soon as the one before it has passed the last device, at the next
// multiple of g positions that is free modulo gV. Times in a grid without collisions prove the
// order free of cycles for all costs; for P/2 <= g <= P it is warm-up (P-1-d)+(V-1)g, then one F
// and one B in turn.
#include "group_interleaved.hpp"

#include <vector>

#include <fmt/core.h>

#include "all.hpp"
#include "order.hpp"
#include "shape.hpp"

namespace stagecraft {
namespace {

constexpr OptionSpec kOptions[] = {
    {.name = "group_size",
     .unit = "micro-batches",
     .default_value = "P",
     .range = "1 to M",
     .help = "micro-batches per group; PipeOffload takes P/2 (half the memory) to P"},
    {.name = "recompute_chunks",
     .unit = "chunks",
     .default_value = "0",
     .range = "0 to V",
     .help =
         "chunks per device that keep only their input, R before B; chunk 0 first, which is kept "
         "longest"}};

/// The positions at which the first micro-batch of the first group runs each chunk. On rank d the
/// forward's position counts from slot `down to d`, and the backward's position p stands at
/// p+P-1-d.
struct BuildingBlock {
  std::int64_t group = 1;
  std::int64_t interval = 1;           ///< gV positions between groups
  std::vector<std::int64_t> forward;   ///< [V]
  std::vector<std::int64_t> backward;  ///< [V]
};

/// The first free multiple of g positions from slot `earliest` on, modulo the interval.
std::int64_t take_position(std::vector<bool>& taken, std::int64_t group, std::int64_t earliest) {
  const auto classes = static_cast<std::int64_t>(taken.size());
  std::int64_t block = (earliest + 3 * group - 1) / (3 * group);
  while (taken[static_cast<std::size_t>(block % classes)]) {
    ++block;
  }
  taken[static_cast<std::size_t>(block % classes)] = true;
  return block * group;
}

BuildingBlock make_block(std::int64_t devices, std::int64_t chunks, std::int64_t group) {
  BuildingBlock block;
  block.group = group;
  block.interval = group * chunks;
  // Slots that a forward takes from the first device to the last, and a backward to return.
  const std::int64_t down = (devices - 1) / 2 * 3 + (devices - 1) % 2;
  const std::int64_t up = 3 * (devices - 1) - down;
  const auto count = static_cast<std::size_t>(chunks);

  std::vector<bool> taken(count, false);
  std::int64_t earliest = 0;
  for (std::size_t c = 0; c < count; ++c) {
    block.forward.push_back(take_position(taken, group, earliest));
    earliest = 3 * block.forward.back() + down + 1;
  }
  // On the last rank position p holds F in slot 3p+down and B in slot 3p+down+1.
  taken.assign(count, false);
  block.backward.assign(count, 0);
  earliest = 3 * block.forward.back();
  for (std::size_t c = count; c-- > 0;) {
    block.backward[c] = take_position(taken, group, earliest);
    earliest = 3 * block.backward[c] + up + 1;
  }
  return block;
}

/// Which chunk and micro-batch stands at a position, if any.
struct PositionTable {
  std::vector<std::int64_t> first;  ///< [V] first position of chunk class k (position / g mod V)
  std::vector<std::int32_t> chunk;  ///< [V] chunk of class k
  std::int64_t group;
  std::int64_t interval;
  std::int64_t microbatches;

  PositionTable(const std::vector<std::int64_t>& starts, const BuildingBlock& block,
                std::int64_t total)
      : first(starts.size()),
        chunk(starts.size()),
        group(block.group),
        interval(block.interval),
        microbatches(total) {
    for (std::size_t c = 0; c < starts.size(); ++c) {
      const auto k = static_cast<std::size_t>(starts[c] / group) % starts.size();
      first[k] = starts[c];
      chunk[k] = static_cast<std::int32_t>(c);
    }
  }

  /// Position after the last one that is used.
  [[nodiscard]] std::int64_t end() const {
    std::int64_t latest = 0;
    for (const std::int64_t start : first) {
      latest = std::max(latest, start);
    }
    const std::int64_t last = microbatches - 1;
    return latest + last / group * interval + last % group + 1;
  }
};

/// Walks the positions of a table.
class PositionWalk {
 public:
  explicit PositionWalk(const PositionTable& table) : table_(table) { enter(); }

  /// Calls run(micro-batch, chunk) if the position is used, and steps to the next.
  template <typename Run>
  void step(Run&& run) {
    const std::int64_t microbatch = base_ + offset_;
    if (base_ >= 0 && microbatch < table_.microbatches) {
      run(static_cast<std::int32_t>(microbatch), table_.chunk[class_]);
    }
    if (++offset_ == table_.group) {
      offset_ = 0;
      if (++class_ == table_.chunk.size()) {
        class_ = 0;
        ++round_;
      }
      enter();
    }
  }

 private:
  void enter() {
    const std::int64_t group_number = round_ - table_.first[class_] / table_.interval;
    base_ = group_number < 0 ? -1 : group_number * table_.group;
  }

  const PositionTable& table_;
  std::int64_t round_ = 0;
  std::size_t class_ = 0;
  std::int64_t offset_ = 0;
  std::int64_t base_ = 0;
};

Result<Schedule> generate_group_interleaved(const GeneratorInput& input) {
  const Pipeline& pipeline = input.pipeline;
  const Result<std::int64_t> group =
      integer_option(input, "group_size", std::min(pipeline.devices, pipeline.microbatches), 1,
                     pipeline.microbatches);
  if (!group) {
    return group.failures();
  }
  const Result<std::int64_t> recomputed =
      integer_option(input, "recompute_chunks", 0, 0, pipeline.chunks());
  if (!recomputed) {
    return recomputed.failures();
  }
  return group_interleaved_order(input, "group-interleaved", *group, *recomputed);
}

}  // namespace

Result<Schedule> group_interleaved_order(const GeneratorInput& input, std::string_view name,
                                         std::int64_t group, std::int64_t recomputed_chunks) {
  const Pipeline& pipeline = input.pipeline;
  const Result<std::vector<std::int32_t>> ranks = loop_ranks(pipeline, name);
  if (!ranks) {
    return ranks.failures();
  }
  const std::int32_t devices = pipeline.devices;
  const std::int32_t chunks = pipeline.stages / devices;
  const BuildingBlock block = make_block(devices, chunks, group);
  const PositionTable forwards(block.forward, block, pipeline.microbatches);
  const PositionTable backwards(block.backward, block, pipeline.microbatches);
  const bool split = input.costs.split_backward;

  OrderWriter writer(name, pipeline, 2 * fused_op_count(pipeline));
  for (const std::int32_t rank : *ranks) {
    PositionWalk forward(forwards);
    PositionWalk backward(backwards);
    const std::int64_t lead = devices - 1 - rank;
    for (std::int64_t position = 0; position < backwards.end() + lead; ++position) {
      forward.step([&](std::int32_t m, std::int32_t c) { writer.forward(m, rank + c * devices); });
      if (position >= lead) {
        backward.step([&](std::int32_t m, std::int32_t c) {
          writer.backward_parts(m, rank + c * devices, c < recomputed_chunks, split);
        });
      }
    }
    writer.end_device();
  }
  return writer.take();
}

const GeneratorInfo& group_interleaved_info() {
  static const GeneratorInfo info = {
      .name = "group-interleaved",
      .summary = "interleaved with smaller groups and half the warm-up: less memory",
      .source = "Wan et al., PipeOffload, 2503.01328 (GIS); zero-bubble's group-interleaved 1F1B",
      .order =
          "groups of g micro-batches, chunk by chunk; a warm-up of (P-1-d)+(V-1)g forwards on "
          "device d, then one forward and one backward in turn; below g = P/2 chunks of later "
          "groups fill the wait for a chunk to come round",
      .constraints =
          "placement loop; any P, M, V and 1 <= g <= M; B and W apart where the costs "
          "know them",
      .bubble =
          "(P-1)(f+b) of one chunk for g = P where B and W are known apart, else "
          "(P-1)(f+bw); a little more for smaller g",
      .memory = "(P-1-d)+(V-1)g+1 chunks on device d for P/2 <= g <= P",
      .placement = PlacementKind::kLoop,
      .chunks = 0,
      .usual_chunks = 2,
      .needs_split_backward = false,
      .options = kOptions,
      .generate = generate_group_interleaved,
  };
  return info;
}

}  // namespace stagecraft
