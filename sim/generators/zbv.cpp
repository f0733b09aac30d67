// ZB-V: zero-bubble scheduling on the vee placement, in the memory of 1F1B (Qi et al., "Pipeline
// parallelism with controllable memory", 2405.15362).
#include <fmt/core.h>

#include "all.hpp"
#include "vee.hpp"
#include "vee_flow.hpp"

namespace stagecraft {
namespace {

constexpr OptionSpec kOptions[] = {vee_limit_option()};

// The published rule decides; orders found otherwise are taken where none of span, makespan and
// peak memory gets worse by it.
VeeCandidate better_than_greedy(VeeCosts& costs, VeeCandidate greedy) {
  const VeeFigures published = greedy.figures;
  if (published.span == costs.least_span()) {
    return greedy;
  }
  for (Bytes& capacity : costs.capacity) {
    capacity = std::min(capacity, published.peak);
  }
  std::vector<VeeCandidate> candidates;
  for (VeeCandidate& other : best_block_orders(costs)) {
    if (other.figures.no_worse_than(published)) {
      candidates.push_back(std::move(other));
    }
  }
  candidates.push_back(std::move(greedy));
  return polish(costs, std::move(candidates));
}

Result<Schedule> generate_zbv(const GeneratorInput& input) {
  auto costs = limited_vee_costs(input, "zbv");
  if (!costs.ok()) {
    return costs.failures();
  }
  auto greedy = best_greedy_order(*costs);
  VeeCandidate best =
      greedy ? better_than_greedy(*costs, std::move(*greedy)) : best_vee_order(*costs);
  return better_of_fused(input, "zbv", *costs, std::move(best));
}

}  // namespace

const GeneratorInfo& zbv_info() {
  static const GeneratorInfo info = {
      .name = "zbv",
      .summary = "zero bubble on the vee placement in the memory of 1f1b",
      .source = "Qi et al., Pipeline parallelism with controllable memory, 2405.15362",
      .order =
          "greedy rounds of one B and one F per device, W where a device would wait or may "
          "still idle; repeated with the idle time of the last attempt as allowance; then "
          "building blocks and local search where no figure gets worse; below 2P activations "
          "as v-flex; where more than latency counts (link, blocking, rendezvous, waiting for "
          "memory), the simulated best of that and v-1f1b",
      .constraints = "placement vee (2 chunks per device), B and W apart; any P and M",
      .bubble =
          "0 within the span where F = B = W and M >= 2P (span 2M(F+B+W) per chunk), "
          "makespan (P-1)F more",
      .memory = "2P activations of a stage on every device, or what the limit allows",
      .placement = PlacementKind::kVee,
      .chunks = 2,
      .needs_split_backward = true,
      .options = kOptions,
      .generate = generate_zbv,
  };
  return info;
}

}  // namespace stagecraft
