#include "search/exact/model.hpp"

#include <algorithm>
#include <numeric>
#include <optional>
#include <utility>

namespace stagecraft::search::exact {
namespace {

std::size_t slot(std::int32_t number) {
  return static_cast<std::size_t>(number);
}

class Builder {
 public:
  Builder(const Instance& instance, Objective objective)
      : pipeline_(instance.pipeline), costs_(instance.costs), objective_(objective) {
    model_.pipeline = pipeline_;
    model_.device_ops.resize(slot(pipeline_.devices));
    model_.device_lanes.resize(slot(pipeline_.devices));
    slices_ = slot(pipeline_.max_slices());
  }

  [[nodiscard]] std::optional<Diagnostic> not_covered() const {
    if (costs_.communication != Communication::kLatency) {
      return bad_input("the exact solver knows communication mode latency only");
    }
    if (costs_.overlapped_given) {
      return bad_input("the exact solver does not know overlapped pairs");
    }
    if (objective_ == Objective::kMemory || objective_ == Objective::kCost) {
      return bad_input("the exact solver minimises iteration, makespan or span");
    }
    for (std::int32_t s = 0; costs_.split_backward && s < pipeline_.stages; ++s) {
      for (std::int32_t m = 0; m < pipeline_.microbatches; ++m) {
        for (std::int32_t q = 0; q < pipeline_.slices_of(m); ++q) {
          if (costs_.backward.at(s, m, q) <
              costs_.backward_input.at(s, m, q) + costs_.backward_weight.at(s, m, q)) {
            return bad_input("the exact solver does not know a BW shorter than its B and W");
          }
        }
      }
    }
    return std::nullopt;
  }

  ExactModel build() {
    find_classes();
    set_horizon();
    if (model_.horizon == Horizon::kPeriod && !equal_microbatches()) {
      add_starts();
    }
    const std::size_t starts = model_.ops.size();
    for (const Direction direction : directions()) {
      add_forwards(direction);
    }
    for (const Direction direction : directions()) {
      add_backwards(direction);
    }
    for (const Direction direction : directions()) {
      add_weights(direction);
    }
    add_lane_arcs();
    for (std::size_t x = starts; starts > 0 && x < model_.ops.size(); ++x) {
      connect(model_.ops[x].device, static_cast<std::int32_t>(x), 0);
    }
    set_room();
    set_unit();
    return std::move(model_);
  }

 private:
  [[nodiscard]] std::vector<Direction> directions() const {
    return pipeline_.bidirectional() ? std::vector{Direction::kDown, Direction::kUp}
                                     : std::vector{Direction::kOnly};
  }

  [[nodiscard]] bool same_costs(std::int32_t a, std::int32_t b) const {
    if (pipeline_.slices_of(a) != pipeline_.slices_of(b)) {
      return false;
    }
    const MemoryCosts& memory = costs_.memory;
    for (const Grid* grid :
         {&costs_.forward, &costs_.backward, &costs_.backward_input, &costs_.backward_weight,
          &memory.forward, &memory.backward_input, &memory.backward_weight}) {
      for (std::int32_t s = 0; grid->microbatch_stride != 0 && s < pipeline_.stages; ++s) {
        for (std::int32_t q = 0; q < pipeline_.slices_of(a); ++q) {
          if (grid->at(s, a, q) != grid->at(s, b, q)) {
            return false;
          }
        }
      }
    }
    const Grid& latency = costs_.unit_transfer_latency;
    for (std::int32_t s = 0; costs_.transfers_by_unit && s + 1 < pipeline_.stages; ++s) {
      for (std::int32_t q = 0; q < pipeline_.slices_of(a); ++q) {
        if (latency.at(s, a, q) != latency.at(s, b, q)) {
          return false;
        }
      }
    }
    return true;
  }

  // The class of a micro-batch is its first equal one in its direction.
  void find_classes() {
    class_of_.resize(slot(pipeline_.microbatches));
    for (const Direction direction : directions()) {
      const std::int32_t first = pipeline_.global_microbatch(0, direction);
      const std::int32_t end = first + pipeline_.microbatches_of(direction);
      for (std::int32_t m = first; m < end; ++m) {
        class_of_[slot(m)] = m;
        for (std::int32_t other = first; other < m; ++other) {
          if (class_of_[slot(other)] == other && same_costs(other, m)) {
            class_of_[slot(m)] = other;
            break;
          }
        }
      }
    }
    const std::size_t units = slot(pipeline_.stages * pipeline_.microbatches) * slices_;
    forward_.assign(units, -1);
    backward_.assign(units, -1);
    lane_at_.assign(3 * units, -1);
  }

  [[nodiscard]] std::size_t unit(std::int32_t s, std::int32_t m, std::int32_t q) const {
    return slot(s * pipeline_.microbatches + m) * slices_ + slot(q);
  }

