#include "stagecraft/core/check.hpp"

#include <fmt/core.h>

namespace stagecraft {

void check_failed(std::string_view condition, std::string_view message, const char* file,
                  int line) {
  throw CheckFailure(fmt::format("{} ({}) at {}:{}", message, condition, file, line));
}

}  // namespace stagecraft
