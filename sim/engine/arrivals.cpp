#include "engine/arrivals.hpp"

#include <algorithm>
#include <tuple>

namespace stagecraft {

Arrivals::Arrivals(const TaskGraph& graph, const CostTable& costs, const Timeline& timeline)
    : graph_(graph),
      timeline_(timeline),
      latency_mode_(costs.communication == Communication::kLatency) {
  if (!latency_mode_) {
    index_by_consumer();
  }
  if (costs.communication == Communication::kBlocking ||
      costs.communication == Communication::kRendezvous) {
    index_by_device();
  }
}

void Arrivals::index_by_consumer() {
  row_start_.assign(graph_.size() + 1, 0);
  for (const Transfer& transfer : timeline_.transfers) {
    ++row_start_[transfer.consumer + 1];
  }
  for (std::size_t task = 0; task < graph_.size(); ++task) {
    row_start_[task + 1] += row_start_[task];
  }
  row_.resize(timeline_.transfers.size());
  std::vector<std::uint32_t> next(row_start_.begin(), row_start_.end() - 1);
  for (std::uint32_t i = 0; i < row_.size(); ++i) {
    row_[next[timeline_.transfers[i].consumer]++] = i;
  }
}

void Arrivals::index_by_device() {
  touching_.resize(static_cast<std::size_t>(graph_.devices));
  for (std::uint32_t i = 0; i < timeline_.transfers.size(); ++i) {
    touching_[static_cast<std::size_t>(transfer(i).from_device)].push_back(i);
    touching_[static_cast<std::size_t>(transfer(i).to_device)].push_back(i);
  }
  for (std::size_t device = 0; device < touching_.size(); ++device) {
    std::sort(touching_[device].begin(), touching_[device].end(),
              [&](std::uint32_t a, std::uint32_t b) {
                const auto key = [&](std::uint32_t i) {
                  const bool sent = transfer(i).to_device != static_cast<std::int32_t>(device);
                  return std::tuple(transfer(i).end, sent, i);
                };
                return key(a) < key(b);
              });
  }
}

Arrival Arrivals::transferred(OpIndex producer, OpIndex consumer) const {
  // Two halves of a pair may both send to the same consumer; it waits for the later one.
  const Time end = timeline_.end[producer];
  Arrival arrival{producer, end, end, end};
  for (std::uint32_t i = row_start_[consumer]; i < row_start_[consumer + 1]; ++i) {
    const Transfer& candidate = transfer(row_[i]);
    if (candidate.producer == producer && candidate.end >= arrival.there) {
      arrival.sent = candidate.start;
      arrival.there = candidate.end;
    }
  }
  return arrival;
}

std::span<const std::uint32_t> Arrivals::holding(std::int32_t device, Time time) const {
  if (touching_.empty()) {
    return {};
  }
  const std::vector<std::uint32_t>& touching = touching_[static_cast<std::size_t>(device)];
  const auto first =
      std::lower_bound(touching.begin(), touching.end(), time,
                       [&](std::uint32_t i, Time wanted) { return transfer(i).end < wanted; });
  auto last = first;
  while (last != touching.end() && transfer(*last).end == time) {
    ++last;
  }
  return {first, last};
}

}  // namespace stagecraft
