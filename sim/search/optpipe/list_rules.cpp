#include "search/optpipe/list_rules.hpp"

#include <algorithm>

namespace stagecraft::search {
namespace {

constexpr int kLongestDelayW = 5;  // RoomRule::delay_w

std::size_t slot(std::int32_t index) {
  return static_cast<std::size_t>(index);
}

void change(RoomRule& rule, const Pipeline& pipeline, const RoomScheduler& scheduler,
            bool recompute_open, Random& random) {
  const auto device = static_cast<std::int32_t>(random.uniform(0, pipeline.devices - 1));
  const auto d = slot(device);
  const std::int64_t kind = random.uniform(0, recompute_open ? 11 : 9);
  if (kind <= 3) {
    const Bytes step = scheduler.smallest_unit(device) * random.uniform(1, 2);
    rule.room[d] += kind <= 2 ? step : -step;
  } else if (kind <= 5) {
    rule.delay_w[d] = static_cast<std::int32_t>(random.uniform(0, kLongestDelayW));
  } else if (kind == 6) {
    rule.forward_first[d] = 1 - rule.forward_first[d];
  } else if (kind == 7) {
    rule.group = static_cast<std::int32_t>(
        std::clamp<std::int64_t>(rule.group + random.uniform(-1, 1), 1, pipeline.microbatches));
  } else if (kind <= 9) {
    // All devices from here on, as the memory of a pipeline falls along it.
    const Bytes sign = kind == 8 ? 1 : -1;
    for (std::int32_t other = device; other < pipeline.devices; ++other) {
      rule.room[slot(other)] += sign * scheduler.smallest_unit(other);
    }
  } else {
    const auto s = slot(static_cast<std::int32_t>(random.uniform(0, pipeline.stages - 1)));
    rule.recomputed[s] = static_cast<std::int32_t>(
        std::clamp<std::int64_t>(rule.recomputed[s] + random.uniform(-2, 2), 0, 8));
  }
}

}  // namespace

RoomRule roomy_rule(const Pipeline& pipeline, const RoomScheduler& scheduler) {
  RoomRule rule;
  rule.group = pipeline.microbatches;
  rule.recomputed.assign(slot(pipeline.stages), 0);
  rule.delay_w.assign(slot(pipeline.devices), 0);
  rule.forward_first = rule.delay_w;
  for (std::int32_t d = 0; d < pipeline.devices; ++d) {
    rule.room.push_back(scheduler.all_units(d) + scheduler.reserve(d));
  }
  return rule;
}

RoomRule changed_rule(const RoomRule& rule, const Pipeline& pipeline,
                      const RoomScheduler& scheduler, bool recompute_open, Random& random) {
  RoomRule next = rule;
  const auto changes = random.uniform(1, 3);
  for (std::int64_t i = 0; i < changes; ++i) {
    change(next, pipeline, scheduler, recompute_open, random);
  }
  return next;
}

}  // namespace stagecraft::search
