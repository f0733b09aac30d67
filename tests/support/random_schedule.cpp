#include "support/random_schedule.hpp"

#include <algorithm>
#include <numeric>
#include <set>
#include <utility>

namespace stagecraft::test {
namespace {

std::int32_t pick(Random& random, std::int32_t low, std::int32_t high) {
  return static_cast<std::int32_t>(random.uniform(low, high));
}

// The schedule as it grows: which ops stand already, and which are left.
class Growth {
 public:
  Growth(Random& random, const Pipeline& pipeline, const RandomShape& shape)
      : random_(random), pipeline_(pipeline), shape_(shape) {
    if (pipeline.bidirectional()) {
      add_direction(Direction::kDown);
      add_direction(Direction::kUp);
    } else {
      add_direction(Direction::kOnly);
    }
  }

  std::vector<std::vector<Op>> run() {
    std::vector<std::vector<Op>> lists(static_cast<std::size_t>(pipeline_.devices));
    while (!left_.empty()) {
      std::vector<std::size_t> ready;
      for (std::size_t i = 0; i < left_.size(); ++i) {
        if (is_ready(left_[i])) {
          ready.push_back(i);
        }
      }
      const auto last = static_cast<std::int64_t>(ready.size()) - 1;
      const std::size_t one = ready[static_cast<std::size_t>(random_.uniform(0, last))];
      const std::size_t other = ready[static_cast<std::size_t>(random_.uniform(0, last))];
      const Op op = left_[one];
      std::vector<Op>& list = lists[static_cast<std::size_t>(device(op))];
      if (shape_.overlapped && can_overlap(op, left_[other])) {
        list.push_back(make_overlapped(op, left_[other]));
        place(std::max(one, other));
        place(std::min(one, other));
      } else {
        list.push_back(op);
        place(one);
      }
    }
    return lists;
  }

 private:
  void add_direction(Direction direction) {
    for (std::int32_t m = 0; m < pipeline_.microbatches_of(direction); ++m) {
      const std::int32_t slices = pipeline_.slices_of(pipeline_.global_microbatch(m, direction));
      for (std::int32_t s = 0; s < pipeline_.stages; ++s) {
        for (std::int32_t q = 0; q < slices; ++q) {
          add_unit(make_op(OpKind::kForward, m, s, q, direction));
        }
      }
    }
  }

  void add_unit(const Op& forward) {
    const auto add = [&](OpKind kind) {
      left_.push_back(with_kind(forward, kind));
      all_.insert(left_.back());
    };
    add(OpKind::kForward);
    if (random_.chance(1, 2)) {
      add(OpKind::kBackward);
    } else {
      add(OpKind::kBackwardInput);
      add(OpKind::kBackwardWeight);
    }
    if (shape_.recompute && random_.chance(1, 5)) {
      add(OpKind::kRecompute);
    }
    if (shape_.offload && random_.chance(1, 5)) {
      add(OpKind::kOffload);
      add(OpKind::kReload);
    }
  }

  static Op with_kind(Op op, OpKind kind) {
    op.kind = kind;
    return op;
  }
  [[nodiscard]] std::int32_t device(const Op& op) const {
    return pipeline_.device(op.unit.stage, op.direction);
  }
  // The op stands, or the schedule has none of this name.
  [[nodiscard]] bool stands(const Op& op) const { return !all_.contains(op) || done_.contains(op); }
  [[nodiscard]] bool stands(const Op& op, OpKind kind) const { return stands(with_kind(op, kind)); }
  [[nodiscard]] bool backward_stands(Op op, std::int32_t stage, std::int32_t slice) const {
    op.unit.stage = static_cast<std::uint16_t>(stage);
    op.unit.slice = static_cast<std::uint16_t>(slice);
    return stands(op, OpKind::kBackward) && stands(op, OpKind::kBackwardInput);
  }

  [[nodiscard]] bool is_ready(const Op& op) const {
    const std::int32_t stage = op.unit.stage;
    const std::int32_t slice = op.unit.slice;
    switch (op.kind) {
      case OpKind::kForward: {
        const Op upstream = make_op(op.kind, op.unit.microbatch, stage - 1, slice, op.direction);
        const Op earlier = make_op(op.kind, op.unit.microbatch, stage, slice - 1, op.direction);
        return (stage == 0 || stands(upstream)) && (slice == 0 || stands(earlier));
      }
      case OpKind::kBackward:
      case OpKind::kBackwardInput:
        return stands(op, OpKind::kForward) && stands(op, OpKind::kRecompute) &&
               stands(op, OpKind::kReload) && backward_stands(op, stage + 1, slice) &&
               backward_stands(op, stage, slice + 1);
      case OpKind::kBackwardWeight:
        return stands(op, OpKind::kBackwardInput);
      case OpKind::kRecompute:
        return stands(op, OpKind::kForward) && stands(op, OpKind::kReload);
      case OpKind::kOffload:
        return stands(op, OpKind::kForward);
      default:
        return stands(op, OpKind::kOffload);
    }
  }

  [[nodiscard]] bool can_overlap(const Op& forward, const Op& backward) const {
    return forward.kind == OpKind::kForward && backward.kind == OpKind::kBackward &&
           device(forward) == device(backward);
  }

  void place(std::size_t i) {
    done_.insert(left_[i]);
    left_.erase(left_.begin() + static_cast<std::ptrdiff_t>(i));
  }

