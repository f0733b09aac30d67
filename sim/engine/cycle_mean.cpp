#include "engine/cycle_mean.hpp"

#include <algorithm>
#include <optional>

#include "stagecraft/core/check.hpp"

namespace stagecraft {

WideTime Mean::ceiling() const {
  const WideTime quotient = sum / count;  // rounds towards zero
  return quotient * count < sum ? quotient + 1 : quotient;
}

Mean maximum_cycle_mean(std::span<const Time> weights, std::size_t nodes) {
  STAGECRAFT_CHECK(nodes > 0 && weights.size() == nodes * nodes, "a square matrix of weights");
  // walk[k][v]: the heaviest walk of k arcs that ends at v.
  std::vector<std::vector<std::optional<WideTime>>> walk(nodes + 1);
  walk[0].assign(nodes, WideTime{0});
  for (std::size_t k = 1; k <= nodes; ++k) {
    walk[k].resize(nodes);
    for (std::size_t to = 0; to < nodes; ++to) {
      for (std::size_t from = 0; from < nodes; ++from) {
        const Time weight = weights[to * nodes + from];
        if (weight == kNoArc || !walk[k - 1][from]) {
          continue;
        }
        const WideTime total = *walk[k - 1][from] + weight;
        if (!walk[k][to] || total > *walk[k][to]) {
          walk[k][to] = total;
        }
      }
    }
  }
  std::optional<Mean> best;
  for (std::size_t v = 0; v < nodes; ++v) {
    if (!walk[nodes][v]) {
      continue;
    }
    std::optional<Mean> least;
    for (std::size_t k = 0; k < nodes; ++k) {
      if (walk[k][v]) {
        const Mean mean{*walk[nodes][v] - *walk[k][v], static_cast<std::int64_t>(nodes - k)};
        if (!least || mean < *least) {
          least = mean;
        }
      }
    }
    if (least && (!best || *best < *least)) {
      best = least;
    }
  }
  STAGECRAFT_CHECK(best.has_value(), "the graph has no cycle");
  return *best;
}

Mean maximum_cycle_mean(std::span<const std::uint16_t> from, std::span<const Time> weights) {
  STAGECRAFT_CHECK(!from.empty() && from.size() == weights.size(), "one arc per node");
  constexpr std::size_t kUnseen = SIZE_MAX;
  std::vector<std::size_t> seen_from(from.size(), kUnseen);  // the walk that visited a node first
  std::optional<Mean> best;
  for (std::size_t first = 0; first < from.size(); ++first) {
    std::size_t node = first;
    while (seen_from[node] == kUnseen) {
      seen_from[node] = first;
      node = from[node];
    }
    if (seen_from[node] != first) {
      continue;  // leads into a cycle that is known already
    }
    Mean mean{0, 0};
    std::size_t on_cycle = node;
    do {
      mean.sum += weights[on_cycle];
      ++mean.count;
      on_cycle = from[on_cycle];
    } while (on_cycle != node);
    if (!best || *best < mean) {
      best = mean;
    }
  }
  return *best;
}

}  // namespace stagecraft
