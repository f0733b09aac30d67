#include "stagecraft/core/hash.hpp"

#include <fmt/core.h>

namespace stagecraft {

std::string Hash::hex() const {
  return fmt::format("{:016x}", state_);
}

}  // namespace stagecraft
