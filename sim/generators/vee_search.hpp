// The best order on a vee pipeline within a memory limit: candidates from building blocks and from
// the greedy rule, compared by their true times, the best of them improved by local search.
#pragma once

#include <optional>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"
#include "vee_order.hpp"
#include "vee_pattern.hpp"

namespace stagecraft {

struct VeeCandidate {
  VeeOrder order;
  VeeFigures figures;
};

/// The candidate of the greedy rule with the smallest span; nothing if none fits.
[[nodiscard]] std::optional<VeeCandidate> best_greedy_order(const VeeCosts& costs);

/// The best candidates from building blocks, best first, none of them over capacity; may be empty.
/// The blocks tried are a fixed choice for the shape and the memory, then a deterministic search
/// from the best of these; effort is limited by the number of passes placed.
[[nodiscard]] std::vector<VeeCandidate> best_block_orders(const VeeCosts& costs);

/// The best way to fill one block (published building blocks: V-Half, V-Min); nothing if memory
/// cannot carry it.
[[nodiscard]] std::optional<VeeCandidate> best_filling(const VeeCosts& costs,
                                                       const VeeBlock& block);

/// One micro-batch after the other: the least memory an order can do with.
[[nodiscard]] VeeOrder serial_order(const VeeCosts& costs);

/// The best order within the capacities of `costs`, which every device's least_memory() must
/// fit.
[[nodiscard]] VeeCandidate best_vee_order(const VeeCosts& costs);

/// Improves the first few of these, goes on with the one that comes out best, and returns it.
/// `candidates` must not be empty.
[[nodiscard]] VeeCandidate polish(const VeeCosts& costs, std::vector<VeeCandidate> candidates);

/// V-Half's block (half the memory of 1F1B) and V-Min's (a third), with the activations per device
/// that they need.
struct PublishedBlock {
  VeeSteps steps;
  std::int64_t activations = 0;
};
[[nodiscard]] PublishedBlock v_half_block(std::int32_t devices);
[[nodiscard]] PublishedBlock v_min_block(std::int32_t devices);

/// Limits every device to `units` activations of its largest stage where it has no smaller limit.
void limit_activations(VeeCosts& costs, std::int64_t units);

/// A device on which not even one micro-batch fits; the message names the smallest limit that
/// works.
[[nodiscard]] std::optional<Diagnostic> check_least_memory(const VeeCosts& costs,
                                                           std::string_view schedule);

}  // namespace stagecraft
