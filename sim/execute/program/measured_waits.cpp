#include "execute/program/measured_waits.hpp"

#include <algorithm>
#include <numeric>
#include <tuple>

#include "stagecraft/engine/memory.hpp"
#include "stagecraft/engine/p2p.hpp"

namespace stagecraft {
namespace {

class MeasuredWaits {
 public:
  MeasuredWaits(const Schedule& schedule, const TaskGraph& graph, const CostTable& costs,
                const Timeline& timeline)
      : schedule_(schedule),
        graph_(graph),
        costs_(costs),
        timeline_(timeline),
        by_consumer_(timeline.transfers.size()),
        waits_(graph.size()) {
    std::iota(by_consumer_.begin(), by_consumer_.end(), std::size_t{0});
    std::sort(by_consumer_.begin(), by_consumer_.end(),
              [this](std::size_t a, std::size_t b) { return key(a) < key(b); });
  }

  std::vector<OpWait> run() {
    for (OpIndex task = 0; task < graph_.size(); ++task) {
      find_data(task);
      find_stream(task);
    }
    if (costs_.communication == Communication::kBlocking) {
      add_sends();
    } else if (costs_.communication == Communication::kRendezvous) {
      add_calls();
    }
    if (costs_.memory.policy == MemoryPolicy::kWait && costs_.memory.given) {
      add_memory();
    }
    return std::move(waits_);
  }

 private:
  [[nodiscard]] std::tuple<OpIndex, OpIndex> key(std::size_t transfer) const {
    const Transfer& t = timeline_.transfers[transfer];
    return {t.consumer, t.producer};
  }

  // Calls visit for every transfer between two ops; an overlapped pair may send two to another.
  template <typename Visit>
  void for_each_transfer(OpIndex producer, OpIndex consumer, Visit&& visit) const {
    const std::tuple wanted{consumer, producer};
    auto at = std::lower_bound(
        by_consumer_.begin(), by_consumer_.end(), wanted,
        [this](std::size_t transfer, const auto& value) { return key(transfer) < value; });
    for (; at != by_consumer_.end() && key(*at) == wanted; ++at) {
      visit(timeline_.transfers[*at]);
    }
  }

  void find_data(OpIndex task) {
    OpWait& wait = waits_[task];
    for (const TaskEdge edge : graph_.edges_of(task)) {
      const Time end = timeline_.end[edge.producer];
      Time arrived = end;
      if (edge.crossing > 0) {
        for_each_transfer(edge.producer, task, [&](const Transfer& transfer) {
          arrived = std::max(arrived, transfer.end);
        });
      }
      wait.produced = std::max(wait.produced, end);
      if (wait.last_producer == kNoOp || arrived > wait.arrived ||
          (arrived == wait.arrived && edge.producer < wait.last_producer)) {
        wait.arrived = arrived;
        wait.last_producer = edge.producer;
      }
    }
  }

  void find_stream(OpIndex task) {
    if (const OpIndex before = graph_.compute_before(task); before != kNoOp) {
      waits_[task].stream_free = timeline_.end[before];
    }
    if (const OpIndex before = graph_.copy_before(task);
        before != kNoOp && is_copy(graph_.kind[task])) {
      waits_[task].stream_free = std::max(waits_[task].stream_free, timeline_.end[before]);
    }
  }

  // Blocking: an op waits for the sends of the ops before it on its device.
  void add_sends() {
    std::vector<Time> sent(graph_.size(), 0);
    for (const Transfer& transfer : timeline_.transfers) {
      sent[transfer.producer] = std::max(sent[transfer.producer], transfer.end);
    }
    for (OpIndex task = 0; task < graph_.size(); ++task) {
      if (const OpIndex before = graph_.compute_before(task);
          before != kNoOp && !is_copy(graph_.kind[task])) {
        waits_[task].stream_free = std::max(waits_[task].stream_free, sent[before]);
      }
    }
  }

  // Rendezvous: an op waits for the calls before it; their transfers begin when the partners have
  // posted their side.
  void add_calls() {
    const P2pProgram calls = lower_p2p(schedule_, graph_, schedule_.p2p);
    for (std::int32_t device = 0; device < graph_.devices; ++device) {
      Time done = 0;
      Time partners_posted = 0;
      for (const P2pStep& step : calls.steps_of(device)) {
        if (step.kind == P2pStepKind::kOp) {
          OpWait& wait = waits_[step.first];
          wait.stream_free = std::max(wait.stream_free, done);
          wait.produced = std::max(wait.produced, partners_posted);
          done = partners_posted = 0;
        } else if (step.kind == P2pStepKind::kWait) {
          for (const P2pMember& member : calls.members_of(step)) {
            const P2pMessage& message = calls.messages[member.message];
            for_each_transfer(message.producer, message.consumer, [&](const Transfer& transfer) {
              done = std::max(done, transfer.end);
              partners_posted = std::max(partners_posted, transfer.start);
            });
          }
        }
      }
    }
  }

  void add_memory() {
    const MemoryUse use =
        memory_use(schedule_, graph_, costs_.memory, timeline_.start, timeline_.end, true);
    for (OpIndex task = 0; task < graph_.size(); ++task) {
      const Bytes needed = graph_.memory_at_start[task];
      OpWait& wait = waits_[task];
      const Time ready = std::max(wait.arrived, wait.stream_free);
      if (needed <= 0 || ready >= timeline_.start[task]) {
        continue;
      }
      const std::vector<MemorySample>& samples = use.samples[graph_.device[task]];
      const auto after = std::upper_bound(
          samples.begin(), samples.end(), ready,
          [](Time time, const MemorySample& sample) { return time < sample.time; });
      const Bytes used = after == samples.begin() ? 0 : std::prev(after)->bytes;
      if (used > costs_.memory.capacity_of(graph_.device[task]) - needed) {
        wait.memory_there = timeline_.start[task];
      }
    }
  }

  const Schedule& schedule_;
  const TaskGraph& graph_;
  const CostTable& costs_;
  const Timeline& timeline_;
  std::vector<std::size_t> by_consumer_;  // transfers by (consumer, producer)
  std::vector<OpWait> waits_;
};

}  // namespace

std::vector<OpWait> measured_waits(const Schedule& schedule, const TaskGraph& graph,
                                   const CostTable& costs, const Timeline& timeline) {
  return MeasuredWaits(schedule, graph, costs, timeline).run();
}

}  // namespace stagecraft
