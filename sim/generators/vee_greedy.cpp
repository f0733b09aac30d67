#include "vee_greedy.hpp"

#include <algorithm>

namespace stagecraft {
namespace {

// One attempt. `allowance` is the idle time every device had in the attempt before: a device that
// idled less than the worst may idle that much more now, so W need not be spent on it.
class GreedyAttempt {
 public:
  GreedyAttempt(const VeeCosts& costs, const VeeGreedyOptions& options,
                const std::vector<Time>& allowance)
      : costs_(costs), options_(options), allowance_(allowance) {
    const auto devices = static_cast<std::size_t>(costs.devices);
    order_.split = true;
    order_.lists.resize(devices);
    for (std::vector<VeePass>& list : order_.lists) {
      list.reserve(costs.passes());
    }
    end_.assign(4 * devices * static_cast<std::size_t>(costs.microbatches), -1);
    count_.resize(devices);
    now_.resize(devices);
    idle_.resize(devices);
    held_.resize(devices);
    weights_.resize(devices);
    next_weight_.resize(devices);
    if (!allowance.empty()) {
      most_allowed_ = *std::max_element(allowance.begin(), allowance.end());
    }
  }

  // False if memory runs out.
  bool run() {
    if (!first_forwards() || !level_forwards()) {
      return false;
    }
    for (std::int32_t round = 0; round < 2 * costs_.microbatches; ++round) {
      if (!put_backwards() || !put_forwards()) {
        return false;
      }
    }
    for (std::int32_t d = 0; d < costs_.devices; ++d) {
      while (has_weight(d)) {
        put_weight(d);
      }
    }
    return true;
  }

  [[nodiscard]] const std::vector<Time>& idle() const { return idle_; }
  [[nodiscard]] Time most_idle() const { return *std::max_element(idle_.begin(), idle_.end()); }
  [[nodiscard]] Time most_allowed() const { return most_allowed_; }
  [[nodiscard]] VeeOrder& order() { return order_; }

 private:
  [[nodiscard]] std::int32_t count(std::int32_t d, VeePass pass) const {
    return count_[static_cast<std::size_t>(d)][pass];
  }
  [[nodiscard]] Time& end(VeePass pass, std::int32_t d, std::int32_t microbatch) {
    return end_[(static_cast<std::size_t>(pass) * static_cast<std::size_t>(costs_.devices) +
                 static_cast<std::size_t>(d)) *
                    static_cast<std::size_t>(costs_.microbatches) +
                static_cast<std::size_t>(microbatch)];
  }
  [[nodiscard]] bool has_weight(std::int32_t d) const {
    const auto i = static_cast<std::size_t>(d);
    return next_weight_[i] < weights_[i].size();
  }
  [[nodiscard]] std::size_t cell(std::int32_t d, VeePass pass) const {
    return costs_.at(costs_.stage(d, pass & 1), count(d, pass));
  }
  [[nodiscard]] Time duration(std::int32_t d, VeePass pass) const {
    return costs_.duration[pass >> 1U][cell(d, pass)];
  }
  [[nodiscard]] Bytes bytes(std::int32_t d, VeePass pass) const {
    return costs_.memory[pass >> 1U][cell(d, pass)];
  }
  [[nodiscard]] Bytes room(std::int32_t d) const {
    return costs_.capacity[static_cast<std::size_t>(d)] - held_[static_cast<std::size_t>(d)];
  }

  // When the input of the next pass of this kind arrives: kHere if it comes from this device or
  // from outside, kUnknown if its producer has not been put yet.
  static constexpr Time kHere = -2, kUnknown = -1;
  [[nodiscard]] Time arrival(std::int32_t d, VeePass pass) {
    const bool goes_down = pass == kF0 || pass == kB1;
    const std::int32_t from = goes_down ? d - 1 : d + 1;
    if (from < 0 || from >= costs_.devices) {
      return kHere;
    }
    const Time produced = end(pass, from, count(d, pass));
    if (produced < 0) {
      return kUnknown;
    }
    const std::int32_t here = costs_.stage(d, pass & 1);
    const std::int32_t there = costs_.stage(from, pass & 1);
    return produced + costs_.latency[static_cast<std::size_t>(std::min(here, there))];
  }

