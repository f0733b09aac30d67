// Loads of layers, stages and devices in scaled integers, and the figures by which AdaPtis ranks
// partitions and placements without a simulation: variance of loads, neighbours on one device, the
// largest load (Guo et al., "AdaPtis", 2509.23722, and the authors' code).
#pragma once

#include <compare>
#include <cstdint>
#include <span>
#include <vector>

#include "stagecraft/search/problem.hpp"

namespace stagecraft::search::adaptis {

/// Layers to stages to devices.
struct Shape {
  std::vector<std::int32_t> partition;        ///< [S] layers per stage
  std::vector<std::int32_t> device_of_stage;  ///< [S]

  [[nodiscard]] std::size_t stages() const { return partition.size(); }

  friend auto operator<=>(const Shape&, const Shape&) = default;
};

/// A share of the work of one micro-batch, scaled so that the sum over all layers stays below 2^30
/// and the sum of squares of any grouping of them below 2^60.
using Load = std::int64_t;

/// F+B+W of every layer of a problem.
class LayerLoads {
 public:
  explicit LayerLoads(const Problem& problem);

  [[nodiscard]] std::int32_t count() const { return static_cast<std::int32_t>(sums_.size()) - 1; }
  /// Of layers [from, to) on a device of speed 1.
  [[nodiscard]] Load between(std::int32_t from, std::int32_t to) const {
    return sums_[static_cast<std::size_t>(to)] - sums_[static_cast<std::size_t>(from)];
  }
  [[nodiscard]] Load total() const { return sums_.back(); }
  /// Of one layer that a device of the problem runs, 0 .. P-1.
  [[nodiscard]] Load on_device(Load load, std::int32_t device) const;
  [[nodiscard]] std::vector<Load> of_stages(std::span<const std::int32_t> partition) const;
  [[nodiscard]] std::int32_t devices() const { return devices_; }

 private:
  std::vector<Load> sums_;  ///< [L+1]
  std::vector<std::int64_t> speed_;
  std::int32_t devices_ = 1;
};

/// Population variance of `loads`, rounded down.
[[nodiscard]] Load variance(std::span<const Load> loads);

/// What ranks placements; smaller is better, in this order.
struct Proxy {
  Load device_variance = 0;
  std::int32_t neighbours = 0;  ///< pairs of neighbouring stages on one device
  Load largest = 0;             ///< load of the most loaded device

  friend auto operator<=>(const Proxy&, const Proxy&) = default;
};

/// Keeps the proxy of a placement while single stages move. O(P) a move.
class PlacementLoads {
 public:
  PlacementLoads(const LayerLoads& layers, std::span<const Load> stages,
                 std::vector<std::int32_t> device_of_stage);

  void move(std::size_t stage, std::int32_t device);
  [[nodiscard]] Proxy proxy() const;
  [[nodiscard]] const std::vector<std::int32_t>& placement() const { return device_of_stage_; }
  [[nodiscard]] std::int32_t stages_on(std::int32_t device) const {
    return held_[static_cast<std::size_t>(device)];
  }
  [[nodiscard]] Load load(std::int32_t device) const {
    return loads_[static_cast<std::size_t>(device)];
  }

 private:
  [[nodiscard]] std::int32_t neighbours_of(std::size_t stage) const;

  const LayerLoads& layers_;
  std::span<const Load> stages_;
  std::vector<std::int32_t> device_of_stage_;
  std::vector<Load> loads_;         ///< [P]
  std::vector<std::int32_t> held_;  ///< [P] stages
  std::int32_t neighbours_ = 0;
};

/// Stage s on device s mod P.
[[nodiscard]] std::vector<std::int32_t> round_robin(std::int32_t stages, std::int32_t devices);

/// `layers` entries cut into `stages` parts by count. Entries at the ends that stand alone in kind
/// (embedding, head) go with the first and last part and do not count; the first parts take what
/// is left over.
struct Ends {
  std::int32_t embedding = 0;  ///< entries at the beginning that do not count, 0 or 1
  std::int32_t head = 0;       ///< entries at the end, 0 or 1
};
[[nodiscard]] std::vector<std::int32_t> even_partition(std::int32_t layers, std::int32_t stages,
                                                       Ends ends);

/// The first (last) layer is taken for an embedding (a head) if no other layer costs the same.
[[nodiscard]] Ends find_ends(const Layers& layers);

}  // namespace stagecraft::search::adaptis
