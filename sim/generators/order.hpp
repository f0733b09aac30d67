// What the closed-form orders share: writing op lists in one pass, and the rhythm "warm-up, one
// forward one backward, cool-down".
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "stagecraft/core/check.hpp"
#include "stagecraft/plan/pipeline.hpp"
#include "stagecraft/schedule/schedule.hpp"

namespace stagecraft {

/// Writes a schedule device by device, in order. Orders that know nothing of slices treat a
/// micro-batch as one block: its slices run back to back, ascending in the forward and descending
/// in the backward, which keeps every order valid.
class OrderWriter {
 public:
  /// `ops`: the number of ops that will be written (a hint; memory is reserved once).
  OrderWriter(std::string_view name, const Pipeline& pipeline, std::size_t ops) {
    schedule_.name = std::string(name);
    schedule_.pipeline = pipeline;
    schedule_.ops.reserve(ops);
    schedule_.offsets.reserve(static_cast<std::size_t>(pipeline.devices) + 1);
    schedule_.offsets.push_back(0);
  }

  void put(const Op& op) { schedule_.ops.push_back(op); }

  void forward(std::int32_t microbatch, std::int32_t stage,
               Direction direction = Direction::kOnly) {
    const std::int32_t slices = slices_of(microbatch, direction);
    for (std::int32_t slice = 0; slice < slices; ++slice) {
      put(make_op(OpKind::kForward, microbatch, stage, slice, direction));
    }
  }

  /// Fused backward.
  void backward(std::int32_t microbatch, std::int32_t stage,
                Direction direction = Direction::kOnly) {
    for (std::int32_t slice = slices_of(microbatch, direction); slice-- > 0;) {
      put(make_op(OpKind::kBackward, microbatch, stage, slice, direction));
    }
  }

  /// Backward slice by slice: R first if recomputed; B and W if split, else BW.
  void backward_parts(std::int32_t microbatch, std::int32_t stage, bool recompute, bool split) {
    for (std::int32_t slice = slices_of(microbatch, Direction::kOnly); slice-- > 0;) {
      if (recompute) {
        put(make_op(OpKind::kRecompute, microbatch, stage, slice));
      }
      if (split) {
        put(make_op(OpKind::kBackwardInput, microbatch, stage, slice));
        put(make_op(OpKind::kBackwardWeight, microbatch, stage, slice));
      } else {
        put(make_op(OpKind::kBackward, microbatch, stage, slice));
      }
    }
  }

  /// The ops from here on are the next device's.
  void end_device() { schedule_.offsets.push_back(schedule_.ops.size()); }

  [[nodiscard]] const Pipeline& pipeline() const { return schedule_.pipeline; }

  [[nodiscard]] Schedule take() {
    STAGECRAFT_CHECK(
        schedule_.offsets.size() == static_cast<std::size_t>(schedule_.pipeline.devices) + 1,
        "end_device() once per device");
    return std::move(schedule_);
  }

 private:
  [[nodiscard]] std::int32_t slices_of(std::int32_t microbatch, Direction direction) const {
    const Pipeline& p = schedule_.pipeline;
    return p.sliced() ? p.slices_of(p.global_microbatch(microbatch, direction)) : 1;
  }

  Schedule schedule_;
};

/// Units of all micro-batches: the sum of their slices.
[[nodiscard]] inline std::int64_t total_slices(const Pipeline& pipeline) {
  std::int64_t total = 0;
  for (const std::int32_t slices : pipeline.slices) {
    total += slices;
  }
  return pipeline.sliced() ? total : pipeline.microbatches;
}

/// Forwards and fused backwards of all units on all stages.
[[nodiscard]] inline std::size_t fused_op_count(const Pipeline& pipeline) {
  return static_cast<std::size_t>(2 * total_slices(pipeline) * pipeline.stages);
}

/// `warmup` forwards, then one forward and one backward in turn, then the backwards that are left.
/// forward(k) and backward(k) write the k-th of `count`; warmup is cut to [0, count].
template <typename Forward, typename Backward>
void one_forward_one_backward(std::int64_t warmup, std::int64_t count, Forward&& forward,
                              Backward&& backward) {
  const std::int64_t ahead = std::clamp<std::int64_t>(warmup, 0, count);
  for (std::int64_t k = 0; k < ahead; ++k) {
    forward(k);
  }
  for (std::int64_t k = ahead; k < count; ++k) {
    forward(k);
    backward(k - ahead);
  }
  for (std::int64_t k = count - ahead; k < count; ++k) {
    backward(k);
  }
}

/// Walks "group by group; inside a group chunk by chunk; inside a chunk unit by unit": the order of
/// interleaved forwards (chunks ascending) and backwards (descending).
class ChunkWalk {
 public:
  struct Step {
    std::int32_t chunk;
    std::int32_t unit;
  };

  /// `group_ends`: end of every group of units, ascending; it must outlive the walk.
  ChunkWalk(std::span<const std::int32_t> group_ends, std::int32_t chunks, bool descending)
      : ends_(group_ends), chunks_(chunks), descending_(descending) {}

  /// Must not be called more often than chunks * units times.
  [[nodiscard]] Step next() {
    const Step step{descending_ ? chunks_ - 1 - chunk_ : chunk_, unit_};
    if (++unit_ == ends_[group_]) {
      if (++chunk_ == chunks_) {
        chunk_ = 0;
        begin_ = unit_;
        ++group_;
      }
      unit_ = begin_;
    }
    return step;
  }

 private:
  std::span<const std::int32_t> ends_;
  std::int32_t chunks_ = 1;
  bool descending_ = false;
  std::size_t group_ = 0;
  std::int32_t begin_ = 0;
  std::int32_t chunk_ = 0;
  std::int32_t unit_ = 0;
};

}  // namespace stagecraft
