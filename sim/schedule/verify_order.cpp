// Rules about orders: on one device, and of all devices together.
#include <string>
#include <vector>

#include <fmt/core.h>

#include "schedule/verify_parts.hpp"

namespace stagecraft::verifying {
namespace {

constexpr std::int32_t kNobody = -1;

// Where every device stands while the orders are run without time. A device waits for at most one
// op; the ops before `head` have run.
//
// Copy ops are run in their place in the list: all they need stands before them on the same device
// (check_device_order), so they never wait longer than the compute ops before them.
class Progress {
 public:
  Progress(const Schedule& schedule, const UnitIndex& index)
      : schedule_(schedule),
        index_(index),
        head_(schedule.offsets.begin(), schedule.offsets.end() - 1),
        waiters_(head_.size()),
        wanted_(head_.size(), kMissing) {}

  // True if every device comes to its end.
  bool run() {
    const auto devices = static_cast<std::int32_t>(head_.size());
    std::vector<std::int32_t> ready;
    for (std::int32_t device = devices; device-- > 0;) {
      ready.push_back(device);
    }
    while (!ready.empty()) {
      const std::int32_t device = ready.back();
      ready.pop_back();
      advance(device);
      wake(device, ready);
    }
    for (std::int32_t device = 0; device < devices; ++device) {
      if (wanted_[slot(device)] != kMissing) {
        stuck_ = device;
        return false;
      }
    }
    return true;
  }

  // "B0@0 (device 0) waits for B0@1 (device 1) behind F1@1, which waits for F1@0 (device 0) behind
  // B0@0": a cycle that the stuck device leads to.
  [[nodiscard]] std::string cycle() const {
    std::vector<bool> visited(head_.size(), false);
    std::int32_t device = stuck_;
    while (!visited[slot(device)]) {
      visited[slot(device)] = true;
      device = next(device);
    }
    const std::int32_t first = device;
    std::string text = op_on_device(schedule_.ops[head_[slot(first)]], first);
    do {
      const std::uint32_t wanted = wanted_[slot(device)];
      const bool continues = device != first;
      device = next(device);
      text += fmt::format("{} waits for {}", continues ? ", which" : "",
                          op_on_device(schedule_.ops[wanted], device));
      const std::size_t head = head_[slot(device)];
      if (head != wanted) {
        text += " behind " + to_string(schedule_.ops[head]);
      }
    } while (device != first);
    return text;
  }

 private:
  [[nodiscard]] static std::size_t slot(std::int32_t device) {
    return static_cast<std::size_t>(device);
  }
  [[nodiscard]] std::int32_t device_of(std::uint32_t op) const {
    return schedule_.pipeline.device(schedule_.ops[op].unit.stage, schedule_.ops[op].direction);
  }
  [[nodiscard]] std::int32_t next(std::int32_t device) const {
    return device_of(wanted_[slot(device)]);
  }

  void advance(std::int32_t device) {
    std::size_t& head = head_[slot(device)];
    wanted_[slot(device)] = kMissing;
    for (; head < schedule_.offsets[slot(device) + 1]; ++head) {
      std::uint32_t missing = kMissing;
      for_each_dependency(schedule_, index_, static_cast<std::uint32_t>(head),
                          [&](std::uint32_t need, std::int32_t from, std::int32_t to, Direction) {
                            if (from != to && need >= head_[slot(device_of(need))]) {
                              missing = need;
                            }
                          });
      if (missing != kMissing) {
        wanted_[slot(device)] = missing;
        waiters_[slot(device_of(missing))].push_back(device);
        return;
      }
    }
  }

  void wake(std::int32_t device, std::vector<std::int32_t>& ready) {
    std::vector<std::int32_t>& waiters = waiters_[slot(device)];
    std::size_t kept = 0;
    for (const std::int32_t waiter : waiters) {
      if (wanted_[slot(waiter)] < head_[slot(device)]) {
        ready.push_back(waiter);
      } else {
        waiters[kept++] = waiter;
      }
    }
    waiters.resize(kept);
  }

  const Schedule& schedule_;
  const UnitIndex& index_;
  std::vector<std::size_t> head_;                   // [P] next op of every device
  std::vector<std::vector<std::int32_t>> waiters_;  // [P] devices that wait for an op of this one
  std::vector<std::uint32_t> wanted_;               // [P] the op a device waits for
  std::int32_t stuck_ = kNobody;
};

}  // namespace

void check_device_order(const Schedule& schedule, const UnitIndex& index, Findings& findings) {
  const Pipeline& pipeline = schedule.pipeline;
  for (std::int32_t device = 0; device < pipeline.devices; ++device) {
    const auto d = static_cast<std::size_t>(device);
    for (std::size_t i = schedule.offsets[d]; i < schedule.offsets[d + 1]; ++i) {
      if (findings.full()) {
        return;
      }
      for_each_dependency(
          schedule, index, static_cast<std::uint32_t>(i),
          [&](std::uint32_t need, std::int32_t from, std::int32_t, Direction direction) {
            if (need >= i && pipeline.device(from, direction) == device) {
              findings.add(bad_input(fmt::format("{} stands before {} on device {}, but needs it",
                                                 to_string(schedule.ops[i]),
                                                 to_string(schedule.ops[need]), device)));
            }
          });
    }
  }
}

void check_acyclic(const Schedule& schedule, const UnitIndex& index, Findings& findings) {
  Progress progress(schedule, index);
  if (!progress.run()) {
    findings.add(
        infeasible("the orders of the devices wait for each other in a cycle: " + progress.cycle(),
                   "on one of these devices, move the op that waits behind the op that "
                   "is waited for"));
  }
}

}  // namespace stagecraft::verifying
