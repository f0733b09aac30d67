// The shape of a pipeline: how many devices, stages and micro-batches there are, which device runs
// which stage, and into how many slices each micro-batch is cut.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/core/op.hpp"

namespace stagecraft {

/// How stages map to devices (P devices, V chunks per device, S = P*V stages unless explicit).
enum class PlacementKind : std::uint8_t {
  kLoop,           ///< stage s on device s mod P
  kVee,            ///< V = 2: device d holds stages d and 2P-1-d
  kWave,           ///< rows of P stages, every second row reversed (Hanayo); vee is its V = 2 case
  kBidirectional,  ///< V = 1, two replicas: stage s on device s (down) and on P-1-s (up)
  kExplicit,       ///< a list: device of each stage
};

/// "loop", "vee", "wave", "bidirectional", "explicit".
[[nodiscard]] std::string_view to_string(PlacementKind kind);

struct Pipeline {
  std::int32_t devices = 1;       ///< P
  std::int32_t stages = 1;        ///< S (in a bidirectional pipeline: of one replica)
  std::int32_t microbatches = 1;  ///< M; both directions together in a bidirectional pipeline
  PlacementKind placement = PlacementKind::kLoop;
  std::vector<std::int32_t> device_of_stage;  ///< [S]; for kUp the mirror image, P-1-device
  std::vector<std::int32_t> slices;           ///< [M] slices of each micro-batch; empty: 1 each

  [[nodiscard]] bool bidirectional() const { return placement == PlacementKind::kBidirectional; }

  /// Largest number of stages on one device (of one replica).
  [[nodiscard]] std::int32_t chunks() const;

  [[nodiscard]] std::int32_t device(std::int32_t stage,
                                    Direction direction = Direction::kOnly) const {
    const std::int32_t down = device_of_stage[static_cast<std::size_t>(stage)];
    return direction == Direction::kUp ? devices - 1 - down : down;
  }

  /// Stages on `device` in ascending order (kOnly and kDown; for kUp the mirrored device's).
  [[nodiscard]] std::vector<std::int32_t> stages_of(std::int32_t device) const;

  [[nodiscard]] bool sliced() const { return !slices.empty(); }
  [[nodiscard]] std::int32_t slices_of(std::int32_t microbatch) const {
    return slices.empty() ? 1 : slices[static_cast<std::size_t>(microbatch)];
  }
  [[nodiscard]] std::int32_t max_slices() const;

  /// Micro-batches that run in one direction: M for kOnly; in a bidirectional pipeline the down
  /// direction has the larger half (ceil(M/2)), the up direction the rest.
  [[nodiscard]] std::int32_t microbatches_of(Direction direction) const;

  /// The index of a unit's micro-batch among all M: the down direction comes first.
  [[nodiscard]] std::int32_t global_microbatch(std::int32_t microbatch, Direction direction) const {
    return direction == Direction::kUp ? microbatch + (microbatches + 1) / 2 : microbatch;
  }

  friend bool operator==(const Pipeline&, const Pipeline&) = default;
};

/// A pipeline with a named placement. Errors (bad input): counts below 1 or above 65535 stages,
/// vee with V != 2, bidirectional with V != 1 or fewer than 2 micro-batches; kExplicit is refused
/// (use make_explicit_pipeline). The message says what would fit.
[[nodiscard]] Result<Pipeline> make_pipeline(std::int32_t devices, std::int32_t chunks,
                                             std::int32_t microbatches, PlacementKind placement);

/// A pipeline with `device_of_stage` given; every device must hold at least one stage.
[[nodiscard]] Result<Pipeline> make_explicit_pipeline(std::int32_t devices,
                                                      std::vector<std::int32_t> device_of_stage,
                                                      std::int32_t microbatches);

/// The named placement that `device_of_stage` is an instance of, or kExplicit.
[[nodiscard]] PlacementKind classify_placement(std::int32_t devices,
                                               std::span<const std::int32_t> device_of_stage);

}  // namespace stagecraft
