#include "offload_plan.hpp"

#include <algorithm>
#include <map>
#include <optional>

#include "stagecraft/engine/replay.hpp"
#include "stagecraft/engine/task_graph.hpp"
#include "stagecraft/schedule/dependencies.hpp"

namespace stagecraft {
namespace {

/// One copy stream: intervals that are taken, by start.
class CopyStream {
 public:
  /// Start of the earliest free interval of `length` from `from` on.
  [[nodiscard]] Time earliest(Time from, Time length) const {
    auto next = taken_.upper_bound(from);
    Time start = from;
    if (next != taken_.begin()) {
      start = std::max(start, std::prev(next)->second);
    }
    for (; next != taken_.end() && next->first < start + length; ++next) {
      start = std::max(start, next->second);
    }
    return start;
  }

  /// Start of the latest free interval of `length` that ends by `until`; may be negative.
  [[nodiscard]] Time latest(Time until, Time length) const {
    auto next = taken_.lower_bound(until);
    Time start = until - length;
    while (next != taken_.begin()) {
      const auto before = std::prev(next);
      if (before->second <= start) {
        break;
      }
      start = std::min(start, before->first - length);
      next = before;
    }
    return start;
  }

  void take(Time start, Time length) { taken_.emplace(start, start + length); }

 private:
  std::map<Time, Time> taken_;
};

/// A unit that may be offloaded: where its forward and backward stand, and when.
struct Candidate {
  Op forward;
  Time forward_end = 0;
  Time backward_start = 0;
};

struct PlannedCopy {
  Time start = 0;
  Op op;
};

/// How long copies of device `d` take when all devices of its host link copy at once.
class CopyLength {
 public:
  CopyLength(const CostTable& costs, const std::vector<Time>& longest, std::int32_t device)
      : costs_(costs) {
    const std::vector<std::int32_t>& link_of = costs.network.host.host_link_of;
    for (std::size_t other = 0; other < link_of.size(); ++other) {
      if (link_of[other] == link_of[static_cast<std::size_t>(device)] &&
          other != static_cast<std::size_t>(device)) {
        ++others_;
        wait_ += longest[other];
      }
    }
  }

  /// At least 1 ns, so that a copy never falls on the same instant as the op it serves.
  [[nodiscard]] Time of(const Op& copy, const Pipeline& pipeline) const {
    const Time alone = costs_.duration(copy, pipeline);
    const bool fair = costs_.network.host.sharing == LinkSharing::kFair;
    return std::max<Time>(1, fair ? alone * (1 + others_) : alone + wait_);
  }

