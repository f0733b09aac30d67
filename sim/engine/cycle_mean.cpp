#include "engine/cycle_mean.hpp"

#include <algorithm>

#include "stagecraft/core/check.hpp"

namespace stagecraft {

WideTime Mean::ceiling() const {
  const WideTime quotient = sum / count;  // rounds towards zero
  return quotient * count < sum ? quotient + 1 : quotient;
}

namespace {

// Weight of a walk that does not exist.
constexpr WideTime kNoWalk = WideTime{INT64_MIN} * INT64_MAX;

// walks[k][v]: the weight of the heaviest walk of k arcs that ends at v.
std::vector<std::vector<WideTime>> heaviest_walks(std::span<const Time> weights,
                                                  std::size_t nodes) {
  std::vector<std::vector<WideTime>> walks(nodes + 1, std::vector<WideTime>(nodes, kNoWalk));
  walks[0].assign(nodes, 0);
  for (std::size_t k = 1; k <= nodes; ++k) {
    for (std::size_t to = 0; to < nodes; ++to) {
      for (std::size_t from = 0; from < nodes; ++from) {
        const Time weight = weights[to * nodes + from];
        if (weight != kNoArc && walks[k - 1][from] != kNoWalk) {
          walks[k][to] = std::max(walks[k][to], walks[k - 1][from] + weight);
        }
      }
    }
  }
  return walks;
}

// The larger (smaller) of two means; one of no integers counts as none.
Mean larger(const Mean& a, const Mean& b) {
  return a.count == 0 || (b.count != 0 && a < b) ? b : a;
}
Mean smaller(const Mean& a, const Mean& b) {
  return a.count == 0 || (b.count != 0 && b < a) ? b : a;
}

}  // namespace

Mean maximum_cycle_mean(std::span<const Time> weights, std::size_t nodes) {
  STAGECRAFT_CHECK(nodes > 0 && weights.size() == nodes * nodes, "a square matrix of weights");
  const std::vector<std::vector<WideTime>> walks = heaviest_walks(weights, nodes);
  Mean best{0, 0};
  for (std::size_t v = 0; v < nodes; ++v) {
    if (walks[nodes][v] == kNoWalk) {
      continue;
    }
    Mean least{0, 0};
    for (std::size_t k = 0; k < nodes; ++k) {
      if (walks[k][v] != kNoWalk) {
        least =
            smaller(least, {walks[nodes][v] - walks[k][v], static_cast<std::int64_t>(nodes - k)});
      }
    }
    best = larger(best, least);
  }
  STAGECRAFT_CHECK(best.count > 0, "the graph has no cycle");
  return best;
}

Mean maximum_cycle_mean(std::span<const std::uint16_t> from, std::span<const Time> weights) {
  STAGECRAFT_CHECK(!from.empty() && from.size() == weights.size(), "one arc per node");
  constexpr std::size_t kUnseen = SIZE_MAX;
  std::vector<std::size_t> seen_from(from.size(), kUnseen);  // the walk that visited a node first
  Mean best{0, 0};
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
    best = larger(best, mean);
  }
  return best;
}

}  // namespace stagecraft
