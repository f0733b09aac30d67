// The parts of the table of keys, in the order in which they are listed.
#pragma once

#include <cstdint>
#include <span>

#include "stagecraft/core/units.hpp"
#include "stagecraft/scenario/keys.hpp"

namespace stagecraft {

/// Limits that several parts share.
namespace key_limits {
inline constexpr std::int64_t kMostStages = 65'535;
inline constexpr std::int64_t kMostGpus = 65'535;
inline constexpr std::int64_t kMostMicrobatches = 1'000'000;
inline constexpr std::int64_t kBillion = 1'000'000'000;  ///< a ratio of 1
}  // namespace key_limits

/// Of scenarios with explicit costs.
[[nodiscard]] std::span<const KeySpec> pipeline_keys();  ///< top level too
[[nodiscard]] std::span<const KeySpec> cost_keys();
[[nodiscard]] std::span<const KeySpec> layer_keys();
[[nodiscard]] std::span<const KeySpec> link_keys();
[[nodiscard]] std::span<const KeySpec> device_keys();  ///< memory, optimizer
[[nodiscard]] std::span<const KeySpec> execute_keys();
[[nodiscard]] std::span<const KeySpec> search_keys();  ///< schedule too
/// Of scenarios that bring their data.
[[nodiscard]] std::span<const KeySpec> data_keys();  ///< model, training, parallelism too
[[nodiscard]] std::span<const KeySpec> profile_keys();

}  // namespace stagecraft
