// Lower bounds over every partition and placement: layers are all that is fixed.
//
// Devices and layers are numbered so that layer 0 comes first. A device's ops begin with a forward
// of its lowest layer, which waits for the forwards of all layers before it; a fused backward of
// that layer is followed by those of all layers before it.
#include <algorithm>
#include <numeric>
#include <vector>

#include "search/bounds/parts.hpp"

namespace stagecraft::search {
namespace {

// Work x devices may leave 64 bits.
__extension__ using Wide = __int128;

constexpr std::int64_t kUnitSpeed = 1'000'000'000;

std::int64_t ceil_divide(Wide value, Wide by) {
  return static_cast<std::int64_t>((value + by - 1) / by);
}

// What the costs of any instance say beside the layers.
struct Surroundings {
  Time transfer = 0;     ///< smallest latency between two devices
  Time step = 0;         ///< smallest U
  Time steps = 0;        ///< U of all devices
  Time reduce = 0;       ///< smallest G
  Time reduces = 0;      ///< G of all devices
  bool together = true;  ///< devices step together
  bool doubled = false;  ///< a bidirectional schedule may hold every layer twice
  bool pairs = false;    ///< a forward and a backward may overlap
  Bytes room = 0;        ///< all capacities less all parameters; 0: no limit
};

bool may_double(const Problem& problem) {
  return problem.placement_open &&
         std::ranges::any_of(problem.schedules, [&](const std::string& name) {
           const GeneratorInfo* info = find_generator(name);
           return info != nullptr && info->placement == PlacementKind::kBidirectional &&
                  problem.start(name).ok();
         });
}

void smallest_and_sum(const std::vector<Time>& values, Time& smallest, Time& sum) {
  if (!values.empty()) {
    smallest = *std::ranges::min_element(values);
    sum = std::accumulate(values.begin(), values.end(), Time{0});
  }
}

Surroundings look_around(const Problem& problem) {
  Surroundings around;
  around.doubled = may_double(problem);
  const Result<Instance> stated = problem.instance(problem.partition, problem.device_of_stage);
  if (!stated) {
    return around;
  }
  const CostTable& costs = stated->costs;
  around.pairs = costs.overlapped_given;
  around.together = !costs.post_validation;
  if (!costs.transfer_latency.empty()) {
    around.transfer = *std::ranges::min_element(costs.transfer_latency);
  }
  smallest_and_sum(costs.optimizer_step, around.step, around.steps);
  smallest_and_sum(costs.gradient_reduction, around.reduce, around.reduces);
  const std::vector<Bytes>& capacity = costs.memory.capacity;
  if (!capacity.empty() && std::ranges::count(capacity, kUnlimited) == 0) {
    const std::vector<Bytes>& resident = costs.memory.resident;
    around.room = std::accumulate(capacity.begin(), capacity.end(), Bytes{0}) -
                  std::accumulate(resident.begin(), resident.end(), Bytes{0});
  }
  return around;
}

class LayerBounds {
 public:
  LayerBounds(const Problem& problem, Objective objective)
      : layers_(problem.layers),
        problem_(problem),
        objective_(objective),
        around_(look_around(problem)),
        devices_(problem.devices),
        microbatches_(problem.microbatches) {
    // Sums of speeds: a device of speed 2 does the work of two.
    speeds_ = Wide{kUnitSpeed} * devices_;
    fastest_ = kUnitSpeed;
    if (!problem.speed.empty()) {
      speeds_ = std::accumulate(problem.speed.begin(), problem.speed.end(), Wide{0});
      fastest_ = *std::ranges::max_element(problem.speed);
    }
    if (!problem.speed.empty()) {
      // Every op is rounded to whole ns, down by less than one.
      slack_ = 3 * (Time{microbatches_} + Time{devices_} * problem.most_chunks);
    }
    before_.assign(1, 0);
    after_.assign(1, 0);
    for (std::int32_t l = 0; l < layers_.count(); ++l) {
      const Time split = layers_.backward_input[at(l)] + layers_.backward_weight[at(l)];
      // A fused backward that takes less may stand for its parts.
      const Time whole =
          layers_.backward.empty() ? split : std::min(split, layers_.backward[at(l)]);
      input_.push_back(std::min(layers_.backward_input[at(l)], whole));
      weight_.push_back(whole - input_.back());
      before_.push_back(before_.back() + layers_.forward[at(l)]);
      after_.push_back(after_.back() + input_.back());
    }
  }

