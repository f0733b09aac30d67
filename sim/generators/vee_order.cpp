#include "vee_order.hpp"

#include <algorithm>
#include <tuple>

#include "order.hpp"

namespace stagecraft {
namespace {

bool varies(const Grid& grid) {
  return grid.microbatch_stride != 0 || grid.slice_stride != 0;
}

// Slices of a micro-batch are summed.
std::vector<std::int64_t> flatten(const Grid& grid, const Pipeline& pipeline, std::size_t columns) {
  std::vector<std::int64_t> values;
  values.reserve(static_cast<std::size_t>(pipeline.stages) * columns);
  for (std::int32_t stage = 0; stage < pipeline.stages; ++stage) {
    for (std::size_t column = 0; column < columns; ++column) {
      const auto microbatch = static_cast<std::int32_t>(column);
      std::int64_t sum = 0;
      for (std::int32_t slice = 0; slice < pipeline.slices_of(microbatch); ++slice) {
        sum += grid.at(stage, microbatch, slice);
      }
      values.push_back(sum);
    }
  }
  return values;
}

std::vector<std::int64_t> added(std::vector<std::int64_t> a, const std::vector<std::int64_t>& b) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    a[i] += b[i];
  }
  return a;
}

void flatten_memory(VeeCosts& result, const Pipeline& pipeline, const MemoryCosts& memory) {
  const std::size_t columns = result.columns;
  result.memory[0] = flatten(memory.forward, pipeline, columns);
  const bool counted = std::any_of(result.memory[0].begin(), result.memory[0].end(),
                                   [](Bytes bytes) { return bytes > 0; });
  const std::size_t size = result.memory[0].size();
  if (!memory.given || !counted) {
    result.memory = {std::vector<Bytes>(size, 1), std::vector<Bytes>(size, result.split ? 0 : -1),
                     std::vector<Bytes>(size, -1)};
    result.capacity.assign(static_cast<std::size_t>(pipeline.devices), kUnlimited);
    return;
  }
  result.memory[1] = flatten(memory.backward_input, pipeline, columns);
  result.memory[2] = flatten(memory.backward_weight, pipeline, columns);
  if (!result.split) {
    result.memory[1] = added(result.memory[1], result.memory[2]);
  }
  for (std::int32_t device = 0; device < pipeline.devices; ++device) {
    const Bytes capacity = memory.capacity_of(device);
    result.capacity.push_back(capacity == kUnlimited ? kUnlimited
                                                     : capacity - memory.resident_of(device));
  }
}

}  // namespace

bool VeeCosts::in_slots() const {
  const Time slot = duration[0].front();
  for (std::size_t kind = 0; kind < (split ? 3 : 2); ++kind) {
    if (std::any_of(duration[kind].begin(), duration[kind].end(),
                    [&](Time each) { return each != slot; })) {
      return false;
    }
  }
  return std::all_of(latency.begin(), latency.end(), [](Time each) { return each == 0; });
}

Time VeeCosts::work(std::int32_t device) const {
  Time sum = 0;
  for (std::size_t kind = 0; kind < (split ? 3 : 2); ++kind) {
    for (std::int32_t microbatch = 0; microbatch < microbatches; ++microbatch) {
      sum += duration[kind][at(device, microbatch)] +
             duration[kind][at(stages - 1 - device, microbatch)];
    }
  }
  return sum;
}

Time VeeCosts::least_span() const {
  Time largest = 0;
  for (std::int32_t device = 0; device < devices; ++device) {
    largest = std::max(largest, work(device));
  }
  return largest;
}

Bytes VeeCosts::largest_activation(std::int32_t device) const {
  Bytes largest = 0;
  for (const std::int32_t s : {device, stages - 1 - device}) {
    for (std::size_t column = 0; column < columns; ++column) {
      largest = std::max(largest, memory[0][static_cast<std::size_t>(s) * columns + column]);
    }
  }
  return largest;
}

Bytes VeeCosts::least_memory(std::int32_t device) const {
  Bytes least = 0;
  for (std::size_t column = 0; column < columns; ++column) {
    const auto microbatch = static_cast<std::int32_t>(column);
    least = std::max(
        least, memory[0][at(device, microbatch)] + memory[0][at(stages - 1 - device, microbatch)]);
  }
  return least;
}

VeeCosts vee_costs(const Pipeline& pipeline, const CostTable& costs, bool fused) {
  VeeCosts result;
  result.devices = pipeline.devices;
  result.stages = pipeline.stages;
  result.microbatches = pipeline.microbatches;
  result.split = !fused;
  const Grid& backward = fused ? costs.backward : costs.backward_input;
  const bool apart = pipeline.sliced() || varies(costs.forward) || varies(backward) ||
                     (!fused && varies(costs.backward_weight)) || varies(costs.memory.forward) ||
                     varies(costs.memory.backward_input) || varies(costs.memory.backward_weight);
  result.columns = apart ? static_cast<std::size_t>(pipeline.microbatches) : 1;
  result.duration[0] = flatten(costs.forward, pipeline, result.columns);
  result.duration[1] = flatten(backward, pipeline, result.columns);
  result.duration[2] = fused ? std::vector<Time>(result.duration[1].size(), 0)
                             : flatten(costs.backward_weight, pipeline, result.columns);
  for (std::int32_t stage = 0; stage + 1 < pipeline.stages; ++stage) {
    result.latency.push_back(costs.latency(pipeline, stage, stage + 1));
  }
  flatten_memory(result, pipeline, costs.memory);
  return result;
}