  Random& random_;
  const Pipeline& pipeline_;
  const RandomShape& shape_;
  std::vector<Op> left_;
  std::set<Op> all_;
  std::set<Op> done_;
};

// Values from `low` to `high` that vary along a random choice of axes.
Grid random_grid(Random& random, const Pipeline& pipeline, std::int64_t low, std::int64_t high) {
  const std::int32_t slices = pipeline.max_slices();
  std::int64_t count = 1;
  const std::int64_t axes = random.uniform(0, 3);
  if (axes > 0) {
    count *= pipeline.stages;
  }
  if (axes > 1) {
    count *= pipeline.microbatches;
  }
  if (axes > 2) {
    count *= slices;
  }
  std::vector<std::int64_t> values(static_cast<std::size_t>(count));
  for (std::int64_t& value : values) {
    value = random.uniform(low, high);
  }
  switch (axes) {
    case 0:
      return Grid::constant(values[0]);
    case 1:
      return Grid::per_stage(std::move(values));
    case 2:
      return Grid::per_microbatch(std::move(values), pipeline.microbatches);
    default:
      return Grid::per_slice(std::move(values), pipeline.microbatches, slices);
  }
}

// Another stream, told by where `random` is.
Random branch_of(Random random) {
  return Random(static_cast<std::uint64_t>(random.uniform(0, std::int64_t{1} << 62)));
}

}  // namespace

Pipeline random_pipeline(Random& random, const RandomShape& shape) {
  const std::int32_t devices = pick(random, 1, shape.most_devices);
  const std::int32_t microbatches = pick(random, 1, shape.most_microbatches);
  Pipeline pipeline;
  if (shape.bidirectional && random.chance(1, 5)) {
    pipeline =
        make_pipeline(devices, 1, std::max(microbatches, 2), PlacementKind::kBidirectional).value();
  } else if (shape.explicit_placement && random.chance(1, 4)) {
    std::vector<std::int32_t> device_of_stage(static_cast<std::size_t>(devices));
    std::iota(device_of_stage.begin(), device_of_stage.end(), 0);
    while (random.chance(2, 3)) {
      const std::int64_t place =
          random.uniform(0, static_cast<std::int64_t>(device_of_stage.size()));
      device_of_stage.insert(device_of_stage.begin() + place, pick(random, 0, devices - 1));
    }
    pipeline = make_explicit_pipeline(devices, std::move(device_of_stage), microbatches).value();
  } else {
    pipeline = make_pipeline(devices, pick(random, 1, shape.most_chunks), microbatches,
                             random.chance(1, 2) ? PlacementKind::kLoop : PlacementKind::kWave)
                   .value();
  }
  if (shape.most_slices > 1 && random.chance(1, 3)) {
    pipeline.slices.resize(static_cast<std::size_t>(pipeline.microbatches));
    for (std::int32_t& count : pipeline.slices) {
      count = pick(random, 1, shape.most_slices);
    }
  }
  return pipeline;
}

Schedule random_schedule(Random& random, const Pipeline& pipeline, const RandomShape& shape) {
  return make_schedule("random", pipeline, Growth(random, pipeline, shape).run());
}

CostTable random_costs(Random& random, const Pipeline& pipeline) {
  const std::int64_t low = random.chance(1, 4) ? 0 : 1;
  const auto grid = [&](std::int64_t high) { return random_grid(random, pipeline, low, high); };
  CostTable costs;
  costs.forward = grid(20);
  costs.backward_input = grid(20);
  costs.backward_weight = grid(20);
  costs.backward = grid(40);
  costs.recompute = grid(20);
  costs.offload = grid(30);
  costs.reload = grid(30);
  costs.overlapped = grid(50);
  costs.split_backward = true;
  costs.offload_given = true;
  costs.overlapped_given = random.chance(1, 2);
  const std::int64_t slowest = random.chance(1, 3) ? 0 : 15;
  for (std::int32_t s = 0; s + 1 < pipeline.stages; ++s) {
    costs.transfer_latency.push_back(random.uniform(0, slowest));
    costs.transfer_bytes.push_back(random.uniform(0, 40));
  }
  MemoryCosts& memory = costs.memory;
  memory.given = true;
  std::vector<std::int64_t> forward, backward, weight, input;
  for (std::int32_t s = 0; s < pipeline.stages; ++s) {
    backward.push_back(-random.uniform(0, 5));
    weight.push_back(-random.uniform(0, 5));
    forward.push_back(-backward.back() - weight.back());
    input.push_back(random.uniform(0, forward.back()));
  }
  memory.forward = Grid::per_stage(forward);
  memory.backward_input = Grid::per_stage(backward);
  memory.backward_weight = Grid::per_stage(weight);
  memory.stage_input = Grid::per_stage(input);
  for (std::int32_t d = 0; d < pipeline.devices; ++d) {
    memory.resident.push_back(random.uniform(0, 9));
  }
  if (branch_of(random).chance(1, 3)) {
    vary_transfers(random, pipeline, slowest, 40, costs);
  }
  return costs;
}

void vary_transfers(const Random& random, const Pipeline& pipeline, Time slowest, Bytes most,
                    CostTable& costs) {
  Random branch = branch_of(branch_of(random));
  Grid latency = random_grid(branch, pipeline, 0, slowest);
  Grid bytes = random_grid(branch, pipeline, 0, most);
  set_transfers_by_unit(pipeline, std::move(latency), std::move(bytes), costs);
}

void set_bytes(const Pipeline& pipeline, Bytes bytes, CostTable& costs) {
  costs.transfer_bytes.assign(static_cast<std::size_t>(pipeline.stages) - 1, bytes);
  costs.unit_transfer_bytes = Grid::constant(bytes);
}

}  // namespace stagecraft::test
