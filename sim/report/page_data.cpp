#include "report/page_data.hpp"

#include <algorithm>
#include <unordered_map>
#include <vector>

namespace stagecraft::report {
namespace {

class Encoder {
 public:
  void byte(unsigned value) { bytes_ += static_cast<char>(value); }
  void unsigned_number(std::uint64_t value) {
    for (; value >= 128U; value >>= 7U) {
      byte(static_cast<unsigned>(value & 127U) | 128U);
    }
    byte(static_cast<unsigned>(value));
  }
  void count(std::size_t value) { unsigned_number(value); }
  void number(std::int64_t value) {
    const auto shifted = static_cast<std::uint64_t>(value) << 1U;
    unsigned_number(value < 0 ? ~shifted : shifted);
  }
  /// value - last, and last becomes value.
  void delta(std::int64_t value, std::int64_t& last) {
    number(value - last);
    last = value;
  }
  [[nodiscard]] std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

/// What the next op of a device is predicted from.
struct OpContext {
  std::vector<std::int64_t> microbatch, duration;  ///< of the last op of the same kind and stage
  std::int64_t stage = 0, partner_stage = 0, partner_microbatch = 0;
  std::int64_t compute_end = 0, copy_end = 0;
};

void encode_op(Encoder& out, const Timeline& timeline, std::size_t i, std::int32_t stages,
               OpContext& context) {
  const Op& op = timeline.ops[i];
  const auto kind = static_cast<unsigned>(op.kind);
  const bool sliced = timeline.pipeline.sliced();
  out.byte(kind | static_cast<unsigned>(op.direction) << 4U |
           static_cast<unsigned>(op.partner_direction) << 6U);
  out.delta(op.unit.stage, context.stage);
  const std::size_t slot = kind * static_cast<std::size_t>(stages) + op.unit.stage;
  out.delta(op.unit.microbatch, context.microbatch[slot]);
  if (sliced) {
    out.count(op.unit.slice);
  }
  if (op.kind == OpKind::kOverlapped) {
    out.delta(op.partner.stage, context.partner_stage);
    out.delta(op.partner.microbatch, context.partner_microbatch);
    if (sliced) {
      out.count(op.partner.slice);
    }
  }
  std::int64_t& last_end = is_copy(op.kind) ? context.copy_end : context.compute_end;
  out.delta(timeline.start[i], last_end);
  out.delta(timeline.end[i] - timeline.start[i], context.duration[slot]);
  last_end = timeline.end[i];
}

void encode_ops(Encoder& out, const Timeline& timeline) {
  const std::int32_t stages = stage_ids(timeline);
  const auto slots = static_cast<std::size_t>(stages) * kOpKindCount;
  OpContext context;
  for (std::size_t d = 0; d + 1 < timeline.offsets.size(); ++d) {
    context = {};
    context.microbatch.assign(slots, 0);
    context.duration.assign(slots, 0);
    for (std::size_t i = timeline.offsets[d]; i < timeline.offsets[d + 1]; ++i) {
      encode_op(out, timeline, i, stages, context);
    }
  }
}

void encode_idle(Encoder& out, const std::vector<IdleInterval>& idle) {
  out.count(idle.size());
  std::int32_t device = 0;
  std::int64_t end = 0;
  std::int64_t waiting = 0;
  for (const IdleInterval& interval : idle) {
    out.count(static_cast<std::size_t>(interval.device - device));
    device = interval.device;
    const bool has_waiting = interval.waiting != kNoOp;
    const bool has_waited_for = has_waiting && interval.waited_for != kNoOp;
    out.byte(static_cast<unsigned>(interval.cause) | (has_waiting ? 8U : 0U) |
             (has_waited_for ? 16U : 0U));
    out.number(interval.start - end);
    out.unsigned_number(static_cast<std::uint64_t>(interval.end - interval.start));
    end = interval.end;
    if (has_waiting) {
      out.delta(interval.waiting, waiting);
    }
    if (has_waited_for) {
      out.number(std::int64_t{interval.waited_for} - waiting);
    }
  }
}

void encode_transfers(Encoder& out, const Timeline& timeline) {
  if (timeline.ops.size() > kMostOpsWithTransfers) {
    out.count(0);
    return;
  }
  out.count(timeline.transfers.size());
  std::int64_t consumer = 0;
  std::int64_t start = 0;
  std::int64_t bytes = 0;
  for (const Transfer& transfer : timeline.transfers) {
    out.delta(transfer.consumer, consumer);
    out.number(std::int64_t{transfer.producer} - consumer);
    out.delta(transfer.start, start);
    out.unsigned_number(static_cast<std::uint64_t>(transfer.end - transfer.start));
    out.delta(transfer.bytes, bytes);
  }
}

void encode_memory(Encoder& out, const std::vector<std::vector<MemorySample>>& memory) {
  out.count(memory.size());
  std::unordered_map<std::int64_t, std::size_t> numbers;  // of changes, from 1
  for (const std::vector<MemorySample>& samples : memory) {
    out.count(samples.size());
    std::int64_t time = 0;
    std::int64_t bytes = 0;
    for (const MemorySample& sample : samples) {
      out.delta(sample.time, time);
      const std::int64_t change = sample.bytes - bytes;
      bytes = sample.bytes;
      const auto [known, is_new] = numbers.emplace(change, numbers.size() + 1);
      out.count(is_new ? 0 : known->second);
      if (is_new) {
        out.number(change);
      }
    }
  }
}

void encode_path(Encoder& out, const CriticalPath& path) {
  out.count(path.steps.size());
  std::int64_t op = 0;
  std::int64_t end = 0;
  for (const CriticalStep& step : path.steps) {
    out.byte(static_cast<unsigned>(step.kind));
    out.delta(step.op, op);
    out.number(step.start - end);
    out.unsigned_number(static_cast<std::uint64_t>(step.end - step.start));
    end = step.end;
  }
}

}  // namespace

std::int32_t stage_ids(const Timeline& timeline) {
  return std::max(timeline.pipeline.stages, timeline.pipeline.devices);
}

std::string page_data(const Run& run) {
  Encoder out;
  encode_ops(out, run.evaluation.timeline);
  encode_idle(out, run.evaluation.idle);
  encode_transfers(out, run.evaluation.timeline);
  encode_memory(out, run.evaluation.memory);
  encode_path(out, run.evaluation.critical_path);
  return out.take();
}

std::string base64(std::string_view bytes) {
  static constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      group = group << 8U | (k < count ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      text += k <= count ? kDigits[group >> (18U - 6U * k) & 63U] : '=';
    }
  }
  return text;
}

}  // namespace stagecraft::report