VeeCosts first_microbatches(const VeeCosts& costs, std::int32_t microbatches) {
  VeeCosts result = costs;
  result.microbatches = std::min(microbatches, costs.microbatches);
  if (costs.columns == 1 || result.microbatches == costs.microbatches) {
    return result;
  }
  result.columns = static_cast<std::size_t>(result.microbatches);
  for (auto* table : {&result.duration, &result.memory}) {
    for (std::size_t kind = 0; kind < 3; ++kind) {
      std::vector<std::int64_t> kept;
      kept.reserve(static_cast<std::size_t>(costs.stages) * result.columns);
      for (std::int32_t stage = 0; stage < costs.stages; ++stage) {
        for (std::int32_t m = 0; m < result.microbatches; ++m) {
          kept.push_back((*table)[kind][costs.at(stage, m)]);
        }
      }
      (*table)[kind] = std::move(kept);
    }
  }
  return result;
}

bool VeeFigures::better_than(const VeeFigures& other) const {
  if (valid() != other.valid()) {
    return valid();
  }
  return std::tie(span, makespan, peak) < std::tie(other.span, other.makespan, other.peak);
}

VeeReplay::VeeReplay(const VeeCosts& costs) : costs_(costs), width_(costs.passes()) {
  const auto devices = static_cast<std::size_t>(costs.devices);
  const std::size_t units =
      2 * static_cast<std::size_t>(costs.stages) * static_cast<std::size_t>(costs.microbatches);
  done_.resize(units);
  by_.resize(units);
  cause_.resize(devices * width_);
  cursor_.resize(devices);
  waits_for_.resize(devices);
  count_.resize(devices);
  free_.resize(devices);
  first_.resize(devices);
  held_.resize(devices);
  peak_.resize(devices);
  ready_.reserve(devices);
  for (std::int32_t device = 0; device < costs.devices; ++device) {
    work_.push_back(costs.work(device));
  }
}

VeeFigures VeeReplay::run(const VeeOrder& order, Time most_span) {
  std::fill(done_.begin(), done_.end(), -1);
  std::fill(cursor_.begin(), cursor_.end(), 0);
  std::fill(waits_for_.begin(), waits_for_.end(), -1);
  std::fill(count_.begin(), count_.end(), std::array<std::int32_t, kVeePassKinds>{});
  std::fill(free_.begin(), free_.end(), 0);
  std::fill(first_.begin(), first_.end(), -1);
  std::fill(held_.begin(), held_.end(), 0);
  std::fill(peak_.begin(), peak_.end(), 0);
  left_ = work_;
  ready_.clear();
  for (std::int32_t device = costs_.devices; device-- > 0;) {
    ready_.push_back(device);
  }
  VeeFigures figures;
  while (!ready_.empty()) {
    const std::int32_t device = ready_.back();
    ready_.pop_back();
    if (!advance(order, device, most_span)) {
      return figures;
    }
  }
  figures.fits = true;
  figures.span = figures.makespan = figures.peak = 0;
  for (std::size_t device = 0; device < cursor_.size(); ++device) {
    if (static_cast<std::size_t>(cursor_[device]) != order.lists[device].size()) {
      return VeeFigures{};
    }
    figures.fits = figures.fits && peak_[device] <= costs_.capacity[device];
    figures.peak = std::max(figures.peak, peak_[device]);
    figures.makespan = std::max(figures.makespan, free_[device]);
    figures.span = std::max(figures.span, free_[device] - first_[device]);
  }
  figures.complete = true;
  span_ = figures.span;
  return figures;
}

