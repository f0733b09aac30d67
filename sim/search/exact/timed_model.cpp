// Order problems in units of time; what a device's memory asks of an op.
#include <algorithm>
#include <numeric>

#include "search/exact/windows.hpp"

namespace stagecraft::search::exact {
namespace {

__extension__ using Wide = __int128;

std::size_t slot(std::int32_t number) {
  return static_cast<std::size_t>(number);
}

std::int64_t floor_divide(Wide a, Wide b) {
  Wide q = a / b;
  if (q * b > a) {
    --q;
  }
  return static_cast<std::int64_t>(q);
}

}  // namespace

std::int64_t Scale::down(Time time) const {
  return floor_divide(Wide{time} * parts, unit);
}
std::int64_t Scale::up(Time time) const {
  return -floor_divide(-Wide{time} * parts, unit);
}

TimedModel make_timed_model(const ExactModel& model, std::int64_t horizon, Scale scale) {
  TimedModel timed;
  timed.model = &model;
  for (const ModelOp& op : model.ops) {
    timed.duration.push_back(scale.down(op.duration));
  }
  for (const Arc& arc : model.arcs) {
    timed.arcs.push_back({arc.from, arc.to, scale.down(arc.delay)});
  }
  std::ranges::stable_sort(timed.arcs, {}, &Arc::to);
  const bool periodic = model.horizon == Horizon::kPeriod;
  for (std::size_t x = 0; x < model.size(); ++x) {
    const std::size_t d = slot(model.ops[x].device);
    timed.first.push_back(scale.down(model.head[d]));
    // Periodic: let the first op of all start at 0. Every device runs an op between the first and
    // the last one of a micro-batch, which lie within T on the device of stage 0; so its first
    // start is not after T, and its last end not after 2 T.
    const std::int64_t end =
        periodic ? 2 * horizon + scale.up(-model.tail[d]) + 1 : horizon + scale.up(-model.tail[d]);
    timed.last.push_back(end - timed.duration[x]);
  }
  for (std::size_t d = 0; periodic && d < model.device_lanes.size(); ++d) {
    const std::int64_t gap = horizon + scale.up(-model.tail[d]);
    for (const std::int32_t from : model.device_lanes[d]) {
      for (const std::int32_t to : model.device_lanes[d]) {
        if (model.ops.front().is_start && to != static_cast<std::int32_t>(d)) {
          continue;  // the lane of a start has its number, and all ops are after it
        }
        const std::int32_t end = model.lanes[slot(from)].back();
        const std::int32_t start = model.lanes[slot(to)].front();
        timed.back_arcs.push_back({end, start, timed.duration[slot(end)] - gap});
      }
    }
  }
  return timed;
}

TimedModel coarsen(TimedModel timed, std::int64_t factor) {
  for (std::vector<std::int64_t>* list : {&timed.duration, &timed.first, &timed.last}) {
    for (std::int64_t& time : *list) {
      time = floor_divide(time, factor);
    }
  }
  for (std::vector<Arc>* arcs : {&timed.arcs, &timed.back_arcs}) {
    for (Arc& arc : *arcs) {
      arc.delay = floor_divide(arc.delay, factor);
    }
  }
  return timed;
}

// A period is a mean over the devices of a cycle, so a fraction of units has a denominator of at
// most P. If time has no finer parts than the unit, there are none to look for.
Target target_below(const ExactModel& model, Time value) {
  Target target{{model.unit, 1}, Scale{model.unit, 1}.down(value - 1)};
  if (model.horizon == Horizon::kDeadline || model.unit == 1) {
    return target;
  }
  for (std::int64_t parts = 2; parts <= model.pipeline.devices; ++parts) {
    const Scale scale{model.unit, parts};
    const std::int64_t horizon = scale.down(value - 1);
    if (Wide{horizon} * target.scale.parts > Wide{target.horizon} * parts) {
      target = {scale, horizon};
    }
  }
  return target;
}

MemoryAccount memory_account(const ExactModel& model, const Orders& orders, std::int32_t op) {
  const std::size_t device = slot(model.ops[slot(op)].device);
  MemoryAccount account;
  account.need = model.ops[slot(op)].taken - model.room[device];
  for (const std::int32_t number : model.device_lanes[device]) {
    const std::vector<std::int32_t>& lane = model.lanes[slot(number)];
    std::vector<std::int32_t> releases;
    std::vector<std::int32_t> forwards;
    for (const std::int32_t x : lane) {
      const ModelOp& other = model.ops[slot(x)];
      if (x == op || orders.before(op, x)) {
        continue;
      }
      const bool surely = orders.before(x, op);
      account.need += other.taken;
      if (surely) {
        account.need -= other.released;
      } else if (other.released > 0) {
        releases.push_back(x);
      } else if (other.taken > 0) {
        forwards.insert(forwards.begin(), x);
      }
    }
    if (!releases.empty()) {
      account.release_lanes.push_back(std::move(releases));
    }
    if (!forwards.empty()) {
      account.forward_lanes.push_back(std::move(forwards));
    }
  }
  return account;
}

}  // namespace stagecraft::search::exact