  // False if memory or input lacks.
  bool put(std::int32_t d, VeePass pass) {
    const auto i = static_cast<std::size_t>(d);
    const Time input = arrival(d, pass);
    if (count(d, pass) >= costs_.microbatches || input == kUnknown ||
        (pass <= kF1 && bytes(d, pass) > room(d))) {
      return false;
    }
    const Time start = std::max(now_[i], input);
    if (count(d, kF0) > 0) {
      idle_[i] += start - now_[i];
    }
    now_[i] = start + duration(d, pass);
    held_[i] += bytes(d, pass);
    end(pass, d, count(d, pass)) = now_[i];
    ++count_[i][pass];
    order_.lists[i].push_back(pass);
    if (pass >= kB0) {
      weights_[i].push_back(pass == kB0 ? kW0 : kW1);
    }
    return true;
  }

  void put_weight(std::int32_t d) {
    const auto i = static_cast<std::size_t>(d);
    const VeePass pass = weights_[i][next_weight_[i]++];
    now_[i] += duration(d, pass);
    held_[i] += bytes(d, pass);
    ++count_[i][pass];
    order_.lists[i].push_back(pass);
  }

  [[nodiscard]] Time next_weight_duration(std::int32_t d) const {
    const auto i = static_cast<std::size_t>(d);
    return duration(d, weights_[i][next_weight_[i]]);
  }

  // W in the time before the input of `pass` arrives; one more W that delays the pass if the device
  // would otherwise wait longer than it can afford and `may_delay`.
  void fill_wait(std::int32_t d, VeePass pass, bool may_delay) {
    const auto i = static_cast<std::size_t>(d);
    const Time input = arrival(d, pass);
    while (has_weight(d) && input >= 0 && input >= now_[i] + next_weight_duration(d)) {
      put_weight(d);
    }
    if (may_delay && has_weight(d)) {
      Time worst = most_idle();
      if (!allowance_.empty()) {
        worst = std::max(worst, most_allowed_ - allowance_[i]);
      }
      if (input - now_[i] > worst - idle_[i]) {
        put_weight(d);
      }
    }
  }

  // Forwards until the first micro-batch is back on device 0: while its F of chunk 1 is on the way,
  // the devices above run more of chunk 0, as far as memory allows.
  bool first_forwards() {
    for (std::int32_t d = 0; d < costs_.devices; ++d) {
      if (!put(d, kF0)) {
        return false;
      }
    }
    for (std::int32_t d = costs_.devices; d-- > 0;) {
      const auto i = static_cast<std::size_t>(d);
      if (d + 1 < costs_.devices) {
        const Time input = arrival(d, kF1);
        const Bytes needed = (2 + 2 * Bytes{d}) * costs_.largest_activation(d);
        while (room(d) >= needed && count(d, kF0) < costs_.microbatches &&
               now_[i] + duration(d, kF0) <= input && put_above(d)) {
        }
      }
      if (!put(d, kF1)) {
        return false;
      }
    }
    return true;
  }

  // One F of chunk 0 on every device down to d; none if one of them lacks memory.
  bool put_above(std::int32_t d) {
    for (std::int32_t j = 0; j <= d; ++j) {
      if (bytes(j, kF0) + costs_.largest_activation(j) > room(j)) {
        return false;
      }
    }
    for (std::int32_t j = 0; j <= d; ++j) {
      if (!put(j, kF0)) {
        return false;
      }
    }
    return true;
  }

