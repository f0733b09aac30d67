// Checks for programming errors. They stay on in release builds: a wrong number is worse than no
// number. Never used for user input, which is reported through diagnostics.hpp.
#pragma once

#include <stdexcept>
#include <string_view>

namespace stagecraft {

/// A check failed: a bug of ours. `main` turns it into exit status 1.
class CheckFailure : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

/// Throws CheckFailure with "<message> (<condition>) at file:line".
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