  // `kind`: 0 forward, 1 backward, 2 weight; `m` is global.
  std::int32_t add(const ModelOp& op, std::int32_t m, std::size_t kind) {
    const auto number = static_cast<std::int32_t>(model_.ops.size());
    const std::size_t place =
        unit(op.op.unit.stage, class_of_[slot(m)], op.op.unit.slice) * 3 + kind;
    if (lane_at_[place] < 0) {
      lane_at_[place] = static_cast<std::int32_t>(model_.lanes.size());
      model_.device_lanes[slot(op.device)].push_back(lane_at_[place]);
      model_.lanes.emplace_back();
    }
    model_.lanes[slot(lane_at_[place])].push_back(number);
    model_.lane_of.push_back(lane_at_[place]);
    model_.device_ops[slot(op.device)].push_back(number);
    model_.ops.push_back(op);
    return number;
  }
  void connect(std::int32_t from, std::int32_t to, Time latency) {
    model_.arcs.push_back({from, to, model_.ops[slot(from)].duration + latency});
  }

  // Calls visit(stage, local micro-batch, global one) for every micro-batch of the direction.
  template <typename Visit>
  void for_each_microbatch(Direction direction, bool from_last, Visit&& visit) {
    for (std::int32_t i = 0; i < pipeline_.stages; ++i) {
      const std::int32_t s = from_last ? pipeline_.stages - 1 - i : i;
      for (std::int32_t m = 0; m < pipeline_.microbatches_of(direction); ++m) {
        visit(s, m, pipeline_.global_microbatch(m, direction));
      }
    }
  }

  void add_forwards(Direction direction) {
    for_each_microbatch(direction, false, [&](std::int32_t s, std::int32_t m, std::int32_t g) {
      for (std::int32_t q = 0; q < pipeline_.slices_of(g); ++q) {
        ModelOp op;
        op.op = make_op(OpKind::kForward, m, s, q, direction);
        op.device = pipeline_.device(s, direction);
        op.duration = costs_.forward.at(s, g, q);
        op.taken = costs_.memory.forward.at(s, g, q);
        const std::int32_t here = forward_[unit(s, g, q)] = add(op, g, 0);
        if (s > 0) {
          connect(forward_[unit(s - 1, g, q)], here,
                  costs_.latency(pipeline_, s - 1, s, op.op.unit, direction));
        }
        if (q > 0) {
          connect(forward_[unit(s, g, q - 1)], here, 0);
        }
      }
    });
  }

  void add_backwards(Direction direction) {
    const MemoryCosts& memory = costs_.memory;
    for_each_microbatch(direction, true, [&](std::int32_t s, std::int32_t m, std::int32_t g) {
      for (std::int32_t q = pipeline_.slices_of(g); q-- > 0;) {
        const bool split = costs_.split_backward;
        ModelOp op;
        op.op = make_op(split ? OpKind::kBackwardInput : OpKind::kBackward, m, s, q, direction);
        op.device = pipeline_.device(s, direction);
        op.duration = split ? costs_.backward_input.at(s, g, q) : costs_.backward.at(s, g, q);
        op.released = -memory.backward_input.at(s, g, q);
        op.weight_follows = split && costs_.backward_weight.at(s, g, q) == 0;
        if (!split || op.weight_follows) {
          op.released -= memory.backward_weight.at(s, g, q);
        }
        const std::int32_t here = backward_[unit(s, g, q)] = add(op, g, 1);
        connect(forward_[unit(s, g, q)], here, 0);
        if (s + 1 < pipeline_.stages) {
          connect(backward_[unit(s + 1, g, q)], here,
                  costs_.latency(pipeline_, s + 1, s, op.op.unit, direction));
        }
        if (q + 1 < pipeline_.slices_of(g)) {
          connect(backward_[unit(s, g, q + 1)], here, 0);
        }
      }
    });
  }

  void add_weights(Direction direction) {
    if (!costs_.split_backward) {
      return;
    }
    for_each_microbatch(direction, true, [&](std::int32_t s, std::int32_t m, std::int32_t g) {
      for (std::int32_t q = pipeline_.slices_of(g); q-- > 0;) {
        if (model_.ops[slot(backward_[unit(s, g, q)])].weight_follows) {
          continue;
        }
        ModelOp op;
        op.op = make_op(OpKind::kBackwardWeight, m, s, q, direction);
        op.device = pipeline_.device(s, direction);
        op.duration = costs_.backward_weight.at(s, g, q);
        op.released = -costs_.memory.backward_weight.at(s, g, q);
        connect(backward_[unit(s, g, q)], add(op, g, 2), 0);
      }
    });
  }

  // Where it is open which op comes first on a device: op d is the start of device d.
  void add_starts() {
    for (std::int32_t d = 0; d < pipeline_.devices; ++d) {
      model_.device_lanes[slot(d)].push_back(d);
      model_.device_ops[slot(d)].push_back(d);
      model_.lanes.push_back({d});
      model_.lane_of.push_back(d);
      ModelOp op;
      op.device = d;
      op.is_start = true;
      model_.ops.push_back(op);
    }
  }

  void add_lane_arcs() {
    for (const std::vector<std::int32_t>& lane : model_.lanes) {
      for (std::size_t i = 1; i < lane.size(); ++i) {
        connect(lane[i - 1], lane[i], 0);
      }
    }
  }

