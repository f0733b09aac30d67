#include "stagecraft/engine/bounds.hpp"

#include <algorithm>
#include <functional>
#include <numeric>
#include <vector>

namespace stagecraft {
namespace {

// Bytes x time of a whole iteration leaves 64 bits.
__extension__ using Wide = __int128;

std::size_t slot(std::int32_t number) {
  return static_cast<std::size_t>(number);
}

// What is known of one device after all units were seen.
struct DeviceFigures {
  Time head = kNever;  // earliest start of any op
  Time rest = kNever;  // shortest rest of the iteration after the end of a B or BW
  Time forward = 0;    // sum of all F
  Time input = 0;      // sum of all backwards up to the gradient of the inputs
  Time whole = 0;      // sum of all whole backwards
  // What a forward, and a backward, bring into an overlapped pair: by how much they shorten it.
  std::vector<Time> forward_gain, input_gain, whole_gain;
  // Memory.
  Wide lives = 0;                // sum of the shortest times from F to B
  Wide held = 0;                 // the same times bytes
  Wide shares = 0;               // sum over both shares of bytes x shortest life
  Bytes smallest = kUnlimited;   // of any unit's activation
  Bytes unit_divisor = 0;        // of all units' activations
  Bytes share_divisor = 0;       // of all shares that B and W free
  Bytes largest_microbatch = 0;  // of one whole micro-batch
};

// The units of one micro-batch, [stages * slices].
struct Units {
  std::vector<Time> forward, input, whole;  // shortest durations; `input` is part of `whole`
  std::vector<Time> start;                  // earliest start of F
  std::vector<Time> rest;                   // after the end of `input`, the end of everything
  std::vector<Time> life;                   // from the start of F to the end of `input`
};

class Bounds {
 public:
  Bounds(const Pipeline& pipeline, const CostTable& costs, const BoundOptions& options)
      : pipeline_(pipeline),
        costs_(costs),
        options_(options),
        bind_memory_(costs.memory.given && !costs.memory.capacity.empty() &&
                     !options.frees_activations),
        pairs_(options.overlapped && costs.overlapped_given),
        devices_(slot(pipeline.devices)) {
    if (pairs_) {
      cheapest_pair_ =
          *std::min_element(costs.overlapped.values.begin(), costs.overlapped.values.end());
    }
  }

  LowerBound run() {
    if (pipeline_.bidirectional()) {
      add_direction(Direction::kDown);
      add_direction(Direction::kUp);
    } else {
      add_direction(Direction::kOnly);
    }
    LowerBound bound;
    bound.chain = chain_;
    for (DeviceFigures& device : devices_) {
      bound.device_load = std::max(bound.device_load, load(device));
    }
    bound.makespan = std::max(bound.chain, bound.device_load);
    if (bind_memory_) {
      Time memory = 0;
      for (std::int32_t device = 0; device < pipeline_.devices; ++device) {
        memory = std::max(memory, memory_bound(device));
      }
      if (memory > bound.makespan) {
        bound.memory_limited = memory;
        bound.makespan = memory == kNever ? bound.makespan : memory;
      }
    }
    return bound;
  }

 private:
  // True if all micro-batches cost the same, so that one stands for all.
  [[nodiscard]] bool alike() const {
    const MemoryCosts& memory = costs_.memory;
    bool constant = !pipeline_.sliced();
    for (const Grid* grid :
         {&costs_.forward, &costs_.backward, &costs_.backward_input, &costs_.backward_weight,
          &costs_.overlapped, &memory.forward, &memory.backward_input, &memory.backward_weight}) {
      constant = constant && grid->microbatch_stride == 0;
    }
    return constant &&
           (!costs_.transfers_by_unit || (costs_.unit_transfer_latency.microbatch_stride == 0 &&
                                          costs_.unit_transfer_bytes.microbatch_stride == 0));
  }

  void add_direction(Direction direction) {
    const std::int32_t microbatches = pipeline_.microbatches_of(direction);
    if (alike() && microbatches > 0) {
      add_microbatch(0, direction, microbatches);
      return;
    }
    for (std::int32_t m = 0; m < microbatches; ++m) {
      add_microbatch(m, direction, 1);
    }
  }

  // `count` micro-batches like this one.
  void add_microbatch(std::int32_t local, Direction direction, std::int32_t count) {
    const std::int32_t m = pipeline_.global_microbatch(local, direction);
    slices_ = pipeline_.slices_of(m);
    microbatch_ = local;
    measure(m);
    run_forward(direction);
    run_backward(direction);
    std::vector<Bytes> together(devices_.size(), 0);
    for (std::int32_t s = 0; s < pipeline_.stages; ++s) {
      const std::size_t d = slot(pipeline_.device(s, direction));
      for (std::int32_t q = 0; q < slices_; ++q) {
        add_unit(devices_[d], s, m, q, count);
        together[d] += costs_.memory.forward.at(s, m, q);
      }
    }
    for (std::size_t d = 0; d < devices_.size(); ++d) {
      devices_[d].largest_microbatch = std::max(devices_[d].largest_microbatch, together[d]);
    }
  }