  std::vector<Bound> run() const {
    if (around_.pairs || !problem_.uniform) {
      return {};
    }
    std::vector<Bound> bounds = {{mean_load(), "mean load of the devices"},
                                 {fullest_device(), "layers cannot be divided more evenly"}};
    if (around_.room > 0 && !problem_.recompute_open && !problem_.offload_open) {
      bounds.push_back({lives(), "activations times how long they live, over the memory there is"});
    }
    if (objective_ != Objective::kSpan && around_.together) {
      bounds.push_back({chain(), "chain of one micro-batch"});
      bounds.push_back({single_layer(), "one layer with what must come before and after it"});
    }
    return bounds;
  }

 private:
  static std::size_t at(std::int32_t index) { return static_cast<std::size_t>(index); }
  [[nodiscard]] Time on_fastest(Time work) const {
    return std::max<Time>(ceil_divide(Wide{work} * kUnitSpeed, fastest_) - slack_, 0);
  }
  [[nodiscard]] Time work_of(std::int32_t l) const {
    return layers_.forward[at(l)] + input_[at(l)] + weight_[at(l)];
  }
  [[nodiscard]] bool period() const {
    return objective_ == Objective::kIteration || objective_ == Objective::kCost;
  }

  // All work and, before every device's first op, what it must wait for: the k-th device to start
  // has k others before it, and so k layers and k transfers at least. Where the backward is fused,
  // the same at the end; where it is split, W may fill the end.
  [[nodiscard]] Time mean_load() const {
    Wide total = 0;
    for (std::int32_t l = 0; l < layers_.count(); ++l) {
      total += Wide{work_of(l)} * microbatches_ * kUnitSpeed;
    }
    total -= Wide{slack_} * microbatches_ * devices_ * fastest_;
    // Before its first op a device steps, and after its last it reduces.
    Wide before = period() ? Wide{around_.steps} : 0;
    Wide after = period() ? Wide{around_.reduces} : 0;
    if (objective_ != Objective::kSpan && (around_.together || !period())) {
      Wide heads = period() ? Wide{around_.step} * devices_ : 0;
      Wide tails = period() ? Wide{around_.reduce} * devices_ : 0;
      for (std::int32_t k = 0; k < devices_; ++k) {
        // Two devices hold each layer of a bidirectional pipeline.
        const std::int32_t ahead = std::min(around_.doubled ? k / 2 : k, layers_.count());
        heads += before_[at(ahead)] + ahead * around_.transfer;
        tails += problem_.split_backward ? 0 : after_[at(ahead)] + ahead * around_.transfer;
      }
      before = std::max(before, heads);
      after = std::max(after, tails);
    }
    // Waiting is time of single devices; with speeds that differ it may fall on the slowest.
    const Wide waiting = problem_.speed.empty() ? before + after : 0;
    return std::max<Time>(ceil_divide(total + waiting * kUnitSpeed, speeds_), 0);
  }

  // Some device has at least the mean load, and a load is a sum of layers: the smallest such sum
  // that is not below the mean. Devices of one speed and one direction only.
  [[nodiscard]] Time fullest_device() const {
    if (around_.doubled || !problem_.speed.empty()) {
      return 0;
    }
    Time unit = 0;
    Time total = 0;
    Time largest = 0;
    for (std::int32_t l = 0; l < layers_.count(); ++l) {
      unit = std::gcd(unit, work_of(l));
      total += work_of(l);
      largest = std::max(largest, work_of(l));
    }
    constexpr Time kMostSums = 4'000'000;
    const Time mean = ceil_divide(total, devices_);
    Time least = std::max(mean, largest);
    if (unit > 0 && total / unit <= kMostSums) {
      std::vector<bool> reached(at32(total / unit) + 1, false);
      reached[0] = true;
      for (std::int32_t l = 0; l < layers_.count(); ++l) {
        const std::size_t step = at32(work_of(l) / unit);
        for (std::size_t sum = reached.size(); step > 0 && sum-- > step;) {
          reached[sum] = reached[sum] || reached[sum - step];
        }
      }
      auto sum = at32(ceil_divide(least, unit));
      while (sum < reached.size() && !reached[sum]) {
        ++sum;
      }
      least = static_cast<Time>(sum) * unit;
    }
    return least * microbatches_ + (period() ? smallest_step() : 0);
  }
  static std::size_t at32(Time value) { return static_cast<std::size_t>(value); }

