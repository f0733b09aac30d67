#include "engine/p2p_aligned.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace stagecraft {
namespace {

class Aligned {
 public:
  Aligned(const Schedule& schedule, const TaskGraph& graph)
      : graph_(graph), builder_(schedule, graph), place_(graph.size(), 0) {
    replay();
    for (std::int32_t device = 0; device < graph.devices; ++device) {
      const std::vector<OpIndex>& list = builder_.list(device);
      for (std::size_t i = 0; i < list.size(); ++i) {
        place_[list[i]] = i;
      }
      calls_.emplace_back(list.size() + 1);
    }
  }

  P2pProgram run() {
    for (const std::vector<std::uint32_t>& channel : builder_.channels()) {
      // A message must be received before its consumer, and before those of later messages.
      std::vector<std::size_t> latest(channel.size());
      std::size_t bound = SIZE_MAX;
      for (std::size_t i = channel.size(); i-- > 0;) {
        bound = std::min(bound, place_[builder_.message({channel[i], true}).consumer]);
        latest[i] = bound;
      }
      Meeting last;
      for (std::size_t i = 0; i < channel.size(); ++i) {
        const std::uint32_t message = channel[i];
        last = meet(message, last, latest[i]);
        const P2pMessage& m = builder_.message({message, true});
        calls_[slot(m.from_device)][last.send].push_back({message, true});
        calls_[slot(m.to_device)][last.receive].push_back({message, false});
      }
    }
    for (std::int32_t device = 0; device < graph_.devices; ++device) {
      const std::vector<OpIndex>& list = builder_.list(device);
      for (std::size_t gap = 0; gap <= list.size(); ++gap) {
        builder_.post(calls_[slot(device)][gap]);
        builder_.wait(calls_[slot(device)][gap]);
        if (gap < list.size()) {
          builder_.run(list[gap]);
        }
      }
      builder_.end_device();
    }
    return builder_.take();
  }

 private:
  // Gaps between ops: gap g stands before the g-th op of a device.
  struct Meeting {
    std::size_t send = 0;
    std::size_t receive = 0;
  };

  static std::size_t slot(std::int32_t number) { return static_cast<std::size_t>(number); }

  void replay() {
    start_.assign(graph_.size(), 0);
    end_.assign(graph_.size(), 0);
    for (const OpIndex task : graph_.order) {
      for_each_predecessor(graph_, task, [&](OpIndex before, Time) {
        start_[task] = std::max(start_[task], end_[before]);
      });
      end_[task] = start_[task] + graph_.duration[task];
    }
  }

  // A device stands in a gap from the end of the op before to the start of the op after it.
  [[nodiscard]] Time from(std::int32_t device, std::size_t gap) const {
    return gap == 0 ? 0 : end_[builder_.list(device)[gap - 1]];
  }
  [[nodiscard]] Time until(std::int32_t device, std::size_t gap) const {
    const std::vector<OpIndex>& list = builder_.list(device);
    return gap == list.size() ? kNever : start_[list[gap]];
  }

  // `last`: of the message before on the channel, which must not be overtaken.
  [[nodiscard]] Meeting meet(std::uint32_t message, const Meeting& last,
                             std::size_t last_receive) const {
    const P2pMessage& m = builder_.message({message, true});
    const std::size_t last_send = builder_.list(m.from_device).size();
    std::size_t send = std::max(place_[m.producer] + 1, last.send);
    // The first gap of the receiver that lasts until the data is there.
    std::size_t receive = last.receive;
    while (receive < last_receive && until(m.to_device, receive) < end_[m.producer]) {
      ++receive;
    }
    Meeting best{send, receive};
    Time nearest = kNever;
    while (send <= last_send && receive <= last_receive) {
      const Time early = from(m.to_device, receive) - until(m.from_device, send);
      const Time late = from(m.from_device, send) - until(m.to_device, receive);
      const Time miss = std::max({early, late, Time{0}});
      if (miss < nearest) {
        nearest = miss;
        best = {send, receive};
      }
      if (miss == 0) {
        break;
      }
      (early > 0 ? send : receive) += 1;
    }
    return best;
  }

  const TaskGraph& graph_;
  P2pBuilder builder_;
  std::vector<Time> start_, end_;                           // [tasks] without latencies
  std::vector<std::size_t> place_;                          // [tasks] in its device's list
  std::vector<std::vector<std::vector<P2pMember>>> calls_;  // [P][gap]
};

}  // namespace

P2pProgram lower_aligned(const Schedule& schedule, const TaskGraph& graph) {
  return Aligned(schedule, graph).run();
}

}  // namespace stagecraft
