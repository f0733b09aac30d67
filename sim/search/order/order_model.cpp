#include "search/order/order_model.hpp"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "stagecraft/core/check.hpp"
#include "stagecraft/schedule/dependencies.hpp"

namespace stagecraft::search {
namespace {

// The half that waits for a recomputed activation, or nothing.
bool has_backward(const Op& op) {
  return op.kind == OpKind::kBackward || op.kind == OpKind::kBackwardInput ||
         op.kind == OpKind::kOverlapped;
}

Op recompute_for(const Op& op) {
  Op r = op.kind == OpKind::kOverlapped ? backward_half(op) : op;
  r.kind = OpKind::kRecompute;
  return r;
}

// The schedule with an R directly before every backward whose unit has none; `added` marks them.
Schedule with_recomputation(const Schedule& schedule, std::vector<char>& added) {
  const UnitIndex index(schedule);
  std::vector<std::vector<Op>> lists(static_cast<std::size_t>(schedule.pipeline.devices));
  for (std::int32_t d = 0; d < schedule.pipeline.devices; ++d) {
    for (const Op& op : schedule.device_ops(d)) {
      if (has_backward(op)) {
        const Op r = recompute_for(op);
        if (index.recompute(r.unit, r.direction) == kMissing) {
          lists[static_cast<std::size_t>(d)].push_back(r);
          added.push_back(1);
        }
      }
      lists[static_cast<std::size_t>(d)].push_back(op);
      added.push_back(0);
    }
  }
  return make_schedule(schedule.name, schedule.pipeline, lists);
}

void connect(const TaskGraph& graph, OrderModel& model) {
  model.tasks.assign(graph.size(), {});
  const OpIndex nothing = model.nothing();
  for (OrderTask& task : model.tasks) {
    task.needs[0] = task.needs[1] = task.consumers[0] = task.consumers[1] = nothing;
  }
  model.local_start.push_back(0);
  for (OpIndex t = 0; t < graph.size(); ++t) {
    for (const TaskEdge edge : graph.edges_of(t)) {
      if (graph.device[edge.producer] == graph.device[t]) {
        model.local_needs.push_back(edge.producer);
        continue;
      }
      OrderTask& to = model.tasks[t];
      OrderTask& from = model.tasks[edge.producer];
      const std::size_t in = to.needs[0] == nothing ? 0 : 1;
      const std::size_t out = from.consumers[0] == nothing ? 0 : 1;
      STAGECRAFT_CHECK(to.needs[in] == nothing && from.consumers[out] == nothing,
                       "an op has at most two neighbours on other devices");
      to.needs[in] = edge.producer;
      to.needs_latency[in] = graph.latency(edge);
      from.consumers[out] = t;
      from.consumers_latency[out] = graph.latency(edge);
      model.pairs = model.pairs || in > 0 || out > 0;
    }
    model.local_start.push_back(static_cast<std::uint32_t>(model.local_needs.size()));
  }
}

// Whether the data of two ops of a class is equally long under way.
bool same_transfers(const OrderTask& a, const OrderTask& b) {
  return std::ranges::equal(a.needs_latency, b.needs_latency) &&
         std::ranges::equal(a.consumers_latency, b.consumers_latency);
}

void classify(OrderModel& model) {
  using Key = std::tuple<OpKind, Direction, Direction, std::uint16_t, std::uint16_t>;
  std::map<Key, std::uint32_t> known;
  std::vector<OpIndex> first;
  for (OpIndex t = 0; t < model.size(); ++t) {
    const Op& op = model.ops[t];
    const Key key{op.kind, op.direction, op.partner_direction, op.unit.stage, op.partner.stage};
    const auto [place, fresh] = known.try_emplace(key, static_cast<std::uint32_t>(known.size()));
    if (fresh) {
      first.push_back(t);
    }
    const OpIndex like = first[place->second];
    model.klass.push_back(place->second);
    model.alike = model.alike && same_transfers(model.tasks[t], model.tasks[like]) &&
                  model.duration[t] == model.duration[like] &&
                  model.at_start[t] == model.at_start[like] &&
                  model.at_end[t] == model.at_end[like];
  }
}

void add_recomputations(const std::vector<char>& added, OrderModel& model) {
  for (OpIndex t = 0; t < model.size(); ++t) {
    if (model.ops[t].kind == OpKind::kRecompute) {
      Recomputation r;
      r.task = t;
      r.forward = model.local_needs[model.local_start[t]];
      r.duration = model.duration[t];
      r.freed = model.at_start[t];
      r.on = added[t] == 0;
      model.recomputation_of[t] = static_cast<std::int32_t>(model.recomputations.size());
      model.recomputations.push_back(r);
    }
  }
  for (OpIndex t = 0; t < model.size(); ++t) {
    for (std::uint32_t i = model.local_start[t]; i < model.local_start[t + 1]; ++i) {
      const std::int32_t r = model.recomputation_of[model.local_needs[i]];
      if (r >= 0 && has_backward(model.ops[t])) {
        model.recomputations[static_cast<std::size_t>(r)].backward = t;
      }
    }
  }
  for (const Recomputation& r : model.recomputations) {
    if (!r.on) {
      model.duration[r.task] = 0;
      model.at_start[r.task] = 0;
      model.at_start[r.forward] += r.freed;
    }
  }
}

DeviceEnds device_ends(const Instance& instance, Objective objective) {
  const auto devices = static_cast<std::size_t>(instance.pipeline.devices);
  const CostTable& costs = instance.costs;
  DeviceEnds ends;
  ends.head.assign(devices, 0);
  ends.tail.assign(devices, 0);
  if (objective == Objective::kMakespan) {
    return ends;
  }
  if (objective == Objective::kSpan) {
    ends.from_start = true;
    return ends;
  }
  const auto add = [](std::vector<Time>& to, const std::vector<Time>& lengths) {
    for (std::size_t d = 0; d < lengths.size(); ++d) {
      to[d] += lengths[d];
    }
  };
  add(ends.tail, costs.gradient_reduction);
  if (costs.post_validation) {
    add(ends.tail, costs.optimizer_step);
    ends.from_start = ends.replaceable = true;
  } else {
    add(ends.head, costs.optimizer_step);
  }
  return ends;
}

void take_memory(const Instance& instance, OrderModel& model) {
  const MemoryCosts& memory = instance.costs.memory;
  for (std::int32_t d = 0; d < model.devices; ++d) {
    model.resident.push_back(memory.resident_of(d));
    model.capacity.push_back(memory.capacity_of(d));
  }
}

Time typical_duration(const OrderModel& model) {
  Time sum = 0;
  Time count = 0;
  for (const Time duration : model.duration) {
    sum += duration;
    count += duration > 0 ? 1 : 0;
  }
  return std::max<Time>(count == 0 ? 1 : sum / count, 1);
}

}  // namespace

bool replay_judges(const CostTable& costs) {
  return costs.communication == Communication::kLatency &&
         costs.memory.policy == MemoryPolicy::kFail && costs.network.host.host_link_of.empty();
}

Result<OrderModel> make_order_model(const Instance& instance, const Schedule& schedule,
                                    Objective objective, bool recompute_open) {
  std::vector<char> added;
  const Schedule& lists = recompute_open ? with_recomputation(schedule, added) : schedule;
  const Result<TaskGraph> built = build_task_graph(lists, instance.costs);
  if (!built) {
    return built.failures();
  }
  const TaskGraph& graph = *built;
  OrderModel model;
  model.devices = graph.devices;
  model.offsets = graph.offsets;
  model.ops = lists.ops;
  model.device = graph.device;
  model.duration = graph.duration;
  model.at_start = graph.memory_at_start;
  model.at_end = graph.memory_at_end;
  model.at_start.resize(graph.size(), 0);
  model.at_end.resize(graph.size(), 0);
  model.order = graph.order;
  connect(graph, model);
  classify(model);
  model.recomputation_of.assign(model.size(), -1);
  if (recompute_open) {
    add_recomputations(added, model);
  }
  take_memory(instance, model);
  model.ends = device_ends(instance, objective);
  model.typical = typical_duration(model);
  return model;
}

}  // namespace stagecraft::search