  [[nodiscard]] Time smallest_step() const { return around_.step; }

  // One micro-batch through all layers and back; every device holds a stage, so P - 1 boundaries at
  // least are crossed twice.
  [[nodiscard]] Time chain() const {
    const Time crossings = 2 * Time{devices_ - 1} * around_.transfer;
    const Time last = problem_.split_backward ? weight_.front() : 0;
    return on_fastest(before_.back() + after_.back() + last) + (around_.doubled ? 0 : crossings) +
           (period() ? around_.step : 0);
  }

  // A layer runs on one device: after the first forwards before it, all its own work; or, after
  // its last backward, the backwards of all layers before it.
  [[nodiscard]] Time single_layer() const {
    const Time rounds = around_.doubled ? (microbatches_ + 1) / 2 : microbatches_;
    Time most = 0;
    for (std::int32_t l = 0; l < layers_.count(); ++l) {
      const Time input = layers_.forward[at(l)] + input_[at(l)];
      const Time whole = rounds * work_of(l);
      const Time back =
          rounds * input + after_[at(l)] + (problem_.split_backward ? weight_.front() : 0);
      most = std::max(most, before_[at(l)] + std::max(whole, back));
    }
    return on_fastest(most) + (period() ? around_.step : 0);
  }

  // Little's law over all devices together: an activation lives at least from its forward to the
  // end of its backward, which runs through all layers above, and what W frees until after W.
  [[nodiscard]] Time lives() const {
    if (layers_.activation.empty()) {
      return 0;
    }
    Wide byte_times = 0;
    for (std::int32_t l = 0; l < layers_.count(); ++l) {
      const Time life = on_fastest(before_.back() - before_[at(l)] + after_.back() - after_[at(l)]);
      byte_times += Wide{layers_.activation[at(l)]} * life;
      byte_times += Wide{layers_.activation_kept[at(l)]} * on_fastest(weight_[at(l)]);
    }
    return ceil_divide(byte_times * microbatches_, around_.room);
  }

  const Layers& layers_;
  const Problem& problem_;
  Objective objective_;
  Surroundings around_;
  std::int32_t devices_;
  std::int32_t microbatches_;
  Wide speeds_ = 0;
  std::int64_t fastest_ = 0;
  Time slack_ = 0;                    // what rounding may take off a sum
  std::vector<Time> input_, weight_;  // [L] at least so much of B and W, however they run
  std::vector<Time> before_, after_;  // [L+1] forwards, and backwards, of the layers before each
};

}  // namespace

std::vector<Bound> layer_time_bounds(const Problem& problem, Objective objective) {
  return LayerBounds(problem, objective).run();
}

std::vector<Bound> layer_memory_bounds(const Problem& problem) {
  const Layers& layers = problem.layers;
  // What is resident: parameters, which move with their layers, and what is stated per device.
  Wide total = 0;
  if (const Result<Instance> stated = problem.instance(problem.partition, problem.device_of_stage);
      stated.ok()) {
    const std::vector<Bytes>& resident = stated->costs.memory.resident;
    total = std::accumulate(resident.begin(), resident.end(), Wide{0});
  }
  if (!problem.recompute_open && !problem.offload_open) {
    // The first micro-batch to reach the last layer is held by all of them at once.
    total = std::accumulate(layers.activation.begin(), layers.activation.end(), total);
  }
  return {{ceil_divide(total, problem.devices), "mean memory of the devices"}};
}

}  // namespace stagecraft::search
