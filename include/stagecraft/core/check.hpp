// Checks for programming errors. They stay on in release builds: a wrong number is worse than a
// crash. Never used for user input, which is reported through diagnostics.hpp.
#pragma once

#include <string_view>

namespace stagecraft {

/// Prints "internal error: <message> (<condition>) at file:line" to stderr and aborts.
[[noreturn]] void check_failed(std::string_view condition, std::string_view message,
                               const char* file, int line);

}  // namespace stagecraft

// A macro for the text of the condition; file and line are its own too because clang 14 does not
// have std::source_location with Debian 12's standard library.
#define STAGECRAFT_CHECK(condition, message)                               \
  do {                                                                     \
    if (!(condition)) [[unlikely]] {                                       \
      ::stagecraft::check_failed(#condition, message, __FILE__, __LINE__); \
    }                                                                      \
  } while (false)
