#include "stagecraft/engine/timeline.hpp"

#include <algorithm>
#include <array>

namespace stagecraft {

std::int32_t Timeline::device_of(OpIndex op) const {
  const auto after = std::upper_bound(offsets.begin(), offsets.end(), std::size_t{op});
  return static_cast<std::int32_t>(after - offsets.begin()) - 1;
}

const char* to_string(IdleCause cause) {
  static constexpr std::array<const char*, kIdleCauseCount> kNames = {
      "fill", "drain", "producer", "transfer", "memory", "optimizer"};
  return kNames[static_cast<std::size_t>(cause)];
}

}  // namespace stagecraft
