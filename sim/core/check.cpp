#include "stagecraft/core/check.hpp"

#include <cstdio>
#include <cstdlib>

namespace stagecraft {

void check_failed(std::string_view condition, std::string_view message,
                  std::source_location where) {
  std::fprintf(stderr, "internal error: %.*s (%.*s) at %s:%u\n", static_cast<int>(message.size()),
               message.data(), static_cast<int>(condition.size()), condition.data(),
               where.file_name(), where.line());
  std::abort();
}

}  // namespace stagecraft