  [[nodiscard]] std::size_t at(std::int32_t stage, std::int32_t slice) const {
    return slot(stage * slices_ + slice);
  }
  // Of a slice of the micro-batch at hand.
  [[nodiscard]] Time latency(std::int32_t from, std::int32_t to, std::int32_t slice,
                             Direction direction) const {
    const Unit unit{microbatch_, 0, static_cast<std::uint16_t>(slice)};
    const Time boundary = costs_.latency(pipeline_, from, to, unit, direction);
    const std::int32_t sender = pipeline_.device(from, direction);
    const std::int32_t receiver = pipeline_.device(to, direction);
    if (sender == receiver || costs_.communication == Communication::kLatency ||
        costs_.network.links.empty()) {
      return boundary;
    }
    return boundary +
           alone_on_links(sender, receiver, costs_.bytes(pipeline_, from, to, unit, direction));
  }

  // What a transfer takes at least: all links idle but for it.
  [[nodiscard]] Time alone_on_links(std::int32_t sender, std::int32_t receiver, Bytes bytes) const {
    Time latencies = 0;
    std::int64_t slowest = kLargestQuantity;
    for (const std::uint32_t link : costs_.network.route(sender, receiver)) {
      latencies += costs_.network.links[link].latency;
      slowest = std::min(slowest, costs_.network.links[link].bytes_per_second);
    }
    return latencies + static_cast<Time>((Wide{bytes} * kSecond + slowest - 1) / slowest);
  }

  void measure(std::int32_t m) {
    const std::size_t count = slot(pipeline_.stages * slices_);
    for (std::vector<Time>* list : {&units_.forward, &units_.input, &units_.whole, &units_.start,
                                    &units_.rest, &units_.life}) {
      list->assign(count, 0);
    }
    for (std::int32_t s = 0; s < pipeline_.stages; ++s) {
      for (std::int32_t q = 0; q < slices_; ++q) {
        Time forward = costs_.forward.at(s, m, q);
        Time whole = costs_.backward.at(s, m, q);
        Time input = whole;
        if (options_.split_backward) {
          const Time b = costs_.backward_input.at(s, m, q);
          whole = std::min(whole, b + costs_.backward_weight.at(s, m, q));
          input = std::min(input, b);
        }
        if (pairs_) {
          forward = std::min(forward, costs_.overlapped.at(s, m, q));
          input = std::min(input, cheapest_pair_);
          whole = input;  // a pair may end both at once
        }
        units_.forward[at(s, q)] = forward;
        units_.input[at(s, q)] = input;
        units_.whole[at(s, q)] = whole;
      }
    }
  }

  // Earliest starts of F, and the rests after the backwards: both from stage 0 on.
  void run_forward(Direction direction) {
    for (std::int32_t s = 0; s < pipeline_.stages; ++s) {
      for (std::int32_t q = 0; q < slices_; ++q) {
        const std::size_t here = at(s, q);
        Time start = 0;
        Time rest = units_.whole[here] - units_.input[here];
        if (s > 0) {
          const std::size_t before = at(s - 1, q);
          start = units_.start[before] + units_.forward[before] + latency(s - 1, s, q, direction);
          rest = std::max(
              rest, latency(s, s - 1, q, direction) + units_.input[before] + units_.rest[before]);
        }
        if (q > 0) {
          const std::size_t before = at(s, q - 1);
          start = std::max(start, units_.start[before] + units_.forward[before]);
          rest = std::max(rest, units_.input[before] + units_.rest[before]);
        }
        units_.start[here] = start;
        units_.rest[here] = rest;
      }
    }
  }

  // Lives, from the last stage on, and the longest chain.
  void run_backward(Direction direction) {
    for (std::int32_t s = pipeline_.stages; s-- > 0;) {
      for (std::int32_t q = slices_; q-- > 0;) {
        const std::size_t here = at(s, q);
        Time between = 0;
        if (s + 1 < pipeline_.stages) {
          between = latency(s, s + 1, q, direction) + units_.life[at(s + 1, q)] +
                    latency(s + 1, s, q, direction);
        }
        if (q + 1 < slices_) {
          between = std::max(between, units_.life[at(s, q + 1)]);
        }
        units_.life[here] = units_.forward[here] + between + units_.input[here];
        chain_ = std::max(chain_, units_.start[here] + units_.life[here] + units_.rest[here]);
      }
    }
  }