  // Every device runs as many forwards as the one above it before its first backward.
  bool level_forwards() {
    VeePass pass = kF0;
    for (std::int32_t d = 1; d < costs_.devices; ++d) {
      while (count(d, kF0) + count(d, kF1) < count(d - 1, kF0) + count(d - 1, kF1) ||
             (count(d, kF1) <= count(d - 1, kF1) && count(d - 1, kF1) < costs_.microbatches)) {
        for (std::int32_t j = costs_.devices; j-- > d;) {
          if (count(j, pass) < costs_.microbatches && !put(j, pass)) {
            return false;
          }
        }
        pass = pass == kF0 ? kF1 : kF0;
      }
    }
    return true;
  }

  // Which backward a device runs next: of chunk 0 as soon as its gradient is there.
  [[nodiscard]] VeePass next_backward(std::int32_t d) {
    if (count(d, kB0) >= count(d, kB1)) {
      return kB1;
    }
    const bool here = d + 1 == costs_.devices || end(kB0, d + 1, count(d, kB0)) >= 0 ||
                      count(d, kB1) >= costs_.microbatches;
    return here ? kB0 : kB1;
  }

  bool put_backwards() {
    // Chosen on all devices before any is put.
    std::vector<VeePass>& chosen = chosen_;
    chosen.clear();
    for (std::int32_t d = 0; d < costs_.devices; ++d) {
      chosen.push_back(next_backward(d));
    }
    const auto put_one = [&](std::int32_t d, VeePass pass) {
      fill_wait(d, pass, pass == kB0 || options_.weight_before_backward);
      return put(d, pass);
    };
    for (std::int32_t d = costs_.devices; d-- > 0;) {
      if (chosen[static_cast<std::size_t>(d)] == kB0 && !put_one(d, kB0)) {
        return false;
      }
    }
    for (std::int32_t d = 0; d < costs_.devices; ++d) {
      if (chosen[static_cast<std::size_t>(d)] == kB1 && !put_one(d, kB1)) {
        return false;
      }
    }
    return true;
  }

  bool put_forwards() {
    for (std::int32_t d = 0; d < costs_.devices; ++d) {
      if (count(d, kF1) >= costs_.microbatches) {
        continue;
      }
      VeePass pass = kF0;
      if (count(d, kF1) < count(d, kF0) && arrival(d, kF1) != kUnknown) {
        pass = kF1;
      } else if (count(d, kF0) >= costs_.microbatches || arrival(d, kF0) == kUnknown) {
        continue;
      }
      while (bytes(d, pass) > room(d)) {
        if (!has_weight(d)) {
          return false;
        }
        put_weight(d);
      }
      fill_wait(d, pass, options_.weight_before_forward);
      if (!put(d, pass)) {
        return false;
      }
    }
    return true;
  }

  const VeeCosts& costs_;
  const VeeGreedyOptions& options_;
  const std::vector<Time>& allowance_;
  Time most_allowed_ = -1;
  VeeOrder order_;
  std::vector<Time> end_;  // [pass][device][micro-batch], -1 if not put
  std::vector<std::array<std::int32_t, kVeePassKinds>> count_;
  std::vector<Time> now_, idle_;
  std::vector<Bytes> held_;
  std::vector<std::vector<VeePass>> weights_;  // W in the order of their B
  std::vector<std::size_t> next_weight_;
  std::vector<VeePass> chosen_;
};

}  // namespace

std::optional<VeeOrder> vee_greedy_order(const VeeCosts& costs, const VeeGreedyOptions& options) {
  std::optional<VeeOrder> best;
  std::vector<Time> allowance;
  Time least_idle = kNever;
  // Again, with what the last attempt idled as allowance, as long as the worst idle time falls.
  while (true) {
    GreedyAttempt attempt(costs, options, allowance);
    if (!attempt.run()) {
      return best;
    }
    if (attempt.most_idle() >= least_idle) {
      return best;
    }
    least_idle = attempt.most_idle();
    best = std::move(attempt.order());
    allowance = attempt.idle();
  }
}

}  // namespace stagecraft