// Runs a device until its next pass waits for another device; false if its own list is unsound or
// its span is sure to exceed `most_span`.
bool VeeReplay::advance(const VeeOrder& order, std::int32_t device, Time most_span) {
  const auto d = static_cast<std::size_t>(device);
  const std::vector<VeePass>& list = order.lists[d];
  const std::int32_t microbatches = costs_.microbatches;
  const std::int32_t last_stage = costs_.stages - 1;
  const std::int32_t backwards = costs_.stages * microbatches;  // where done_ of B begins
  auto& count = count_[d];
  while (static_cast<std::size_t>(cursor_[d]) < list.size()) {
    const VeePass pass = list[static_cast<std::size_t>(cursor_[d])];
    const auto kind = static_cast<std::size_t>(pass >> 1U);
    const std::int32_t chunk = pass & 1;
    const std::int32_t microbatch = count[pass];
    const std::int32_t stage = costs_.stage(device, chunk);
    const std::int32_t unit = stage * microbatches + microbatch;
    if (kind > 0 && count[pass - 2] <= microbatch) {
      return false;
    }
    std::int32_t needs = -1;
    Time latency = 0;
    if (kind == 0 && stage > 0) {
      needs = unit - microbatches;
      latency = costs_.latency[static_cast<std::size_t>(stage - 1)];
    } else if (kind == 1) {
      needs = stage == last_stage ? unit : backwards + unit + microbatches;
      latency = stage == last_stage ? 0 : costs_.latency[static_cast<std::size_t>(stage)];
    }
    const std::int32_t number = static_cast<std::int32_t>(d * width_) + cursor_[d];
    std::int32_t cause = cursor_[d] > 0 ? number - 1 : -1;
    Time start = free_[d];
    if (needs >= 0) {
      const Time end = done_[static_cast<std::size_t>(needs)];
      if (end < 0) {
        waits_for_[d] = needs;
        return true;
      }
      if (end + latency > start) {
        start = end + latency;
        cause = by_[static_cast<std::size_t>(needs)];
      }
    }
    const std::size_t cell = costs_.at(stage, microbatch);
    const Time end = start + costs_.duration[kind][cell];
    cause_[static_cast<std::size_t>(number)] = cause;
    if (first_[d] < 0) {
      first_[d] = start;
    }
    free_[d] = end;
    left_[d] -= costs_.duration[kind][cell];
    if (end + left_[d] - first_[d] > most_span) {
      return false;
    }
    held_[d] += costs_.memory[kind][cell];
    peak_[d] = std::max(peak_[d], held_[d]);
    ++count[pass];
    ++cursor_[d];
    if (kind == 2) {
      continue;
    }
    const std::int32_t made = kind == 0 ? unit : backwards + unit;
    done_[static_cast<std::size_t>(made)] = end;
    by_[static_cast<std::size_t>(made)] = number;
    const std::int32_t next_stage = kind == 0 ? stage + 1 : stage - 1;
    if (next_stage >= 0 && next_stage <= last_stage) {
      const std::int32_t other = std::min(next_stage, last_stage - next_stage);
      if (waits_for_[static_cast<std::size_t>(other)] == made) {
        waits_for_[static_cast<std::size_t>(other)] = -1;
        ready_.push_back(other);
      }
    }
  }
  return true;
}

void VeeReplay::critical_chain(std::vector<Position>& chain) const {
  chain.clear();
  for (std::size_t d = 0; d < cursor_.size(); ++d) {
    if (free_[d] - first_[d] != span_) {
      continue;
    }
    std::int32_t number = static_cast<std::int32_t>(d * width_) + cursor_[d] - 1;
    while (number >= 0) {
      const auto width = static_cast<std::int32_t>(width_);
      chain.push_back({number / width, number % width});
      number = cause_[static_cast<std::size_t>(number)];
    }
    return;
  }
}

bool list_is_sound(const VeeCosts& costs, std::int32_t device, const std::vector<VeePass>& list) {
  std::array<std::int32_t, kVeePassKinds> count{};
  Bytes held = 0;
  for (const VeePass pass : list) {
    const auto kind = static_cast<std::size_t>(pass >> 1U);
    if (kind > 0 && count[pass - 2] <= count[pass]) {
      return false;
    }
    held += costs.memory[kind][costs.at(costs.stage(device, pass & 1), count[pass])];
    ++count[pass];
    if (held > costs.capacity[static_cast<std::size_t>(device)]) {
      return false;
    }
  }
  return true;
}

Schedule vee_schedule(std::string_view name, const Pipeline& pipeline, const VeeOrder& order) {
  const std::size_t kinds = order.split ? 3 : 2;
  OrderWriter writer(name, pipeline, fused_op_count(pipeline) / 2 * kinds);
  for (std::int32_t device = 0; device < pipeline.devices; ++device) {
    std::array<std::int32_t, kVeePassKinds> count{};
    for (const VeePass pass : order.lists[static_cast<std::size_t>(device)]) {
      const std::int32_t stage = (pass & 1) == 0 ? device : pipeline.stages - 1 - device;
      const std::int32_t microbatch = count[pass]++;
      if (pass <= kF1) {
        writer.forward(microbatch, stage);
      } else if (!order.split) {
        writer.backward(microbatch, stage);
      } else {
        const OpKind kind = pass <= kB1 ? OpKind::kBackwardInput : OpKind::kBackwardWeight;
        for (std::int32_t slice = pipeline.slices_of(microbatch); slice-- > 0;) {
          writer.put(make_op(kind, microbatch, stage, slice));
        }
      }
    }
    writer.end_device();
  }
  return writer.take();
}

}  // namespace stagecraft