  void set_room() {
    model_.room.assign(slot(pipeline_.devices), kUnlimited);
    if (!costs_.memory.given) {
      return;
    }
    for (std::int32_t d = 0; d < pipeline_.devices; ++d) {
      if (const Bytes capacity = costs_.memory.capacity_of(d); capacity != kUnlimited) {
        model_.room[slot(d)] = capacity - costs_.memory.resident_of(d);
      }
    }
  }

  static Time entry(const std::vector<Time>& list, std::size_t d) {
    return list.empty() ? 0 : list[d];
  }

  // Iteration: after a barrier every device first steps its optimizer (U), and G follows its last
  // op; with post-validation device d is taken from its first start to its last end + G + U, and
  // the least period is the least T that leaves room for that on all devices (a periodic timeline
  // with that T exists exactly if no cycle of the max-plus map of iteration.hpp has a larger mean).
  void set_horizon() {
    const auto devices = slot(pipeline_.devices);
    model_.head.assign(devices, 0);
    model_.tail.assign(devices, 0);
    if (objective_ == Objective::kIteration) {
      if (costs_.post_validation) {
        model_.horizon = Horizon::kPeriod;
      }
      for (std::size_t d = 0; d < devices; ++d) {
        const Time step = entry(costs_.optimizer_step, d);
        model_.tail[d] = entry(costs_.gradient_reduction, d);
        if (costs_.post_validation) {
          model_.tail[d] += step;
        } else {
          model_.head[d] = step;
        }
      }
    }
    if (objective_ == Objective::kSpan && !set_known_starts()) {
      model_.head.assign(devices, 0);
      model_.tail.assign(devices, 0);
      model_.horizon = Horizon::kPeriod;
      model_.relaxed = true;
    }
  }

  [[nodiscard]] bool equal_microbatches() const {
    return !pipeline_.bidirectional() && !pipeline_.sliced() &&
           std::ranges::all_of(class_of_, [](std::int32_t c) { return c == 0; });
  }

  // The span counts from a device's first start as replay gives it: as early as possible. That time
  // is known if all micro-batches are equal and the first forwards reach every device through
  // devices that have nothing to do before: then the span is a makespan with a negative tail.
  bool set_known_starts() {
    if (!equal_microbatches()) {
      return false;
    }
    std::vector<char> seen(slot(pipeline_.devices), 0);
    Time start = 0;
    std::int32_t left = pipeline_.devices;
    for (std::int32_t s = 0; s < pipeline_.stages && left > 0; ++s) {
      const std::size_t d = slot(pipeline_.device(s));
      if (seen[d] != 0) {
        return false;
      }
      seen[d] = 1;
      --left;
      if (s > 0) {
        start += costs_.forward.at(s - 1, 0) +
                 costs_.latency(pipeline_, s - 1, s, Unit{}, Direction::kOnly);
      }
      model_.head[d] = start;
      model_.tail[d] = -start;
    }
    return left == 0;
  }

  void set_unit() {
    Time unit = 0;
    for (const ModelOp& op : model_.ops) {
      unit = std::gcd(unit, op.duration);
    }
    for (const Arc& arc : model_.arcs) {
      unit = std::gcd(unit, arc.delay);
    }
    for (std::size_t d = 0; d < model_.head.size(); ++d) {
      unit = std::gcd(std::gcd(unit, model_.head[d]), model_.tail[d]);
    }
    model_.unit = std::max<Time>(unit, 1);
  }

  const Pipeline& pipeline_;
  const CostTable& costs_;
  Objective objective_;
  std::size_t slices_ = 1;
  ExactModel model_;
  std::vector<std::int32_t> class_of_;            // [M] by global micro-batch
  std::vector<std::int32_t> forward_, backward_;  // by unit
  std::vector<std::int32_t> lane_at_;             // by unit of the class and kind
};

}  // namespace

Result<ExactModel> make_order_model(const Instance& instance, Objective objective) {
  Builder builder(instance, objective);
  if (auto reason = builder.not_covered()) {
    return *reason;
  }
  return builder.build();
}

Schedule order_of(const ExactModel& model, const std::vector<std::int64_t>& starts) {
  std::vector<std::vector<Op>> lists(model.device_ops.size());
  for (std::size_t d = 0; d < lists.size(); ++d) {
    std::vector<std::int32_t> order = model.device_ops[d];
    // Ops that start together (one of them takes no time) stand as they were numbered, which is an
    // order in which they can run.
    std::ranges::stable_sort(order, {}, [&](std::int32_t x) { return starts[slot(x)]; });
    for (const std::int32_t x : order) {
      const ModelOp& op = model.ops[slot(x)];
      if (op.is_start) {
        continue;
      }
      lists[d].push_back(op.op);
      if (op.weight_follows) {
        lists[d].push_back(op.op);
        lists[d].back().kind = OpKind::kBackwardWeight;
      }
    }
  }
  return make_schedule("optimal", model.pipeline, lists);
}

}  // namespace stagecraft::search::exact
