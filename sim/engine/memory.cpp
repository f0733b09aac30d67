#include "stagecraft/engine/memory.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include <fmt/core.h>

#include "stagecraft/core/check.hpp"
#include "stagecraft/core/text.hpp"

namespace stagecraft {
namespace {

// A change of memory, ordered as the header says.
struct Change {
  Time time = 0;
  int rank = 0;  // 0: the end of a task that began earlier; 1: everything else
  OpIndex task = kNoOp;
  bool at_end = false;
  Bytes bytes = 0;

  [[nodiscard]] auto key() const { return std::tuple(time, rank, task, at_end); }
};

class Meter {
 public:
  Meter(const Schedule& schedule, const TaskGraph& graph, const MemoryCosts& costs,
        std::span<const Time> start, std::span<const Time> end, bool keep_samples)
      : schedule_(schedule),
        graph_(graph),
        costs_(costs),
        start_(start),
        end_(end),
        keep_samples_(keep_samples) {}

  MemoryUse run() {
    for (std::int32_t device = 0; device < graph_.devices; ++device) {
      begin(device);
      if (!graph_.memory_at_start.empty()) {
        graph_.has_copies ? walk_sorted(device) : walk_list(device);
      }
      finish(device);
    }
    return std::move(use_);
  }

 private:
  void begin(std::int32_t device) {
    now_ = peak_ = costs_.resident_of(device);
    capacity_ = costs_.capacity_of(device);
    peak_op_ = first_over_ = kNoOp;
    samples_.clear();
    if (keep_samples_) {
      samples_.push_back({0, now_, kNoOp});
    }
  }

  void apply(OpIndex task, Time time, Bytes bytes) {
    if (bytes == 0) {
      return;
    }
    if (now_ + bytes > capacity_ && bytes > 0 && first_over_ == kNoOp) {
      first_over_ = task;
      needed_ = bytes;
      there_ = capacity_ - now_;
    }
    now_ += bytes;
    if (now_ > peak_) {
      peak_ = now_;
      peak_op_ = task;
    }
    if (keep_samples_) {
      samples_.push_back({time, now_, task});
    }
  }

  // Without copies the tasks of a device follow each other, so that list order is the order of
  // the changes.
  void walk_list(std::int32_t device) {
    const auto d = static_cast<std::size_t>(device);
    for (auto task = static_cast<OpIndex>(graph_.offsets[d]); task < graph_.offsets[d + 1];
         ++task) {
      apply(task, start_[task], graph_.memory_at_start[task]);
      apply(task, end_[task], graph_.memory_at_end[task]);
    }
  }

  void walk_sorted(std::int32_t device) {
    const auto d = static_cast<std::size_t>(device);
    changes_.clear();
    for (auto task = static_cast<OpIndex>(graph_.offsets[d]); task < graph_.offsets[d + 1];
         ++task) {
      const int end_rank = start_[task] < end_[task] ? 0 : 1;
      changes_.push_back({start_[task], 1, task, false, graph_.memory_at_start[task]});
      changes_.push_back({end_[task], end_rank, task, true, graph_.memory_at_end[task]});
    }
    std::sort(changes_.begin(), changes_.end(),
              [](const Change& a, const Change& b) { return a.key() < b.key(); });
    for (const Change& change : changes_) {
      apply(change.task, change.time, change.bytes);
    }
  }

  void finish(std::int32_t device) {
    use_.peak.push_back(peak_);
    use_.peak_op.push_back(peak_op_);
    if (keep_samples_) {
      use_.samples.push_back(std::move(samples_));
    }
    if (peak_ > capacity_) {
      use_.violations.push_back(violation(device));
    }
  }

  [[nodiscard]] Diagnostic violation(std::int32_t device) const {
    std::string hint = fmt::format("device {} needs a capacity of {} bytes; it has {}", device,
                                   with_thousands(peak_), with_thousands(capacity_));
    if (first_over_ == kNoOp || costs_.resident_of(device) > capacity_) {
      return infeasible(
          fmt::format("out of memory on device {}: {} bytes are resident, its capacity is {}",
                      device, with_thousands(costs_.resident_of(device)),
                      with_thousands(capacity_)),
          std::move(hint));
    }
    return infeasible(fmt::format("out of memory on device {} at {}: needs {} bytes, {} are there",
                                  device, to_string(op_of(graph_, schedule_, first_over_)),
                                  with_thousands(needed_), with_thousands(there_)),
                      std::move(hint));
  }

  const Schedule& schedule_;
  const TaskGraph& graph_;
  const MemoryCosts& costs_;
  std::span<const Time> start_;
  std::span<const Time> end_;
  bool keep_samples_;

  // Of the device at hand.
  Bytes now_ = 0;
  Bytes peak_ = 0;
  Bytes capacity_ = 0;
  OpIndex peak_op_ = kNoOp;
  OpIndex first_over_ = kNoOp;
  Bytes needed_ = 0;
  Bytes there_ = 0;
  std::vector<MemorySample> samples_;
  std::vector<Change> changes_;

  MemoryUse use_;
};

}  // namespace

MemoryUse memory_use(const Schedule& schedule, const TaskGraph& graph, const MemoryCosts& costs,
                     std::span<const Time> start, std::span<const Time> end, bool keep_samples) {
  STAGECRAFT_CHECK(start.size() == graph.size() && end.size() == graph.size(),
                   "one start and one end per task");
  return Meter(schedule, graph, costs, start, end, keep_samples).run();
}

}  // namespace stagecraft