 private:
  const CostTable& costs_;
  Time others_ = 0;
  Time wait_ = 0;
};

[[nodiscard]] Op copy_of(const Op& forward, OpKind kind) {
  Op copy = forward;
  copy.kind = kind;
  return copy;
}

/// The longest copy of any unit of each device, ns.
std::vector<Time> longest_copies(const Schedule& order, const CostTable& costs) {
  std::vector<Time> longest;
  for (std::int32_t device = 0; device < order.pipeline.devices; ++device) {
    Time most = 0;
    for (const Op& op : order.device_ops(device)) {
      if (op.kind == OpKind::kForward) {
        most = std::max({most, costs.duration(copy_of(op, OpKind::kOffload), order.pipeline),
                         costs.duration(copy_of(op, OpKind::kReload), order.pipeline)});
      }
    }
    longest.push_back(most);
  }
  return longest;
}

/// Candidates of one device, chunk by chunk, the chunk that lives longest first.
std::vector<std::vector<Candidate>> candidates_of(const Schedule& order, const UnitIndex& index,
                                                  const Replayer& times, std::int32_t device,
                                                  const std::vector<bool>& chunks) {
  const std::vector<std::int32_t> stages = order.pipeline.stages_of(device);
  std::vector<std::vector<Candidate>> by_chunk(stages.size());
  std::vector<Time> lifespan(stages.size(), 0);
  std::size_t position = order.offsets[static_cast<std::size_t>(device)];
  for (const Op& op : order.device_ops(device)) {
    const std::size_t here = position++;
    const auto chunk = static_cast<std::size_t>(
        std::lower_bound(stages.begin(), stages.end(), op.unit.stage) - stages.begin());
    if (op.kind != OpKind::kForward || chunk >= chunks.size() || !chunks[chunk]) {
      continue;
    }
    const Candidate candidate{op, times.end(static_cast<OpIndex>(here)),
                              times.start(index.backward(op.unit, op.direction))};
    lifespan[chunk] += candidate.backward_start - candidate.forward_end;
    by_chunk[chunk].push_back(candidate);
  }
  std::vector<std::size_t> ranked(stages.size());
  for (std::size_t chunk = 0; chunk < ranked.size(); ++chunk) {
    ranked[chunk] = chunk;
  }
  std::stable_sort(ranked.begin(), ranked.end(),
                   [&](std::size_t a, std::size_t b) { return lifespan[a] > lifespan[b]; });
  std::vector<std::vector<Candidate>> result;
  for (const std::size_t chunk : ranked) {
    result.push_back(std::move(by_chunk[chunk]));
  }
  return result;
}

/// The copies of one device in the order of their planned starts.
std::vector<PlannedCopy> plan_device(const std::vector<std::vector<Candidate>>& candidates,
                                     const CopyLength& length, const Pipeline& pipeline) {
  CopyStream stream;
  std::vector<PlannedCopy> copies;
  for (const std::vector<Candidate>& chunk : candidates) {
    for (const Candidate& unit : chunk) {
      const Op offload = copy_of(unit.forward, OpKind::kOffload);
      const Op reload = copy_of(unit.forward, OpKind::kReload);
      const Time out = length.of(offload, pipeline);
      const Time back = length.of(reload, pipeline);
      const Time out_start = stream.earliest(unit.forward_end, out);
      const Time back_start = stream.latest(unit.backward_start, back);
      if (back_start <= out_start + out) {
        continue;
      }
      stream.take(out_start, out);
      stream.take(back_start, back);
      copies.push_back({out_start, offload});
      copies.push_back({back_start, reload});
    }
  }
  std::stable_sort(copies.begin(), copies.end(),
                   [](const PlannedCopy& a, const PlannedCopy& b) { return a.start < b.start; });
  return copies;
}

}  // namespace

Result<Schedule> add_offload(const Schedule& order, const CostTable& costs,
                             const std::vector<bool>& chunks) {
  const Result<TaskGraph> graph = build_task_graph(order, costs);
  if (!graph) {
    return graph.failures();
  }
  Replayer times(*graph);
  times.run();
  const UnitIndex index(order);
  const std::vector<Time> longest = longest_copies(order, costs);

  Schedule result;
  result.name = order.name;
  result.pipeline = order.pipeline;
  result.p2p = order.p2p;
  result.offsets.push_back(0);
  result.ops.reserve(order.ops.size() * 5 / 3);
  for (std::int32_t device = 0; device < order.pipeline.devices; ++device) {
    const std::vector<PlannedCopy> copies =
        plan_device(candidates_of(order, index, times, device, chunks),
                    CopyLength(costs, longest, device), order.pipeline);
    // A copy stands behind the last compute op that has ended by its planned start, so that it
    // starts no later than planned.
    auto copy = copies.begin();
    std::size_t position = order.offsets[static_cast<std::size_t>(device)];
    for (const Op& op : order.device_ops(device)) {
      for (; copy != copies.end() && copy->start < times.end(static_cast<OpIndex>(position));
           ++copy) {
        result.ops.push_back(copy->op);
      }
      result.ops.push_back(op);
      ++position;
    }
    STAGECRAFT_CHECK(copy == copies.end(), "a reload stands before its backward");
    result.offsets.push_back(result.ops.size());
  }
  return result;
}

}  // namespace stagecraft
