// Checks for programming errors. They stay on in release builds: a wrong number is worse than a
// crash. Never used for user input, which is reported through diagnostics.hpp.
#pragma once

#include <source_location>
#include <string_view>

namespace stagecraft {

/// Prints "internal error: <message> (<condition>) at file:line" to stderr and aborts.
[[noreturn]] void check_failed(std::string_view condition, std::string_view message,
                               std::source_location where = std::source_location::current());

}  // namespace stagecraft

#define STAGECRAFT_CHECK(condition, message)           \
  do {                                                 \
    if (!(condition)) [[unlikely]] {                   \
      ::stagecraft::check_failed(#condition, message); \
    }                                                  \
  } while (false)