  void add_unit(DeviceFigures& device, std::int32_t s, std::int32_t m, std::int32_t q,
                std::int32_t count) {
    const std::size_t here = at(s, q);
    device.head = std::min(device.head, units_.start[here]);
    device.rest = std::min(device.rest, units_.rest[here]);
    add_work(device, s, m, q, count);
    if (!bind_memory_) {
      return;
    }
    const Bytes bytes = costs_.memory.forward.at(s, m, q);
    const Bytes input_share = -costs_.memory.backward_input.at(s, m, q);
    const Bytes weight_share = -costs_.memory.backward_weight.at(s, m, q);
    const Wide life = units_.life[here];
    const Wide whole_life = life + units_.whole[here] - units_.input[here];
    device.lives += life * count;
    device.held += life * bytes * count;
    device.shares += (life * input_share + whole_life * weight_share) * count;
    device.smallest = std::min(device.smallest, bytes);
    device.unit_divisor = std::gcd(device.unit_divisor, bytes);
    device.share_divisor = std::gcd(device.share_divisor, std::gcd(input_share, weight_share));
  }

  // Durations as they are outside of pairs; what pairs can save is taken off by load().
  void add_work(DeviceFigures& device, std::int32_t s, std::int32_t m, std::int32_t q,
                std::int32_t count) {
    const Time forward = costs_.forward.at(s, m, q);
    Time whole = costs_.backward.at(s, m, q);
    Time input = whole;
    if (options_.split_backward) {
      const Time b = costs_.backward_input.at(s, m, q);
      whole = std::min(whole, b + costs_.backward_weight.at(s, m, q));
      input = std::min(input, b);
    }
    device.forward += forward * count;
    device.input += input * count;
    device.whole += whole * count;
    if (pairs_) {
      const auto copies = slot(count);
      device.forward_gain.insert(device.forward_gain.end(), copies,
                                 forward - costs_.overlapped.at(s, m, q));
      device.input_gain.insert(device.input_gain.end(), copies, input);
      device.whole_gain.insert(device.whole_gain.end(), copies, whole);
    }
  }

  // The most that any set of pairs can save: the best forwards with the best backwards.
  [[nodiscard]] static Time saving(const std::vector<Time>& forward_gain,
                                   std::vector<Time>& backward_gain) {
    std::sort(backward_gain.begin(), backward_gain.end(), std::greater<>());
    Time sum = 0;
    for (std::size_t i = 0; i < forward_gain.size(); ++i) {
      const Time gain = forward_gain[i] + backward_gain[i];
      if (gain <= 0) {
        break;
      }
      sum += gain;
    }
    return sum;
  }

  [[nodiscard]] static Time load(DeviceFigures& device) {
    if (device.head == kNever) {
      return 0;
    }
    std::sort(device.forward_gain.begin(), device.forward_gain.end(), std::greater<>());
    const Time whole = device.whole - saving(device.forward_gain, device.whole_gain);
    const Time input = device.input - saving(device.forward_gain, device.input_gain);
    return device.head + device.forward + std::max(whole, input + device.rest);
  }

  [[nodiscard]] static Time quotient(Wide area, Bytes room) {
    return static_cast<Time>((area + room - 1) / room);
  }

  [[nodiscard]] Time memory_bound(std::int32_t number) const {
    const DeviceFigures& device = devices_[slot(number)];
    const Bytes capacity = costs_.memory.capacity_of(number);
    if (device.head == kNever || capacity == kUnlimited) {
      return 0;
    }
    const Bytes room = capacity - costs_.memory.resident_of(number);
    if (room < device.largest_microbatch || room < 0) {
      return kNever;
    }
    Time to_input = 0;  // from the first F to the last B or BW
    Time to_free = 0;   // from the first F to the last release
    if (device.smallest > 0) {
      to_input = quotient(device.lives, room / device.smallest);
    }
    if (device.unit_divisor > 0) {
      to_input = std::max(to_input, quotient(device.held, room - room % device.unit_divisor));
      to_free = quotient(device.shares, room - room % device.share_divisor);
    }
    // W needs nothing after it; only a fused backward that releases last has a rest.
    const Time after_free = options_.split_backward ? 0 : device.rest;
    return device.head + std::max(to_input + device.rest, to_free + after_free);
  }

  const Pipeline& pipeline_;
  const CostTable& costs_;
  const BoundOptions& options_;
  bool bind_memory_;
  bool pairs_;
  Time cheapest_pair_ = 0;
  std::vector<DeviceFigures> devices_;
  Units units_;
  std::int32_t microbatch_ = 0;  // at hand, within its direction
  std::int32_t slices_ = 1;
  Time chain_ = 0;
};

}  // namespace

BoundOptions bound_options(const Schedule& schedule, const CostTable& costs) {
  BoundOptions options;
  options.split_backward = costs.split_backward || schedule.splits_backward();
  for (const Op& op : schedule.ops) {
    options.overlapped = options.overlapped || op.kind == OpKind::kOverlapped;
    options.frees_activations =
        options.frees_activations || op.kind == OpKind::kRecompute || op.kind == OpKind::kOffload;
  }
  return options;
}

LowerBound lower_bound(const Pipeline& pipeline, const CostTable& costs,
                       const BoundOptions& options) {
  return Bounds(pipeline, costs, options).run();
}

}  // namespace stagecraft
