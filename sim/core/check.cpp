#include "stagecraft/core/check.hpp"

#include <cstdio>
#include <cstdlib>

namespace stagecraft {

void check_failed(std::string_view condition, std::string_view message, const char* file,
                  int line) {
  std::fprintf(stderr, "internal error: %.*s (%.*s) at %s:%d\n", static_cast<int>(message.size()),
               message.data(), static_cast<int>(condition.size()), condition.data(), file, line);
  std::abort();
}

}  // namespace stagecraft
